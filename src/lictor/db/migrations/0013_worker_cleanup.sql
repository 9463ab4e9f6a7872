-- What workers are asked to tidy up, until one of them says that it did, or all deliveries are used up (`ended`).
-- One that is held has a token, and until `lease_expires` nobody else gets it.
create table worker_cleanup (
    id {uuid_type} primary key,
    created {ts_type} not null,
    work_pool_id {uuid_type} not null references work_pool (id) on delete cascade,
    work_queue_id {uuid_type},
    kind text not null,
    idempotency_key text not null,
    target {json_type} not null default '{}',
    data {json_type} not null default '{}',
    deliveries {int_type} not null default 0,
    token text,
    holder text,
    lease_expires {ts_type},
    ended {ts_type},
    outcome text,
    constraint uq_worker_cleanup__work_pool_id_idempotency_key unique (work_pool_id, idempotency_key)
) {strict};
create index ix_worker_cleanup__open on worker_cleanup (work_pool_id, created) where ended is null;
create index ix_worker_cleanup__ended on worker_cleanup (ended) where ended is not null;
