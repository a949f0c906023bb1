"""Google, as a process of its own: `python -m bench.google_side PORT KEY_FILE ISSUER QUOTA`.

Whose class id it reads on its standard input, all those objects are in somebody's wallet then.
"""

from __future__ import annotations

import sys
from pathlib import Path

from walletsvc.core.processes import die_with_parent
from walletsvc.emulators.google import GoogleEmulator


def main(port: str, key_file: str, issuer: str, quota: str) -> None:
    """Run until the input ends."""
    die_with_parent()
    with GoogleEmulator(int(port)) as google:
        google.write_account(Path(key_file), issuer)
        google.quota.set(float(quota))
        print("ready", flush=True)
        for line in sys.stdin:
            for stored in google.store.members(line.strip()):
                google.save(stored.id, callback=False)
            print("saved", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
