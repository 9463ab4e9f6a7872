"""Records the dates that the reference makes of the schedules in `schedule_cases`:

    <the reference's python> tests/kit/record_schedules.py

writes recorded_schedules.json beside it: for each case its dates, in seconds since 1970.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parent))

import schedule_cases
from prefect._internal.schemas.validators import normalize_rrule_string
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule


def dates(schedule: dict[str, Any], at: str) -> list[float]:
    kinds = {"interval": IntervalSchedule, "cron": CronSchedule, "rrule": RRuleSchedule}
    kind = next(kinds[key] for key in kinds if key in schedule)
    start = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(schedule["timezone"] or "UTC"))
    if "FREQ=MINUTELY" in schedule.get("rrule", "") or "FREQ=SECONDLY" in schedule.get("rrule", ""):
        # As it does when such a rule is stored; from 2020 on it would count for minutes.
        recent = start - timedelta(days=3)
        schedule = {
            **schedule,
            "rrule": normalize_rrule_string(schedule["rrule"], now=recent, timezone=start.tzinfo.key),
        }
    end = schedule_cases.end(start, schedule)
    made = kind.model_validate(schedule)._get_dates_generator(n=schedule_cases.DATES, start=start, end=end)
    return [moment.timestamp() for moment in made]


def main() -> None:
    lines = [json.dumps(dates(case["schedule"], case["at"])) for case in schedule_cases.cases()]
    file = Path(__file__).with_name("recorded_schedules.json")
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    sys.stdout.write(f"{len(lines)} cases\n")


if __name__ == "__main__":
    main()
