"""The door of ``python -m cbir.add``: see `cbir.commands.add`."""

from cbir.commands.add import main

if __name__ == "__main__":
    raise SystemExit(main())
