-- Tallies of task runs, and of the task runs of flow runs (see lictor/tallies). Those of flow runs are counted anew.
drop table flow_run_tally;
create table flow_run_tally (
    slot {ts_type} not null,
    state_type text not null,
    state_name text not null,
    runs {int_type} not null,
    run_time {float_type} not null,
    lateness {float_type} not null,
    tasks {int_type} not null,
    primary key (slot, state_type, state_name)
) {clustered};
delete from flow_run_unsettled;
delete from tally_frontier;

-- `first_start` and `last_start` are null if one of the runs has no start.
create table task_run_tally (
    slot {ts_type} not null,
    state_type text not null,
    state_name text not null,
    of_flow {bool_type} not null,
    subflow {bool_type} not null,
    runs {int_type} not null,
    run_time {float_type} not null,
    lateness {float_type} not null,
    first_start {ts_type},
    last_start {ts_type},
    primary key (slot, state_type, state_name, of_flow, subflow)
) {clustered};

create table task_run_unsettled (
    position {position},
    slot {ts_type} not null,
    open {bool_type} not null
) {strict};
create index ix_task_run_unsettled__slot on task_run_unsettled (slot);

-- With the name, so that the runs of a period whose names have something in them are found without reading their rows.
drop index ix_flow_run__expected_start_time;
create index ix_flow_run__expected_start_time on flow_run (expected_start_time, id, name);
