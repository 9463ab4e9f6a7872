-- What the background services look for, so that each finds it without reading what it has no business with.

-- Runs that can become late. Runs that wait for a slot or a retry, or are late already, are not among them. Its first
-- columns never vary, but without them SQLite would rather read all that are due.
create index ix_flow_run__may_be_late on flow_run (state_type, state_name, next_scheduled_start_time)
    where state_type = 'SCHEDULED' and state_name = 'Scheduled';

-- Subflows that have not ended: few, beside those that have.
create index ix_flow_run__live_child on flow_run (state_type, parent_task_run_id)
    where parent_task_run_id is not null
    and state_type in ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING');
