-- The tallies of flow runs, but for those of open slots, added up by day (see lictor/tallies/days.py).
create table flow_run_day (
    day {ts_type} not null,
    state_type text not null,
    state_name text not null,
    runs {int_type} not null,
    lateness {float_type} not null,
    tasks {int_type} not null,
    primary key (day, state_type, state_name)
) {clustered};
insert into flow_run_day (day, state_type, state_name, runs, lateness, tasks)
select {day:t.slot}, t.state_type, t.state_name, sum(t.runs), sum(t.lateness), sum(t.tasks)
from flow_run_tally t where t.slot not in (select u.slot from flow_run_unsettled u where u.open) group by 1, 2, 3;
