"""Leaves that everything may import: time, ids, names, errors. No I/O."""
