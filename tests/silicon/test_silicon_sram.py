"""SRAM macros from a table."""

import math

import pytest

from acceltran.hw.spec.errors import ConfigError
from acceltran.silicon.sram import SramTable

HEAD = "node_nm,width_bits,depth,area_um2,read_pJ,write_pJ,leakage_mW,read_latency_ns\n"


def _table(folder, exponent):
    """Macros whose area grows with that power of the width."""
    path = folder / "sram.csv"
    rows = [(10, w, d, w**exponent * d, w / 8, w / 4, 0.5, math.log2(w * d)) for w in (8, 32) for d in (16, 64)]
    path.write_text("# from nowhere\n" + HEAD + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return SramTable(path)


@pytest.fixture
def table(tmp_path):
    return _table(tmp_path, 0.5)


def test_entries_are_exact(table):
    found = table.estimate(width=8, depth=64)
    assert (found.area_um2, found.read_pJ, found.write_pJ, found.macros) == pytest.approx((8**0.5 * 64, 1, 2, 1))


def test_between_entries_logarithms_are_interpolated(table):
    assert table.estimate(width=16, depth=32).area_um2 == pytest.approx(4 * 32)  # A power law stays exact.
    assert table.estimate(width=8, depth=32).read_latency_ns == pytest.approx(math.sqrt(7 * 9))


def test_wide_words_are_spread_and_deep_memories_stacked(table):
    wide, deep = table.estimate(width=64, depth=16), table.estimate(width=8, depth=128)
    assert (wide.area_um2, wide.read_pJ, wide.macros) == pytest.approx((2 * 32**0.5 * 16, 8, 2))
    assert (deep.area_um2, deep.read_pJ, deep.leakage_mW, deep.macros) == pytest.approx((8**0.5 * 128, 1, 1, 2))


def test_narrow_macros_are_taken_where_they_are_smaller(tmp_path):
    found = _table(tmp_path, 1.5).estimate(width=32, depth=16)
    assert (found.area_um2, found.read_pJ, found.leakage_mW, found.macros) == pytest.approx((4 * 8**1.5 * 16, 4, 2, 4))
    assert found.read_latency_ns == pytest.approx(7)


def test_small_memories_take_the_smallest_macro(table):
    assert table.estimate(width=1, depth=2) == table.estimate(width=8, depth=16)


def test_packaged_table_has_two_nodes_and_the_smaller_is_smaller():
    assert SramTable().node == 22
    assert SramTable().estimate(width=256, depth=512).area_um2 < SramTable(node=45).estimate(width=256, depth=512).area_um2


@pytest.mark.parametrize(("text", "node", "message"), [
    ("a,b\n1,2\n", None, "columns"), (HEAD, None, "node"), (HEAD + "10,8,16,1,1,1,1,1\n", 7, "choose one of 10"),
    (HEAD + "10,8,16,x,1,1,1,1\n", None, "columns"), (HEAD + "10,8,16,1,1,1,1,1\n10,16,32,1,1,1,1,1\n", None, "every width"),
])
def test_bad_tables_are_refused(tmp_path, text, node, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        SramTable(path, node)
    with pytest.raises(ConfigError, match="No such file"):
        SramTable(tmp_path / "none.csv")
