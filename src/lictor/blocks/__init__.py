"""Blocks: configuration and credentials that flows load by name: /api/block_types, block_schemas, block_documents.

A *type* (Slack webhook, S3 bucket) is known by its slug. A *schema* is one version of the fields of a type; clients
make one from a class and find it again by a checksum, which they and we compute alike (`checksums`). A *document*
holds values for one schema under a name. A schema may say that a field is a block again, and a document may refer to
another one there: both are told apart from the rest when they are stored (`…_reference`) and put in again when read.

Values are encrypted as a whole (`encryption`), and what a schema calls secret is shown only to those who ask for it
(`secrets`). `calling` uses the blocks that send something: notifications and webhooks.
"""
