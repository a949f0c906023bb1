"""Pre-flight for Apple Wallet."""
