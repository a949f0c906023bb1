"""Backups: the database's dump, the archive it travels in, and the programs that make it."""
