"""The same person, written down twice: staff make one of the two, and can take it back."""
