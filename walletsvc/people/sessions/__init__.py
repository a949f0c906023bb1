"""Log-ins of customers on the pages of their cards."""
