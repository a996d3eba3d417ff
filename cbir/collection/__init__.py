"""Collections: pictures, their features and a live index in one folder on disk.

::

    Collection.build --> scanning --> extraction --> indexing --> one transaction
                         what is      files to       models and     (writing)
                         new          feature parts  segments
    Collection.open  --> opening: a generation, mapped --> search

Map::

    collection.py   Collection: the face of all of it                    <- read this first
    changing.py     build, update, add, remove: what each looks at
    opening.py      one generation, opened for reading; what is searched
    writing.py      Writer: from changes to the next generation
    scanning.py     files against the catalogue: new, changed, gone, unreachable
    labelling.py    labels of the pictures found
    extraction.py   files to feature parts, in three steps with queues between them
    indexing.py     parts to models and segments, and how segments merge
    compacting.py   what removed pictures held, freed
    checking.py     every byte looked at
    report.py       what was done
    asking.py       which protocol measures a collection     measuring.py  and how well it does

The folder is laid out as `cbir.store.layout` says.

Why (2026-11): an index is a list of segments that never change, instead of one file that is written
anew at every change. Adding a picture costs what the picture costs; the price is a merge of answers
at every search, and rows that are removed and still there until a segment is merged.
"""

from cbir.collection.checking import CheckReport
from cbir.collection.collection import Collection
from cbir.collection.report import BuildReport

__all__ = ["BuildReport", "CheckReport", "Collection"]
