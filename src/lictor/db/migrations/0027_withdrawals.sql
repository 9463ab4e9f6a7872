-- Deployments with runs that were withdrawn before they began, and that still have to go: nobody sees or starts them any
-- more (see lictor/flow_runs/withdrawals.py). Nearly always empty. Without `due_by` all runs are meant that have not
-- begun, else those that schedules made and that were due by then.
create table withdrawal (
    deployment_id {uuid_type} primary key,
    due_by {ts_type}
) {clustered};
