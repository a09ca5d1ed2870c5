"""What cannot fit is refused from its shapes, before planning, and each remedy that the refusal names does make it fit."""

import re
from dataclasses import replace

import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import (
    CapacityError,
    CompileError,
    arrange,
    capacity,
    compile_encoder,
    compile_graph,
    largest_batch,
    outline_encoder,
    quantise_encoder,
)
from acceltran.sw.compiler import compile as compile_module
from acceltran.sw.compiler.capacity import LARGEST_PROGRAM, check_fit, fits
from acceltran.sw.ir.graph import Graph, Store, Tensor
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.ita import ita_graph
from support.machine import Machine
from support.models import make_checkpoint

NANO = AcceleratorConfig.load("nano")
SHAPES = {
    "plain": {"hidden": 32, "heads": 2, "ffn": 64, "positions": 64},
    "wide": {"hidden": 64, "heads": 2, "ffn": 256, "layers": 1, "positions": 64},
    "deep": {"hidden": 16, "heads": 1, "ffn": 16, "layers": 4, "positions": 64},
    "states": {"hidden": 32, "heads": 2, "ffn": 64, "positions": 64, "pooler": False},
    "long": {"hidden": 16, "heads": 1, "ffn": 16, "layers": 1, "positions": 600},
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: load_checkpoint(make_checkpoint(folder / name, **shape)) for name, shape in SHAPES.items()}


def compiled(checkpoint, config, lengths, **options):
    ids = torch.full((len(lengths), max(lengths)), 7)
    return compile_encoder(checkpoint, config, ids, lengths, calibration_texts=["w1 w2 w3"], **options)


CASES = {
    "activations of many": ("plain", {"activation_tiles": 24}, [30] * 8, {}),
    "a result of many": ("states", {"activation_tiles": 128}, [30] * 8, {}),
    "activations of one": ("plain", {"activation_tiles": 64}, [60], {}),
    "activations of separate sequences": ("plain", {"activation_tiles": 24, "grid_rows": 2, "grid_columns": 2,
                                                    "weight_banks": 2}, [40, 20, 33, 12, 40], {}),
    "activations, resident": ("plain", {"activation_tiles": 24}, [20] * 4, {"resident": True}),
    "activations, alone": ("plain", {"activation_tiles": 24}, [20] * 4, {"overlap": False}),
    "sixteen rows": ("plain", {"tile": 16, "activation_tiles": 16, "lines_per_beat": 4, "bus_width": 512}, [62] * 5, {}),
    "a column of weights": ("wide", {"weight_tiles": 20}, [9], {}),
    "columns of weights, not the first": ("wide", {"weight_tiles": 30}, [9], {}),
    "vectors": ("wide", {"vector_lines": 16}, [9], {}),
    "weights and vectors": ("wide", {"vector_lines": 16, "weight_tiles": 16}, [9, 9], {}),
    "everything": ("wide", {"vector_lines": 16, "weight_tiles": 16, "activation_tiles": 16}, [9, 9], {}),
    "resident weights": ("plain", {"weight_tiles": 64}, [9, 9], {"resident": True}),
    "resident vectors": ("deep", {"vector_lines": 32}, [9], {"resident": True}),
    "a longer sum": ("long", {"max_inner": 256, "activation_tiles": 8192}, [500], {}),
    "a longer sum and activations": ("long", {"max_inner": 256}, [590, 590], {}),
}


@pytest.mark.parametrize("case", CASES)
def test_m12_every_remedy_makes_it_fit(checkpoints, monkeypatch, case):
    model, change, lengths, options = CASES[case]
    checkpoint, config = checkpoints[model], replace(NANO, **change)

    with monkeypatch.context() as patch:
        for module, late in ((compile_module, "quantise_encoder"), (arrange, "plan_order"), (arrange, "place_activations")):
            patch.setattr(module, late, None)
        with pytest.raises(CapacityError) as error:
            compiled(checkpoint, config, lengths, **options)
    message = str(error.value)
    raised = {name: int(value) for name, value in re.findall(r"(\w+_\w+) to (\d+)", message)}
    assert raised == error.value.fields and raised, message
    program = compiled(checkpoint, replace(config, **raised), lengths, **options)
    Machine(program).run()
    if raised.keys() == {"activation_tiles"}:
        less = raised["activation_tiles"] - config.activation_banks
        with pytest.raises(CapacityError):
            compiled(checkpoint, replace(config, activation_tiles=less), lengths, **options)
    if found := re.search(r"give (\d+) sentences? at a time", message):
        count = int(found[1])
        compiled(checkpoint, config, lengths[:count], **options)
        with pytest.raises(CapacityError):
            compiled(checkpoint, config, lengths[: count + 1], **options)
    if found := re.search(r"shorten the sentences to (\d+) tokens", message):
        tokens = int(found[1])
        compiled(checkpoint, config, [tokens], **options)
        with pytest.raises(CapacityError):
            compiled(checkpoint, config, [tokens + 1], **options)
    expected = {"a result of many": "sentences at a time",
                "activations of one": "shorten the sentences to", "columns of weights, not the first": "layer0.output.weight"}
    assert expected.get(case, "") in message


@pytest.mark.parametrize("width", [8, 12, 20, 24])
@pytest.mark.parametrize("shape", [{}, {"labels": 11, "act": "tanh"}, {"labels": 0}, {"pooler": False},
                                   {"ffn": 76, "act": "relu"}])
def test_m12_the_outline_has_the_shapes_of_the_encoder(tmp_path, width, shape):
    """So what it says of a graph is true, without a look at the weights."""
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, **shape))
    config = replace(NANO, integer_bits=4, fraction_bits=width - 4)
    for layers in (None, 1):
        outline = outline_encoder(checkpoint, config, layers=layers)
        encoder = quantise_encoder(checkpoint, config, layers=layers, calibration_texts=["w1 w2"])
        assert {name: values.shape for name, (values, _) in outline.constants.items()} == {
            name: values.shape for name, (values, _) in encoder.constants.items()}
        graphs = [build_graph(one, [9, 5, 12], 12) for one in (outline, encoder)]
        kinds, places = zip(*([[type(op) for op in graph.operations], {
            name: (tensor.rows, tensor.columns, tensor.home) for name, tensor in graph.tensors.items()}] for graph in graphs),
            strict=True)
        assert kinds[0] == kinds[1] and places[0] == places[1]


def test_m12_the_largest_batch_fits_and_one_more_does_not(checkpoints):
    encoder = quantise_encoder(checkpoints["states"], NANO, calibration_texts=["w1 w2 w3"])
    lengths = [9 + 7 * n % 40 for n in range(16)]
    for tiles in (100, 300):
        config, given = replace(NANO, activation_tiles=tiles), {"overlap": False}
        count = largest_batch(encoder, config, lengths, **given)
        assert 0 < count < 16
        assert all(largest_batch(encoder, config, lengths, near=near, **given) == count for near in (5, 40))
        parts = lengths[:count], lengths[: count + 1]
        compile_graph(build_graph(encoder, parts[0], max(parts[0])), config, torch.full((count, max(parts[0])), 7), **given)
        assert not fits(build_graph(encoder, parts[1], max(parts[1])), config, **given)
    assert largest_batch(encoder, replace(NANO, activation_tiles=16), lengths) == 0
    assert largest_batch(encoder, NANO, lengths[:3]) == 3
    assert largest_batch(encoder, config, lengths, 64) < largest_batch(encoder, config, lengths)


def test_m12_more_instructions_than_are_counted(checkpoints, monkeypatch):
    """Told before anything is placed, with the number of sentences that leaves enough."""
    encoder = quantise_encoder(checkpoints["deep"], NANO, calibration_texts=["w1 w2 w3"])
    config, lengths = replace(NANO, activation_tiles=1 << 20), [3] * 4000
    assert LARGEST_PROGRAM == 1_048_575
    monkeypatch.setattr(capacity, "LARGEST_PROGRAM", 160)
    monkeypatch.setattr(arrange, "LARGEST_PROGRAM", 160)
    count = largest_batch(encoder, config, lengths)
    program = compiled(checkpoints["deep"], config, lengths[:count])
    assert 120 < len(program.instructions) <= 160
    with pytest.raises(CapacityError, match=f"needs 1.. instructions or more.*: give {count} sentences at a time"):
        compiled(checkpoints["deep"], config, lengths[: count + 1])


def test_m12_rows_beyond_what_instructions_count(checkpoints, monkeypatch):
    """The whole batch has too many; its parts do not."""
    encoder = quantise_encoder(checkpoints["long"], NANO, calibration_texts=["w1 w2 w3"])
    graph = build_graph(encoder, [590] * 112, 600, separate=False)
    config = replace(NANO, activation_tiles=1 << 20, grid_rows=32, activation_banks=32)
    check_fit(graph, config)
    monkeypatch.setattr(capacity, "tightest", lambda *_: None)
    monkeypatch.setattr(capacity, "splits", lambda *_, **__: [])
    with pytest.raises(CapacityError, match=r"has rows = 8288, instructions count to 4095"):
        check_fit(graph, config)


def memory_graph(rows, columns, weights=()):
    """A table and weights that take no room here."""
    graph = Graph(tile=8, width=20, batch=1, sequence=8, lengths=(8,))
    graph.add(Tensor(name="table", rows=rows, columns=columns, frac=0, kind="table", home="table"),
              torch.zeros(1, 1, dtype=torch.int64).expand(rows, columns))
    for number, (value, *shape) in enumerate(weights):
        graph.add(Tensor(name=f"w{number}", rows=shape[0], columns=shape[1], frac=0, kind="weight", home="weight"),
                  torch.full((1, 1), value).expand(*shape))
    return graph


def test_m12_an_image_beyond_what_is_addressed():
    graph = memory_graph(2_000_000, 1024)
    with pytest.raises(CompileError, match="needs 5,120,000,000 bytes and more, main memory has 4,294,967,296: use a smaller"):
        check_fit(graph, NANO)
    with pytest.raises(CompileError, match="main memory has 1,073,741,824: .*, or a machine that simulates more"):
        check_fit(memory_graph(500_000, 1024), NANO, memory=1 << 30)


def test_m12_zeros_of_weights_take_no_memory():
    """100 bytes of a table; a dense tile of 64 words of 20 bits takes 8 + 160 bytes, an empty one 8."""
    limit = 104 + 100 * 168
    for value, memory in ((1, limit), (0, 104 + 100 * 8)):
        graph = memory_graph(13, 3, [(value, 80, 80)])
        capacity.check_memory(graph, NANO, memory)
        with pytest.raises(CompileError, match=f"needs {memory:,} bytes"):
            capacity.check_memory(graph, NANO, memory - 1)


def test_m12_the_image_itself_is_held_to_the_memory(checkpoints):
    program = compiled(checkpoints["plain"], NANO, [9])
    size = len(program.image)
    compiled(checkpoints["plain"], NANO, [9], memory=size)
    with pytest.raises(CompileError, match=f"has {size:,} bytes, main memory {size - 1:,}: "):
        compiled(checkpoints["plain"], NANO, [9], memory=size - 1)


def test_other_graphs_than_encoders_fall_back_too():
    """ITA's workload makes the value behind the softmax: without a plan its order stays."""
    graph = ita_graph(NANO, layernorm=True)
    check_fit(graph, NANO, resident=True)
    program = compile_graph(graph, NANO, resident=True, overlap=False)
    assert isinstance(graph.operations[-1], Store)
    Machine(program).run()
    with pytest.raises(CapacityError, match="raise activation_tiles to"):
        check_fit(graph, replace(NANO, activation_tiles=64), resident=True)
