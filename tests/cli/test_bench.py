"""The measurements of docs/benchmarks.md: what is kept, what is measured again, what the document says."""

import json
import sys
from types import SimpleNamespace

import pytest

from acceltran.cli import main as cli
from acceltran.cli.bench import points
from acceltran.cli.bench.document import write_document
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.products import CAUSES, Product
from acceltran.sw.compiler import compile_encoder, load_program, save_programs
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.full_texts import full_texts
from acceltran.sw.models.sentences import encode_texts
from acceltran.sw.models.weight_sparsity import zero_share
from support.models import make_checkpoint


def run_of(product, cycles, config="mini", skip="both"):
    return {
        "config": config, "skip": skip, **{name: getattr(product, name) for name in product.__dataclass_fields__},
        "cycles": cycles, "ideal_cycles": product.multiplications // 1024, "mismatches": 0, "integers_compared": 10,
        "utilisation": product.multiplications / 1024 / cycles, "lost_cycles": dict.fromkeys(CAUSES, 1.0),
        "a_tile_loads": 1, "b_tile_loads": 2, "word_reads": 30, "word_writes": 4,
    }


def group(products, cycles, **more):
    return {"identity": "", "runs": [run_of(p, cycles(p), **more) for p in products]}


def model_run(setting, cycles, busy=0.5, tracks=None, config="mini"):
    return {
        "config": config, "batch": 4 if config == "edge" else 1, "setting": setting, "cycles": cycles, "ideal_cycles": 100,
        "mismatches": 0, "bus_cycles": 35_000,
        "utilisation": {"multipliers": busy, "multipliers_dense_equivalent": busy}, "tensors_compared": 32,
        "lost_cycles": dict.fromkeys(("operands", "output", "imbalance", "idle"), 5.0), "cycles_per_second": 100.0,
        **({"tracks": tracks} if tracks else {}),
    }


@pytest.fixture
def values():
    def cycles(p):
        return int(p.multiplications / 1024 * (1 - p.act_sparsity) * (1 - zero_share(p.weight_sparsity))) + 100

    tracks = [{"name": "matrix engine", "periods": [["MATMUL", 3, 40], ["SYNC", 50, 51]]}, {"name": "PE 0,0", "periods": []}]
    return {
        **{name: group(points.GROUPS[name].products, cycles, config=name) for name in
           ("int8", "mini", "mini_activation", "mini_none", "one_pe", "orders")},
        "ita": {"runs": [{"layernorm": False, "cycles": 2400, "mismatches": 0}, {"layernorm": True, "cycles": 2500,
                                                                               "mismatches": 0}]},
        "model": {"runs": [model_run("dense", 60000, 0.79, tracks), model_run("sparse", 20000, 0.9),
                           model_run("2:4 weights", 39000), model_run("8 tokens", 35500), model_run("24 tokens", 35800),
                           model_run("64 tokens", 36379), model_run("24 tokens, resident", 16501)]},
    }


def bars(text):
    return {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in text.splitlines() if line.endswith((" yes |", " no |"))}


def test_document_holds_every_measurement(values, tmp_path):
    written = write_document(tmp_path / "benchmarks.md", values)
    assert [path.name for path in written] == ["benchmarks.md", "speedup.svg", "inner.svg", "timeline.svg"]
    assert {path.name for path in tmp_path.iterdir()} == {"benchmarks.md", "plots"}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {path.name for path in written[1:]}
    text = written[0].read_text()
    assert all(f"(plots/{path.name})" in text for path in written[1:])
    found = bars(text)
    assert found["dense 64 x 64 x 64, `int8`"] == ["<= 310 cycles", "356", "no |"]
    assert found["128 x 512 x 128, 50% x 50% zeros, `both`, against dense"] == [">= 2.5x", "3.86x", "yes |"]
    assert found["dense 128 x 512 x 128, `both` against `none`"] == ["<= 3 % slower", "+0.0 %", "yes |"]
    assert found["BERT-Tiny, 128 tokens, `mini`, dense, everything"][1:] == ["79.0%", "no |"]
    assert found["the same, weights and activations 50 % zeros, against dense"][1:] == ["3.00x", "yes |"]
    assert found["ITA's workload, `int8`, skip both, with residual and layer-norm"][1:] == ["2,500", "no |"]
    assert found["simulation of BERT-Tiny on `mini`, here and now"] == [">= 8,000 cycles per second", "100", "no |"]
    assert found["BERT-Tiny, `mini`, 2:4 weights"] == ["<= 39,000 cycles", "39,000", "yes |"]
    assert found["BERT-Tiny, `mini`, 24 tokens, resident"] == ["<= 16,500 cycles", "16,501", "no |"]
    against = "against the time of its bytes on the bus"
    assert [found[f"BERT-Tiny, `mini`, {count} tokens, {against}"][1:] for count in (8, 24, 64)] == [
        ["1.014x", "yes |"], ["1.023x", "no |"], ["1.039x", "no |"]]
    assert not any("edge" in what for what in found)
    assert sum(line.startswith(("| bijk", "| kjib")) for line in text.splitlines()) == 2


def test_bars_that_are_missed(values, tmp_path):
    runs = values["mini"]["runs"]
    for run in runs:
        if run["k"] == 512 and run["act_sparsity"] in (0.5, 0.9):
            run["cycles"] = 4300
    for run in values["mini_none"]["runs"]:
        run["cycles"] *= 0.9
    values["model"]["runs"][1]["cycles"] = 31000
    values["model_edge"] = {"runs": [
        model_run("dense", 19101, config="edge"), model_run("sparse", 9600, config="edge"),
        model_run("sparse, weights 2:4, prefetched", 7001, config="edge")]}
    found = bars(write_document(tmp_path / "b.md", values)[0].read_text())
    assert found["128 x 512 x 128, 50% x 50% zeros, `both`, against dense"] == [">= 2.5x", "1.93x", "no |"]
    assert found["128 x 512 x 128, 90% x 0% zeros, `both`, against dense"][2] == "no |"
    assert found["128 x 512 x 128, 50% x 0% zeros, `activation`, against dense"][2] == "yes |"
    assert found["dense 128 x 512 x 128, `both` against `none`"] == ["<= 3 % slower", "+11.1 %", "no |"]
    assert found["the same, weights and activations 50 % zeros, against dense"] == [">= 2x", "1.94x", "no |"]
    edge = "BERT-Tiny, batch 4, weights resident, `edge`, "
    assert found[edge + "dense"] == ["<= 19,100 cycles", "19,101", "no |"]
    assert found[edge + "sparse"] == ["<= 9,600 cycles", "9,600", "yes |"]
    assert found[edge + "sparse, weights 2:4, prefetched"] == ["<= 7,000 cycles", "7,001", "no |"]


def test_plots_do_not_depend_on_the_day(values, tmp_path):
    first, second = (write_document(tmp_path / name / "b.md", values) for name in "ab" if not (tmp_path / name).mkdir())
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_document_of_what_there_is(values, tmp_path):
    text = write_document(tmp_path / "b.md", {"one_pe": values["one_pe"]})[0].read_text()
    assert list(bars(text)) == ["dense 128 x 512 x 128, one PE"] and "plots/" not in text


def test_only_what_changed_is_measured(tmp_path, monkeypatch):
    calls, identities = [], {"x": "1", "y": "1"}

    def make(name):
        return SimpleNamespace(name=name, measure=lambda *_: calls.append(name) or [{"mismatches": 0, "n": len(calls)}])

    monkeypatch.setattr(points, "GROUPS", {name: make(name) for name in "xy"})
    monkeypatch.setattr(points, "identity", lambda g: identities[g.name])
    results = tmp_path / "r.json"
    points.measure_all(None, results, only=["y"])
    assert calls == ["y"] and list(json.loads(results.read_text())) == ["y"]
    points.measure_all(None, results)
    assert calls == ["y", "x"]
    points.measure_all(None, results)
    assert calls == ["y", "x"]
    identities["x"] = "2"
    values = points.measure_all(None, results)
    assert calls == ["y", "x", "x"] and values["x"] == {"identity": "2", "runs": [{"mismatches": 0, "n": 3}]}


def test_identity_follows_configuration_and_work():
    def identity(config="mini", k=16):
        return points.identity(points.Products(lambda: AcceleratorConfig.load(config), (Product(m=16, k=k, n=16),)))

    assert identity() == identity()
    assert len({identity(), identity("nano"), identity(k=32)}) == 3


def test_texts_fill_the_length(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, hidden=16, heads=2, layers=1, ffn=16))
    texts = full_texts(checkpoint, 3, 32)
    assert len(set(texts)) == 3
    assert list(encode_texts(checkpoint, texts, 32)[1]) == [32, 32, 32]


def test_groups_hold_what_the_bars_need():
    for name in ("mini", "mini_activation", "mini_none", "one_pe"):
        assert Product(m=128, k=512, n=128) in points.GROUPS[name].products
    assert len(points.GROUPS["orders"].products) == 4 * 24
    assert {p.batch for p in points.GROUPS["orders"].products} == {4}


def test_a_plan_without_simulation(tmp_path, monkeypatch, capsys):
    """`bench model --planned` says what the planner expects of the program that would run."""
    folder = make_checkpoint(tmp_path / "model", positions=64)
    base = ["acceltran", "bench", "model", "--config", "nano", "--model", str(folder), "--batch", "2", "--planned"]

    def run(*more):
        monkeypatch.setattr(sys, "argv", [*base, *more])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, capsys.readouterr()

    code, output = run("--length", "64", "--json", str(tmp_path / "plan.json"))
    values = json.loads((tmp_path / "plan.json").read_text())
    checkpoint, config = load_checkpoint(folder), AcceleratorConfig.load("nano")
    ids, lengths = encode_texts(checkpoint, full_texts(checkpoint, 2, 64), 64)
    program = compile_encoder(checkpoint, config, ids, lengths)
    assert not code and values == {"config": "nano", "sequences": 2, "instructions": len(program.instructions),
                                   "planned_cycles": program.planned_cycles}
    assert f"{program.planned_cycles:,}" in output.out and program.planned_cycles > 5000
    save_programs([program], tmp_path / "program")
    assert load_program(tmp_path / "program").planned_cycles == program.planned_cycles
    code, output = run("--no-overlap")
    assert code == 2 and output.err.startswith("error: --planned") and output.err.count("\n") == 1
