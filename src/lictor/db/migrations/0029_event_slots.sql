-- When the tallies of a quarter of an hour (level 0) or of a day (level 1) last changed: by that a server knows whether
-- what it remembers of that time still holds (see lictor/events/remembering.py). A slot that has no row has no tallies.
create table event_slot (
    level {int_type} not null,
    slot {ts_type} not null,
    changed {int_type} not null,
    primary key (level, slot)
) {clustered};
insert into event_slot (level, slot, changed) select distinct t.level, t.slot, 1 from event_tally t;

-- The number of the last change of any. They only rise: numbers are microseconds of the clock where those are higher.
alter table event_tally_progress add column changed {int_type} not null default 1;
