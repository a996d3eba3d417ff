"""The HTML report: well formed, self-contained, escaped, complete; and it shows in a browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from cbir.errors import DimensionError, StorageError
from cbir.report import Report, ReportRow, write_report
from cbir.report.glossary import entry, headlines
from cbir.report.html import seconds
from cbir.report.plots import histogram_svg, precision_recall_svg

VOID = {"meta", "img", "link", "br", "hr", "input"}
HOSTILE = '"><script src=http://evil.example/x.js></script>&amp;\n\x07\udcff <b>.jpg'
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def picture(colour):
    return np.full((60, 80, 3), colour, np.uint8)


def row(n=4, score=0.5, caption="q.jpg"):
    return ReportRow(
        query=picture((200, 30, 30)),
        query_caption=caption,
        results=[picture((30, 30 + i * 40, 200)) for i in range(n)],
        captions=[f"{caption} {i}" for i in range(n)],
        truth=([True, False, None, np.bool_(True)] * n)[:n],
        score=score,
    )


def report(**changes):
    arguments = {
        "title": "ukbench1000",
        "protocol": "Every image asks.",
        "metrics": {
            "ns_score": 3.58, "accuracy": 0.895, "map": 0.92, "precision@1": 1.0, "recall@10": 0.9,
            "n_queries": 1000, "n_queries_skipped": 3,
        },
        "recipe_toml": 'name = "colour"\n[feature]\nbins = [20, 10, 20]',
        "timings": {"decode": 2.0, "features": 6.0, "index": 0.0},
        "facts": {"bytes per image": 16000},
        "worst": [row(), row()],
        "best": [row(3)],
        "precision_recall": (np.linspace(0, 1, 11), np.linspace(1, 0.3, 11)),
        "distribution": {"1": 20, "2": 60, "3": 220, "4": 700},
    }  # fmt: skip
    return Report(**(arguments | changes))


class Page(HTMLParser):
    """Checks that tags close in order and gathers what the page holds."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"attribute twice in {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.words.append(data)


def page(tmp_path, **changes):
    text = write_report(tmp_path, report(**changes)).read_text(encoding="utf-8")
    return text, Page(text)


def test_a_lower_bound_is_marked_on_its_card_and_in_the_table(tmp_path):
    marked = report(metrics={"map": 0.5, "precision@1": 0.75}, lower_bounds=["map"])
    page = write_report(tmp_path, marked).read_text(encoding="utf-8")
    assert page.count("≥ 0.500") == 2 and "≥ 0.750" not in page and page.count("0.750") == 2


def test_says_everything(tmp_path):
    text, parsed = page(tmp_path)
    words = " ".join(" ".join(parsed.words).split())
    for wanted in ("ukbench1000", "Every image asks.", "3.58", "of 4", "1,000 queries", "3 skipped",
                   "bytes per image", "16000", "bins = [20, 10, 20]", "8.00 s in all", "75 %",
                   "AP 0.500", "Worst queries", "Best queries", "recall", "70 %"):  # fmt: skip
        assert wanted in words, wanted
    assert text.startswith("<!DOCTYPE html>")
    assert parsed.tags.count("img") == 5 + 5 + 4
    assert parsed.tags.count("svg") == 2
    kinds = [v for _, n, v in parsed.attributes if n == "class" and v.startswith("tile ")]
    assert kinds.count("tile query") == 3
    assert kinds.count("tile right") == 2 + 2 + 1
    assert kinds.count("tile wrong") == 3
    assert kinds.count("tile unknown") == 3


def test_self_contained(tmp_path):
    text, parsed = page(tmp_path)
    for tag, name, value in parsed.attributes:
        if name in ("src", "href", "srcset", "action", "poster", "data"):
            assert value.startswith("data:image/jpeg;base64,"), (tag, name, value[:40])
    assert not {"script", "link", "iframe", "object", "base"} & set(parsed.tags)
    assert "http://" not in text and "https://" not in text
    assert "@import" not in text and "url(" not in text
    assert "default-src 'none'" in text


def test_hostile_names_are_text(tmp_path):
    _, parsed = page(
        tmp_path,
        title=HOSTILE, protocol=HOSTILE, recipe_toml=HOSTILE, facts={HOSTILE: HOSTILE},
        timings={HOSTILE: 1.0}, worst=[row(caption=HOSTILE)], metrics={HOSTILE: 0.5},
        distribution={HOSTILE: 1}, distribution_name=HOSTILE,
    )  # fmt: skip
    assert "script" not in parsed.tags
    assert not any(name.startswith("on") for _, name, _ in parsed.attributes)
    images = [v for tag, n, v in parsed.attributes if tag == "img" and n == "title"]
    assert images[0].startswith('"><script src=http://evil')
    assert "\n" not in images[0] and "\x07" not in images[0]


def test_counts_are_shown_as_counts(tmp_path):
    one = row()
    rows = [
        ReportRow(one.query, "q", one.results, one.captions, one.truth, score, name)
        for score, name in ((3.0, "N-S score"), (1.0, "AP"), ("first", ""))
    ]
    _, parsed = page(tmp_path, worst=rows, best=[])
    words = " ".join(parsed.words)
    assert "N-S score 3 of 4" in words and "AP 1.000" in words and "first" in words


def test_empty_parts_are_left_out(tmp_path):
    _, parsed = page(
        tmp_path, metrics={}, recipe_toml="", timings={}, facts={}, worst=[], best=[],
        precision_recall=None, distribution=None, protocol="",
    )  # fmt: skip
    assert "svg" not in parsed.tags and "table" not in parsed.tags and "pre" not in parsed.tags
    assert parsed.tags.count("section") == 0


def test_a_broken_picture_does_not_stop_the_report(tmp_path):
    bad = ReportRow(None, "none.jpg", [None], ["x"], [False], "0.1", "N-S")
    _, parsed = page(tmp_path, worst=[bad], best=[])
    assert parsed.tags.count("img") == 2
    assert any("N-S 0.1" in w for w in parsed.words)


def test_a_row_must_fit_itself(tmp_path):
    short = ReportRow(picture(0), "q", [picture(1)], [], [True], 1.0)
    with pytest.raises(DimensionError, match="1 results, 0 captions and 1 in truth"):
        write_report(tmp_path, report(worst=[short]))
    assert list(tmp_path.iterdir()) == []


def test_overwrites_whole_and_reports_a_bad_folder(tmp_path):
    first = write_report(tmp_path / "new" / "folder", report(title="one"))
    second = write_report(tmp_path / "new" / "folder", report(title="two"))
    assert first == second
    assert "<h1>two</h1>" in second.read_text(encoding="utf-8")
    assert [p.name for p in first.parent.iterdir()] == ["index.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't write"):
        write_report(tmp_path / "file", report())


def test_curve_goes_where_it_should():
    svg = precision_recall_svg([0, 1], [1, 0.5])
    points = re.search(r'class="line" d="M([\d. L]+)"', svg)[1].split("L")
    (x0, y0), (x1, y1) = (map(float, p.split()) for p in points)
    assert x1 > x0 and y1 > y0  # lower precision is drawn lower
    with pytest.raises(DimensionError, match="recall is"):
        precision_recall_svg([0, 1], [1])


def test_histogram_heights_follow_counts():
    svg = histogram_svg({"a": 100, "b": 50, "c": 0}, "x")
    heights = [float(h) for h in re.findall(r'class="bar".*? height="([\d.]+)"', svg)]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)
    assert heights[2] == 0


def test_glossary():
    assert [e.key for e in headlines({"map": 0.5, "n_queries": 3, "recall@10": 1.0})] == [
        "map",
        "recall@10",
    ]
    assert entry("recall@4", 0.5).meaning.endswith("among the first 4")
    assert entry("recall@1", 0.5).meaning.endswith("in first place")
    assert entry("ns_score", 3.5).share == 87.5
    assert entry("own", 7.0).text == "7.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0008, "0.8 ms"), (0.42, "0.42 s"), (12.34, "12.3 s"), (200, "3 min 20 s")],
)
def test_seconds(value, text):
    assert seconds(value) == text


@pytest.mark.skipif(BROWSER is None, reason="no chromium here to look at the page with")
def test_a_browser_shows_it(tmp_path):
    file = write_report(tmp_path, report())
    shot = tmp_path / "shot.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--hide-scrollbars", "--window-size=1280,1800"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}"]
    subprocess.run([BROWSER, *flags, file.as_uri()], check=True, capture_output=True, timeout=120)
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape == (1800, 1280, 3)
    for colour in ((21, 146, 74), (209, 48, 48), (36, 88, 214)):  # right, wrong, query
        assert (np.abs(pixels - colour).max(-1) < 10).sum() > 300, colour
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
