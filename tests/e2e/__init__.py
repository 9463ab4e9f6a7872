"""Flows run by the real SDK in subprocesses; what the server shows afterwards is compared with the reference.

A script in `flows/` is run against a server (`scripts`), everything it made is read through the HTTP API (`collect`),
what differs from run to run is masked (`masks`), and the result is compared with `recorded/<script>.json`.
"""
