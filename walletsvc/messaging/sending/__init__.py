"""Sending what was written down: claimed, handed over outside any transaction, and noted."""
