"""Lictor: a server for Prefect 3 flows."""

__version__ = "0.1.0"
