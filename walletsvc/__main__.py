"""`python -m walletsvc` is the `walletsvc` command."""

from walletsvc.cli.main import main

main()
