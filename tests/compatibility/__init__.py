"""Which releases of the SDK work against Lictor: `python -m tests.compatibility` tries them and writes the table."""
