"""Products at the edges of sparsity and shape, one behind the other, while main memory stalls at random."""

import random

import numpy as np
import pytest
import torch

from acceltran.hw.spec.isa import Buffer, Engine, LoopOrder, Opcode
from acceltran.sim.design import build_system
from acceltran.sim.hand_program import HandProgram
from acceltran.sim.system import simulate
from acceltran.sw.golden.post_process import post_process
from support.configs import CONFIGS

MEMORY, MATRIX = (1 << int(e) for e in (Engine.MEMORY, Engine.MATRIX))


def patterns(t, width, rows, inner):
    """Matrices by what they hold: nothing, everything, or one dense piece in emptiness."""
    extreme = -(1 << (width - 1))
    empty = np.zeros((rows * t, inner * t), dtype=np.int64)
    row, column, tile, single, dense_row_in_tiles = (empty.copy() for _ in range(5))
    row[rows * t // 2] = extreme
    column[:, inner * t // 2] = extreme
    tile[(rows - 1) * t:, (inner - 1) * t:] = extreme
    single[-1, -1] = extreme
    dense_row_in_tiles[::t] = 3
    dense_row_in_tiles[1::t, ::5] = -7
    return {"zero": empty, "dense": empty + extreme, "one row": row, "one column": column, "one tile": tile,
            "one value": single, "one row in each tile": dense_row_in_tiles}


def cases(t, width, b_width):
    """(shape, A, B) of every pair of patterns in a square of tiles, and of pairs at random in other shapes."""
    rng = random.Random(5)
    left, right = patterns(t, width, 3, 3), patterns(t, b_width, 3, 3)
    yield from ((f"{x} x {y}", left[x], right[y]) for x in left for y in right)
    for rows, inner, columns in ((1, 1, 1), (1, 4, 1), (5, 1, 3), (1, 3, 5), (5, 3, 1), (1, 1, 5), (5, 1, 1), (3, 7, 2)):
        left, right = patterns(t, width, rows, inner), patterns(t, b_width, inner, columns)
        for x, y in zip(rng.sample(sorted(left), 5), rng.sample(sorted(right), 5), strict=True):
            yield f"{rows, inner, columns}: {x} x {y}", left[x], right[y]


def program_of(config, work, orders):
    """Every product loads its operands while the one before is computed; results are stored at the end."""
    t, program = config.tile, HandProgram(config)
    stores = []
    a_slot, b_slot = 0, 0
    c_slot = 2 * 35
    for n, ((_, a, b), order) in enumerate(zip(work, orders, strict=True)):
        rows, inner, columns = a.shape[0] // t, a.shape[1] // t, b.shape[1] // t
        a_pitch, c_pitch = inner | 1, columns | 1
        a_slot, b_slot = n % 2 * 35, n % 2 * 21
        free = {"wait_matrix": 1} if n >= 2 else {}
        program.load(Buffer.ACTIVATION, a_slot, a, a_pitch, **free)
        program.load(Buffer.WEIGHT, b_slot, b, columns, signal=MATRIX)
        program.add(
            Opcode.MATMUL, wait_memory=1, signal=MEMORY, a_slot=a_slot, a_pitch=a_pitch, a_batch=0, b_buffer=0, transpose=0,
            b_slot=b_slot, b_pitch=columns, b_batch=0, c_slot=c_slot, c_pitch=c_pitch, c_batch=0, batch=1, rows=rows,
            inner=inner, columns=columns, order=int(order), bias=0, bias_line=0, bias_shift=0, shift=config.width,
            function=0, function_shift=0, curve=0,
        )
        stores.append((c_slot, rows, columns, c_pitch))
        c_slot += rows * c_pitch
    readers = [program.store(*place, **({"wait_matrix": 2} if n == 0 else {})) for n, place in enumerate(stores)]
    program.add(Opcode.HALT)
    return program, readers


EVERY_DAY = {("one_pe", 0.5), ("four_pes", 0.0), ("one_by_two", 0.5)}


@pytest.mark.parametrize(("config", "stall"), [
    pytest.param(config, stall, marks=() if (name, stall) in EVERY_DAY else pytest.mark.slow, id=f"{name}-{stall}")
    for name, config in CONFIGS.items() for stall in (0.0, 0.5)])
def test_worst_cases(config, stall, tmp_path):
    work = list(cases(config.tile, config.width, config.b_width))
    rng = random.Random(f"{config.name} {stall}")
    model = build_system(config, memory_bits=20)
    for first in range(0, len(work), 24):
        part = work[first:first + 24]
        program, readers = program_of(config, part, [rng.choice(list(LoopOrder)) for _ in part])
        result = simulate(config, program.image(), program_address=0, program_length=len(program.instructions),
                          folder=tmp_path / str(first), timeout=400_000, watchdog=20_000, stall=stall, stall_seed=first + 1,
                          model=model)
        assert result.error is None
        effectual = 0
        for (name, a, b), read in zip(part, readers, strict=True):
            sums = torch.from_numpy(a @ b)
            want = post_process(sums, None, bias_shift=0, shift=config.width, function=0, function_shift=0, tau=0,
                                width=config.width)
            assert (read(result) == want.numpy()).all(), name
            effectual += int((np.abs(np.sign(a)) @ np.abs(np.sign(b))).sum())
        if config.skip == "both":
            assert result.counters["multiplications"] == effectual
