-- One index for what is due and for what may be late. (Without the state in its keys SQLite would take another.)
drop index ix_flow_run__may_be_late;
drop index ix_flow_run__due;
create index ix_flow_run__due on flow_run (state_type, next_scheduled_start_time, state_name)
    where state_type = 'SCHEDULED';
-- Only runs that somebody polls for are looked for in it: not those that a script makes and starts by itself.
drop index ix_flow_run__waiting;
create index ix_flow_run__waiting on flow_run (
    deployment_id, work_queue_id, expected_start_time, next_scheduled_start_time
) where state_type = 'SCHEDULED' and (deployment_id is not null or work_queue_id is not null);
