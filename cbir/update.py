"""The door of ``python -m cbir.update``: see `cbir.commands.update`."""

from cbir.commands.update import main

if __name__ == "__main__":
    raise SystemExit(main())
