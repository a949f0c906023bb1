"""`/join/<programme>`: from a poster to a card, without JavaScript, in under a minute."""
