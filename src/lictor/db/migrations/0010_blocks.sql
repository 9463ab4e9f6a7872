-- Blocks: types, the schemas of their fields, and documents.
create table block_type (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    slug text not null,
    logo_url text,
    documentation_url text,
    description text,
    code_example text,
    is_protected {bool_type} not null default false,
    constraint uq_block_type__slug unique (slug)
) {strict};

-- `fields` is without what the references below tell of nested blocks.
create table block_schema (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    checksum text not null,
    fields {raw_json_type} not null,
    block_type_id {uuid_type} not null references block_type (id) on delete cascade,
    capabilities {json_type} not null default '[]',
    version text not null,
    constraint uq_block_schema__checksum_version unique (checksum, version)
) {strict};
create index ix_block_schema__block_type_id on block_schema (block_type_id);
create index ix_block_schema__created on block_schema (created, id);

create table block_schema_reference (
    id {uuid_type} primary key,
    parent_block_schema_id {uuid_type} not null references block_schema (id) on delete cascade,
    reference_block_schema_id {uuid_type} not null references block_schema (id) on delete cascade,
    name text not null,
    constraint uq_block_schema_reference__parent_name_reference
        unique (parent_block_schema_id, name, reference_block_schema_id)
) {strict};
create index ix_block_schema_reference__reference on block_schema_reference (reference_block_schema_id);

-- `data` is encrypted as a whole, by the key that `key_id` names.
create table block_document (
    id {uuid_type} primary key,
    created {ts_type} not null,
    updated {ts_type} not null,
    name text not null,
    data text not null,
    key_id text not null,
    is_anonymous {bool_type} not null default false,
    block_type_id {uuid_type} not null references block_type (id) on delete cascade,
    block_schema_id {uuid_type} not null references block_schema (id) on delete cascade,
    constraint uq_block_document__block_type_id_name unique (block_type_id, name)
) {strict};
create index ix_block_document__name on block_document (name, id);
create index ix_block_document__block_schema_id on block_document (block_schema_id);
create index ix_block_document__key_id on block_document (key_id);

create table block_document_reference (
    id {uuid_type} primary key,
    parent_block_document_id {uuid_type} not null references block_document (id) on delete cascade,
    reference_block_document_id {uuid_type} not null references block_document (id) on delete cascade,
    name text not null,
    constraint uq_block_document_reference__parent_name unique (parent_block_document_id, name)
) {strict};
create index ix_block_document_reference__reference on block_document_reference (reference_block_document_id);

-- Which edition of the blocks that come with the server has been put into the tables above: at most one row.
create table standard_blocks (
    edition text primary key,
    installed {ts_type} not null
) {strict};
