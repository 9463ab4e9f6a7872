-- The names that many events have, numbered (see lictor/events/naming.py).
create table event_name (
    id integer primary key,
    name text not null,
    constraint uq_event_name__name unique (name)
) {strict};
insert into event_name (id, name)
select row_number() over (order by often.event), often.event from (
    select t.event from event_tally t where t.level = 1 and t.event <> '' group by t.event having max(t.events) >= 10
    order by sum(t.events) desc limit 10000
) often;

-- Beside each mention of a resource stands the number of the event's name, 0 if it has none: what is asked of the names
-- of a resource's events needs nothing else. Servers of the version before go on writing 0, and what they write is found.
-- To rename the table keeps away all who write, until its rows are where they belong.
alter table event_resources rename to event_resources_without_names;
create table event_resources (
    resource_id text not null,
    occurred {ts_type} not null,
    position {int_type} not null,
    kind integer not null,
    name integer not null default 0,
    constraint pk_event_resources__name primary key (resource_id, occurred, position, kind, name)
) {clustered};
{in_order_of_bytes:event_resources:resource_id};
insert into event_resources (resource_id, occurred, position, kind, name)
select r.resource_id, r.occurred, r.position, r.kind, coalesce(n.id, 0)
from event_resources_without_names r join events e on e.position = r.position left join event_name n on n.name = e.event;
drop table event_resources_without_names;
