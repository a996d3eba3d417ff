"""The door of ``python -m cbir.datasets``: see `cbir.commands.datasets`."""

from cbir.commands.datasets import main

if __name__ == "__main__":
    raise SystemExit(main())
