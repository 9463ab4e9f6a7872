-- A follower must not run past transactions still in flight: it compares this with the oldest one (see feed/).
alter table events add column xid xid8 not null default pg_current_xact_id();
alter table log add column xid xid8 not null default pg_current_xact_id();
