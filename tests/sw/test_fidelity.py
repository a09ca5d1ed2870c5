"""Fidelity: exact counts of what saturates and vanishes, the distance from the float model, and the warning."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from acceltran.cli import main as cli
from acceltran.cli.evaluate import Method, evaluate
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import quantise_encoder
from acceltran.sw.golden.layernorm import layernorm, layernorm_fields
from acceltran.sw.golden.losses import SIGNIFICANT, Losses
from acceltran.sw.golden.post_process import post_process, saturates
from acceltran.sw.golden.softmax import softmax
from acceltran.sw.ir.execute import execute, results
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.fidelity import combine, golden_fidelity
from acceltran.sw.models.float_encoder import FloatEncoder
from acceltran.sw.models.limits import Limits
from acceltran.sw.models.sentences import encode_sentences, encode_texts
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")
TEXTS = [*random_texts(2, 12, seed=2), *random_texts(2, 5, seed=3)]
CALIBRATION = random_texts(12, 14)
WORDS, POSITIONS, TYPES = (f"embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type"))
SMALL = """
tile = 8
grid_rows = 1
grid_columns = 1
activation_banks = 2
weight_banks = 1
activation_tiles = 512
weight_tiles = 64
vector_lines = 64
bus_width = 64
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("model"), labels=3)


@pytest.fixture(scope="module")
def checkpoint(folder):
    return load_checkpoint(folder)


def changed(checkpoint, tensors):
    """The same model with other tensors in place of some."""
    return replace(checkpoint, tensors=checkpoint.tensors | tensors)


def words(bits):
    """`nano` with words of so many bits."""
    return replace(NANO, name="custom", integer_bits=4, fraction_bits=bits - 4)


def run(checkpoint, texts=TEXTS, hardware=NANO, calibration=CALIBRATION, length=None, **options):
    batch = encode_sentences(checkpoint, texts, length)
    encoder = quantise_encoder(checkpoint, hardware, calibration_texts=calibration, **options)
    graph = build_graph(encoder, batch.lengths, batch.ids.shape[1], separate=False)
    return graph, batch.ids, *golden_fidelity(checkpoint, graph, batch)


def fidelity_of(*arguments, **options):
    return run(*arguments, **options)[-1]


def large_scores(checkpoint):
    """Query and key weights times 20."""
    return changed(checkpoint, {name: 20 * tensor for name, tensor in checkpoint.tensors.items()
                                if ".query." in name or ".key." in name})


def rare_neuron(checkpoint):
    """The token w50 alone has a value in the last column of the hidden state, by which it drives a neuron of layer 0."""
    tensors = {name: checkpoint.tensors[name].clone() for name in (WORDS, POSITIONS, TYPES)}
    for tensor in tensors.values():
        tensor[:, -1] = 0
    tensors[WORDS][55] = 0
    tensors[WORDS][55, -1] = 3
    neuron, attention, bias = (f"encoder.layer.0.{name}" for name in (
        "intermediate.dense.weight", "attention.output.dense.weight", "attention.output.dense.bias"))
    tensors |= {name: checkpoint.tensors[name].clone() for name in (neuron, attention, bias)}
    tensors[neuron][0] = 0
    tensors[neuron][0, -1] = 20
    tensors[attention][-1], tensors[bias][-1] = 0, 0
    return changed(checkpoint, tensors)


def nearly_equal(checkpoint):
    """Embeddings of 1 with noise of 1e-4."""
    noise = torch.randn(checkpoint.tensors[WORDS].shape, generator=torch.Generator().manual_seed(0))
    return changed(checkpoint, {WORDS: 1 + 1e-4 * noise} | {
        name: torch.zeros_like(checkpoint.tensors[name]) for name in (POSITIONS, TYPES)})


def outlier_channel(checkpoint):
    """One channel of the feed-forward network's result is far larger than the others, as in many trained encoders."""
    name = "encoder.layer.0.output.dense.bias"
    bias = checkpoint.tensors[name].clone()
    bias[3] = 150
    return changed(checkpoint, {name: bias})


def test_no_result_depends_on_the_watch(checkpoint):
    graph, ids, watched, _ = run(checkpoint, hardware=words(10), tau=0.05)
    values = execute(graph, ids)
    assert values.keys() == watched.keys()
    assert all(torch.equal(values[name], watched[name]) for name in values)


def test_outputs_are_compared_sentence_by_sentence(checkpoint):
    graph, ids, values, fidelity = run(checkpoint, hardware=words(10))
    got, want = results(graph, values)["logits"], FloatEncoder(checkpoint).run(ids, graph.lengths)["logits"].double()
    assert fidelity.output == "logits" and len(fidelity.sentences) == 4
    for one, wanted, sentence in zip(got, want, fidelity.sentences, strict=True):
        assert sentence.cosine == pytest.approx(float(one @ wanted / one.norm() / wanted.norm()), rel=1e-12)
        assert sentence.max_error == pytest.approx(float((one - wanted).abs().max()))
        assert sentence.label_equal == (int(one.argmax()) == int(wanted.argmax()))
    assert fidelity.cosine == min(s.cosine for s in fidelity.sentences) < 1
    assert fidelity.max_error == max(s.max_error for s in fidelity.sentences) > 1e-4
    assert fidelity.outputs.relative_error == pytest.approx(float((got - want).norm() / want.norm()))


def test_padding_and_batches_change_nothing(checkpoint):
    wide, alone = fidelity_of(checkpoint, hardware=words(10), length=32), combine(
        [fidelity_of(checkpoint, [text], hardware=words(10)) for text in TEXTS])
    together = fidelity_of(checkpoint, hardware=words(10))
    for other in (wide, alone):
        assert [s.label_equal for s in other.sentences] == [s.label_equal for s in together.sentences]
        assert other.cosine == pytest.approx(together.cosine, abs=1e-6)
        for name, tensor in together.tensors.items():
            if name == "embeddings.position_type":  # the sentences of a batch share its rows
                continue
            one, losses = other.tensors[name].losses, tensor.losses
            assert (one.values, one.saturated, one.vanished) == (losses.values, losses.saturated, losses.vanished), name
            assert one.cosine == pytest.approx(losses.cosine, abs=1e-6), name
    assert together.total.vanished > 0


def test_every_tensor_is_near_at_twenty_bits(checkpoint):
    fidelity = fidelity_of(checkpoint)
    activations = {name: tensor for name, tensor in fidelity.tensors.items() if tensor.reach is not None}
    ids, lengths = encode_texts(checkpoint, TEXTS)
    assert activations.keys() == FloatEncoder(checkpoint).run(ids, lengths).keys() - {
        "layer0.hidden_pre", "layer1.hidden_pre"}
    assert all(tensor.losses.cosine > 1 - 1e-7 for tensor in fidelity.tensors.values() if tensor.kind != "vector")
    assert fidelity.total.saturated == 0 and fidelity.warning(Limits()) is None


def test_counts_are_those_of_a_loop_over_the_elements(checkpoint):
    """Of a product, for every element of a valid token: what the sum is, and what the word made of it."""
    name = "encoder.layer.0.attention.self.query.weight"
    query = checkpoint.tensors[name].clone()
    query[::5, -1] = 6
    graph, ids, values, fidelity = run(changed(rare_neuron(checkpoint), {name: query}), ["w3 w4 w50 w7", "w50 w1"],
                                       hardware=words(8), calibration=["w3 w4 w7", "w1 w2 w9"])
    operation = next(op for op in graph.operations if getattr(op, "c", None) and op.c.tensor == "layer0.query")
    weight, bias = graph.constants[operation.b.tensor], graph.constants[operation.bias]
    saturated = vanished = 0
    for sequence, length in enumerate(graph.lengths):
        for row in range(sequence * graph.sequence, sequence * graph.sequence + length):
            exact = [(int(values["embeddings.output"][row] @ weight[:, column]) + (int(bias[column]) << operation.bias_shift))
                     / 2**operation.shift for column in range(32)]
            mean = (sum(x * x for x in exact) / 32) ** 0.5
            saturated += sum(x >= 127.5 or x < -128.5 for x in exact)
            vanished += sum(-0.5 <= x < 0.5 and abs(x) >= SIGNIFICANT * mean and x != 0 for x in exact)
    losses = fidelity.tensors["layer0.query"].losses
    assert (losses.saturated, losses.vanished) == (saturated, vanished)
    assert saturated > 0 and vanished > 0


@pytest.mark.parametrize("function", ["none", "relu", "gelu", "tanh"])
@pytest.mark.parametrize(("shift", "function_shift"), [(9, 3), (2, 1), (-3, 5), (5, -3)])
def test_saturation_of_products(function, shift, function_shift):
    """A saturated value is one at an end of its word whose exact value lies beyond; ReLU's and GeLU's zeros are none."""
    seen = {}
    acc = torch.arange(-400_000, 400_000, 37).view(-1, 1)
    y = post_process(acc, None, bias_shift=0, shift=shift, function=function, function_shift=function_shift, tau=0, width=8,
                     watch=seen.update)
    assert torch.equal(y, seen["rounded"])
    # A unit of the tables, which are not exact, in those of the result.
    unit = 2.0**-function_shift if function in ("gelu", "tanh") else 0.0
    beyond, near = (seen["exact"] >= 127.5) | (seen["exact"] < -128.5), (seen["exact"].abs() - 128).abs() <= 0.5 + 2 * unit
    # GeLU's own argument ends at 128.
    beyond |= saturates(acc, shift, 18) & (acc > 0) & (function == "gelu")
    assert torch.equal(seen["saturated"] | near, beyond | near)
    assert ((y == 127) | (y == -128) | (function == "gelu"))[seen["saturated"]].all()
    off = (y - seen["exact"]).abs()[~seen["saturated"]]
    assert off.numel() == 0 or off.max() <= 0.5 + 2 * unit


@pytest.mark.parametrize("shift", [-24, -3, 0, 1, 30])
def test_saturates_where_requantise_clips(shift):
    x = torch.tensor([0, 1, -1, 15, 16, -16, -17, 127, 128, -128, -129, (127 << 30) + (1 << 29), (127 << 30) + (1 << 29) - 1,
                      -(1 << 60), (1 << 60) - 1])
    exact = [int(value) * 2.0**-shift for value in x]
    assert saturates(x, shift, 8).tolist() == [value >= 127.5 or value < -128.5 for value in exact]


def test_what_a_softmax_tells():
    seen = {}
    x = torch.randint(-(1 << 11), 1 << 11, (6, 16), generator=torch.Generator().manual_seed(0))
    p = softmax(x, valid_columns=13, x_shift=8, o_frac=6, tau=5, width=12, tile=8, watch=seen.update)
    exact = torch.softmax(x[:, :13].double() * 2.0**-8 * torch.log(torch.tensor(2.0, dtype=torch.float64)), 1) * 2**6
    assert (seen["exact"][:, :13] - exact).abs().max() < 0.01
    assert not seen["exact"][:, 13:].any() and not seen["saturated"].any()
    assert ((seen["rounded"] - seen["exact"]).abs() <= 0.51).all()
    assert ((p == 0) & (seen["rounded"] > 0)).any(), "pruned values have not vanished"


def test_what_a_layer_norm_tells():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-1000, 1000, (5, 64), generator=generator)
    x[0, 0] = 2047
    gamma, beta = (torch.randint(-100, 100, (64,), generator=generator) for _ in range(2))
    fields = layernorm_fields(n=64, x_frac=8, x_max=8, gamma_frac=6, beta_frac=6, o_frac=6, eps=1e-12, width=12)
    seen = {}
    y = layernorm(x, gamma, beta, width=12, watch=seen.update, **fields)
    normal = torch.nn.functional.layer_norm(x.double(), (64,), eps=0)
    assert (seen["exact"] - (normal * gamma + beta)).abs().max() < 0.1
    assert (seen["deviation"] - x.double().std(1, correction=0) * 2.0 ** -fields["x_shift"]).abs().max() < 0.5
    assert torch.equal(y, seen["rounded"]) and not seen["saturated"].any() and not seen["limited"].any()
    layernorm(x, 100 * gamma, beta, width=12, watch=seen.update, **fields)
    assert torch.equal(seen["saturated"], (seen["exact"] >= 2047.5) | (seen["exact"] < -2048.5)) and seen["saturated"].any()
    layernorm(x + 1500, gamma, beta, residual=x + 1500, width=12, watch=seen.update, **fields | {"x_shift": -1})
    assert seen["saturated"].any() and not seen["limited"].any()


def test_losses_of_constants():
    losses = Losses.of_constant(torch.tensor([[0.5, -0.25, 1e-9, 0.1], [0.0, 1e-3, 2e-3, 3.0]]),
                                torch.tensor([[4, -2, 0, 1], [0, 0, 0, 7]]), 3)
    assert (losses.values, losses.saturated, losses.vanished) == (8, 1, 1), "1e-9 and 1e-3 are nothing beside the others"
    assert losses.max_error == pytest.approx(3 - 7 / 8)
    assert Losses.of_constant(torch.tensor([[0.01, 0.02]]), torch.zeros(1, 2, dtype=torch.int64), 3, least=0.015).vanished == 1
    assert Losses().cosine == 1 and Losses.between(torch.zeros(2), torch.ones(2)).cosine == 0
    assert (losses + losses).values == 16 and (losses + losses).max_error == losses.max_error


def test_biases_that_their_results_cannot_show_are_not_missed(checkpoint):
    """They vanish in integers as fine as the sums they are added to, and their results are coarser."""
    names = [f"encoder.layer.{layer}.attention.self.key.bias" for layer in range(2)]
    model = changed(checkpoint, {name: 1e-4 * checkpoint.tensors[name] for name in names})
    graph, _, _, fidelity = run(model, hardware=words(8))
    assert not graph.constants["layer0.key.bias"].any()
    assert fidelity.tensors["layer0.key.bias"].losses.vanished == 0


def test_m2_a_warning_names_the_tensor_that_short_words_cannot_hold(checkpoint):
    model = outlier_channel(checkpoint)
    fidelity = fidelity_of(model, hardware=words(8))
    warning = fidelity.warning(Limits())
    assert "layer0.output " in warning and "rounds" in warning and "raise fraction_bits" in warning and "\n" not in warning
    assert fidelity.tensors["layer0.output"].losses.share("vanished") > 0.5
    assert fidelity.cosine < 0.999 and f"{fidelity.cosine:.6f}" in warning
    assert fidelity_of(model).warning(Limits()) is None


def test_m3_saturated_scores_are_counted_and_named(checkpoint):
    graph, _, values, fidelity = run(large_scores(checkpoint))
    losses = fidelity.tensors["layer0.scores"].losses
    limit = 1 << (NANO.width - 1)
    counted = sum(int(((values[f"layer0.scores.{n}.{head}"] == limit - 1) | (values[f"layer0.scores.{n}.{head}"] == -limit))[
        :length, :length].sum()) for n, length in enumerate(graph.lengths) for head in range(2))
    assert losses.saturated == counted > 0.3 * losses.values
    warning = fidelity.warning(Limits())
    assert "layer0.scores saturates" in warning and "softmax takes scores within" in warning and "--calibration" not in warning


def test_m4_a_value_beyond_the_calibrated_range_is_named(checkpoint):
    model, text = rare_neuron(checkpoint), "w3 w4 w50 w7"
    calibration = [" ".join(word for word in line.split() if word != "w50") for line in CALIBRATION]
    fidelity = fidelity_of(model, [text], calibration=calibration)
    hidden = fidelity.tensors["layer0.hidden"]
    assert hidden.losses.saturated == 1 and hidden.losses.largest > 3 * hidden.reach
    warning = fidelity.warning(Limits())
    assert "layer0.hidden saturates" in warning and "--calibration FILE" in warning
    assert f"reaches {hidden.losses.largest:.3g} where calibration left room for {hidden.reach:.3g}" in warning
    assert fidelity_of(model, [text], calibration=[*calibration, text]).warning(Limits()) is None


def test_m14_nearly_equal_values_before_a_layer_norm_are_named(checkpoint):
    fidelity = fidelity_of(nearly_equal(checkpoint))
    assert fidelity.total.saturated == fidelity.total.vanished == 0
    warning, deviation = fidelity.warning(Limits()), fidelity.tensors["embeddings.output"].deviation
    assert f"embeddings.output normalises rows that differ by {deviation:.3g} steps" in warning
    assert deviation < 64 and "raise fraction_bits" in warning
    assert fidelity_of(nearly_equal(checkpoint), hardware=replace(NANO, fraction_bits=20)).warning(Limits()) is None


@pytest.mark.parametrize("options", [{"tau": 0.1}, {"target_sparsity": 0.4, "weight_sparsity": 0.5}, {"layers": 1}])
def test_the_float_model_is_pruned_alike(checkpoint, options):
    fidelity = fidelity_of(checkpoint, **options)
    assert fidelity.cosine > 0.9999
    assert fidelity.output == ("layer0.output_norm" if "layers" in options else "logits")
    assert (fidelity.equal_labels is None) == ("layers" in options)
    if "tau" in options:
        graph, ids, values, _ = run(checkpoint, **options)
        unpruned = FloatEncoder(checkpoint).run(ids, graph.lengths)["logits"].double()
        assert torch.cosine_similarity(results(graph, values)["logits"], unpruned).min() < fidelity.cosine


def test_words_too_few_for_a_limit(checkpoint):
    """At 24 bits there are none to add."""
    fidelity = fidelity_of(nearly_equal(checkpoint), hardware=replace(NANO, fraction_bits=20))
    assert "use a model of more even values" in fidelity.warning(Limits(min_cosine=1.0))


def test_combination(checkpoint):
    first, second = (fidelity_of(checkpoint, [text], hardware=words(8)) for text in (TEXTS[0], TEXTS[3]))
    both = combine([first, second])
    assert both.sentences == first.sentences + second.sentences
    assert both.outputs == first.outputs + second.outputs
    for name, tensor in both.tensors.items():
        constant = tensor.reach is None
        for part in ("values", "saturated", "vanished"):
            parts = [getattr(one.tensors[name].losses, part) for one in (first, second)]
            assert getattr(tensor.losses, part) == (parts[0] if constant else sum(parts)), name
    assert both.in_order([1, 0]).sentences == second.sentences + first.sentences


def test_json_has_all_of_it(checkpoint):
    fidelity = fidelity_of(checkpoint, hardware=words(8))
    values = json.loads(json.dumps(fidelity.to_dict(Limits(max_vanished=0.5))))
    assert values.keys() >= {"cosine", "max_error", "label_equal", "saturated", "vanished", "tensors", "warning", "limits"}
    assert values["limits"]["max_vanished"] == 0.5
    tensors = values["tensors"]
    for part in ("values", "saturated", "vanished"):
        assert values[part] == sum(one[part] for one in tensors.values()) == sum(
            one[part] for one in values["classes"].values())
    assert {"embeddings.word.table", "layer1.query.weight", "layer0.hidden.bias", "layer0.scores", "logits"} <= tensors.keys()


def test_evaluation_counts_over_all_sentences(checkpoint):
    hardware = words(8)
    values = evaluate(checkpoint, hardware, TEXTS, [0] * 4, Method(), length=16, calibration_texts=CALIBRATION)["fidelity"]
    direct = fidelity_of(checkpoint, hardware=hardware)
    assert [s["label_equal"] for s in values["sentences"]] == [s.label_equal for s in direct.sentences]
    assert [s["cosine"] for s in values["sentences"]] == pytest.approx([s.cosine for s in direct.sentences], abs=1e-6)
    for kind in ("hidden", "probabilities", "query"):
        assert values["classes"][kind] == direct.to_dict()["classes"][kind]
    top = evaluate(checkpoint, NANO, TEXTS, [0] * 4, Method(name="top-k", keep=2), length=16, baseline=False)["fidelity"]
    assert top["cosine"] > 0.9999, "the float model keeps the largest probabilities too"


@pytest.fixture
def command(monkeypatch, capsys, tmp_path, checkpoint):
    """Run the command on a model on disk, in a folder of its own; its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    make_checkpoint(tmp_path / "model", labels=3)
    save_file({f"bert.{name}" if name.split(".")[0] != "classifier" else name: tensor.contiguous()
               for name, tensor in rare_neuron(checkpoint).tensors.items()}, tmp_path / "model" / "model.safetensors")
    assert load_file(tmp_path / "model" / "model.safetensors").keys() >= {f"bert.{WORDS}"}

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["acceltran", *map(str, arguments), "--config", "small.toml", "--model", "model"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out, shown.err

    return call


def test_m4_compile_warns_and_strict_fails(command, tmp_path):
    (tmp_path / "like.txt").write_text("w3 w4 w50 w7\n" + "\n".join(CALIBRATION))
    (tmp_path / "unlike.txt").write_text("\n".join(" ".join(word for word in line.split() if word != "w50")
                                                   for line in CALIBRATION))
    compile_ = ["compile", "--text", "w3 w4 w50 w7", "--json", "m.json", "-o", "program", "--calibration"]
    code, out, err = command(*compile_, "unlike.txt")
    assert code == 0 and err.count("\n") == 1
    assert err.startswith("warning: far from the float model") and "layer0.hidden saturates" in err
    assert "against the float model: cosine 0.9" in out and "layer0.hidden" in out
    manifest = json.loads((tmp_path / "m.json").read_text())
    assert manifest == json.loads((tmp_path / "program" / "manifest.json").read_text())
    assert manifest["buckets"][0]["expected"]["fidelity"]["tensors"]["layer0.hidden"]["saturated"] == 1
    (tmp_path / "m.json").unlink()
    assert command(*compile_, "unlike.txt", "--strict")[0] == 1
    assert (tmp_path / "m.json").exists(), "written all the same"
    assert command(*compile_, "unlike.txt", "--strict", "--min-cosine", "0")[0] == 0
    assert command(*compile_, "unlike.txt", "--min-cosine", "0", "--max-saturated", "0")[2].startswith("warning: ")
    assert command(*compile_, "like.txt", "--strict")[::2] == (0, "")


def test_m4_evaluate_warns(command, tmp_path):
    (tmp_path / "like.txt").write_text("w3 w4 w50 w7\n" + "\n".join(CALIBRATION))
    (tmp_path / "data.tsv").write_text("sentence\tlabel\nw3 w4 w50 w7\t0\nw1 w2\t1\n")
    given = ["evaluate", "--data", "data.tsv", "--length", "16", "--json", "e.json"]
    code, out, err = command(*given, "--strict")
    values = json.loads((tmp_path / "e.json").read_text())["fidelity"]
    assert code == 1 and "warning: " in err and "layer0.hidden" in values["warning"] and "against the float model" in out
    code, _, err = command(*given, "--strict", "--calibration", "like.txt")
    assert code == 0 and "warning" not in err
    assert json.loads((tmp_path / "e.json").read_text())["calibration"] == "like.txt"


@pytest.mark.parametrize("name", ["nowhere.txt", "blank.txt", "binary.txt"])
def test_bad_calibration_files(command, tmp_path, name):
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x80")
    code, out, err = command("compile", "--text", "w1", "-o", "program", "--calibration", name)
    assert (code, out) == (2, "") and err.startswith("error: ") and name in err and err.count("\n") == 1
    assert not (tmp_path / "program").exists()
