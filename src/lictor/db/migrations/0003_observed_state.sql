-- Which states there have been: the pairs of type and name, so that nobody has to look for them in millions of states.
create table observed_state (
    type text not null,
    name text not null,
    first_seen {ts_type} not null,
    last_seen {ts_type} not null,
    primary key (type, name)
) {clustered};
