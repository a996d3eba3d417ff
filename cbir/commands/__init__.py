"""The doors to the command line: one file per command, and what they share.

::

    running.py    arguments, exit codes, errors in a line; `main` is the console script ``cbir``
    output.py     tables and JSON on stdout
    progress.py   logs and bars on stderr
    pictures.py   which collection and which files the arguments mean
    changes.py    what commands that change a collection say in the end
    tiles.py, evaluation_page.py   pictures for montages, and the page of ``evaluate --report``
    build.py, search.py, ...       each one command: read the arguments, call a part, print

No algorithm lives here. Everything heavy is imported inside the functions.
"""
