"""Batches: results stay in line with the file, totals are sums, what does not fit is split or refused.

The programs run on the accelerator in Python, so that all of it but the RTL is what `acceltran run` does.
"""

import gc
import json
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from acceltran.cli import main as cli
from acceltran.cli.evaluate import Method, evaluate
from acceltran.cli.evaluate.rtl_check import check_on_rtl
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.registers import COUNTERS
from acceltran.sim import batches, inference
from acceltran.sim.batches import combine, infer_batches
from acceltran.sim.errors import SimulationError
from acceltran.sim.inference import report
from acceltran.sim.system import RunResult
from acceltran.sw.compiler import CapacityError, CompileError, quantise_encoder
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.errors import ModelError
from acceltran.sw.models.sentence import Sentence
from acceltran.sw.models.sentences import encode_texts
from support.machine import Machine
from support.models import TWO_PES, make_checkpoint, predict, random_texts

TEXTS = [text for words in (9, 3, 12, 5) for text in random_texts(3, words, seed=words)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("model"), hidden=16, heads=2, layers=1, ffn=16, labels=3)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Room for a few sentences."""
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(TWO_PES.replace("activation_tiles = 256", "activation_tiles = 60"))
    return path


@pytest.fixture(scope="module")
def roomy(tmp_path_factory):
    path = tmp_path_factory.mktemp("roomy") / "roomy.toml"
    path.write_text(TWO_PES)
    return path


@pytest.fixture
def runs(monkeypatch):
    """Let programs run in Python; the programs that ran, in order."""
    programs = []

    def keeping(compiled):
        def keep(*given, **options):
            programs.append(compiled(*given, **options))
            return programs[-1]
        return keep

    def simulate(config, image, **_):
        machine, number = Machine(programs[-1]), len(programs)
        machine.run()
        counters = {name: 100 * number + n for n, (name, _) in enumerate(COUNTERS)}
        return RunResult(folder=Path(), status=0, error=None, counters=counters, intervals=(), started=7, build_seconds=1.0,
                         simulation_seconds=2.0, memory=dict(enumerate(machine.memory)))

    for name in ("compile_encoder", "compile_quantised"):
        monkeypatch.setattr(inference, name, keeping(getattr(inference, name)))
    monkeypatch.setattr(inference, "simulate", simulate)
    monkeypatch.setattr(inference, "compare_tensors", lambda config, program, run, golden: {"a": len(programs)})
    return programs


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, model, config):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["acceltran", "run", "--config", str(config), "--model", str(model),
                                          *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        shown = capsys.readouterr()
        return stop.value.code, shown.out, shown.err
    return run


def expected(config, model, texts, length=None):
    checkpoint, hardware = load_checkpoint(model), AcceleratorConfig.load(config)
    encoder = quantise_encoder(checkpoint, hardware)
    return [predict(encoder, *encode_texts(checkpoint, [text], length, longest=32))["logits"][0].tolist() for text in texts]


def test_m13_predictions_stay_in_line_with_the_file(call, runs, model, config):
    lines = [f"{text}\n\n" if n % 4 == 1 else f"{text}\n" for n, text in enumerate(TEXTS)]
    Path("texts.txt").write_text("\n" + "".join(lines))
    code, out, err = call("--file", "texts.txt", "--json", "r.json")
    values = json.loads(Path("r.json").read_text())
    assert len(runs) > 2 and [program.graph.batch for program in runs] == [part["sentences"] for part in values["batches"]]
    assert sum(part["sentences"] for part in values["batches"]) == values["sentences"] == len(TEXTS)
    assert [p["text"] for p in values["predictions"]] == TEXTS
    assert [p["logits"] for p in values["predictions"]] == expected(config, model, TEXTS)
    numbered = Path("texts.txt").read_text().splitlines()
    assert [numbered[p["line"] - 1] for p in values["predictions"]] == TEXTS
    assert values["prediction"] == [p["label"] for p in values["predictions"]]
    assert code == 1 and values["mismatches"] == sum(range(1, len(runs) + 1)) == values["mismatched_tensors"]["a"]
    assert values["cycles"] == sum(part["cycles"] for part in values["batches"])
    shown = [line for line in out.splitlines() if not line.startswith(("  ", "│", "┃", "┏", "┡", "└"))]
    assert shown[: len(TEXTS)] == TEXTS
    assert err.splitlines()[0] == "read 12 sentences from the lines of texts.txt"
    assert f"small: batch 2 of {len(runs)}: " in err and "12 of 12 done" in err and "compiling" not in err


def test_m13_the_user_chooses_the_batch(call, runs, model, config):
    rows = "".join(f"{text}\t1\n" for text in TEXTS[:5])
    Path("texts.tsv").write_text("sentence\tlabel\n" + rows)
    call("--file", "texts.tsv", "--batch", 2, "--json", "r.json", "--length", 16)
    values = json.loads(Path("r.json").read_text())
    assert [program.graph.batch for program in runs] == [2, 2, 1]
    assert {program.graph.sequence for program in runs} == {16}
    assert [p["line"] for p in values["predictions"]] == [2, 3, 4, 5, 6]
    assert values["reading"]["text_column"] == "sentence"
    del runs[:]
    call("--file", "texts.tsv")
    assert [program.graph.batch for program in runs] == [2, 2, 1]
    del runs[:]
    call("--file", "texts.tsv", "--batch", 5)
    assert [program.graph.batch for program in runs] == [5]


def test_m13_texts_of_the_command_line_too(call, runs, model, config):
    given = [option for text in TEXTS[:6] for option in ("--text", text)]
    call(*given, "--json", "r.json")
    values = json.loads(Path("r.json").read_text())
    assert len(runs) > 1 and [p["logits"] for p in values["predictions"]] == expected(config, model, TEXTS[:6])
    assert values["reading"] is None and "line" not in values["predictions"][0]


def test_m13_a_trace_shows_one_program(call, runs):
    Path("texts.txt").write_text("\n".join(TEXTS))
    for option in ("--trace", "--waves"):
        code, out, err = call("--file", "texts.txt", option, "x.json")
        assert code == 2 and not out and err.startswith(f"error: {option}: ") and err.count("\n") == 1
        assert "12 sentences take" in err and not runs and not Path("x.json").exists()


def test_a_page_shows_all_batches_and_the_timeline_of_one(call, runs):
    """Zeros and multiplications are sums over the batches, and what a sentence says stays text."""
    Path("texts.txt").write_text("\n".join(["<script>w1</script> w2", *TEXTS]))
    Path("activity.log").write_text("")
    code, _, err = call("--file", "texts.txt", "--json", "r.json", "--report", "r.html", "--tau", "0.1", "--clock", "50")
    values, page = json.loads(Path("r.json").read_text()), Path("r.html").read_text()
    assert code == 1 and len(runs) > 2 and values["clock_mhz"] == 50, err
    assert f"One of {len(runs)} batches is shown" in page and "at 50 MHz" in page and "integers differ" in page
    assert "<script>w1" not in page and "&lt;script&gt;w1&lt;/script&gt; w2" in page
    assert all(text in page for text in TEXTS)
    assert "layer0.probabilities, head 1: " in page
    query = values["sparsity"]["query"]
    assert f"layer0.query: {query['zeros']:,} of {query['elements']:,} zero" in page
    assert f"{values['multiplications_expected']:,}" in page


def test_d5_run_cuts_a_file_and_a_text_on_request(call, runs, model, roomy):
    given = ["--config", roomy]
    long = random_texts(1, 40)[0]
    Path("texts.txt").write_text(f"w1\n{long}\n")
    _, out, err = call(*given, "--file", "texts.txt", "--json", "r.json")
    values = json.loads(Path("r.json").read_text())
    assert (values["cut"], values["longest"]) == (1, 32)
    assert "1 of 2 texts was cut to 32 tokens" in out and "1 of 2 texts was cut to 32 tokens" in err
    assert [p["logits"] for p in values["predictions"]] == expected(roomy, model, ["w1", long])
    code, _, err = call(*given, "--text", long)
    assert code == 2 and "42 tokens" in err
    call(*given, "--text", long, "--truncate", "--json", "t.json")
    values = json.loads(Path("t.json").read_text())
    assert values["cut"] == 1 and values["predictions"][0]["logits"] == expected(roomy, model, [long])[0]


def inferred(model, config, folder, texts, **options):
    """(Numbers of the sentences, Inference) of each batch."""
    rows = [(None, Sentence(text)) for text in texts]
    windows = infer_batches(AcceleratorConfig.load(config), load_checkpoint(model), rows, folder=folder,
                            collect=lambda one: one, **options)
    return [part for window in windows for part in window.parts]


def test_m13_what_cannot_be_placed_is_split_again(model, roomy, tmp_path, runs, monkeypatch):
    real, tried = inference.compile_quantised, []

    def picky(encoder, config, ids, lengths, **options):
        tried.append(len(lengths))
        if len(lengths) > 1 and lengths[0] > 5:
            raise CapacityError("the plan is too large", {})
        return real(encoder, config, ids, lengths, **options)

    monkeypatch.setattr(inference, "compile_quantised", picky)
    found = inferred(model, roomy, tmp_path, TEXTS[:7], batch=3)
    assert tried == [3, 2, 1, 1, 1, 3, 2, 1, 1, 1, 1]
    logits = {number: row for numbers, run in found
              for number, row in zip(numbers, run.golden_outputs["logits"].tolist(), strict=True)}
    assert [logits[number] for number in range(7)] == expected(roomy, model, TEXTS[:7])
    monkeypatch.setattr(inference, "compile_quantised", lambda *a, **k: (_ for _ in ()).throw(CapacityError("never", {})))
    with pytest.raises(CapacityError, match="never"):
        inferred(model, roomy, tmp_path, TEXTS[:2])


def test_m12_a_sentence_that_fits_nowhere_stops_all(model, config, tmp_path, runs):
    """It is the last, and nothing has run."""
    small = tmp_path / "tiny.toml"
    small.write_text(Path(config).read_text().replace("activation_tiles = 60", "activation_tiles = 24"))
    with pytest.raises(CapacityError, match="shorten the sentences to 16 tokens"):
        inferred(model, small, tmp_path, ["w1 w2", *random_texts(1, 28)])
    assert not runs


def test_m12_the_machine_is_asked_before_compiling(model, config, tmp_path, runs, monkeypatch):
    for module in (batches, inference):
        monkeypatch.setattr(module, "largest_memory", lambda config: 4096)
    with pytest.raises(CompileError, match="main memory has 4,096: .*, or a machine that simulates more"):
        inferred(model, config, tmp_path, ["w1 w2"])
    assert not runs


def test_d2_values_of_one_output_are_compared_on_the_rtl(roomy, tmp_path, runs):
    """Not the number of their one class, which is always equal; a long sentence is cut as in the evaluation."""
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "one", hidden=16, heads=2, layers=1, ffn=16, labels=1))
    hardware, texts = AcceleratorConfig.load(roomy), [*TEXTS[2:4], *random_texts(1, 40)]
    predictions = evaluate(checkpoint, hardware, texts, [0.0, 1.0, 2.0], Method(), length=16)["predictions"]
    values = check_on_rtl(checkpoint, hardware, texts, predictions, Method(), length=16)
    assert (values["equal_predictions"], values["sentences"]) == (3, 3) and len(runs) == 6
    assert values["tokens"] == (11 + 5 + 16) / 3
    predictions[1] += 2.0**-16
    assert check_on_rtl(checkpoint, hardware, texts, predictions, Method(), length=16)["equal_predictions"] == 2


def near(value):
    """Sums and quotients of floats may differ in the last place."""
    if isinstance(value, dict):
        return {name: near(part) for name, part in value.items()}
    return pytest.approx(value) if isinstance(value, float) else value


def test_m13_a_report_of_one_batch_is_its_report(model, config, tmp_path, runs):
    (_, run), = inferred(model, config, tmp_path, TEXTS[:1])
    one = report(run)
    total = combine([one])
    part, = total.pop("batches")
    assert total == near(one)
    assert part.keys() == one.keys() - {"config", "prediction", "predictions"}


def test_m13_totals(model, config, roomy, tmp_path, runs):
    """Shares are those of the sums, whatever the batches; counts of zeros are those of one batch with all of it."""
    found = inferred(model, config, tmp_path, TEXTS[:6], batch=2, length=16, tau=0.3)
    assert [numbers for numbers, _ in found] == [[0, 1], [2, 3], [4, 5]]
    parts = [report(run) for _, run in found]
    (_, whole), = inferred(model, roomy, tmp_path, TEXTS[:6], length=16, tau=0.3)
    whole = report(whole)
    total, cycles = combine(parts), [part["cycles"] for part in parts]
    assert len(set(cycles)) == 3
    for name in ("multiplications", "skipped", "instructions", "tensors_compared", "build_seconds", "multiplications_expected"):
        assert total[name] == sum(part[name] for part in parts), name
    for planned, together in (((5, 6, 7), 18), ((5, None, 7), None)):
        known = [part | {"planned_cycles": cycles} for part, cycles in zip(parts, planned, strict=True)]
        assert combine(known)["planned_cycles"] == together
    assert total["counters"]["bytes_read"] == sum(part["counters"]["bytes_read"] for part in parts)
    multipliers = AcceleratorConfig.load(config).multipliers
    assert total["utilisation"]["multipliers"] == pytest.approx(total["multiplications"] / (sum(cycles) * multipliers))
    assert total["stalled"]["memory"] == pytest.approx(total["counters"]["memory_stalled"] / sum(cycles))
    assert total["lost_cycles"]["idle"] == pytest.approx(total["counters"]["lost_idle"] / multipliers)
    assert total["cycles_per_second"] == pytest.approx((sum(cycles) + 3 * 7) / 6.0)
    for kind in ("query", "probabilities", "hidden", "output"):
        assert total["sparsity"][kind] == near(whole["sparsity"][kind]), kind
    assert total["sparsity"]["hidden"]["sparsity"] > 0.2
    assert [p["logits"] for p in total["predictions"]] == [p["logits"] for p in whole["predictions"]]


@pytest.fixture
def fake(monkeypatch):
    """Let a run give the token numbers of its sentences; {"fail": word that ends a run, "alive": Inferences}."""
    seen = {"fail": None, "alive": weakref.WeakSet(), "most": 0, "folders": [], "running": 0, "at once": 0}
    lock = threading.Lock()

    class Run:
        def __init__(self, batch):
            self.rows = [one.ids for one in batch.encoded]

    def infer(config, checkpoint, batch, *, folder, encoder, length, model, **options):
        with lock:
            seen["running"] += 1
            seen["at once"] = max(seen["at once"], seen["running"])
        time.sleep(0.01)
        run = Run(batch)
        with lock:
            seen["running"] -= 1
            seen["alive"].add(run)
            seen["most"] = max(seen["most"], len(seen["alive"]))
            seen["folders"].append(folder)
        if seen["fail"] and any(seen["fail"] in one.text.split() for one in batch.sentences):
            raise SimulationError("the simulation ended with status 139")
        return run

    monkeypatch.setattr(batches, "infer", infer)
    return seen


def results_of(model, config, folder, rows, **options):
    """{line: token numbers} of all that ran, and the windows."""
    windows = list(infer_batches(AcceleratorConfig.load(config), load_checkpoint(model), iter(rows), folder=folder,
                                 collect=lambda run: run.rows, **options))
    return {window.lines[number]: ids for window in windows for numbers, found in window.parts
            for number, ids in zip(numbers, found, strict=True)}, windows


def test_results_do_not_depend_on_windows_and_jobs(model, config, tmp_path, fake):
    rows = [(n, Sentence(text)) for n, text in enumerate(TEXTS, 1)]
    encoded, _ = encode_texts(load_checkpoint(model), TEXTS)
    for options in ({}, {"jobs": 3}, {"window": 5}, {"window": 1, "jobs": 2}, {"batch": 1, "jobs": 2}):
        found, windows = results_of(model, config, tmp_path, rows, **options)
        assert sorted(found) == list(range(1, 13)), options
        assert all(list(ids) == encoded[line - 1, : len(ids)].tolist() for line, ids in found.items()), options
        assert [line for window in windows for line in window.lines] == list(range(1, 13))
        if not options:
            sizes = [max(len(ids) for ids in found) for window in windows for _, found in window.parts]
            assert sizes == sorted(sizes, reverse=True) and len(sizes) > 2
    assert fake["at once"] > 1
    assert not list(tmp_path.iterdir()) and tmp_path not in fake["folders"]


def test_nothing_of_a_finished_batch_is_kept(model, config, tmp_path, fake):
    rows = ((n, Sentence(text)) for n, text in enumerate(TEXTS * 4))
    windows = infer_batches(AcceleratorConfig.load(config), load_checkpoint(model), rows, folder=tmp_path, batch=2, window=8,
                            collect=lambda run: len(run.rows))
    count = sum(value for window in windows for _, value in window.parts)
    gc.collect()
    assert count == 48 and len(fake["alive"]) == 0 and fake["most"] <= 3


def test_a_batch_that_fails_does_not_end_the_others(model, config, tmp_path, fake):
    rows = [(n, Sentence(text)) for n, text in enumerate(["w1 w2", "w9", "w3 w4 w5"], 1)]
    fake["fail"] = "w9"
    found, (window,) = results_of(model, config, tmp_path, rows, batch=1, lenient=True, jobs=2)
    assert sorted(found) == [1, 3] and window.failed == [([1], "the simulation ended with status 139")]
    for options in ({"batch": 1}, {"lenient": True}):
        with pytest.raises(SimulationError, match="139"):
            results_of(model, config, tmp_path, rows, **options)


def test_a_simulator_that_cannot_be_built_ends_all(model, config, tmp_path, monkeypatch):
    def build(**_):
        raise SimulationError("g++ is missing")

    def infer(*_, model, **options):
        model(memory_bits=20)

    monkeypatch.setattr(batches, "infer", infer)
    rows = [(n, Sentence(text)) for n, text in enumerate(TEXTS)]
    with pytest.raises(SimulationError, match="g.. is missing"):
        list(infer_batches(AcceleratorConfig.load(config), load_checkpoint(model), rows, folder=tmp_path, lenient=True, jobs=2,
                           model=build))


def test_what_cannot_be_used_is_left_out(model, config, tmp_path, fake):
    rows = [(1, Sentence("w1")), (2, "byte 0xe9 is not utf-8"), (4, Sentence(" ")), (5, Sentence("w2 " * 40)),
            (6, Sentence("w3"))]
    found, (window,) = results_of(model, config, tmp_path, rows, lenient=True)
    assert sorted(found) == [1, 6] and sorted(window.skipped) == [1, 2, 3]
    assert "is empty" in window.skipped[2] and "42 tokens" in window.skipped[3] and "0xe9" in window.skipped[1]
    with pytest.raises(ModelError, match="line 2: byte 0xe9"):
        results_of(model, config, tmp_path, rows[1:4], lenient=True)
    with pytest.raises(ModelError, match="empty"):
        results_of(model, config, tmp_path, rows[2:3])
    small = tmp_path / "tiny.toml"
    small.write_text(Path(config).read_text().replace("activation_tiles = 60", "activation_tiles = 24"))
    long = [(1, Sentence("w1 w2")), (2, Sentence(random_texts(1, 28)[0]))]
    found, (window,) = results_of(model, small, tmp_path, long, lenient=True)
    assert sorted(found) == [1] and "shorten the sentences to 16 tokens" in window.skipped[1]


def test_lines_of_a_file_that_are_left_out(call, runs, model, config, monkeypatch):
    """They are named on standard error and in the JSON, the others are done, and the exit code tells it."""
    monkeypatch.setattr(inference, "compare_tensors", lambda *_: {})
    lines = [f"{text}\t1".encode() for text in TEXTS[:10]]
    lines[3:3] = [b"caf\xe9 w1\t1", b"w1\tw2\t1", b" \t1"]
    Path("texts.tsv").write_bytes(b"\n".join([b"sentence\tlabel", *lines]) + b"\n")
    code, out, err = call("--file", "texts.tsv", "--json", "r.json", "--output", "r.npz", "--jobs", 1)
    values = json.loads(Path("r.json").read_text())
    assert code == 2 and [p["text"] for p in values["predictions"]] == TEXTS[:10]
    assert [p["line"] for p in values["predictions"]] == [2, 3, 4, *range(8, 15)]
    assert [p["logits"] for p in values["predictions"]] == expected(config, model, TEXTS[:10])
    assert [one["line"] for one in values["skipped_lines"]] == [5, 6, 7]
    for line, word in ((5, "byte 0xe9"), (6, "3 cells"), (7, "is empty")):
        assert f"line {line} is left out: " in err and word in values["skipped_lines"][line - 5]["reason"]
    assert err.splitlines()[-1] == "3 of 13 lines were left out: 5, 6, 7"
    arrays = np.load("r.npz")
    assert arrays["lines"].tolist() == [2, 3, 4, *range(8, 15)] and arrays["logits"].shape == (10, 3)
    assert np.allclose(arrays["logits"], [p["logits"] for p in values["predictions"]])
    assert arrays["lengths"].tolist() == encode_texts(load_checkpoint(model), TEXTS[:10])[1]
    assert call("--file", "texts.tsv", "--output", "r.csv")[0] == 2
    Path("pairs.csv").write_text("premise,hypothesis\nw1 w2,w3\nw4,w5 w6\n")
    code, out, err = call("--file", "pairs.csv", "--json", "p.json")
    first, second = json.loads(Path("p.json").read_text())["predictions"]
    assert code == 0 and (first["text"], first["pair"], second["line"]) == ("w1 w2", "w3", 3) and "  with: w3" in out
    call("--text", "w1 w2", "--text-pair", "w3", "--json", "q.json")
    assert json.loads(Path("q.json").read_text())["predictions"][0]["logits"] == first["logits"]
    assert "on the host: softmax and arg-max over the labels" in out
    code, _, err = call("--text", "w1", "--text", "w2", "--text", "w3", "--text-pair", "w4", "--text-pair", "w5")
    assert code == 2 and "2 for 3 --text: give one for each, or one for all" in err
