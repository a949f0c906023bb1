"""Tiers as accounts have them: what was bought, which tier that reached, and when it changed.

`rulebook/tiers.py` holds the pure rules; here is what they are applied to. A tier hangs on the
account, so that a family shares it, and follows turnover, never a balance.
"""
