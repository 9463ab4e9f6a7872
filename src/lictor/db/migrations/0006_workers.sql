-- Workers, and the indexes by which polls find runs.

create table worker (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    work_pool_id {uuid_type} not null references work_pool (id) on delete cascade,
    name text not null,
    last_heartbeat_time {ts_type},
    heartbeat_interval_seconds {int_type},
    status text not null default 'OFFLINE',
    constraint uq_worker__work_pool_id_name unique (work_pool_id, name)
) {strict};
create index ix_worker__work_pool_id_last_heartbeat_time on worker (work_pool_id, last_heartbeat_time);

-- One index for what a queue's runs hold (by state) and for what is due next (in order).
drop index ix_flow_run__work_queue_id;
create index ix_flow_run__work_queue_id on flow_run (work_queue_id, state_type, next_scheduled_start_time)
    where work_queue_id is not null;
-- Scheduled runs of each deployment, those first that were planned first: who waits longest for a slot comes next.
create index ix_flow_run__waiting on flow_run (
    deployment_id, work_queue_id, expected_start_time, next_scheduled_start_time
) where state_type = 'SCHEDULED';
-- Few deployments have a limit.
create index ix_deployment__concurrency_limit_id on deployment (concurrency_limit_id)
    where concurrency_limit_id is not null;
