"""Activation functions against double precision, over every argument of every format."""

import pytest
import torch

from acceltran.hw.spec.activations import ACTIVATIONS, function_format
from acceltran.hw.spec.table_bank import TableBank
from acceltran.sw.golden.functions import activate, relu
from acceltran.sw.models.float_encoder import FUNCTIONS

WIDE = function_format(20)
SCALE = 1 << 16
GELU, TANH = WIDE.table("gelu"), WIDE.table("tanh")


def exact_gelu(x):
    return x / 2 * torch.special.erfc(-x * 0.5**0.5)


def test_formats():
    assert [(f.bits, f.frac) for f in map(function_format, (8, 9, 13, 14, 20, 24))] == [
        (18, 10), (19, 11), (23, 15), (24, 16), (24, 16), (24, 16)]


@pytest.mark.parametrize("width", [8, 9, 10, 11, 12, 13, 20])
@pytest.mark.parametrize("name, exact", [("gelu", exact_gelu), ("tanh", torch.tanh)] + [
    (name, FUNCTIONS[name]) for name in ("silu", "gelu_tanh", "quick_gelu")])
def test_error_below_one_unit_everywhere(width, name, exact):
    form = function_format(width)
    end, scale = 1 << (form.bits - 1), 1 << form.frac
    for start in range(-end, end, 1 << 17):
        x = torch.arange(start, start + (1 << 17))
        y = activate(name, x, form)
        assert (y.double() - exact(x.double() / scale) * scale).abs().max() < 1
        assert y.min() >= -end and y.max() < end


def test_special_points():
    x = torch.tensor([0, 8 * SCALE, -8 * SCALE, (1 << 23) - 1, -(1 << 23)])
    assert activate("gelu", x, WIDE).tolist() == [0, 8 * SCALE, 0, (1 << 23) - 1, 0]
    assert activate("tanh", x, WIDE).tolist() == [0, SCALE, -SCALE, SCALE, -SCALE]
    assert relu(x).tolist() == [0, 8 * SCALE, 0, (1 << 23) - 1, 0]


def test_entries_are_what_they_are_called():
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    for entry in ACTIVATIONS:
        want = FUNCTIONS[entry.name](x)
        assert torch.allclose(torch.from_numpy(entry.exact(x.numpy())), want, rtol=0, atol=1e-14), entry.name
    assert [entry.code for entry in ACTIVATIONS] == list(range(1, len(ACTIVATIONS) + 1))
    assert len({entry.config_bit for entry in ACTIVATIONS}) == len(ACTIVATIONS)


def test_symmetry():
    x = torch.arange(1 << 20)
    assert torch.equal(activate("tanh", -x, WIDE), -activate("tanh", x, WIDE))
    assert torch.equal(activate("gelu", x, WIDE) - activate("gelu", -x, WIDE), x)
    for name in ("silu", "gelu_tanh", "quick_gelu"):
        assert torch.equal(activate(name, x, WIDE) - activate(name, -x, WIDE), x)


def test_bank_joins_tables():
    bank = TableBank((GELU, TANH))
    assert bank.input_bits == GELU.input_bits + 1
    for joined, first, second in zip(bank.coefficients, GELU.coefficients, TANH.coefficients, strict=True):
        assert joined.tolist() == first.tolist() + second.tolist()


def test_bank_aligns_long_tables():
    short, long = TANH, WIDE.table("silu")
    bank = TableBank((short, long, short))
    assert [(bank.first_block(n), bank.blocks(n)) for n in range(3)] == [(0, 1), (2, 2), (4, 1)]
    assert bank.input_bits == short.input_bits + 3
    segments = len(short.coefficients[0])
    for joined, one, two in zip(bank.coefficients, short.coefficients, long.coefficients, strict=True):
        assert joined.tolist() == [*one, *[0] * segments, *two, *one]


@pytest.mark.parametrize("width, segments, low", [(20, 128, (8, 256)), (11, 64, (4, 64)), (8, 32, (2, 16))])
def test_coarse_coefficients(width, segments, low):
    form = function_format(width)
    for table in (form.table("gelu"), form.table("tanh")):
        _, *others = table.coefficients
        for c, step in zip(others, low, strict=True):
            assert len(c) == segments and not (c % step).any() and (c % (2 * step)).any()
