"""What happened to a pass between a change and the phones, and what that means."""
