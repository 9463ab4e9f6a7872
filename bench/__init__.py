"""Benchmarks of Lictor with the reference server as opponent, and the drivers that they share with tests/faults."""
