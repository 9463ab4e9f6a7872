"""Artifacts: what runs leave for people to look at (Markdown, tables, links, images, progress), at /api/artifacts.

An artifact may have a key. All artifacts with one key are a *collection*, a row of its own that shows the newest of
them: it is what `/artifacts/{key}/latest` and `/artifacts/latest/…` are about, and the id there is the collection's.
"""
