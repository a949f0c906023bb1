"""Codes of the moment."""
