"""The `walletsvc` command, also as `python -m walletsvc`."""

from walletsvc.core.processes import keeping_all

with keeping_all():
    from walletsvc.cli.main import main

if __name__ == "__main__":
    main()
