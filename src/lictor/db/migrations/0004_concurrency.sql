-- Concurrency limits. What is taken of one: the slots of its live leases, and in `active_slots` those that nobody holds
-- (taken without a lease). A limit whose slots decay has all of them there; they decay from `updated` on.
create table concurrency_limit_v2 (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    active {bool_type} not null default true,
    "limit" {int_type} not null,
    active_slots {float_type} not null default 0,
    denied_slots {float_type} not null default 0,
    slot_decay_per_second {float_type} not null default 0,
    avg_slot_occupancy_seconds {float_type} not null default 2,
    constraint uq_concurrency_limit_v2__name unique (name)
) {strict};

-- A lease without `expires` lasts as long as its holder. The holder is a run that may not be recorded yet, so there is
-- no foreign key.
create table concurrency_lease (
    id {uuid_type} primary key,
    created {ts_type} not null,
    expires {ts_type},
    holder_type text,
    holder_id {uuid_type}
) {strict};
create index ix_concurrency_lease__holder_id on concurrency_lease (holder_id) where holder_id is not null;
create index ix_concurrency_lease__expires on concurrency_lease (expires) where expires is not null;

create table concurrency_lease_slot (
    limit_id {uuid_type} not null references concurrency_limit_v2 (id) on delete cascade,
    lease_id {uuid_type} not null references concurrency_lease (id) on delete cascade,
    slots {int_type} not null,
    primary key (limit_id, lease_id)
) {clustered};
create index ix_concurrency_lease_slot__lease_id on concurrency_lease_slot (lease_id);
