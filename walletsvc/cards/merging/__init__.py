"""Two cards of one programme that turn out to be one person's: one stands for both."""
