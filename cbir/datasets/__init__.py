"""Data sets: where they come from, what is right in them, and rendered ones for machines that have
none.

::

    cards/*.toml --> card.py    what is known of a set without having it; `check` compares a folder
    with it
                     fetch.py   download, resumed and checked
                     load.py    the set as it lies on disk: paths, labels, queries
    any folder ----> labels.py  `resolve_labels("ukbench" | "folders" | "none" | FILE.csv, paths)`
    a seed --------> render.py  photographs of made-up objects (render_objects, render_scene,
    render_textures)

Read `labels.py` first. To add a data set, add a card; a truth rule that no other set has goes into
`load.py`.
"""

from cbir.datasets.card import Card, CheckReport, card, cards, check
from cbir.datasets.fetch import FetchError, download, extract, fetch
from cbir.datasets.labels import check_label_spec, resolve_labels, ukbench_labels
from cbir.datasets.load import Dataset, Query, load
from cbir.datasets.natural import natural_key
from cbir.datasets.render import render

__all__ = [
    "Card",
    "CheckReport",
    "Dataset",
    "FetchError",
    "Query",
    "card",
    "cards",
    "check",
    "check_label_spec",
    "download",
    "extract",
    "fetch",
    "load",
    "natural_key",
    "render",
    "resolve_labels",
    "ukbench_labels",
]
