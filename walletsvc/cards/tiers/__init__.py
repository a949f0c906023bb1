"""Tiers of all cards of a programme: who would move under other rules, and moving them."""
