"""People and their phones. Families share numbers, so a phone does not name one person."""
