"""The report of coverage: counts of Verilator read, added and measured, and what is left out only for a reason that holds."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from rtl_coverage.database import CoverageError, Point, add_files, read, write
from rtl_coverage.exclusions import LIST, Exclusion, load
from rtl_coverage.measure import CONSTANT, DECIDED, EMPTY, check_used, measure
from rtl_coverage.report import component, html, summary, values
from rtl_coverage.verilog_text import VerilogText

TESTS = Path(__file__).parent

VERILOG = """
module tiny(a, b);
  input [1:0] a;
  output [1:0] b;
  reg [1:0] b;
  reg [1:0] _0_;
  wire _1_;
  wire never;
  assign _1_ = a[0] & a[1];
  assign never = 1'h0;
  always @(posedge clk)
    b <= _0_;
  always @* begin
    _0_ = b;
    if (_1_) begin
      _0_ = 2'h1;
    end
    if (never) begin
      _0_ = 2'h2;
    end
    casez (a)
      2'h2:
        _0_ = 2'h3;
      default: ;
    endcase
  end
endmodule
"""

LINES = [
    ("line", "tiny", 12, 3, "block", "12-13,20", 5), ("line", "tiny", 10, 3, "block", "10-11", 9),
    ("branch", "tiny", 14, 5, "if", "14-15", 0), ("branch", "tiny", 14, 6, "else", "", 5),
    ("branch", "tiny", 17, 5, "if", "17-18", 0), ("branch", "tiny", 17, 6, "else", "", 5),
    ("line", "tiny", 21, 7, "case", "21-22", 0), ("line", "tiny", 23, 7, "case", "23", 0),
    *(("toggle", "tiny", 2, 15, f"a[{bit}]:{way}", "", int(bit == 0)) for bit in (0, 1) for way in ("0->1", "1->0")),
    *(("toggle", "tiny", 8, 3, f"never:{way}", "", 0) for way in ("0->1", "1->0")),
    ("toggle", "system", 40, 3, "outside:0->1", "", 0),
    ("user", "cover_tiny", 50, 3, "group___05Fhit", "", 2), ("user", "cover_tiny", 51, 3, "group___05Fmissed", "", 0),
]


def recorded(lines=LINES, instance="system.dut"):
    """Lines as Verilator writes them."""
    return "# SystemC::Coverage-3\n" + "".join(
        f"C '\x01f\x02/a/system.v\x01l\x02{line}\x01n\x02{column}\x01t\x02{kind}\x01page\x02v_{kind}/{module}\x01o\x02{name}"
        + (f"\x01S\x02{shown}" if shown else "") + f"\x01h\x02{instance}' {count}\n"
        for kind, module, line, column, name, shown, count in lines)


@pytest.fixture
def counts(tmp_path):
    path = tmp_path / "tiny.dat"
    path.write_text(recorded())
    counts = Counter()
    add_files(counts, [path], {"tiny"})
    return counts


def measured(counts, *rules, used=None):
    return measure("nano", counts, text=VerilogText(VERILOG.lstrip()), fixed={"tiny": {"never"}},
                   exclusions=list(rules), used=set() if used is None else used)


def test_counts_of_all_instances_are_added(tmp_path):
    path = tmp_path / "two.dat"
    path.write_text(recorded() + recorded(instance="system.other").split("\n", 1)[1])
    counts = read(path)
    assert counts[Point("line", "tiny", 10, 3, "block", "10-11")] == 18
    assert counts[Point("user", "cover_tiny", 0, 0, "group__hit")] == 4
    assert Point("line", "tiny", 1, 1, "block", "12-14,20").numbers == {12, 13, 14, 20}


def test_what_is_written_is_read_again(counts, tmp_path):
    write(counts, tmp_path / "sum.dat")
    assert read(tmp_path / "sum.dat") == counts
    add_files(counts, [tmp_path / "sum.dat", tmp_path / "tiny.dat"], {"tiny"})
    assert counts[Point("line", "tiny", 10, 3, "block", "10-11")] == 27
    assert [path.name for path in tmp_path.glob("*.part")] == []


@pytest.mark.parametrize(("text", "said"), [
    ("", "begins with ''"), ("{}", "begins with '{}'"), (recorded()[:-20], "line 18: is no count"),
    (recorded() + "C '' 1\n", "line 19: is no count"), (recorded([("expr", "tiny", 1, 1, "x", "", 0)]), "counts 'v_expr/tiny'"),
])
def test_what_is_no_file_of_counts_is_refused(text, said, tmp_path):
    path = tmp_path / "bad.dat"
    path.write_text(text)
    with pytest.raises(CoverageError, match=said.replace("{", r"\{")):
        read(path)


def test_counts_of_another_design_are_refused(counts, tmp_path):
    path = tmp_path / "other.dat"
    path.write_text(recorded(LINES[:-1]))
    before = dict(counts)
    with pytest.raises(CoverageError, match="another design: user group__missed of cover_tiny"):
        add_files(counts, [path], {"tiny"})
    assert counts == before


def test_the_system_around_a_design_does_not_matter(counts, tmp_path):
    """What is not of the design is not counted, and cover points may stand elsewhere."""
    path = tmp_path / "other.dat"
    other = [("user", "cover_tiny", line + 7, *rest) for _, _, line, *rest in LINES[-2:]]
    path.write_text(recorded([*LINES[:-3], ("toggle", "monitor", 1, 1, "clk:0->1", "", 3), *other]))
    add_files(counts, [path], {"tiny"})
    assert counts[Point("user", "cover_tiny", 0, 0, "group__hit")] == 4
    assert {point.module for point in counts} == {"tiny", "cover_tiny"}


def test_shares_are_those_counted_by_hand(counts):
    figures = measured(counts)
    shares = {kind: (share.covered, share.total, share.excluded) for kind, share in figures.total.items()}
    # Lines 10 to 13 and 20 ran; 14, 15, 21 and 22 could have; 17, 18 and 23 cannot.
    assert shares == {"line": (5, 9, 3), "branch": (2, 3, 1), "toggle": (2, 4, 2), "user": (1, 2, 0)}
    assert dict(figures.reasons) == {DECIDED: 1, EMPTY: 1, CONSTANT: 2}
    assert set(figures.missed) == {"line", "branch", "toggle", "user"}
    assert sorted((hole.kind, hole.name) for hole in figures.holes) == [
        ("branch", "b: if: if ((a[0] & a[1])) begin"), ("line", "b: case: 2'h2:"), ("line", "b: if: if ((a[0] & a[1])) begin"),
        ("toggle", "a[1]:0->1"), ("toggle", "a[1]:1->0")]
    assert figures.bins == [("group__hit", 2, None), ("group__missed", 0, None)]


def test_a_rule_leaves_out_what_it_names(counts):
    rules = [Exclusion("toggle", "ti*", r"a\[1\]", "a"), Exclusion("line", "tiny", "b: (if|case): .*", "b"),
             Exclusion("user", "cover_*", "group__missed", "c"), Exclusion("toggle", "tiny", r"a\[1\]", "d", ("other",))]
    used = set()
    figures = measured(counts, *rules, used=used)
    assert not figures.holes and not figures.missed and used == {0, 1, 2}
    assert {reason: figures.reasons[reason] for reason in "abcd"} == {"a": 2, "b": 2, "c": 0, "d": 0}
    assert figures.bins[1] == ("group__missed", 0, "c")
    check_used(rules, used, ["nano"])
    with pytest.raises(CoverageError, match=r"exclusion 4 \(toggle tiny"):
        check_used(rules, used, ["nano", "other"])


def test_a_rule_that_leaves_nothing_out_any_more_is_an_error(counts):
    """What it names is covered by now."""
    rules, used = [Exclusion("toggle", "tiny", r"a\[0\]", "cannot be")], set()
    measured(counts, *rules, used=used)
    with pytest.raises(CoverageError, match="exclusion 1 .*: matches nothing that is not covered any more"):
        check_used(rules, used, ["nano"])


@pytest.mark.parametrize(("text", "said"), [
    ("[[exclusion]\n", "cannot be read"), ("[[exclusion]]\nkind = 'line'\n", "module is missing"),
    ("[[exclusion]]\nkind = 'fsm'\nmodule = '*'\nname = '.*'\nreason = 'x'\n", "kind = 'fsm': choose one of line"),
    ("[[exclusion]]\nkind = 'line'\nmodule = '*'\nname = '('\nreason = 'x'\n", "no regular expression"),
    ("[[exclusion]]\nkind = 'line'\nmodule = '*'\nname = '.*'\nreason = ' '\n", "reason is empty"),
    ("[[exclusion]]\nkind = 'line'\nmodule = '*'\nname = '.*'\nreason = 'x'\nwhy = 'y'\n", "no field why"),
])
def test_a_list_that_cannot_be_used_is_refused(text, said, tmp_path):
    path = tmp_path / "list.toml"
    path.write_text(text)
    with pytest.raises(CoverageError, match=said):
        load(path)


def test_the_list_of_the_repository_can_be_used():
    assert all(rule.reason.endswith(".") is False for rule in load(LIST))


@pytest.mark.parametrize(("module", "name"), [
    ("pe_bd30d7.logic.post.scale_3", "pe.logic.post.scale_*"), ("accelerator.memory.reader.client_1.fifo",
                                                               "accelerator.memory.reader.client_*.fifo"),
    ("roundrobin_8f2527", "roundrobin"), ("pe_bd30d7.logic.post.result_0$181", "pe.logic.post.result_*"),
])
def test_copies_are_one_component(module, name):
    assert component(module) == name


def test_the_page_names_what_is_missing(counts):
    figures = measured(counts)
    text = html([figures], [("registers", "a run")])
    assert "NOT HIT" in text and "a[1]:0-&gt;1" in text and "http" not in text.replace("http-equiv", "")
    assert "missed" in summary(figures)
    assert values(figures)["total"]["branches"] == {"covered": 2, "of": 3, "left out": 1, "share": 0.66667}


@pytest.mark.parametrize(("arguments", "status", "said"), [
    (["--list"], 0, "memory-errors"), (["--run", "nonsense"], 2, "error: --run nonsense: no run has that name"),
])
def test_the_command(arguments, status, said):
    path = os.pathsep.join([str(TESTS), str(TESTS / "sim"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-m", "rtl_coverage", *arguments], capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == status and said in done.stdout + done.stderr
    assert len((done.stdout + done.stderr).splitlines()) == 1 or status == 0
