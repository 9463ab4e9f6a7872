-- The keys of task runs without a flow run that were made through the API. The unique key of task_run takes no two nulls
-- for the same flow run, and task runs that are recorded from events may share keys; of two who ask for one, one makes it.
create table task_run_key (
    task_key text not null,
    dynamic_key text not null,
    task_run_id {uuid_type} not null references task_run (id) on delete cascade deferrable initially deferred,
    primary key (task_key, dynamic_key)
) {clustered};
create index ix_task_run_key__task_run_id on task_run_key (task_run_id);
