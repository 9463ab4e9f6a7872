-- Parameters too large to stand in their run's row, which each transition writes anew: there stands null, which
-- parameters never are (see lictor/flow_runs/aside.py). Those of runs that are there already stay in their rows. The table
-- is not clustered: on the way to a row SQLite would read others whole, to compare their keys.
create table flow_run_parameters (
    flow_run_id {uuid_type} primary key references flow_run (id) on delete cascade,
    parameters {json_type} not null
) {strict};
