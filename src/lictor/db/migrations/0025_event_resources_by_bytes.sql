-- Resources are found by how their ids begin: on PostgreSQL those stand together only in the order of their bytes.
{in_order_of_bytes:event_resources:resource_id};
