"""Programs of one product, from main memory and back."""

import numpy as np
import torch

from acceltran.hw.spec.isa import Buffer, Engine, LoopOrder, Opcode
from acceltran.sim.hand_program import HandProgram
from acceltran.sim.system import simulate_programs
from acceltran.sw.compiler.allocate import activation_slots
from acceltran.sw.golden.fixed import saturate
from acceltran.sw.golden.post_process import post_process

__all__ = ["golden", "product_program", "run", "run_in_turn", "sparse"]

_CAPACITY = 32
"""Instructions of a program at most."""

MEMORY, MATRIX, _ = (1 << int(e) for e in Engine)


def sparse(rng, rows, columns, width, density):
    values = rng.integers(-(1 << (width - 1)), 1 << (width - 1), (rows, columns))
    return values * (rng.random((rows, columns)) < density)


def golden(a, b, bias, b_width, **post):
    acc = torch.from_numpy(a).double() @ saturate(torch.from_numpy(b), b_width).double()
    return post_process(acc.to(torch.int64), None if bias is None else torch.from_numpy(bias), **post).numpy()


def product_program(config, rng, *, rows, inner, columns, density_a, density_b, transpose=False, order=LoopOrder.BIJK,
                    batch=1, function=0, base=0):
    """A program of one product (B from the weight buffer, or with `transpose` from activations), and what it must give.

    In the activation buffer, B has values beyond `weight_bits`, if they are fewer than those of a word.
    """
    t, w = config.tile, config.width
    program = HandProgram(config, _CAPACITY, base)
    a = [sparse(rng, rows * t, inner * t, w, density_a) for _ in range(batch)]
    b = [sparse(rng, inner * t, columns * t, min(w, config.b_width + 2 * transpose), density_b) for _ in range(batch)]
    bias = rng.integers(-(1 << (w - 1)), 1 << (w - 1), columns * t)
    scales = rng.integers(0, 1 << min(config.scale_bits, 3), columns * t)

    (a_pitch, a_size), (c_pitch, _) = activation_slots(batch * rows, inner), activation_slots(batch * rows, columns)
    b_pitch, b_size = activation_slots(batch * columns, inner) if transpose else (columns, 0)
    a_batch, c_batch = rows * a_pitch, rows * c_pitch
    b_batch = (columns if transpose else inner) * b_pitch
    b_slot, c_slot = a_size, a_size + b_size
    for n in range(batch):
        program.load(Buffer.ACTIVATION, n * a_batch, a[n], a_pitch)
        if transpose:
            program.load(Buffer.ACTIVATION, b_slot + n * b_batch, b[n].T, b_pitch)
        else:
            program.load(Buffer.WEIGHT, n * b_batch, b[n], b_pitch)
    program.load_vector(3, bias, scales, signal=MATRIX)
    shift = {"bias_shift": 3, "shift": w + config.b_width - 16 if function >= 2 else config.b_width, "function": function,
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
    post = {**shift, "tau": tau, "width": w, "scales": torch.from_numpy(scales)}
    expected = [golden(a[n], b[n], bias, config.b_width, **post) for n in range(batch)]
    effectual = sum(int((np.abs(np.sign(x)) @ np.abs(np.sign(y))).sum()) for x, y in zip(a, b, strict=True))
    return program, stored, expected, tau, effectual


def run(program, config, folder, model, tau=0):
    """The RunResult of one program."""
    return run_in_turn([program], config, folder, model, tau)[0]


def run_in_turn(programs, config, folder, model, tau=0):
    """The RunResults of programs that lie one behind the other in main memory, in one simulation."""
    image = b"".join(program.image() for program in programs)
    return simulate_programs(config, image, [(program.base, len(program.instructions)) for program in programs], folder=folder,
                             curves=[[tau] * 9], timeout=200_000, watchdog=20_000, model=model)
