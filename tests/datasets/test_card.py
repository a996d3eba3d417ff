import pytest

from cbir.datasets import card, cards, check, load
from cbir.datasets.card import read_card
from cbir.errors import FormatError, ParameterError


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_every_card_is_whole():
    assert sorted(cards()) == ["corel1k", "holidays", "oxford5k", "paris6k", "smvs_dvd", "ukbench"]
    for one in cards().values():
        assert one.licence and one.paper and one.truth.text and one.n_images >= one.n_queries > 0
        assert one.files or "hand" in one.notes


def test_unknown_name_lists_the_known():
    with pytest.raises(ParameterError, match="corel1k, holidays"):
        card("imagenet")


def test_a_wrong_card_names_file_and_key(tmp_path):
    text = (cards_folder() / "ukbench.toml").read_text()
    file = tmp_path / "ukbench.toml"
    file.write_text(text.replace("licence", "license"))
    with pytest.raises(FormatError, match=r"(?s)ukbench\.toml.*licen"):
        read_card(file)
    other = tmp_path / "other.toml"
    other.write_text(text)
    with pytest.raises(FormatError, match="expected 'other'"):
        read_card(other)


def cards_folder():
    from cbir.datasets.card import CARDS

    return CARDS


def test_check_counts(tmp_path):
    assert not check("ukbench", tmp_path / "nowhere").ok
    put(tmp_path, *(f"full/ukbench{n:05d}.jpg" for n in range(8)))
    report = check("ukbench", tmp_path)
    assert report.ok and report.n_images == 8 and "a subset: 8 of 10200" in report.problems[0]
    (tmp_path / "full" / "ukbench00005.jpg").unlink()
    report = check("ukbench", tmp_path)
    assert not report.ok and "object 1" in report.problems[0]
    assert not check("holidays", tmp_path).ok


def test_load_ukbench_is_in_natural_order(tmp_path):
    put(tmp_path, *(f"ukbench{n}.jpg" for n in range(12)))
    data = load("ukbench", tmp_path)
    assert data.paths == [f"ukbench{n}.jpg" for n in range(12)]
    assert data.labels[8] == "2" and data.queries == []


def test_load_holidays(tmp_path):
    put(
        tmp_path,
        "jpg/100000.jpg",
        "jpg/100001.jpg",
        "jpg/100002.jpg",
        "jpg/100100.jpg",
        "jpg/100101.jpg",
    )
    data = load("holidays", tmp_path)
    assert data.labels == ["1000", "1000", "1000", "1001", "1001"]
    assert [q.path for q in data.queries] == ["100000.jpg", "100100.jpg"]
    assert data.queries[0].relevant == ["100001.jpg", "100002.jpg"]
    assert data.queries[0].junk == ["100000.jpg"]


def test_load_holidays_refuses_other_names(tmp_path):
    put(tmp_path, "ukbench00000.jpg", "ukbench00001.jpg")
    with pytest.raises(FormatError, match=r"ukbench00000\.jpg.*six digits"):
        load("holidays", tmp_path)


def test_load_oxford(tmp_path):
    put(tmp_path, *(f"jpg/all_souls_{n:06d}.jpg" for n in range(5)))
    (tmp_path / "gt").mkdir()
    lists = {
        "query": "oxc1_all_souls_000000 10.5 20 110.5 220",
        "good": "all_souls_000000\nall_souls_000001\n",
        "ok": "all_souls_000002\nall_souls_000009\n",
        "junk": "all_souls_000003\n",
    }
    for kind, text in lists.items():
        (tmp_path / "gt" / f"all_souls_1_{kind}.txt").write_text(text)
    data = load("oxford5k", tmp_path)
    assert data.labels == ["all_souls"] * 3 + [None] * 2
    (query,) = data.queries
    assert query.region == (10.5, 20, 100, 200)
    assert query.relevant == [f"all_souls_00000{n}.jpg" for n in (0, 1, 2, 9)]  # 9 isn't there
    assert query.junk == ["all_souls_000003.jpg"]
    (tmp_path / "gt" / "all_souls_1_query.txt").write_text("nothing")
    with pytest.raises(FormatError, match="all_souls_1_query"):
        load("oxford5k", tmp_path)


def test_load_of_an_empty_folder_says_how_to_fetch(tmp_path):
    with pytest.raises(ParameterError, match=r"cbir\.datasets fetch holidays"):
        load("holidays", tmp_path)


@pytest.mark.data
def test_real_sets(cbir_data):
    ukbench = load("ukbench", cbir_data / "ukbench1000" / "images")
    assert len(ukbench.paths) == 1000 and ukbench.labels[999] == "249"
    corel = load("corel1k", cbir_data / "corel1k")
    assert len(corel.queries) == 100 and all(len(q.relevant) == 90 for q in corel.queries)
    covers = load("smvs_dvd", cbir_data / "smvs_dvd")
    assert len(covers.queries) == 100 and all(len(q.relevant) == 1 for q in covers.queries)
    for name, folder in (
        ("ukbench", "ukbench1000"),
        ("corel1k", "corel1k"),
        ("smvs_dvd", "smvs_dvd"),
    ):
        assert check(name, cbir_data / folder).ok
