-- Background task runs that no worker has taken yet. A row goes when a worker has acknowledged its task run; it is
-- `held_by` the connection that it was sent over, for as long as that connection lives.
create table task_delivery (
    task_run_id {uuid_type} primary key references task_run (id) on delete cascade,
    task_key text not null,
    retry {bool_type} not null,
    enqueued {ts_type} not null,
    due {ts_type} not null,
    held_by {uuid_type}
) {strict};
create index ix_task_delivery__task_key_enqueued on task_delivery (task_key, enqueued);

-- Connections of workers that run background tasks; their server says again and again that they are there.
create table task_worker (
    id {uuid_type} primary key,
    client_id text not null,
    task_keys {json_type} not null,
    seen {ts_type} not null
) {strict};

-- What tells whether the process of a flow run lives: its heartbeats (the last, and how far apart the last three were, in
-- seconds), and the worker that started it. Rows of runs that have ended are swept.
create table flow_run_heartbeat (
    flow_run_id {uuid_type} primary key references flow_run (id) on delete cascade,
    run_count {int_type} not null default 0,
    heard {ts_type},
    beat {ts_type},
    gap {float_type},
    gap_before {float_type},
    worker_name text,
    worker_type text,
    work_pool_name text
) {strict};
create index ix_flow_run_heartbeat__heard on flow_run_heartbeat (heard);
