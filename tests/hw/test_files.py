"""Files and folders as a whole or not at all: what fails leaves what was there, and nothing beside it."""

import json

import pytest

from acceltran.hw.spec.files import replacing, write_bytes, write_json, write_text


def test_a_file_takes_the_place_of_another(tmp_path):
    path = tmp_path / "a.json"
    for values in ({"a": 1}, {"a": [2, 3]}):
        write_json(path, values)
        assert json.loads(path.read_text()) == values and path.read_text().endswith("}\n")
    write_bytes(path, b"\0")
    assert path.read_bytes() == b"\0"
    write_text(path, "\u00e9\n", encoding="latin-1", newline="")
    assert path.read_bytes() == b"\xe9\n"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "whole", "")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("folder", [False, True])
def test_what_fails_leaves_what_was_there(tmp_path, folder):
    path = tmp_path / "a"
    path.mkdir() if folder else path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as new:
        new.mkdir() if folder else new.write_text("new")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == [path]
    assert path.is_dir() if folder else path.read_text() == "old"


def test_a_folder_takes_the_place_of_another(tmp_path):
    path = tmp_path / "design"
    for name in "ab":
        with replacing(path) as new:
            new.mkdir()
            (new / name).touch()
        assert [file.name for file in path.iterdir()] == [name] and list(tmp_path.iterdir()) == [path]


def test_who_was_first_stays(tmp_path):
    path = tmp_path / "kept"
    for name in "ab":
        with replacing(path, keep=True) as new:
            new.mkdir()
            (new / name).touch()
    assert [file.name for file in path.iterdir()] == ["a"] and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_is_named_by_the_path_that_was_asked_for(tmp_path):
    path = tmp_path / "nowhere" / "a.json"
    with pytest.raises(FileNotFoundError) as error:
        write_json(path, {})
    assert error.value.filename == str(path)
