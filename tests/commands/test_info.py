from tests.command_line import TINY, run, save_views


def test_info_of_the_installation():
    done = run("info", "--json")
    assert done.code == 0
    assert done.json["simd_level"] in done.json["simd_levels"]
    plain = run("info")
    assert plain.code == 0 and "simd_level" in plain.out and "compiler" in plain.out


def test_info_of_a_collection(built):
    done = run("info", built, "--json")
    assert done.code == 0, done.err
    facts = done.json
    assert facts["recipe"]["name"] == "bow" and facts["images"]["indexed"] == 32
    assert facts["n_labels"] == 8 and facts["failed"] == []
    assert all(isinstance(size, int) for size in facts["bytes"].values())
    assert run("info", "-f", built, "--json").json == facts


def test_people_get_sizes_they_can_read_and_keys_they_can_set(built):
    plain = run("info", built)
    assert plain.code == 0
    assert "32 indexed" in plain.out and "8 from ukbench" in plain.out
    assert "KiB" in plain.out or "MiB" in plain.out
    assert str(run("info", built, "--json").json["bytes"]["features"]) not in plain.out
    rows = dict(line.split(maxsplit=1) for line in plain.out.splitlines() if "." in line[:20])
    assert rows["vocabulary.n_words"] == "64"
    assert rows["image.max_pixels"] == "178_956_970"  # as --set takes it


def test_info_lists_failed_images_with_reasons(tmp_path):
    folder = save_views(tmp_path / "set", n_things=2)
    (folder / "new\nline.jpg").write_bytes(b"")
    assert run("build", folder, "-o", tmp_path / "a.cbir", *TINY).code == 0
    shown = run("info", tmp_path / "a.cbir").out
    assert "new\\nline.jpg" in shown and "1 failed" in shown


def test_a_wrong_command_line_is_exit_code_2(built):
    assert run("info", built, "-f", built).code == 2
