"""Whose phone is another from now on: moving it, by staff or by themselves, and the history."""
