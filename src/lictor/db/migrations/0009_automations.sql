-- Automations, what their triggers have seen so far, and the actions that they have set off.
create table automation (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    description text not null,
    enabled {bool_type} not null,
    tags {json_type} not null,
    trigger {raw_json_type} not null,
    actions {raw_json_type} not null,
    actions_on_trigger {raw_json_type} not null,
    actions_on_resolve {raw_json_type} not null,
    -- Events up to this position came before the automation was as it is, and are none of its business.
    since_position {int_type} not null
) {strict};
create index ix_automation__name on automation (name);

create table automation_related_resource (
    automation_id {uuid_type} not null references automation (id) on delete cascade,
    resource_id text not null,
    owned {bool_type} not null,
    primary key (automation_id, resource_id)
) {strict};
create index ix_automation_related_resource__resource_id on automation_related_resource (resource_id);

-- One row. `revision` grows with every change of an automation. `position` is how far the event log has been read, `gaps`
-- are positions passed that may still appear (with the time they were passed), and `turn` grows whenever they move: who
-- moves them says which turn was seen. `looked` is when somebody last looked, for what a time without a server means.
create table automation_progress (
    id {int_type} primary key,
    revision {int_type} not null,
    turn {int_type} not null,
    position {int_type} not null,
    gaps {raw_json_type} not null,
    looked {ts_type} not null
) {strict};

-- Events of a trigger counted between two instants, for each value of its `for_each` labels. `due` is the end of those
-- that fire by themselves.
create table automation_bucket (
    trigger_id {uuid_type} not null,
    bucketing_key text not null,
    automation_id {uuid_type} not null references automation (id) on delete cascade,
    opened {ts_type} not null,
    closes {ts_type} not null,
    due {ts_type},
    count {int_type} not null,
    last_event {raw_json_type},
    primary key (trigger_id, bucketing_key)
) {strict};
create index ix_automation_bucket__automation_id on automation_bucket (automation_id);
create index ix_automation_bucket__due on automation_bucket (due) where due is not null;
create index ix_automation_bucket__closes on automation_bucket (closes);

-- Expected events of triggers that wait for something to start after, which may have come before it.
create table automation_held_event (
    trigger_id {uuid_type} not null,
    bucketing_key text not null,
    event_id {uuid_type} not null,
    automation_id {uuid_type} not null references automation (id) on delete cascade,
    occurred {ts_type} not null,
    held {ts_type} not null,
    primary key (trigger_id, bucketing_key, event_id)
) {strict};
create index ix_automation_held_event__automation_id on automation_held_event (automation_id);
create index ix_automation_held_event__held on automation_held_event (held);

-- Firings of triggers within a compound or a sequence, the last of each.
create table automation_child_firing (
    trigger_id {uuid_type} primary key,
    parent_id {uuid_type} not null,
    automation_id {uuid_type} not null references automation (id) on delete cascade,
    fired {ts_type} not null,
    firing {raw_json_type} not null
) {strict};
create index ix_automation_child_firing__parent_id on automation_child_firing (parent_id);
create index ix_automation_child_firing__automation_id on automation_child_firing (automation_id);

-- Events that came before the one that they follow.
create table automation_waiting_event (
    position {int_type} primary key,
    leader_id {uuid_type} not null,
    received {ts_type} not null
) {strict};

-- What is to be done, or was. Whoever is about to do it says so with `attempts` and `until`, after which somebody else may.
create table automation_action (
    id {uuid_type} primary key,
    automation_id {uuid_type} not null,
    state text not null,
    target text,
    attempts {int_type} not null,
    ready {ts_type} not null,
    ended {ts_type},
    invocation {raw_json_type} not null
) {strict};
create index ix_automation_action__ready on automation_action (ready, id) where state = 'pending';
create index ix_automation_action__ended on automation_action (ended) where ended is not null;
