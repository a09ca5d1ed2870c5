"""The file of a sweep: which points it has, and what is refused."""

from pathlib import Path

import pytest

from acceltran.cli.sweep.estimates import check_values
from acceltran.cli.sweep.points import read_points
from acceltran.hw.spec.errors import InputError

ROOT = Path(__file__).parents[2]
MODEL = '[setting]\nmodel = "random:bert-tiny"\ntokens = 8\n'


@pytest.fixture
def points(tmp_path):
    """The values of the points of a text, by their names."""
    def points(text, check=lambda values: None):
        path = tmp_path / "a.toml"
        path.write_text(text)
        return {point.name: point.values for point in read_points(path, check)}
    return points


def test_lists_meet_each_other(points):
    found = points('[setting]\nmodel = "m"\nfields.tile = 8\n[vary]\ntokens = [8, 16]\n"fields.window" = [4, 5, 6]\n')
    assert list(found)[:2] == ["tokens=8, fields.window=4", "tokens=8, fields.window=5"] and len(found) == 6
    assert found["tokens=16, fields.window=5"] == {"model": "m", "tokens": 16, "fields": {"tile": 8, "window": 5}}


def test_a_name_with_dots_is_a_table_in_a_table(points):
    texts = ("[vary]\nfields.window = [4]\n", '[vary]\n"fields.window" = [4]\n', "[vary.fields]\nwindow = [4]\n",
             "[vary]\nfields = [{window = 4}]\n")
    assert [list(points(text).values()) for text in texts] == 4 * [[{"fields": {"window": 4}}]]


def test_lists_that_go_together(points):
    found = points("[vary]\na = [1, 2]\n[[together]]\nb = [3, 4]\nc = [5, 6]\n[[together]]\nd = [7, 8]\n")
    assert len(found) == 8 and {"a": 1, "b": 4, "c": 6, "d": 7} in found.values()
    assert all(one["c"] == one["b"] + 2 for one in found.values())
    assert list(points("[[together]]\nb = [3, 4]\n")) == ["b=3", "b=4"]


def test_single_points_and_several_products(points):
    assert points("[setting]\na = 1\n") == {"setting": {"a": 1}}
    assert points('[setting]\na = 1\n[[point]]\nname = "x"\na = 2\n[[point]]\nb = 3\n') == {
        "x": {"a": 2}, "point 2": {"a": 1, "b": 3}}
    assert list(points("[[vary]]\na = [1, 2]\n[[vary]]\na = [2]\n[[vary]]\nb = [1]\n[[point]]\na = 9\n")) == [
        "a=1", "a=2", "b=1", "point 1"]


def test_lists_and_tables_are_values_too(points):
    assert list(points('[vary]\ntexts = [["a b", "c"], ["d"]]\n').values()) == [{"texts": ["a b", "c"]}, {"texts": ["d"]}]


@pytest.mark.parametrize(("text", "said"), [
    ("[vari]\na = [1]", "unknown table 'vari': did you mean 'vary'?"),
    ("tokens = 8", "unknown table 'tokens': the tables are setting, vary, together, point; what all points share stands in "
                   "[setting]"),
    ("setting = 3", "setting = 3: is a table; write [setting] on a line of its own, and its values below"),
    ("[vary]\na = 32", "[vary] a = 32: give a list, such as [32], or move it to [setting]"),
    ("[vary]\na = []", "[vary] a = []: give at least one value"),
    ("[[together]]\na = [1]\nb = [1, 2]", "[[together]] a has 1 values and b has 2: lists that go together have equally many"),
    ("[[together]]", "[[together]] is empty: give two lists or more, or leave it out"),
    ("[vary]\na = [1]\n[[together]]\na = [1]\nb = [2]", "a stands in two lists that vary: leave it in one of them"),
    ('[[point]]\nname = "x"\na = 1\n[[point]]\nname = "x"', "two points have the name 'x': give one of them another"),
    ("[[point]]\nname = 3", "point 1: name = 3: give a text in quotes"),
    ("[setting]\na = 1\n[vary]\na.b = [1]", "a.b: a is a value and a table; leave one of them out"),
])
def test_what_is_written_wrongly_is_refused(points, text, said, tmp_path):
    with pytest.raises(InputError) as error:
        points(text)
    assert str(error.value) == f"{tmp_path / 'a.toml'}: {said}"


def test_a_file_that_cannot_be_read_is_refused(points, tmp_path):
    for text, said in (("[vary", "not valid TOML: "), ("a = [1,\n", "not valid TOML: ")):
        with pytest.raises(InputError, match=said):
            points(text)
    (tmp_path / "b.toml").write_bytes(b"\xff")
    for name, said in (("b.toml", "is no text in UTF-8"), ("c.toml", "cannot be read: No such file")):
        with pytest.raises(InputError, match=said):
            read_points(tmp_path / name)


@pytest.mark.parametrize(("text", "said"), [
    ("[vary]\ntokns = [8]", "point 'tokns=8': unknown setting 'tokns': did you mean 'tokens'?"),
    ("[vary]\nfields.windw = [4]", "point 'fields.windw=4': unknown field 'windw': did you mean 'window'?"),
    ("[vary]\nfields.window = [4, 7]", "point 'fields.window=7': window = 7: choose one of 2, 4, 5, 6, 8"),
    ("[vary]\nfields.window = [true]", "point 'fields.window=True': window = True: choose one of 2, 4, 5, 6, 8"),
    ('[vary]\nfields.grid_rows = ["4"]', "point 'fields.grid_rows=4': grid_rows = '4': choose a whole number from 1 to 32"),
    ('[vary]\nfields.functions = [["swish"]]', "point 'fields.functions=['swish']': functions = ('swish',): a list, of "),
    ('[vary]\nconfig = ["mimi"]', "point 'config=mimi': config = 'mimi': neither a preset "),
    ('[vary]\ntokens = ["8"]', "point 'tokens=8': tokens = '8': is not of the kind that it must be: give a whole number"),
    ("[vary]\nresident = [1]", "point 'resident=1': resident = 1: is not of the kind that it must be: give true or false"),
    ("[vary]\ntexts = [[1]]", "point 'texts=[1]': texts = [1]: is not of the kind that it must be: give a list of texts"),
    ("[vary]\ntokens = [1]", "point 'tokens=1': tokens = 1: give at least 2"),
    ('[vary]\nmodel = ["random:bert-tni"]', "point 'model=random:bert-tni': model = 'random:bert-tni': no such shape: did you "
                                            "mean 'random:bert-tiny'?"),
    ('[vary]\nmodel = ["/nowhere"]', "point 'model=/nowhere': model = '/nowhere': no such folder: "),
])
def test_values_are_refused_with_the_name_of_their_point(points, text, said, tmp_path):
    with pytest.raises(InputError) as error:
        points(MODEL + text, check_values)
    message = str(error.value).removeprefix(f"{tmp_path / 'a.toml'}: ").replace('"', "'")
    assert message.startswith(said) and "\n" not in message


def test_the_example_is_the_one_of_the_document(monkeypatch):
    monkeypatch.chdir(ROOT)
    example = ROOT / "docs/examples/grid_and_bus.toml"
    assert f"```toml\n{example.read_text()}```\n" in (ROOT / "docs/sweep.md").read_text()
    assert len(read_points(example, check_values)) == 25
