"""What the demo prints before its story: addresses, keys, and commands to look further with."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from walletsvc.app import Installation
from walletsvc.apple.identity import roots_dir
from walletsvc.cards.models import Card
from walletsvc.cli.demo import doors
from walletsvc.cli.demo.shop import HOTEL_SLUG, PARTNERS_FOR, SLUG, Keys, Shop, examples
from walletsvc.cli.emulate import sms_url
from walletsvc.settings import Settings

SETTINGS_FILE: Final = "settings.sh"


def introduction(
    installation: Installation, shop: Shop, keys: Keys, control: str, posters: int
) -> str:
    """Everything with its real address or id; `posters` is how many there are."""
    loaded = installation.settings
    with installation.database.read_tx() as session:
        shown = examples(session, shop)
    card, relative, base = shown.card, shown.relative, loaded.base_url
    program = Path(sys.executable).with_name("walletsvc")
    period, days = _periods(installation.clock())
    return f"""
{_joining(installation, shop, posters)}

  A loyalty card         {base}/c/{card.link_token}
  A family's card        {base}/c/{relative.link_token}
  A gift certificate     {base}/c/{shown.gift.link_token}
  An expired one, owed   {base}/c/{shown.expired.link_token}
  REST, described        {base}/api/docs
  Its key, all scopes    {keys.chain}
  The hotel's key        {keys.hotel}
  Programme              {shop.loyalty.slug}
  Pushed to iPhones      {control}/_/log
  What "Google" was told {loaded.google_url}/_/log
  What buzzed on Android {loaded.google_url}/_/buzzes
  What "Google" holds    {loaded.google_url}/_/state

{_phones(loaded, card, program)}

  and, while they wait, 50 points for that card:

    curl {base}/api/v1/cards/{card.public_id}/adjustments \\
      -H "Authorization: Bearer {keys.chain}" -H "Content-Type: application/json" \\
      -H "Idempotency-Key: try-$RANDOM" -d '{{"amount": 50, "reason": "Hello"}}'

  What the ledger says, in another terminal:

    export PATH="{program.parent}:$PATH"; . {loaded.data_dir / SETTINGS_FILE}
    walletsvc doctor                      # whether everything is in order
    walletsvc ledger explain {card.public_id}   # which points pay first, and when they end
    walletsvc cards group {relative.number}           # a family: who brought, earned, spent
    walletsvc ledger explain {shown.gift.public_id}   # a gift certificate, partly used
    walletsvc ledger statement {SLUG} --with {HOTEL_SLUG} {period}
    walletsvc ledger liability --organisation {SLUG}
    walletsvc ledger verify

  What the draft of the rules would have cost:

    walletsvc programme rules rehearse --programme {SLUG} {days}"""


def _periods(today: datetime) -> tuple[str, str]:
    """Since the partners settle: as a statement takes it, and as a rehearsal does."""
    since = f"--from {today - PARTNERS_FOR:%Y-%m-%d}"
    return f"{since} --to {today + timedelta(days=1):%Y-%m-%d}", f"{since} --until {today:%Y-%m-%d}"


def _joining(installation: Installation, shop: Shop, posters: int) -> str:
    """Where a newcomer begins."""
    loaded = installation.settings
    with installation.database.read_tx() as session:
        sources = doors.poster_sources(session, shop)
    join = f"/j/{sources[0].code}" if sources else f"/join/{shop.loyalty.slug}"
    return f"""\
  Join, as by a poster   {loaded.base_url}{join}
  SMS and mail, to read  {sms_url(loaded.emulator_port)}/
  Posters to print       {loaded.data_dir / doors.FOLDER} ({posters} files)"""


def _phones(loaded: Settings, card: Card, program: Path) -> str:
    """Commands that put the card into a phone of each kind."""
    base = loaded.base_url
    return f"""\
  An iPhone of your own that takes the loyalty card and waits:

    WALLETSVC_EMULATOR_PORT={loaded.emulator_port} {program} simulate phone \\
      {base}/p/{card.link_token}.pkpass --root {roots_dir(loaded)}

  An Android phone that has the same card in Google Wallet:

    {program} simulate android {base}/c/{card.link_token}"""
