"""The door of ``python -m cbir NAME``: see `cbir.commands.running`."""

from cbir.commands.running import main

if __name__ == "__main__":
    raise SystemExit(main())
