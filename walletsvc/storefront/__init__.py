"""Public pages: what customers see without logging in."""
