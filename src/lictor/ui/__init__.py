"""What only the dashboards ask, at /api/ui: counts and short forms of runs, and forms held against their schemas.

It reads the tables of flows, runs and deployments and owns none.
"""
