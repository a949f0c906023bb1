"""A card's page behind the log-in."""
