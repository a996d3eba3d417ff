"""The tables of the pages, made from the files in results/ and from nothing else.

    python -m benchmarks.summary

puts them between the marks ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` of README.md and
benchmarks/README.md; `tests/benchmarks/test_summary.py` holds the pages to the results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.schema import RESULTS, ROOT

PAGES = {
    "README.md": ["ukbench", "collection"],
    "benchmarks/README.md": ["speed", "environment", "costs"],
}


def result(name: str) -> dict[str, Any]:
    """One file of results/."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def row(name: str, case: str, threads: int) -> dict[str, Any]:
    """The row of a case at a number of threads."""
    rows = result(name)["rows"]
    found: dict[str, Any] = next(r for r in rows if (r["name"], r["threads"]) == (case, threads))
    return found


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as the pages show it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def ukbench() -> str:
    """Ranking quality of the named recipes."""
    names = {
        "bow": "`bow`, 20,000 words",
        "vlad": "`vlad`, 64 words",
        "vlad-128": "`vlad-128`, 128 numbers",
        "colour": "`colour`",
        "bow-colour": "`bow-colour`, both",
    }
    rows = [
        [
            names[r["recipe"]],
            f"{r['N-S']:.3f}",
            f"{r['mAP']:.3f}",
            f"{r['build_s']:.0f} s",
            f"{r['query_p50_ms']:.0f} ms",
            f"{r['bytes_per_image'] / 1024:.1f} KiB",
        ]
        for r in result("ukbench")["rows"]
    ]
    return markdown(["recipe", "N-S", "mAP", "build", "query p50", "index per image"], rows)


def speed() -> str:
    """Every figure asked of the kernels beside what was measured, wins and losses."""

    def both(measured: Callable[[int], str]) -> list[str]:
        return [measured(1), measured(2)]

    def kmeans(peer: str) -> Callable[[int], str]:
        def measured(threads: int) -> str:
            ours, theirs = (row("speed_kmeans", c, threads)["inertia"] for c in ("cbir", peer))
            faster = row("speed_kmeans", peer, threads)["cbir_is_faster_by"]
            return f"{faster:.1f} x, inertia {round(100 * (ours / theirs - 1), 3) + 0.0:+.3f} %"

        return measured

    def peak(level: str) -> list[str]:
        r = row("speed_kmeans", f"assign_1024_{level}", 1)
        text = f"{100 * r['of_peak']:.0f} % of {r['peak_gflops']:.0f} Gflop/s"
        if "of_peak_alone" in r:
            share = f"{100 * r['of_peak_alone']:.0f} %"
            text += f"; {share} in the {r['alone']} of {r['repeats']} runs alone on the core"
        return [text, ""]

    def flat(level: str) -> Callable[[int], str]:
        return lambda n: f"{row('speed_flat', f'cbir {level}', n)['speedup']:.1f} x"

    def inverted(case: str) -> Callable[[int], str]:
        def measured(threads: int) -> str:
            r = row("speed_inverted_file", case, threads)
            rate, share = r["postings_per_s_per_core"] / 1e9, r["share_of_copy_bandwidth"]
            return f"{r['speedup']:.1f} x, {rate:.1f} G postings/s a core ({100 * share:.0f} %)"

        return measured

    def build(threads: int) -> str:
        r = row("speed_build", "build", threads)
        return f"{r['median_s']:.0f} s, {r['peak_mib']:.0f} MiB"

    def vlad(case: str) -> Callable[[int], str]:
        return lambda n: f"{row('speed_vlad', case, n)['cbir_is_faster_by']:.1f} x"

    def query(threads: int) -> str:
        return f"{row('speed_query', 'whole', threads)['p50_ms']:.0f} ms" if threads == 1 else ""

    def large(n_words: int) -> list[str]:
        r = next(r for r in result("speed_vocabulary")["rows"] if r["n_words"] == n_words)
        return ["", f"{r['median_s']:.0f} s, {r['more_mib']:.0f} MiB"]

    rows = [
        ["k-means, 256,000 x 128, 1,024 words", "faiss.Kmeans", "2 x", *both(kmeans("faiss"))],
        ["the same", "scikit-learn", "3 x", *both(kmeans("sklearn"))],
        ["its assignment, level `avx512`", "peak of a core", "80 %", *peak("avx512")],
        ["the same by 8-bit filter, level `avx512v`", "peak of a core", "", *peak("avx512v")],
        ["k-means, 525,298 x 128, 20,000 words, 3 turns", "", "", *large(20_000)],
        ["the same, 100,000 words", "", "", *large(100_000)],
        ["`Flat`, 1,000,000 x 128, k = 100", "IndexFlatL2", "1.5 x", *both(flat("avx512v"))],
        ["the same, level `avx512`", "IndexFlatL2", "1.5 x", *both(flat("avx512"))],
        ["`InvertedFile`, 200,000 images", "SciPy columns", "5 x", *both(inverted("cbir"))],
        ["the same, one query a call", "SciPy columns", "5 x", *both(inverted("cbir one by one"))],
        ["build of ukbench1000, 20,000 words", "", "120 s, 2 GiB", *both(build)],
        ["`VLAD`, 1,000 images", "NumPy twin", "10 x", *both(vlad("transform twin"))],
        ["the same, words given", "NumPy twin", "10 x", *both(vlad("encode twin"))],
        ["`VLAD`, 1,000 images", "NumPy, all at once", "", *both(vlad("transform batch"))],
        ["one query, file to answer", "", "60 ms", *both(query)],
    ]
    return markdown(["what", "beside", "asked", "1 thread", "2 threads"], rows)


def collection() -> str:
    """What a collection costs at each of its sizes."""
    rows = result("speed_collection")["rows"]
    sizes = sorted({r["images"] for r in rows if r["name"] == "open"})
    names = {
        "open": "open",
        "search command": "`cbir search`, from its start to its end",
        "search": "the same inside Python",
        "add": "add a picture",
        "remove 1,000": "remove 1,000",
    }
    found = {(r["name"], r["images"]): 1e3 * r["median_s"] for r in rows}
    body = [[text, *(f"{found[name, n]:.0f} ms" for n in sizes)] for name, text in names.items()]
    return markdown(["", *(f"{n:,} images" for n in sizes)], body)


def costs() -> str:
    """What was asked of a collection of 1,000,000 images beside what was measured."""
    rows = {(r["name"], r["images"]): r for r in result("speed_collection")["rows"]}
    body = []
    for (name, images), r in rows.items():
        if "asked_s" not in r:
            continue
        more = f", worst {r['worst_s']:.2f} s" if name == "add" else ""
        if "more_mib" in r:
            more = f", {r['more_mib']:.0f} MiB beyond the imports' {r['peak_mib']:.0f}"
        asked, took = f"{1e3 * r['asked_s']:.0f} ms", f"{1e3 * r['median_s']:.0f} ms{more}"
        body.append([f"{name}, {images:,} images", asked, took])
    mapped = next(r for (name, _), r in rows.items() if name == "search in a mapped index")
    body.append(
        [
            f"memory of a search in a mapped index of {mapped['index_mib']:.0f} MiB",
            "pages + 200 MiB",
            f"{mapped['own_mib']:.0f} MiB beside the pages",
        ]
    )
    return markdown(["what", "asked at most", "measured"], body)


def environment() -> str:
    """Where the figures of `speed` were taken."""
    facts = [result(f"speed_{name}")["environment"] for name in ("kmeans", "flat", "query")]
    machines = sorted({f"{f['cpu']}, {f['cores']} cores, level {f['simd_level']}" for f in facts})
    versions = facts[0]["versions"]
    peers = ", ".join(f"{name} {versions[name]}" for name in ("faiss-cpu", "scikit-learn", "scipy"))
    return f"Taken on: {'; '.join(machines)}. Beside {peers}."


def fill(text: str, name: str, table: str) -> str:
    """`text` with what stands between the marks of `name` replaced."""
    marks = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    if not marks.search(text):
        raise ValueError(f"no marks of {name!r} in the page")
    return marks.sub(lambda m: f"{m[1]}{table}\n{m[2]}", text)


def page(name: str) -> str:
    """What the page should say."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for table in PAGES[name]:
        text = fill(text, table, TABLES[table]())
    return text


TABLES: dict[str, Callable[[], str]] = {
    "ukbench": ukbench,
    "collection": collection,
    "speed": speed,
    "costs": costs,
    "environment": environment,
}


def main() -> None:
    for name in PAGES:
        (ROOT / name).write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
