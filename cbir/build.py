"""The door of ``python -m cbir.build``: see `cbir.commands.build`."""

from cbir.commands.build import main

if __name__ == "__main__":
    raise SystemExit(main())
