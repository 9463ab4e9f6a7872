"""The reference's dashboards, served from where they are found; none of their files is part of this package.

There are two, v1 (Vue) below the base and v2 (React) below `BASE/v2`. Their files carry a placeholder where the base
belongs; it is filled in while they are read (`bundles`), so nothing is written anywhere. What a browser needs to know
before it can ask the API is at `BASE/ui-settings` (`serving`). Both are single pages that route by themselves:
whatever a browser navigates to and is no file is answered with `index.html`.
"""
