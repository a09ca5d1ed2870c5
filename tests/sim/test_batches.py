"""Batches: results stay in line with the file, totals are sums, what does not fit is split or refused.

The programs run on the accelerator in Python, so that all of it but the RTL is what `acceltran run` does.
"""

import json
import sys
from pathlib import Path

import pytest

from acceltran.cli import main as cli
from acceltran.cli.evaluate import Method, evaluate
from acceltran.cli.evaluate.rtl_check import check_on_rtl
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.registers import COUNTERS
from acceltran.sim import batches, inference
from acceltran.sim.batches import combine, infer_batches
from acceltran.sim.inference import report
from acceltran.sim.system import RunResult
from acceltran.sw.compiler import CapacityError, CompileError, quantise_encoder
from acceltran.sw.models.checkpoint import encode_texts, load_checkpoint
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
    assert f"small: batch 2 of {len(runs)}: golden model ..." in err and "compiling" not in err


def test_m13_the_user_chooses_the_batch(call, runs, model, config):
    rows = "".join(f"{text}\t1\n" for text in TEXTS[:5])
    Path("texts.tsv").write_text("sentence\tlabel\n" + rows)
    call("--file", "texts.tsv", "--batch", 2, "--json", "r.json", "--length", 16)
    values = json.loads(Path("r.json").read_text())
    assert [program.graph.batch for program in runs] == [2, 2, 1]
    assert {program.graph.sequence for program in runs} == {16}
    assert [p["line"] for p in values["predictions"]] == [2, 3, 4, 5, 6]
    assert values["reading"]["text_column"] == "sentence"
    code, out, err = call("--file", "texts.tsv", "--batch", 5)
    assert code == 2 and not out and err.count("\n") == 1 and "raise activation_tiles to" in err
    count = int(err.split("give ")[1].split(" sentence")[0])
    del runs[:]
    call("--file", "texts.tsv", "--batch", count)
    assert runs[0].graph.batch == count < 5


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
    return list(infer_batches(AcceleratorConfig.load(config), load_checkpoint(model), texts, folder=folder, **options))


def test_m13_what_cannot_be_placed_is_split_again(model, roomy, tmp_path, runs, monkeypatch):
    real, tried = inference.compile_quantised, []

    def picky(encoder, config, ids, lengths, **options):
        tried.append(len(lengths))
        if len(lengths) > 1 and lengths[0] > 5:
            raise CapacityError("the plan is too large", {})
        return real(encoder, config, ids, lengths, **options)

    monkeypatch.setattr(inference, "compile_quantised", picky)
    found = inferred(model, roomy, tmp_path, TEXTS[:7], batch=3)
    assert tried == [3, 2, 1, 1, 1, 3, 1]
    logits = [row for run in found for row in run.golden_outputs["logits"].tolist()]
    assert logits == expected(roomy, model, TEXTS[:7])
    monkeypatch.setattr(inference, "compile_quantised", lambda *a, **k: (_ for _ in ()).throw(CapacityError("never", {})))
    with pytest.raises(CapacityError, match="never"):
        inferred(model, roomy, tmp_path, TEXTS[:2])


def test_m12_a_sentence_that_fits_nowhere_stops_all(model, config, tmp_path, runs):
    """It is the last, and nothing has run."""
    small = tmp_path / "tiny.toml"
    small.write_text(Path(config).read_text().replace("activation_tiles = 60", "activation_tiles = 24"))
    with pytest.raises(CapacityError, match="shorten the sentences to 8 tokens"):
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
    one, = map(report, inferred(model, config, tmp_path, TEXTS[:1]))
    total = combine([one])
    part, = total.pop("batches")
    assert total == near(one)
    assert part.keys() == one.keys() - {"config", "prediction", "predictions"}


def test_m13_totals(model, config, roomy, tmp_path, runs):
    """Shares are those of the sums, whatever the batches; counts of zeros are those of one batch with all of it."""
    parts = [report(run) for run in inferred(model, config, tmp_path, TEXTS[:6], batch=2, length=16, tau=0.3)]
    whole, = map(report, inferred(model, roomy, tmp_path, TEXTS[:6], length=16, tau=0.3))
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
