"""Codes of the moment: what shows that the card itself is there, not a picture of it."""
