"""The door of ``python -m cbir.info``: see `cbir.commands.info`."""

from cbir.commands.info import main

if __name__ == "__main__":
    raise SystemExit(main())
