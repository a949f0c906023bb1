"""Double entry: accounts, transactions, entries, lots, holds. Knows nothing of shops or passes.

A transaction's entries sum to zero in every unit. Nothing is ever edited: a mistake is
undone by a transaction that points back at it.
"""
