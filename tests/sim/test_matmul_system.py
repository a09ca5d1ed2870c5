"""Products from main memory and back through the whole accelerator, every integer checked."""

from itertools import product

import numpy as np
import pytest
import torch
from test_encoder_system import CONFIGS

from acceltran.hw.isa import Buffer, Engine, LoopOrder, Opcode
from acceltran.sim.design import build_system
from acceltran.sim.hand_program import HandProgram
from acceltran.sim.system import simulate
from acceltran.sw.golden.post_process import post_process

MEMORY, MATRIX, VECTOR = (1 << int(e) for e in Engine)


def sparse(rng, rows, columns, width, density):
    values = rng.integers(-(1 << (width - 1)), 1 << (width - 1), (rows, columns))
    return values * (rng.random((rows, columns)) < density)


def golden(a, b, bias, **post):
    acc = torch.from_numpy(a).double() @ torch.from_numpy(b).double()
    return post_process(acc.to(torch.int64), None if bias is None else torch.from_numpy(bias), **post).numpy()


def product_program(config, rng, *, rows, inner, columns, density_a, density_b, transpose=False, order=LoopOrder.BIJK,
                    batch=1, function=0):
    """A program of one product (B from the weight buffer, or with `transpose` from activations), and what it must give."""
    t, w = config.tile, config.width
    banks = config.activation_banks
    program = HandProgram(config)
    a = [sparse(rng, rows * t, inner * t, w, density_a) for _ in range(batch)]
    b = [sparse(rng, inner * t, columns * t, w, density_b) for _ in range(batch)]
    bias = rng.integers(-(1 << (w - 1)), 1 << (w - 1), columns * t)

    def pitch(n):
        return -(-(n - 1) // banks) * banks + 1

    a_pitch, c_pitch = pitch(inner), pitch(columns)
    b_pitch = pitch(inner) if transpose else columns
    a_batch, c_batch = rows * a_pitch, rows * c_pitch
    b_batch = (columns if transpose else inner) * b_pitch
    b_slot = batch * a_batch
    c_slot = b_slot + (batch * b_batch if transpose else 0)
    for n in range(batch):
        program.load(Buffer.ACTIVATION, n * a_batch, a[n], a_pitch)
        if transpose:
            program.load(Buffer.ACTIVATION, b_slot + n * b_batch, b[n].T, b_pitch)
        else:
            program.load(Buffer.WEIGHT, n * b_batch, b[n], b_pitch)
    program.load_vector(3, bias, signal=MATRIX)
    shift = {"bias_shift": 3, "shift": 2 * w - 16 if function >= 2 else w, "function": function,
             "function_shift": 16 - (w - 4) if function >= 2 else 0}
    program.add(
        Opcode.MATMUL, wait_memory=1, signal=MEMORY, a_slot=0, a_pitch=a_pitch, a_batch=a_batch,
        b_buffer=int(transpose), transpose=int(transpose), b_slot=b_slot if transpose else 0, b_pitch=b_pitch,
        b_batch=b_batch, c_slot=c_slot, c_pitch=c_pitch, c_batch=c_batch, batch=batch, rows=rows, inner=inner,
        columns=columns, order=int(order), bias=1, bias_line=3, curve=1, **shift,
    )
    stored = [program.store(c_slot + n * c_batch, rows, columns, c_pitch, **({"wait_matrix": 1} if n == 0 else {}))
              for n in range(batch)]
    program.add(Opcode.HALT)
    tau = 1 << (w - 3)
    expected = [golden(a[n], b[n], bias, **shift, tau=tau, width=w) for n in range(batch)]
    effectual = sum(int((np.abs(np.sign(x)) @ np.abs(np.sign(y))).sum()) for x, y in zip(a, b, strict=True))
    return program, stored, expected, tau, effectual


def run(program, config, folder, model, tau=0):
    return simulate(config, program.image(), program_address=0, program_length=len(program.instructions), folder=folder,
                    curves=[[tau] * 9], timeout=200_000, watchdog=20_000, model=model)


def expected_loads(config, order, *, rows, inner, columns, batch):
    """A and B tiles that a plain walk of the loops asks for, in chunks of `psum_tiles` where k is not innermost."""
    steps = {"b": 1, "i": config.grid_rows, "j": config.grid_columns}
    limits = {"b": batch, "i": rows, "j": columns}
    names = order.name.lower().replace("k", "")
    counts = [range(0, limits[n], steps[n]) for n in names]
    size = 1 if order.name[-1] == "K" else config.psum_tiles
    loads, before = [0, 0], [None, None]
    for outer, middle in product(*counts[:2]):
        for first in range(0, len(counts[2]), size):
            for k, third in product(range(inner), counts[2][first:first + size]):
                at = dict(zip(names, (outer, middle, third), strict=True))
                tiles = (at["b"], at["i"], k), (at["b"], k, at["j"])
                lanes = (min(config.grid_rows, rows - at["i"]), min(config.grid_columns, columns - at["j"]))
                for x in range(2):
                    loads[x] += lanes[x] * (tiles[x] != before[x])
                    before[x] = tiles[x]
    return loads


@pytest.mark.parametrize("config", [CONFIGS["four_pes"], CONFIGS["one_pe"],
                                    pytest.param(CONFIGS["window_of_eight"], marks=pytest.mark.slow)], ids=lambda c: c.name)
@pytest.mark.parametrize("shape", [{"rows": 3, "inner": 2, "columns": 5, "batch": 2}], ids=str)
def test_loop_orders(config, shape, tmp_path):
    rng = np.random.default_rng(2)
    model = build_system(config, memory_bits=20)
    for order in LoopOrder:
        program, stored, expected, tau, effectual = product_program(config, rng, **shape, density_a=0.5, density_b=0.7,
                                                                    order=order)
        result = run(program, config, tmp_path / order.name, model, tau)
        assert result.error is None
        for read, want in zip(stored, expected, strict=True):
            assert (read(result) == want).all(), order
        assert result.counters["multiplications"] == effectual
        loads = [result.counters[f"{x}_tile_loads"] for x in "ab"]
        assert loads == expected_loads(config, order, **shape), order


@pytest.mark.parametrize("config", [CONFIGS["one_pe"], CONFIGS["four_pes"]], ids=lambda c: c.name)
def test_products(config, tmp_path):
    rng = np.random.default_rng(1)
    cases = [
        {"rows": 1, "inner": 1, "columns": 1, "density_a": 1.0, "density_b": 1.0},
        {"rows": 3, "inner": 4, "columns": 2, "density_a": 0.5, "density_b": 0.5, "function": 2},
        {"rows": 2, "inner": 2, "columns": 3, "density_a": 0.5, "density_b": 1.0, "transpose": True, "function": 1},
        {"rows": 3, "inner": 1, "columns": 3, "density_a": 0.1, "density_b": 0.1, "order": LoopOrder.KJBI, "batch": 2},
        {"rows": 2, "inner": 1, "columns": 3, "density_a": 0.7, "density_b": 1.0, "order": LoopOrder.IKBJ, "batch": 2},
        {"rows": 2, "inner": 3, "columns": 2, "density_a": 0.0, "density_b": 1.0, "function": 3},
    ]
    model = build_system(config, memory_bits=20)
    for n, case in enumerate(cases):
        program, stored, expected, tau, effectual = product_program(config, rng, **case)
        result = run(program, config, tmp_path / str(n), model, tau)
        assert result.error is None
        for read, want in zip(stored, expected, strict=True):
            assert (read(result) == want).all(), case
        assert result.counters["multiplications"] == effectual
        assert result.counters["dense_multiplications"] >= effectual
        lost = {cause: result.counters[f"lost_{cause}"] for cause in ("operands", "output", "imbalance", "idle")}
        assert effectual + sum(lost.values()) == config.multipliers * result.counters["cycles"]
        assert lost["operands"] and lost["idle"] and lost["output"] < config.multipliers * result.counters["cycles"]
