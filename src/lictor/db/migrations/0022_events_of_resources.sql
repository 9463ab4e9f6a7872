-- Which events concern a resource, in the order in which they occurred, and as what: 0 is what the event is about, 1 is
-- related to it, 2 is both. Lists and counts of a resource's events need nothing else.
create table event_resources_in_order (
    resource_id text not null,
    occurred {ts_type} not null,
    position {int_type} not null,
    kind {int_type} not null,
    constraint pk_event_resources primary key (resource_id, occurred, position, kind)
) {clustered};
insert into event_resources_in_order (resource_id, occurred, position, kind)
select r.resource_id, e.occurred, r.position, case
    when r.resource_id <> e.resource_id then 1
    when exists (
        select 1 from (select {key:value:prefect.resource.id} as id from {elements:e.related}) x where x.id = r.resource_id
    ) then 2
    else 0 end
from event_resources r join events e on e.position = r.position;
drop table event_resources;
alter table event_resources_in_order rename to event_resources;
