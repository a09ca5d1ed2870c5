"""`acceltran estimate`, `bench estimate` and `paper` as a user sees them."""

import json
import sys
from pathlib import Path

import pytest

from acceltran.cli import main as cli
from acceltran.cli.bench import estimate_command
from acceltran.cli.estimate.setting import Setting
from acceltran.cli.paper import document_tables, figures
from acceltran.cli.paper.claim import LABELS, Claim, claims_table
from acceltran.cli.paper.claims import claims
from acceltran.hw.spec.errors import InputError

SMALL = ("--config", "nano", "--model", "random:bert-tiny", "--tokens", "8", "--no-values")
POINTS = Path(__file__).parents[1] / "sw" / "estimate" / "points.json"


@pytest.fixture
def acceltran(monkeypatch, capsys):
    """Run it; its exit code, output and errors."""
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["acceltran", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err
    return run


def test_an_estimate_in_every_form(acceltran, tmp_path):
    files = "--json", tmp_path / "e.json", "--trace", tmp_path / "t.json", "--report", tmp_path / "e.html"
    code, out, _ = acceltran("estimate", *SMALL, "--clock", "100", *files)
    assert code == 0
    values = json.loads((tmp_path / "e.json").read_text())
    assert f"{values['cycles']:,}" in out and "where the cycles went" in out and "estimated, not simulated" in out
    assert values["milliseconds"] == pytest.approx(values["cycles"] / 1e5)
    assert values["area"]["mm2"] > 0 and values["energy"]["energy_uJ"] > 0 and values["seconds"].keys() == {
        "compiling", "estimating"}
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert {"memory engine", "matrix engine", "vector engine", "PE grid", "softmax unit 0"} <= {
        event["args"]["name"] for event in events if event["name"] == "thread_name"}
    page = (tmp_path / "e.html").read_text()
    for said in ("What the matrix engine worked on, or waited for", "Where the cycles went", "Timeline", "Energy and area",
                 f"{values['cycles']:,}", "random:bert-tiny"):
        assert said in page
    assert "http://" not in page and "https://" not in page


@pytest.mark.parametrize("arguments, said", [
    (("--text", "a", "--batch", "2"), "--batch and --text: with sentences, the batch is all of them"),
    (("--model", "random:giant"), "model = 'random:giant': no such shape: choose one of random:bert-tiny"),
    (("--config", "nano", "--tokens", "512", "--batch", "8", "--resident"),
     "raise activation_tiles to 5060 and weight_tiles to 8192"),
])
def test_what_cannot_be_estimated_is_one_line(acceltran, arguments, said):
    code, _, err = acceltran("estimate", *arguments)
    assert code == 2
    line, = (line for line in err.splitlines() if line.startswith("error: "))
    assert said in line


def test_points_are_compared_and_recorded(acceltran, tmp_path, monkeypatch):
    path = tmp_path / "points.json"
    kept = {"format": 1, "points": [one for one in json.loads(POINTS.read_text())["points"]
                                    if one["name"] in ("mini-8", "mini-24")]}
    path.write_text(json.dumps(kept))
    document = tmp_path / "d.md"
    document.write_text("<!-- points -->\n<!-- end -->\n")
    code, out, _ = acceltran("bench", "estimate", path, "--json", tmp_path / "r.json", "-o", document)
    assert code == 0 and "2 points: 100.0 % within 3 %" in out
    assert "| mini-24 | 35,417 |" in document.read_text()
    assert json.loads((tmp_path / "r.json").read_text())["most"] < 0.01

    monkeypatch.setattr(estimate_command, "measured", lambda setting, stage: 12345)
    code, out, _ = acceltran("bench", "estimate", path, "--record", "--only", "mini-8")
    assert code == 0 and "0.0 % within 3 %" in out
    assert [one["cycles"] for one in json.loads(path.read_text())["points"]] == [12345, 35417]

    assert acceltran("bench", "estimate", path, "--only", "mini-9")[0] == 2
    path.write_text('{"format": 2}')
    code, _, err = acceltran("bench", "estimate", path)
    assert code == 2 and "is no file of points of format 1" in err


def test_what_the_simulated_memory_does_not_have_is_not_recorded():
    with pytest.raises(InputError, match="bytes_per_cycle = 8: the simulated memory brings what the bus takes"):
        estimate_command.measured(Setting(tokens=8, bytes_per_cycle=8))


FIGURES = {
    "edge": {name: {"cycles": 10_000, "sequences_per_second": 280_000.0, "clock_mhz": 700, "multipliers_busy": 0.5,
                    "energy_uJ": 30.0} for name in ("dense", "half", "half, prefetched")},
    "server": {name: {"sequences_per_second": 400_000.0} for name in (
        "full", "without DynaTran", "without weight pruning", "without sparsity modules", "weights from memory")},
    "attention": {name: {"cycles": 1_000_000, "multipliers": 1024} for name in ("dense", "DynaTran")},
    "attention_rtl": {name: {"measured": 3_000_000, "estimated": 2_990_000} for name in ("dense", "DynaTran")},
    "memory": {name: {"weights": 1, "activations": 2, "embeddings": 1} for name in ("BERT-Tiny", "BERT-Base")},
    "cpu": {"runs": [{"library": "PyTorch", "threads": 1, "batch": 1, "seconds": 0.01},
                     {"library": "ONNX Runtime", "threads": 2, "batch": 4, "seconds": 0.02}]},
}


def test_every_claim_has_a_command_or_a_reason():
    rows = claims(FIGURES)
    assert {"abstract", "ablation", "blocks", "table"} <= {row.place for row in rows}
    said = " ".join(row.said for row in rows)
    for claim in ("Raspberry Pi, throughput", "Raspberry Pi, energy", "Energon, throughput", "Energon, energy", "top-k"):
        assert claim in said
    assert all(row.command or row.why for row in rows) and {row.label for row in rows} <= set(LABELS)
    table = claims_table(rows)
    assert len(table.splitlines()) == len(rows) + 2 and "38,000x" in table
    with pytest.raises(ValueError, match="neither a command nor a reason"):
        Claim("abstract", "x", "1", "2", "measured", "", "")
    with pytest.raises(ValueError, match="label = 'guessed'"):
        Claim("abstract", "x", "1", "2", "guessed", "c", "")


def test_what_documents_say_is_read_from_them(tmp_path, monkeypatch):
    """Rows that come from no estimate stand in docs/paper.md as the tables of other documents have them now."""
    table = (document_tables.DOCUMENTS / "paper.md").read_text().splitlines()
    fixed = [row for row in claims(FIGURES) if row.command.startswith(("acceltran study", "acceltran cost", "acceltran synth"))
             or row.said.startswith("Server: ")]
    assert len(fixed) == 7 and all(line in table for line in claims_table(fixed).splitlines())
    copy = tmp_path / "docs"
    copy.mkdir()
    for name, old, new in (("dynatran.md", "| 80.62 | 1.34 | 23.5 | 33.8 |", "| 70.62 | 1.34 | 23.5 | 32.1 |"),
                           ("silicon.md", "| together, mm2 | 23.6 |", "| together, mm2 | 24.7 |")):
        text = (document_tables.DOCUMENTS / name).read_text()
        assert text.count(old) == 1
        (copy / name).write_text(text.replace(old, new))
    monkeypatch.setattr(document_tables, "DOCUMENTS", copy)
    ours = " ".join(row.ours for row in claims(FIGURES))
    assert "70.6 % at 32.1 %" in ours and "24.7 mm2" in ours and "33.8 %" not in ours and "23.6" not in ours
    with pytest.raises(InputError, match="silicon.md: no figures in the column 'mm3'"):
        document_tables.figure("silicon.md", "mm3", {})
    (copy / "silicon.md").unlink()
    with pytest.raises(InputError, match="needs the documents of a checkout"):
        claims(FIGURES)


def test_figures_are_made_once(acceltran, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(figures, "FIGURES", {name: lambda name=name, values=values: made.append(name) or values
                                             for name, values in FIGURES.items()})
    results, document = tmp_path / "paper.json", tmp_path / "paper.md"
    document.write_text("<!-- claims -->\n<!-- end -->\n")
    code, out, _ = acceltran("paper", "--results", results, "--only", "edge")
    assert code == 0 and made == ["edge"] and "still missing for the table" in out
    code, _, _ = acceltran("paper", "--results", results, "-o", document)
    usual = [name for name in FIGURES if name not in figures.ON_REQUEST]
    assert code == 0 and made == usual and "on the RTL" not in document.read_text()
    assert acceltran("paper", "--results", results, "--only", "edge", "--only", "attention_rtl", "-o", document)[0] == 0
    assert made == [*usual, "edge", "attention_rtl"] and "the same workload on the RTL" in document.read_text()
    code, _, err = acceltran("paper", "--only", "age")
    assert code == 2 and "no such figure; choose one of edge" in err
