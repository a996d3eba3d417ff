"""The door of ``python -m cbir.check``: see `cbir.commands.check`."""

from cbir.commands.check import main

if __name__ == "__main__":
    raise SystemExit(main())
