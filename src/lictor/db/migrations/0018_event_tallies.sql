-- How many events there were by name, in quarters of an hour (level 0) and in days (level 1) of when they occurred (see
-- lictor/events/tallies.py).
create table event_tally (
    level {int_type} not null,
    slot {ts_type} not null,
    event text not null,
    events {int_type} not null,
    oldest {ts_type} not null,
    latest {ts_type} not null,
    primary key (level, slot, event)
) {clustered};

-- One row: events up to this position have been counted,
create table event_tally_progress (
    id {int_type} primary key,
    position {int_type} not null
) {strict};
insert into event_tally_progress (id, position) values (1, 0);

-- but for these, which had not been committed when others after them were.
create table event_tally_gap (
    position {int_type} primary key,
    passed {ts_type} not null
) {strict};
