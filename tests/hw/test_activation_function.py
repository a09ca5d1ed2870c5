"""Activation functions against their golden models: every segment's edges, random arguments, a stalling enable."""

import random

import cocotb
import pytest
import torch
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from acceltran.hw.isa import Function
from acceltran.hw.post_process.activation_function import ActivationFunction
from acceltran.sim.unit import parameters, simulate_component
from acceltran.sw.golden.functions import FUNCTION_BITS, GELU, gelu, relu, tanh

GOLDEN = {Function.RELU: relu, Function.GELU: gelu, Function.TANH: tanh}


def operands(rng):
    """(x, function) pairs; functions change from one value to the next."""
    top = (1 << (FUNCTION_BITS - 1)) - 1
    edges = [n << GELU.t_bits for n in range((1 << (GELU.input_bits - GELU.t_bits)) + 1)]
    values = [e + d for e in edges for d in (-1, 0, 1)]
    values += [top, top - 1, -top - 1, -top] + [rng.randint(-top - 1, top) >> rng.randrange(20) for _ in range(400)]
    pairs = [(sign * v, f) for v in values for sign in (1, -1) for f in Function if -top - 1 <= sign * v <= top]
    rng.shuffle(pairs)
    return pairs


def golden(pairs, functions):
    built = {f: GOLDEN[f] for f in GOLDEN if f.name.lower() in functions}
    x = torch.tensor([x for x, _ in pairs])
    results = {f: (built[f](x) if f in built else x).tolist() for f in Function}
    return [results[f][n] for n, (_, f) in enumerate(pairs)]


@cocotb.test()
async def check_arguments(dut):
    p = parameters()
    rng = random.Random(7)
    pairs = operands(rng)
    expected = golden(pairs, p["functions"])
    if p["latency"]:
        Clock(dut.clk, 10, "ns").start()
        dut.rst.value = 0
    index = 0
    while index < len(pairs) + p["latency"]:
        enable = rng.random() < 0.8 or not p["latency"]
        x, function = pairs[min(index, len(pairs) - 1)] if enable else (rng.getrandbits(20), rng.randrange(4))
        dut.x.value, dut.code.value, dut.enable.value = x, int(function), int(enable)
        await (FallingEdge(dut.clk) if p["latency"] else Timer(1, "ns"))
        index += enable
        if enable and index >= max(1, p["latency"]):
            done = index - max(1, p["latency"])
            if done < len(pairs):
                assert dut.o.value.to_signed() == expected[done], pairs[done]


@pytest.mark.parametrize("functions", [("relu", "gelu", "tanh"), ("gelu",), ("relu", "tanh"), ("relu",)],
                         ids=lambda f: "-".join(f))
def test_activation_function(functions):
    component = ActivationFunction(functions=functions)
    simulate_component(component, functions=functions, latency=component.latency)
