"""Answers as pictures: a montage (PNG) and a self-contained HTML report. No display server, no
network.

::

    pictures --> thumbnails --+--> montage     one query and its answer as one picture
                              +--> html        Report -> index.html, by report.html and report.css
    numbers ---> glossary, plots --^           names and meanings of metrics, inline SVG

Read first: `cbir.report.html`. A picture is a uint8 RGB array, as `cbir.images.decode` gives it;
None is one that couldn't be read, and becomes a grey tile.
"""

from cbir.report.html import Report, ReportRow, render, write_report
from cbir.report.montage import montage

__all__ = ["Report", "ReportRow", "montage", "render", "write_report"]
