-- How many flow runs there were, quarter of an hour by quarter of an hour of their expected start, and how they ended
-- (see lictor/tallies.py). Seconds are sums over the runs.
create table flow_run_tally (
    slot {ts_type} not null,
    state_type text not null,
    state_name text not null,
    runs {int_type} not null,
    run_time {float_type} not null,
    lateness {float_type} not null,
    primary key (slot, state_type, state_name)
) {clustered};

-- Quarters before the frontier whose tallies do not hold: `open` ones have runs that are not over, others have changed.
create table flow_run_unsettled (
    position {position},
    slot {ts_type} not null,
    open {bool_type} not null
) {strict};
create index ix_flow_run_unsettled__slot on flow_run_unsettled (slot);

-- One row: tallies were made up to here.
create table tally_frontier (
    name text primary key,
    slot {ts_type} not null
) {strict};
