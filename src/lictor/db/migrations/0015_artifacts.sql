-- Artifacts, anew: nothing has been written to these tables yet. A table's columns keep the order in which they were
-- sent, so the data is JSON as it came.
drop table artifact;
drop table artifact_collection;

create table artifact (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    key text,
    type text,
    description text,
    data {raw_json_type},
    metadata_ {raw_json_type},
    flow_run_id {uuid_type},
    task_run_id {uuid_type}
) {strict};
create index ix_artifact__key_created on artifact (key, created, id) where key is not null;
create index ix_artifact__created on artifact (created, id);
create index ix_artifact__updated on artifact (updated, id);
create index ix_artifact__flow_run_id on artifact (flow_run_id) where flow_run_id is not null;
create index ix_artifact__task_run_id on artifact (task_run_id) where task_run_id is not null;

-- The newest artifact of each key, with what lists show of it.
create table artifact_collection (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    key text not null,
    latest_id {uuid_type} not null,
    type text,
    description text,
    data {raw_json_type},
    metadata_ {raw_json_type},
    flow_run_id {uuid_type},
    task_run_id {uuid_type},
    constraint uq_artifact_collection__key unique (key)
) {strict};
create index ix_artifact_collection__latest_id on artifact_collection (latest_id);
create index ix_artifact_collection__created on artifact_collection (created, id);
create index ix_artifact_collection__updated on artifact_collection (updated, id);
create index ix_artifact_collection__flow_run_id on artifact_collection (flow_run_id) where flow_run_id is not null;
create index ix_artifact_collection__task_run_id on artifact_collection (task_run_id) where task_run_id is not null;
