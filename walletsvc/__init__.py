"""walletsvc: loyalty and gift cards in phone wallets, and the ledger behind them."""

from importlib.metadata import version

__version__ = version("walletsvc")
