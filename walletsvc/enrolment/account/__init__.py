"""What customers do for themselves on their card's page: log in, change their phone, language."""
