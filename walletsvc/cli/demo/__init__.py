"""The demo shop: its seed, its story with a simulated phone, and the command that plays it."""
