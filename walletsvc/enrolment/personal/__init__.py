"""Everything that is stored about a person: told to them, and taken out for good."""
