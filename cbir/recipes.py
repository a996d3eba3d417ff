"""The door of ``python -m cbir.recipes``: see `cbir.commands.recipes`."""

from cbir.commands.recipes import main

if __name__ == "__main__":
    raise SystemExit(main())
