"""The door of ``python -m cbir.remove``: see `cbir.commands.remove`."""

from cbir.commands.remove import main

if __name__ == "__main__":
    raise SystemExit(main())
