"""One query and its answer as one picture.

The query stands top left in a blue frame; the results follow in order, framed green where right,
red where wrong, grey where unknown. The badge repeats it by sign (a tick, a cross), for those who
can't tell red from green. Every picture is letterboxed into its square tile; below it a caption,
cut with an ellipsis where too long. Drawn with Pillow alone and the typeface that Pillow brings: no
display server, no fonts of the system.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from cbir._checks import check_int
from cbir.errors import DimensionError
from cbir.report.thumbnails import Picture, printable, thumbnail

BLUE, GREEN, RED, GREY = (37, 99, 235), (22, 163, 74), (220, 38, 38), (176, 184, 195)
BACKGROUND, TILE, INK, MUTED = (255, 255, 255), (241, 243, 246), (24, 29, 38), (100, 110, 125)
Colour = tuple[int, int, int]
Caption = str | tuple[str, str]


def montage(
    query: Picture,
    results: Sequence[Picture],
    *,
    truth: Sequence[bool | None] | None = None,
    captions: Sequence[Caption] | None = None,
    query_caption: Caption = "",
    columns: int = 4,
    tile: int = 200,
) -> Image.Image:
    """Draw the query and its results, best first.

    Parameters
    ----------
    query : uint8 RGB (H, W, 3); None, where it can't be read, is a grey tile.
    results : pictures likewise; 11 fill the usual 4 x 3.
    truth : per result True (green), False (red) or None (grey: not known); all unknown where not
        given.
    captions : per result a name, or (name, score); the rank is on the badge.
    query_caption : likewise for the query.
    columns : tiles in a row.
    tile : side of a tile in pixels, frame included; at least 48.

    Returns
    -------
    picture : RGB image; as many rows as are needed.

    Raises
    ------
    DimensionError where `truth` or `captions` doesn't fit `results` or a picture isn't (H, W, 3),
    DTypeError where it isn't uint8, ParameterError on a bad size.
    """
    columns = check_int(columns, who="montage", name="columns", low=1, high=100)
    tile = check_int(tile, who="montage", name="tile", low=48, high=2000)
    for name, given in (("truth", truth), ("captions", captions)):
        if given is not None and len(given) != len(results):
            raise DimensionError(f"montage: {len(given)} in {name} for {len(results)} results")
    truth = truth if truth is not None else [None] * len(results)
    captions = captions if captions is not None else [""] * len(results)

    has_text = any(c not in ("", ("", "")) for c in (*captions, query_caption))
    gap = max(6, tile // 14)
    strip = _line_height(tile) * 2 + tile // 20 if has_text else 0
    across = min(columns, 1 + len(results))
    rows = -(-(1 + len(results)) // columns)
    size = (across * tile + (across + 1) * gap, rows * (tile + strip) + (rows + 1) * gap)
    canvas = Image.new("RGB", size, BACKGROUND)

    cells: list[tuple[Picture, Colour, str, Caption]] = [(query, BLUE, "QUERY", query_caption)]
    for rank, (picture, right, caption) in enumerate(zip(results, truth, captions, strict=True), 1):
        colour, sign = {None: (GREY, ""), True: (GREEN, " +"), False: (RED, " -")}[_as_bool(right)]
        cells.append((picture, colour, f"{rank}{sign}", caption))
    for at, (picture, colour, label, caption) in enumerate(cells):
        x = gap + at % columns * (tile + gap)
        y = gap + at // columns * (tile + strip + gap)
        _draw_tile(canvas, (x, y), tile, picture, colour, label)
        if has_text:
            _draw_caption(canvas, (x, y + tile), tile, caption)
    return canvas


def _as_bool(right: Any) -> bool | None:
    return None if right is None else bool(right)


def frame_width(tile: int) -> int:
    """Pixels of the coloured frame of a tile."""
    return max(3, tile // 33)


def _draw_tile(
    canvas: Image.Image,
    at: tuple[int, int],
    tile: int,
    picture: Picture,
    colour: Colour,
    label: str,
) -> None:
    """Frame, letterboxed picture, badge."""
    x, y = at
    frame = frame_width(tile) + (tile // 66 if label == "QUERY" else 0)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((x, y, x + tile - 1, y + tile - 1), fill=colour)
    inner = (x + frame, y + frame, x + tile - 1 - frame, y + tile - 1 - frame)
    draw.rectangle(inner, fill=TILE)
    small = thumbnail(picture, tile - 2 * frame)
    canvas.paste(small, (x + (tile - small.width) // 2, y + (tile - small.height) // 2))
    badge = _badge(label, colour if colour != GREY else (71, 80, 94), tile)
    canvas.paste(badge, (x, y), badge)


@lru_cache(maxsize=256)
def _badge(label: str, colour: Colour, tile: int) -> Image.Image:
    """The corner label, drawn 4 times as large and reduced, so that its edges are smooth."""
    scale, sign = 4, label[-1:] if label[-2:] in (" +", " -") else ""
    text = label[:-2] if sign else label
    height = max(13, tile // 9)
    font = ImageFont.load_default(height * 0.62 * scale)
    text_width = font.getlength(text) / scale
    sign_width = height * 0.62 if sign else 0
    width = round(text_width + sign_width + height * 0.75)
    big = Image.new("RGBA", (width * scale, height * scale), (*colour, 0))
    draw = ImageDraw.Draw(big)
    corners = (False, False, True, False)
    box = (0, 0, width * scale - 1, height * scale - 1)
    draw.rounded_rectangle(box, radius=height * scale * 0.4, fill=(*colour, 255), corners=corners)
    middle = height * scale * 0.5
    draw.text((height * 0.36 * scale, middle), text, font=font, fill=(255, 255, 255), anchor="lm")
    if sign:
        left = (height * 0.36 + text_width + height * 0.22) * scale
        s, stroke = height * scale * 0.36, max(2, round(height * scale * 0.09))
        top = middle - s / 2
        if sign == "+":
            points = [
                (left, top + s * 0.55),
                (left + s * 0.38, top + s * 0.92),
                (left + s, top + s * 0.1),
            ]
            draw.line(points, fill=(255, 255, 255), width=stroke, joint="curve")
        else:
            draw.line((left, top, left + s, top + s), fill=(255, 255, 255), width=stroke)
            draw.line((left, top + s, left + s, top), fill=(255, 255, 255), width=stroke)
    return big.resize((width, height), Image.Resampling.LANCZOS)


def _line_height(tile: int) -> int:
    return max(13, round(tile * 0.085))


def _draw_caption(canvas: Image.Image, at: tuple[int, int], tile: int, caption: Caption) -> None:
    """Name, and score below it, inside the width of the tile."""
    name, score = (caption, "") if isinstance(caption, str) else caption
    line = _line_height(tile)
    font = ImageFont.load_default(line * 0.78)
    draw = ImageDraw.Draw(canvas)
    y = at[1] + tile // 40 + line // 2
    for text, ink in ((name, INK), (score, MUTED)):
        draw.text((at[0] + 1, y), ellipsis(text, font, tile - 2), font=font, fill=ink, anchor="lm")
        y += line


def ellipsis(text: str, font: Any, width: float) -> str:
    """Cut `text` in its middle so that it fits: the end of a file name often tells most."""
    text = printable(text)
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)  # the most characters that still fit
    while low < high:
        keep = (low + high + 1) // 2
        if font.getlength(_cut(text, keep)) <= width:
            low = keep
        else:
            high = keep - 1
    return _cut(text, low)


def _cut(text: str, keep: int) -> str:
    tail = keep * 3 // 5
    return text[: keep - tail] + "..." + (text[-tail:] if tail else "")
