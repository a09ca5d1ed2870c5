"""Post-process golden model against exact rational arithmetic in Python integers."""

import random
from functools import partial

import pytest
import torch

from acceltran.hw.spec.activations import function_format
from acceltran.sw.golden.fixed import saturate
from acceltran.sw.golden.functions import activate
from acceltran.sw.golden.post_process import post_process, prune, requantise


def exact_requantise(x, shift, width):
    y = x << -shift if shift <= 0 else (2 * x + (1 << shift)) >> (shift + 1)
    return max(-(1 << (width - 1)), min((1 << (width - 1)) - 1, y))


def corners(rng, bits, count=200):
    values = [rng.getrandbits(bits) - (1 << (bits - 1)) for _ in range(count)]
    values += [v >> rng.randrange(bits) for v in values]
    for n in range(bits - 1):
        values += [(1 << n) + d for d in (-1, 0, 1)] + [-(1 << n) + d for d in (-1, 0, 1)]
    return [v for v in values if -(1 << (bits - 1)) <= v < 1 << (bits - 1)]


@pytest.mark.parametrize("width", [8, 16, 20, 24])
def test_requantise(width):
    x = corners(random.Random(1), 62)
    tensor = torch.tensor(x)
    for shift in range(-24, 64):
        assert requantise(tensor, shift, width).tolist() == [exact_requantise(v, shift, width) for v in x]


def test_prune():
    x = torch.arange(-128, 128)
    for tau in range(128):
        assert prune(x, tau).tolist() == [0 if abs(v) < tau else v for v in range(-128, 128)]


@pytest.mark.parametrize("width", [8, 20])
def test_post_process(width):
    rng = random.Random(2)
    acc = torch.tensor([[rng.getrandbits(40) - (1 << 39) >> rng.randrange(30) for _ in range(8)] for _ in range(50)])
    bias = torch.tensor([rng.getrandbits(width) - (1 << (width - 1)) for _ in range(8)])
    total = acc + bias * 2**7
    common = {"bias_shift": 7, "shift": 11, "function_shift": 5, "width": width}
    plain = requantise(total, 11, width)
    assert torch.equal(post_process(acc, bias, function=0, tau=0, **common), plain)
    assert torch.equal(post_process(acc, bias, function=1, tau=0, **common), plain.clamp(min=0))
    assert torch.equal(post_process(acc, bias, function="none", tau=9, **common), prune(plain, 9))
    form = function_format(width)
    for code, function in ((2, partial(activate, "gelu", form=form)), (3, partial(activate, "tanh", form=form))):
        expected = saturate((function(requantise(total, 11, {8: 18, 20: 24}[width])) + 16) >> 5, width)
        assert torch.equal(post_process(acc, bias, function=code, tau=3, **common), prune(expected, 3))
        assert torch.equal(post_process(acc, bias, function=code, tau=0, functions=("relu",), **common), plain)
    assert torch.equal(post_process(acc, None, function=0, tau=0, **common), requantise(acc, 11, width))


def test_widest_sums():
    acc = torch.tensor([-(1 << 60), (1 << 60) - 1])
    bias = torch.tensor([-(1 << 23), (1 << 23) - 1])
    for shift, expected in ((63, [0, 0]), (37, [-(1 << 23), (1 << 23) - 1]), (-24, [-(1 << 23), (1 << 23) - 1])):
        y = post_process(acc, bias, bias_shift=37, shift=shift, function=0, function_shift=0, tau=0, width=24)
        assert y.tolist() == expected


@pytest.mark.parametrize("name, value", [("shift", -25), ("shift", 64), ("function_shift", 21), ("function_shift", -9),
                                         ("bias_shift", 38), ("bias_shift", -1)])
def test_illegal_shifts_are_refused(name, value):
    arguments = {"bias_shift": 0, "shift": 0, "function": 0, "function_shift": 0, "tau": 0, "width": 20, name: value}
    with pytest.raises(ValueError, match=f"{name} = {value}"):
        post_process(torch.zeros(1, 8, dtype=torch.int64), None, **arguments)
