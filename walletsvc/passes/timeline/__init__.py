"""The timeline of a pass, whatever its wallet: what happened, what waits, and what that means.

Here is what the wallets share: the vocabulary, the way to a pass, its publication and the ledger.
How a phone of a wallet comes to show a pass is told by `apple/timeline` and `google/timeline`.
"""
