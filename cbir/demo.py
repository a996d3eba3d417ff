"""The door of ``python -m cbir.demo``: see `cbir.commands.demo`."""

from cbir.commands.demo import main

if __name__ == "__main__":
    raise SystemExit(main())
