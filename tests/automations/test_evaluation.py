"""When triggers fire: the rules for buckets, on both databases."""

from __future__ import annotations

from tests.automations.world import World

from lictor.automations import store
from lictor.automations.types import AutomationPatch

BY_ID = ["prefect.resource.id"]


def test_a_reactive_trigger_fires_for_each_expected_event(world: World) -> None:
    world.automate({"expect": ["a"]})
    world.happen("a")
    world.happen("b")
    world.happen("a")
    world.round()
    assert world.fired() == ["a", "a"]


def test_what_happened_before_the_automation_was_made_is_none_of_its_business(world: World) -> None:
    world.happen("a")
    world.automate({"expect": ["a"]})
    assert world.fired() == []


def test_a_threshold_is_met_within_the_time_and_then_the_trigger_is_deaf_until_it_is_over(world: World) -> None:
    world.automate({"expect": ["a"], "threshold": 3, "within": 60})
    for _ in range(5):
        world.happen("a")
        world.wait(1)
    assert world.fired() == ["a"]
    world.wait(60)
    for _ in range(3):
        world.happen("a")
    world.round()
    assert world.fired() == ["a", "a"]


def test_events_too_far_apart_do_not_meet_a_threshold(world: World) -> None:
    world.automate({"expect": ["a"], "threshold": 2, "within": 10})
    for _ in range(4):
        world.happen("a")
        world.wait(11)
    assert world.fired() == []


def test_a_threshold_without_a_time_counts_events_that_come_one_after_the_other(world: World) -> None:
    world.automate({"expect": ["a"], "threshold": 2})
    for _ in range(5):
        world.happen("a")
        world.wait(1)
    assert world.fired() == ["a", "a"]


def test_each_value_of_a_label_is_counted_by_itself(world: World) -> None:
    world.automate({"expect": ["a"], "threshold": 2, "within": 60, "for_each": BY_ID})
    world.happen("a", "one")
    world.happen("a", "two")
    world.round()
    assert world.fired() == []
    world.happen("a", "one")
    world.round()
    assert world.told("prefect.automation.triggered")[0]["triggering_labels"] == {"prefect.resource.id": "one"}
    assert world.fired() == ["a"]


def test_an_event_is_expected_only_after_another(world: World) -> None:
    world.automate({"after": ["start"], "expect": ["end"], "within": 60, "for_each": BY_ID})
    world.happen("end", "x")
    world.round()
    assert world.fired() == []
    world.happen("start", "x")
    world.happen("end", "y")
    world.wait(30)
    world.happen("end", "x")
    world.round()
    assert world.fired() == ["a"]


def test_after_a_wait_that_came_to_nothing_the_next_one_begins(world: World) -> None:
    world.automate({"after": ["start"], "expect": ["end"], "within": 10})
    world.happen("start")
    world.wait(30)
    world.happen("start")
    world.wait(2)
    world.happen("end")
    world.round()
    assert world.fired() == ["a"]


def test_an_event_that_must_follow_itself_fires_the_second_time(world: World) -> None:
    world.automate({"after": ["a"], "expect": ["a"], "within": 60})
    world.happen("a")
    world.round()
    assert world.fired() == []
    world.happen("a")
    world.round()
    assert world.fired() == ["a"]


def test_a_proactive_trigger_fires_when_nothing_came_and_again_each_time(world: World) -> None:
    world.automate({"posture": "Proactive", "expect": ["a"], "within": 10})
    world.wait(9, step=1)
    assert world.fired() == []
    world.wait(4, step=1)
    assert world.fired() == ["a"]
    world.wait(10, step=1)
    assert world.fired() == ["a", "a"]


def test_a_proactive_trigger_that_got_its_event_waits_for_the_next(world: World) -> None:
    world.automate({"posture": "Proactive", "expect": ["a"], "within": 10})
    for _ in range(4):
        world.happen("a")
        world.wait(9)
    assert world.fired() == []
    world.wait(17)
    assert world.fired() == ["a"]


def test_a_wait_for_what_should_follow_begins_with_what_it_follows(world: World) -> None:
    world.automate({"posture": "Proactive", "after": ["start"], "expect": ["end"], "within": 30, "for_each": BY_ID})
    world.wait(60)
    assert world.fired() == []
    world.happen("start", "well")
    world.happen("start", "ill")
    world.wait(10)
    world.happen("end", "well")
    world.wait(30)
    assert [told["triggering_labels"] for told in world.told("prefect.automation.triggered")] == [
        {"prefect.resource.id": "ill"}
    ]
    world.wait(60)
    assert world.fired() == ["a"]


def test_without_labels_too_a_wait_after_something_begins_only_with_it(world: World) -> None:
    world.automate({"posture": "Proactive", "after": ["start"], "expect": ["end"], "within": 10})
    world.wait(30)
    assert world.fired() == []
    world.happen("start")
    world.wait(15)
    assert world.fired() == ["a"]


def test_heartbeats_keep_a_wait_from_running_out_and_the_end_of_them_is_noticed(world: World) -> None:
    beat = ["heartbeat"]
    trigger = {"posture": "Proactive", "after": beat, "expect": [*beat, "done"], "within": 30, "for_each": BY_ID}
    world.automate(trigger)
    for _ in range(6):
        world.happen("heartbeat", "ends well")
        world.happen("heartbeat", "dies")
        world.wait(20)
    world.happen("done", "ends well")
    assert world.fired() == []
    world.wait(60)
    assert [told["triggering_labels"] for told in world.told("prefect.automation.triggered")] == [
        {"prefect.resource.id": "dies"}
    ]


def test_an_end_that_comes_in_before_its_last_heartbeat_counts(world: World) -> None:
    beat = ["heartbeat"]
    trigger = {"posture": "Proactive", "after": beat, "expect": [*beat, "done"], "within": 30, "for_each": BY_ID}
    world.automate(trigger)
    world.happen("heartbeat", "x", at=0)
    world.wait(10)
    world.happen("done", "x", at=9)
    world.round()
    world.happen("heartbeat", "x", at=8)
    world.wait(60)
    assert world.fired() == []


def test_a_time_without_a_server_is_not_held_against_anybody(world: World) -> None:
    world.automate({"posture": "Proactive", "after": ["start"], "expect": ["end"], "within": 60, "for_each": BY_ID})
    world.happen("start")
    world.wait(10)
    world.now = world.now.replace(hour=20)
    world.restart()
    world.wait(30)
    assert world.fired() == []
    world.wait(40)
    assert world.fired() == ["a"]


def test_all_any_or_some_of_a_compound(world: World) -> None:
    parts = [{"posture": "Reactive", "expect": [name]} for name in ("x", "y", "z")]
    for require in ("all", "any", 2):
        world.automate({"type": "compound", "triggers": parts, "within": 60, "require": require}, name=f"{require}")
    world.happen("x")
    world.round()
    assert world.fired() == ["any"]
    world.happen("x")
    world.happen("y")
    world.round()
    assert sorted(world.fired()) == ["2", "any", "any", "any"]
    world.happen("z")
    world.round()
    assert sorted(world.fired()) == ["2", "all", "any", "any", "any", "any"]


def test_parts_of_a_compound_that_are_too_far_apart_do_not_count(world: World) -> None:
    parts = [{"posture": "Reactive", "expect": [name]} for name in ("x", "y")]
    world.automate({"type": "compound", "triggers": parts, "within": 30, "require": "all"})
    world.happen("x")
    world.wait(31)
    world.happen("y")
    world.round()
    assert world.fired() == []
    world.happen("x")
    world.round()
    assert world.fired() == ["a"]


def test_a_sequence_fires_in_its_order_only(world: World) -> None:
    parts = [{"posture": "Reactive", "expect": [name]} for name in ("x", "y")]
    world.automate({"type": "sequence", "triggers": parts, "within": 60})
    world.happen("y")
    world.happen("x")
    world.round()
    assert world.fired() == []
    world.happen("y")
    world.round()
    assert world.fired() == ["a"]


def test_composites_within_composites(world: World) -> None:
    x, y, z = ({"posture": "Reactive", "expect": [name]} for name in ("x", "y", "z"))
    inner = {"type": "sequence", "triggers": [x, y], "within": 60}
    world.automate({"type": "compound", "triggers": [inner, z], "within": 60, "require": "all"})
    for name in ("z", "x", "y"):
        world.happen(name)
    world.round()
    assert world.fired() == ["a"]


def test_an_automation_is_not_fired_by_what_it_does_itself(world: World) -> None:
    did = ["prefect.automation.triggered", "prefect.automation.action.*"]
    world.automate({"expect": did}, {"type": "do-nothing"}, name="one")
    world.automate({"expect": ["a"]}, {"type": "do-nothing"}, name="two")
    world.happen("a")
    for _ in range(5):
        world.round()
    assert sorted(world.fired()) == ["one", "one", "one", "two"]


def test_a_disabled_automation_does_not_fire_and_does_not_catch_up(world: World) -> None:
    made = world.automate({"expect": ["a"]})
    world.db.write_now(store.patch, made.id, AutomationPatch(False))
    world.happen("a")
    world.round()
    world.happen("a")
    world.db.write_now(store.patch, made.id, AutomationPatch(True))
    world.round()
    assert world.fired() == []
    world.happen("a")
    world.round()
    assert world.fired() == ["a"]
