"""A person's card in a programme."""
