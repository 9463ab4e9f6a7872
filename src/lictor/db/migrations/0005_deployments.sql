-- Schedules of deployments. `schedule` is what the client sent, and the rest is the scheduler's: `planned` are the dates
-- that runs were made for, as far as they are still to come, and `planned_until` is the last date that needs no look any
-- more. Nothing is to be done before `due`; null: never, as long as nobody changes the schedule. Every write counts
-- `revision` up, so that a plan made from an older one is not carried out.
create table deployment_schedule (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    deployment_id {uuid_type} not null references deployment (id) on delete cascade,
    schedule {raw_json_type} not null,
    active {bool_type} not null default true,
    max_scheduled_runs {int_type},
    parameters {json_type} not null default '{}',
    slug text,
    revision {int_type} not null default 0,
    planned {raw_json_type} not null default '[]',
    planned_until {ts_type} not null,
    due {ts_type},
    constraint uq_deployment_schedule__deployment_id_slug unique (deployment_id, slug)
) {strict};
create index ix_deployment_schedule__due on deployment_schedule (due) where due is not null;
