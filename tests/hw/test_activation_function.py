"""Activation functions against their golden models: every segment's edges, random arguments, a stalling enable."""

import random
from functools import partial

import pytest
import torch
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from acceltran.hw.post_process.activation_function import ActivationFunction
from acceltran.hw.spec.activations import function_format
from acceltran.hw.spec.isa import Function
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.functions import activate


def operands(rng, form):
    """(x, function) pairs; functions change from one value to the next."""
    top, table = (1 << (form.bits - 1)) - 1, form.table("silu")
    edges = [n << table.t_bits for n in range((1 << (table.input_bits - table.t_bits)) + 1)]
    values = [e + d for e in edges for d in (-1, 0, 1)]
    values += [top, top - 1, -top - 1, -top] + [rng.randint(-top - 1, top) >> rng.randrange(20) for _ in range(400)]
    pairs = [(sign * v, f) for v in values for sign in (1, -1) for f in Function if -top - 1 <= sign * v <= top]
    rng.shuffle(pairs)
    return pairs


def golden(pairs, form, functions):
    built = {Function[name.upper()]: partial(activate, name, form=form) for name in functions}
    x = torch.tensor([x for x, _ in pairs])
    results = {f: (built[f](x) if f in built else x).tolist() for f in Function}
    return [results[f][n] for n, (_, f) in enumerate(pairs)]


@simulated()
async def check_arguments(dut):
    p = parameters()
    rng = random.Random(7)
    form = function_format(p["width"])
    pairs = operands(rng, form)
    expected = golden(pairs, form, p["functions"])
    if p["latency"]:
        Clock(dut.clk, PERIOD, "ns").start()
        dut.rst.value = 0
    index = 0
    while index < len(pairs) + p["latency"]:
        enable = rng.random() < 0.8 or not p["latency"]
        x, function = pairs[min(index, len(pairs) - 1)] if enable else (rng.getrandbits(form.bits - 4), rng.randrange(8))
        dut.x.value, dut.code.value, dut.enable.value = x, int(function), int(enable)
        await (FallingEdge(dut.clk) if p["latency"] else Timer(1, "ns"))
        index += enable
        if enable and index >= max(1, p["latency"]):
            done = index - max(1, p["latency"])
            if done < len(pairs):
                assert dut.o.value.to_signed() == expected[done], pairs[done]


@pytest.mark.parametrize("width, functions", [
    (20, ("relu", "gelu", "tanh")), (8, ("relu", "gelu", "tanh")), (20, ("relu",)), (20, ("silu",)),
    (20, ("gelu_tanh", "quick_gelu")), (12, ("tanh", "silu", "gelu_tanh", "quick_gelu")),
    *(pytest.param(*more, marks=pytest.mark.slow)
      for more in ((20, ("gelu",)), (11, ("relu", "tanh")), (12, ("gelu", "tanh", "silu")))),
], ids=lambda v: "-".join(v) if isinstance(v, tuple) else str(v))
def test_activation_function(width, functions):
    component = ActivationFunction(width=width, functions=functions)
    simulate_component(__name__, component, width=width, functions=functions, latency=component.latency)
