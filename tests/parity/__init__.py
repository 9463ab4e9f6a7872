"""Parity: one scenario is sent to the reference server and to Lictor; their normalised answers must be equal."""
