"""What persons agreed to: the versioned texts, and who agreed to which, when, and how proven."""
