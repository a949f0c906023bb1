"""`walletsvc doctor`: what an operator looks at first, in words, and the remedy for each fault."""
