"""Rows that are kept as they come: none is lost, none is there twice, and what is damaged is left out."""

import pytest

from acceltran.cli.sweep import store as module
from acceltran.cli.sweep.store import Store, read_table
from acceltran.hw.spec.errors import InputError


def fill(store, numbers):
    for number in numbers:
        store.append({"identity": str(number), "deep": {"value": number}})


def values(folder):
    return read_table(folder)[0]["deep.value"].to_pylist()


def test_rows_come_back_in_their_order(tmp_path):
    with Store(tmp_path / "a" / "b") as store:
        fill(store, range(5))
        assert values(tmp_path / "a" / "b") == [0, 1, 2, 3, 4], "they can be read while more are written"
    with Store(tmp_path / "a" / "b", resume=True) as store:
        fill(store, range(5, 8))
    assert values(tmp_path / "a" / "b") == list(range(8))


def test_many_files_become_one(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 4)
    with Store(tmp_path) as store:
        fill(store, range(23))
    assert values(tmp_path) == list(range(23))
    levels = sorted(path.name.split("-")[1] for path in tmp_path.glob("rows-*"))
    assert levels == ["0"] * 3 + ["1"] + ["2"]


def test_files_that_were_left_when_they_became_one_do_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 4)
    with Store(tmp_path) as store:
        fill(store, range(3))
        kept = {path: path.read_bytes() for path in tmp_path.glob("rows-0-*")}
        fill(store, range(3, 6))
    for path, raw in kept.items():
        path.write_bytes(raw)
    assert sorted(values(tmp_path)) == list(range(6))
    with Store(tmp_path, resume=True) as store:
        fill(store, range(6, 12))
    assert sorted(values(tmp_path)) == list(range(12))


def test_of_rows_of_one_point_the_last_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 3)
    with Store(tmp_path) as store:
        for at in range(8):
            store.append({"identity": "a" if at % 2 else "b", "at": at})
    assert sorted(read_table(tmp_path)[0]["at"].to_pylist()) == [6, 7]


def test_columns_may_differ_and_mix(tmp_path):
    with Store(tmp_path) as store:
        store.append({"identity": "a", "share": 0.5, "count": 1, "none": None, "list": [1, {"x": 2}]})
        store.append({"identity": "b", "share": "2:4", "count": 2.5, "area": {"logic": {"um2": 3}}, "none": None})
        store.append({"identity": "c", "share": 0, "none": True})
    assert read_table(tmp_path)[0].to_pylist() == [
        {"identity": "a", "share": "0.5", "count": 1.0, "none": None, "list": '[1, {"x": 2}]', "area.logic.um2": None},
        {"identity": "b", "share": "2:4", "count": 2.5, "none": None, "list": None, "area.logic.um2": 3},
        {"identity": "c", "share": "0", "count": None, "none": True, "list": None, "area.logic.um2": None}]


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="is not empty; add --resume to go on with it, or name another folder"):
        Store(tmp_path)
    with pytest.raises(InputError, match="is a file; name a folder"):
        Store(tmp_path / "notes.txt")


def test_two_writers_are_refused(tmp_path):
    with Store(tmp_path), pytest.raises(InputError, match="another sweep writes to it"):
        Store(tmp_path, resume=True)
    with Store(tmp_path, resume=True):
        pass


@pytest.mark.parametrize("most", [3, 64])
@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: b"\0" * len(raw),
                                    lambda raw: raw[:50] + b"\xff" * 100 + raw[150:]])
def test_a_damaged_file_is_left_out(tmp_path, damage, most, monkeypatch):
    with Store(tmp_path) as store:
        fill(store, range(3))
    second = sorted(tmp_path.glob("rows-*"))[1]
    second.write_bytes(damage(second.read_bytes()))
    (tmp_path / ".partial-left").mkdir()
    table, damaged = read_table(tmp_path)
    assert table["deep.value"].to_pylist() == [0, 2] and damaged == [second]
    monkeypatch.setattr(module, "_MOST", most)
    with Store(tmp_path, resume=True) as store:
        assert not list(tmp_path.glob(".partial-*"))
        fill(store, [1])
    assert sorted(values(tmp_path)) == [0, 1, 2]


def test_a_path_is_no_column(tmp_path):
    with Store(tmp_path / "window=4") as store:
        fill(store, [1])
    assert read_table(tmp_path / "window=4")[0].column_names == ["identity", "deep.value"]
