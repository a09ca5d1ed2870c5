"""Weights, keys and values of fewer bits than other values: configuration, quantisation, golden model, fidelity."""

from dataclasses import replace

import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.errors import ConfigError
from acceltran.hw.spec.isa import Buffer
from acceltran.hw.spec.registers import by_name, config_values
from acceltran.sw.compiler import quantise_encoder
from acceltran.sw.compiler.compile import compile_quantised
from acceltran.sw.golden.fixed import quantise, saturate
from acceltran.sw.golden.post_process import post_process
from acceltran.sw.ir.execute import golden_run
from acceltran.sw.ir.formats import quantise_columns
from acceltran.sw.ir.graph import MatMul
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.fidelity import golden_fidelity
from acceltran.sw.models.sentences import encode_sentences, encode_texts
from support.machine import Machine
from support.models import make_checkpoint, random_texts

NARROW = replace(AcceleratorConfig.load("nano"), fraction_bits=12, weight_bits=8)
TEXTS = random_texts(3, 14, seed=2)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), ffn=76, labels=3))


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return quantise_encoder(checkpoint, NARROW, calibration_texts=TEXTS)


@pytest.fixture(scope="module")
def finer(encoder):
    """With two fraction bits too many in the keys of a layer."""
    return replace(encoder, fracs=encoder.fracs | {"layer0.key": encoder.fracs["layer0.key"] + 2})


@pytest.mark.parametrize(("bits", "message"), [
    (17, "weight_bits = 17: operand B is no wider than the 16 bits of a value; choose 4 to 16, or leave it out"),
    (3, "weight_bits = 3: choose a whole number from 4 to 24"),
    (True, "weight_bits = True: choose a whole number from 4 to 24"),
    (8.0, "weight_bits = 8.0: choose a whole number from 4 to 24"),
])
def test_other_widths_are_refused(bits, message):
    with pytest.raises(ConfigError, match=message):
        replace(NARROW, weight_bits=bits)


def test_widths_follow_from_it():
    wide = replace(NARROW, weight_bits=None)
    assert (wide.b_width, wide.scale_bits, wide.accumulator_width, wide.vector_line_bits) == (16, 0, 44, 128)
    assert (NARROW.b_width, NARROW.scale_bits, NARROW.accumulator_width, NARROW.vector_line_bits) == (8, 4, 36, 160)
    assert replace(NARROW, weight_bits=16).scale_bits == 0
    assert "weight_bits" not in wide.to_dict() and AcceleratorConfig.from_dict(wide.to_dict()) == wide
    assert AcceleratorConfig.from_dict(NARROW.to_dict()) == NARROW
    parts = {field.name: field for field in by_name("CONFIG_OPERAND_B").fields}
    for config in (wide, NARROW):
        word = config_values(config)["CONFIG_OPERAND_B"]
        seen = {name: word >> field.offset & (1 << field.bits) - 1 for name, field in parts.items()}
        assert seen == {"weight_bits": config.b_width, "scale_bits": config.scale_bits}


@pytest.mark.parametrize("width", [4, 8, 13])
def test_every_column_has_the_binary_point_of_least_error(width):
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(12, 50, generator=generator, dtype=torch.float64) * 2.0 ** torch.arange(-9, 3)[:, None]
    values[3] = 0
    values[4, 7] *= 40
    integers, frac, scales = quantise_columns(values, width, 15)
    for row, got, scale in zip(values, integers, scales.tolist(), strict=True):
        assert torch.equal(got, quantise(row, frac + scale, width))
        if not row.any():
            assert scale == 0
            continue
        errors = {f: float((quantise(row, f, width) * 2.0**-f - row).square().sum()) for f in range(frac, frac + 16)}
        assert errors[frac + scale] == min(errors.values())
    assert scales.min() == 0 and scales.max() > 8


def test_scales_end_at_the_most():
    values = torch.tensor([[1.0, 0.5], [2.0**-9, 2.0**-10]])
    integers, frac, scales = quantise_columns(values, 8, 5)
    assert scales.tolist() == [0, 5] and torch.equal(integers[1], quantise(values[1], frac + 5, 8))
    assert quantise_columns(torch.zeros(2, 3), 8, 15)[2].tolist() == [0, 0]


@pytest.mark.parametrize("function", ["none", "relu", "gelu"])
def test_a_scale_lengthens_both_shifts(function):
    """Each column is what it would be alone with longer shifts, also beyond the longest, of which nothing is left."""
    generator = torch.Generator().manual_seed(3)
    acc = torch.randint(-(1 << 44), 1 << 44, (40, 6), generator=generator)
    bias = torch.randint(-(1 << 15), 1 << 15, (6,), generator=generator)
    scales = torch.tensor([0, 1, 4, 9, 15, 4])
    for shift in (-3, 20, 60):
        fields = {"shift": shift, "function": function, "function_shift": 3, "tau": 5, "width": 16}
        seen = {}
        result = post_process(acc, bias, bias_shift=10, scales=scales, watch=seen.update, **fields)
        for column, scale in enumerate(scales.tolist()):
            alone = {}
            one = fields | {"shift": min(shift + scale, 63)}
            wanted = post_process(acc[:, [column]], bias[[column]], bias_shift=10 + scale,
                                  watch=alone.update, **one)
            assert torch.equal(result[:, [column]], wanted)
            assert torch.equal(seen["saturated"][:, [column]], alone["saturated"])
            if shift < 60:
                assert torch.allclose(seen["exact"][:, [column]], alone["exact"], rtol=1e-12)


def test_keys_and_values_saturate_where_they_are_read(checkpoint, encoder):
    """With sentences like those of the calibration hardly any does; the integers in the buffer stay as they are."""
    ids, lengths = encode_texts(checkpoint, TEXTS)
    graph = encoder.build_graph(lengths, ids.shape[1])
    operands = {op.b.tensor for op in graph.operations if isinstance(op, MatMul)} - set(graph.constants)
    assert {name for name, tensor in graph.tensors.items() if tensor.bits} == operands
    assert {graph.tensors[name].kind for name in operands} == {"key", "value"}
    assert all(graph.tensors[name].bits == 8 for name in operands)
    key = next(name for name in operands if graph.tensors[name].kind == "key")
    integers = torch.tensor([[-200, 127, 128, -128, 3]])
    assert graph.tensors[key].as_read(integers).tolist() == [[-128, 127, 127, -128, 3]]
    weights = [tensor for tensor in graph.tensors.values() if tensor.home == "weight"]
    assert all(torch.equal(graph.constants[w.name], saturate(graph.constants[w.name], 8)) for w in weights)


def test_fidelity_counts_what_saturates_there(checkpoint, finer):
    """Keys beyond eight bits are named, though a word would hold them."""
    batch = encode_sentences(checkpoint, TEXTS[:1], None, longest=16)
    graph = finer.build_graph(batch.lengths, batch.ids.shape[1])
    values, fidelity = golden_fidelity(checkpoint, graph, batch)
    key = fidelity.tensors["layer0.key"]
    rows = graph.tensors["layer0.key"].valid(values["layer0.key"])
    assert key.bits == 8 and key.reach == 128 / graph.tensors["layer0.key"].units
    assert key.losses.saturated >= int((saturate(rows, 8) != rows).sum()) > 0
    assert fidelity.tensors["layer0.key.weight"].bits == 8 and fidelity.tensors["layer0.query"].bits == 16
    assert "raise weight_bits" in replace(key, losses=replace(key.losses, saturated=0, vanished=0)).trouble(16)


def test_a_large_bias_lowers_the_scale_of_its_column(checkpoint):
    """The bias beside tiny weights, aligned to them, fits in the accumulator; the column is as near as it can be."""
    name = "encoder.layer.0.output.dense"
    tensors = dict(checkpoint.tensors)
    weight, bias = tensors[f"{name}.weight"].clone(), tensors[f"{name}.bias"].clone()
    weight[2] *= 2.0**-14
    bias[2] = 100.0
    tensors |= {f"{name}.weight": weight, f"{name}.bias": bias}
    hardware = replace(NARROW, max_inner=256)
    encoder = quantise_encoder(replace(checkpoint, tensors=tensors), hardware, calibration_texts=TEXTS)
    (integers, frac), scales = encoder.constants["layer0.output.weight"], encoder.scales["layer0.output.weight"]
    values, bias_frac = encoder.constants["layer0.output.bias"]
    shift = encoder.fracs["layer0.hidden"] + frac - bias_frac
    assert (values.abs() * 2.0 ** (shift + scales) <= 1 << hardware.accumulator_width - 2).all()
    assert 0 < scales[2] < 15
    step = 2.0 ** -(frac + int(scales[2]))
    assert float((integers[: weight.shape[1], 2] * step - weight[2].double()).abs().max()) <= step


@pytest.mark.parametrize("options", [{}, {"resident": True}])
def test_a_program_computes_it(checkpoint, finer, options):
    """Every instruction, from the bytes of the image, in any order that the semaphores leave open; some keys saturate."""
    ids, lengths = encode_texts(checkpoint, TEXTS)
    program = compile_quantised(finer, NARROW, ids, lengths, **options)
    machine = Machine(program, seed=1)
    machine.run()
    golden = golden_run(program.graph, ids, lengths)
    keys = [golden[name] for name, tensor in program.graph.tensors.items() if tensor.kind == "key"]
    assert any(int(key.abs().max()) > 128 for key in keys)
    assert machine.seen and all(torch.equal(seen, golden[name]) for name, seen in machine.seen.items())
    loads = {fields["buffer"]: fields for opcode, fields in program.instructions if opcode.name == "LOAD"}
    if not options:
        assert loads.keys() == set(map(int, Buffer))
    assert len(set(encoder_scales(program.graph))) > 1


def encoder_scales(graph):
    return [int(value) for tensor in graph.tensors.values() if tensor.scales for value in graph.scales_of(tensor)]
