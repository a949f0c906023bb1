"""Gift certificates: a sum of money that whoever shows the code may spend in parts."""
