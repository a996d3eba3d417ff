"""The door of ``python -m cbir.evaluate``: see `cbir.commands.evaluate`."""

from cbir.commands.evaluate import main

if __name__ == "__main__":
    raise SystemExit(main())
