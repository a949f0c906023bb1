"""Google Wallet: the second dialect of `passes.protocol`."""
