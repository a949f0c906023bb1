"""Numbers printed on plastic cards: which card each stands for, and who made it theirs."""
