"""Sales: scan, quote, purchase, refund, correct, and the receipt that is printed.

A purchase is one transaction: it takes points and certificates, gives what the rules of its time
give, counts for the tier and is written down with everything that explains it.
"""
