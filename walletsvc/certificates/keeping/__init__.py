"""Gift certificates that people keep with their card."""
