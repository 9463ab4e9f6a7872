-- Which process runs each background service, and until when it may (see lictor.loops).

create table service_lease (
    name text primary key,
    holder text not null,
    expires {ts_type} not null
) {strict};
