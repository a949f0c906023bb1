"""What happened to a pass between a change and Google Wallet, and what that means."""
