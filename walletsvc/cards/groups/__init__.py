"""Groups: several cards, of a family or of one phone's people, on one account."""
