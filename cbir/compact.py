"""The door of ``python -m cbir.compact``: see `cbir.commands.compact`."""

from cbir.commands.compact import main

if __name__ == "__main__":
    raise SystemExit(main())
