-- Flows that were deleted and whose runs still have to go: nobody sees them any more, and their names are free.
alter table flow add column deleted {ts_type};
create index ix_flow__deleted on flow (deleted) where deleted is not null;
