-- Artifacts in the order of their keys, those without one too; and blocks in the order of their types.
drop index ix_artifact__key_created;
create index ix_artifact__key_created on artifact (key, created, id);
create index ix_block_type__name on block_type (name, id);
