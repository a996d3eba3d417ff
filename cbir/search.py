"""The door of ``python -m cbir.search``: see `cbir.commands.search`."""

from cbir.commands.search import main

if __name__ == "__main__":
    raise SystemExit(main())
