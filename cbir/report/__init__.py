"""Answers as pictures: a montage (PNG) and a self-contained HTML report. No display server, no
network.

::

    pictures --> thumbnails --+--> montage     one query and its answer as one picture
                              +--> html        Report -> index.html, by report.html and report.css
    numbers ---> glossary, plots --^           names and meanings of metrics, inline SVG

Read first: `cbir.report.html`. A picture is a path, encoded bytes, a uint8 RGB array or a PIL
image; one that can't be read becomes a grey tile that says so, since a report about a thousand
images mustn't die of one.
"""

from cbir.report.html import Report, ReportRow, render, write_report
from cbir.report.montage import montage

__all__ = ["Report", "ReportRow", "montage", "render", "write_report"]
