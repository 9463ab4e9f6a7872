-- Indexes for lists that must not sort all runs of a flow, a queue or a week.
create index ix_flow_run__flow_start on flow_run (flow_id, coalesce(start_time, expected_start_time));
create index ix_flow_run__queue_start on flow_run (work_queue_id, coalesce(start_time, expected_start_time))
    where work_queue_id is not null;
-- Hardly any run starts before it was expected to: what those that did can be found by (see flow_runs/listing.py).
create index ix_flow_run__early on flow_run (expected_start_time, start_time) where start_time < expected_start_time;
-- With the id, so that the runs of a period are found without reading their rows.
drop index ix_flow_run__expected_start_time;
create index ix_flow_run__expected_start_time on flow_run (expected_start_time, id);
