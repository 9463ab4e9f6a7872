-- Processes that take in events, and since when each has done so without a break: who hears nothing of a run must know
-- whether anybody listened.
create table event_listener (
    id {uuid_type} primary key,
    since {ts_type} not null,
    seen {ts_type} not null
) {strict};
