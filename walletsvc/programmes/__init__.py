"""Loyalty and gift programmes: what a card of each kind is worth and by which rules."""
