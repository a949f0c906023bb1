"""A card's page for whoever logged in: the live code, the balance explained, history, settings."""
