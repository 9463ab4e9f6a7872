"""Lictor: a server for Prefect 3 flows."""
