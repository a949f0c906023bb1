"""A phone with Google Wallet in it, fed by the emulator of Google Wallet.

It goes the way of a person: opens a card's page, presses the button, adds the card on the page
that Google shows. From then on Google's copy is what it shows, so it never asks the service.
"""

from walletsvc.emulators.android.card import Card, Line
from walletsvc.emulators.android.phone import AndroidPhone, Seen

__all__ = ["AndroidPhone", "Card", "Line", "Seen"]
