-- Everything that runs, and what the run tables refer to. Instants, ids and JSON have each database's own type
-- (see db/dialect.py); durations are seconds. Ids are given by the server, never by the database.

create table flow (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    tags {json_type} not null default '[]',
    labels {json_type} not null default '{}',
    constraint uq_flow__name unique (name)
) {strict};
create index ix_flow__created on flow (created);

create table work_pool (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    description text,
    type text not null,
    base_job_template {json_type} not null default '{}',
    is_paused {bool_type} not null default false,
    default_queue_id {uuid_type},
    concurrency_limit {int_type},
    status text not null default 'NOT_READY',
    last_transitioned_status_at {ts_type},
    last_status_event_id {uuid_type},
    storage_configuration {json_type} not null default '{}',
    constraint uq_work_pool__name unique (name)
) {strict};

create table work_queue (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    work_pool_id {uuid_type} not null references work_pool (id) on delete cascade,
    name text not null,
    description text not null default '',
    is_paused {bool_type} not null default false,
    concurrency_limit {int_type},
    priority {int_type} not null default 1,
    filter {json_type},
    last_polled {ts_type},
    status text not null default 'NOT_READY',
    constraint uq_work_queue__work_pool_id_name unique (work_pool_id, name)
) {strict};
create index ix_work_queue__name on work_queue (name);

create table deployment (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    flow_id {uuid_type} not null references flow (id) on delete cascade,
    name text not null,
    version text,
    description text,
    paused {bool_type} not null default false,
    status text not null default 'NOT_READY',
    last_polled {ts_type},
    work_queue_id {uuid_type} references work_queue (id) on delete set null,
    work_queue_name text,
    concurrency_limit_id {uuid_type},
    concurrency_options {json_type},
    parameters {json_type} not null default '{}',
    parameter_openapi_schema {json_type},
    enforce_parameter_schema {bool_type} not null default true,
    job_variables {json_type} not null default '{}',
    tags {json_type} not null default '[]',
    labels {json_type} not null default '{}',
    pull_steps {json_type},
    path text,
    entrypoint text,
    storage_document_id {uuid_type},
    infrastructure_document_id {uuid_type},
    created_by {json_type},
    updated_by {json_type},
    constraint uq_deployment__flow_id_name unique (flow_id, name)
) {strict};
create index ix_deployment__name on deployment (name);
create index ix_deployment__updated on deployment (updated);
create index ix_deployment__work_queue_id on deployment (work_queue_id) where work_queue_id is not null;

create table flow_run (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    flow_id {uuid_type} not null references flow (id) on delete cascade,
    state_id {uuid_type},
    state_type text,
    state_name text,
    state_timestamp {ts_type},
    deployment_id {uuid_type},
    deployment_version text,
    work_queue_id {uuid_type} references work_queue (id) on delete set null,
    work_queue_name text,
    flow_version text,
    parameters {json_type} not null default '{}',
    idempotency_key text,
    context {json_type} not null default '{}',
    empirical_policy {json_type} not null default '{}',
    tags {json_type} not null default '[]',
    labels {json_type} not null default '{}',
    parent_task_run_id {uuid_type},
    run_count {int_type} not null default 0,
    expected_start_time {ts_type},
    next_scheduled_start_time {ts_type},
    start_time {ts_type},
    end_time {ts_type},
    total_run_time {float_type} not null default 0,
    auto_scheduled {bool_type} not null default false,
    infrastructure_document_id {uuid_type},
    infrastructure_pid text,
    created_by {json_type},
    job_variables {json_type}
) {strict};
create unique index uq_flow_run__flow_id_idempotency_key on flow_run (flow_id, idempotency_key)
    where idempotency_key is not null;
create index ix_flow_run__flow_id on flow_run (flow_id, expected_start_time);
create index ix_flow_run__expected_start_time on flow_run (expected_start_time);
create index ix_flow_run__start on flow_run (coalesce(start_time, expected_start_time));
create index ix_flow_run__state_start on flow_run (state_type, coalesce(start_time, expected_start_time));
create index ix_flow_run__end_time on flow_run (end_time) where end_time is not null;
-- Its first column never varies, but without it SQLite would rather take another index by state and sort.
create index ix_flow_run__due on flow_run (state_type, next_scheduled_start_time) where state_type = 'SCHEDULED';
create index ix_flow_run__deployment_id on flow_run (deployment_id, expected_start_time) where deployment_id is not null;
create index ix_flow_run__parent_task_run_id on flow_run (parent_task_run_id) where parent_task_run_id is not null;
create index ix_flow_run__work_queue_id on flow_run (work_queue_id, state_type) where work_queue_id is not null;
create index ix_flow_run__name on flow_run (name);

create table flow_run_state (
    id {uuid_type} primary key,
    flow_run_id {uuid_type} not null references flow_run (id) on delete cascade,
    timestamp {ts_type} not null,
    type text not null,
    name text not null,
    message text,
    state_details {json_type} not null default '{}',
    data {json_type},
    constraint uq_flow_run_state__flow_run_id_timestamp unique (flow_run_id, timestamp)
) {clustered};

create table flow_run_input (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    flow_run_id {uuid_type} not null references flow_run (id) on delete cascade,
    key text not null,
    value text not null,
    sender text,
    constraint uq_flow_run_input__flow_run_id_key unique (flow_run_id, key)
) {strict};

create table task_run (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    flow_run_id {uuid_type} references flow_run (id) on delete cascade,
    task_key text not null,
    dynamic_key text not null,
    cache_key text,
    cache_expiration {ts_type},
    task_version text,
    empirical_policy {json_type} not null default '{}',
    tags {json_type} not null default '[]',
    labels {json_type} not null default '{}',
    state_id {uuid_type},
    state_type text,
    state_name text,
    state_timestamp {ts_type},
    task_inputs {json_type} not null default '{}',
    run_count {int_type} not null default 0,
    flow_run_run_count {int_type} not null default 0,
    expected_start_time {ts_type},
    next_scheduled_start_time {ts_type},
    start_time {ts_type},
    end_time {ts_type},
    total_run_time {float_type} not null default 0,
    constraint uq_task_run__flow_run_id_task_key_dynamic_key unique (flow_run_id, task_key, dynamic_key)
) {strict};
create index ix_task_run__expected_start_time on task_run (expected_start_time);
create index ix_task_run__state_start on task_run (state_type, start_time);
create index ix_task_run__end_time on task_run (end_time) where end_time is not null;
create index ix_task_run__name on task_run (name);

create table task_run_state (
    id {uuid_type} primary key,
    task_run_id {uuid_type} not null references task_run (id) on delete cascade,
    timestamp {ts_type} not null,
    type text not null,
    name text not null,
    message text,
    state_details {json_type} not null default '{}',
    data {json_type}
) {clustered};
create index ix_task_run_state__task_run_id_timestamp on task_run_state (task_run_id, timestamp);

create table task_run_state_cache (
    id {uuid_type} primary key,
    created {ts_type} not null,
    cache_key text not null,
    cache_expiration {ts_type},
    task_run_state_id {uuid_type} not null
) {strict};
create index ix_task_run_state_cache__cache_key_created on task_run_state_cache (cache_key, created);

-- Logs have no foreign key: a log may come before its run, and deleting a run must not wait for its logs (see run_tombstone).
create table log (
    position {position},
    created {ts_type} not null,
    name text not null,
    level {int_type} not null,
    message text not null,
    timestamp {ts_type} not null,
    flow_run_id {uuid_type},
    task_run_id {uuid_type}
) {strict};
create index ix_log__flow_run_id_timestamp on log (flow_run_id, timestamp);
create index ix_log__task_run_id_timestamp on log (task_run_id, timestamp) where task_run_id is not null;
create index ix_log__timestamp on log (timestamp);

-- Runs that were deleted and whose logs the log sweeper still has to remove.
create table run_tombstone (
    run_id {uuid_type} primary key,
    deleted {ts_type} not null
) {strict};

-- The event log: written in the transaction of the change that it tells of, read forward by position (see feed/).
create table events (
    position {position},
    id {uuid_type} not null,
    occurred {ts_type} not null,
    received {ts_type} not null,
    event text not null,
    resource_id text not null,
    follows {uuid_type},
    resource {raw_json_type} not null,
    related {raw_json_type} not null,
    payload {raw_json_type} not null,
    constraint uq_events__id unique (id)
) {strict};
create index ix_events__occurred on events (occurred, id);
create index ix_events__event_occurred on events (event, occurred);

-- Which events concern a resource, in whatever role; the roles are in the event.
create table event_resources (
    resource_id text not null,
    position {int_type} not null,
    primary key (resource_id, position)
) {clustered};

create table artifact (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    key text,
    type text,
    description text,
    data {json_type},
    metadata_ {json_type},
    flow_run_id {uuid_type},
    task_run_id {uuid_type}
) {strict};
create index ix_artifact__key_created on artifact (key, created) where key is not null;
create index ix_artifact__flow_run_id on artifact (flow_run_id) where flow_run_id is not null;
create index ix_artifact__task_run_id on artifact (task_run_id) where task_run_id is not null;

create table artifact_collection (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    key text not null,
    latest_id {uuid_type} not null,
    type text,
    description text,
    data {json_type},
    metadata_ {json_type},
    flow_run_id {uuid_type},
    task_run_id {uuid_type},
    constraint uq_artifact_collection__key unique (key)
) {strict};

create table variable (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    value {json_type},
    tags {json_type} not null default '[]',
    constraint uq_variable__name unique (name)
) {strict};

create table saved_search (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    filters {json_type} not null default '[]',
    constraint uq_saved_search__name unique (name)
) {strict};

create table csrf_token (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    client text not null,
    token text not null,
    expiration {ts_type} not null,
    constraint uq_csrf_token__client unique (client)
) {strict};

create table configuration (
    key text primary key,
    value {json_type} not null,
    updated {ts_type} not null
) {strict};
