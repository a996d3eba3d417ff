"""The doors to the command line: one file per command, and what they share.

::

    running.py    arguments, exit codes, errors in a line; `main` is the console script ``cbir``
    output.py     tables and JSON on stdout
    progress.py   logs and bars on stderr
    pictures.py   which files and which collection the arguments mean
    build.py, search.py, ...   each one command: read the arguments, call `cbir.collection`, print

No algorithm lives here. Everything heavy is imported inside the functions.
"""
