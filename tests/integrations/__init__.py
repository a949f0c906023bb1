"""Edges towards outside systems."""
