"""The loops of a MATMUL: its steps, in order."""

from typing import NamedTuple

import numpy as np

from ...hw.spec.isa import LoopOrder
from .kernel import kernel

__all__ = ["Walk", "walk"]


class Walk(NamedTuple):
    """Steps of a product.

    Members
    -------
    positions : [steps, 4], b, i, j, k in tiles
    last : [steps], the step ends an output tile
    """

    positions: np.ndarray
    last: np.ndarray


def walk(fields, config):
    """The steps of a MATMUL, in the order of its loops: where k is not the innermost, chunks of output tiles share a pass of k.

    Parameters
    ----------
    fields : of the instruction
    config : AcceleratorConfig
    """
    name = LoopOrder(fields["order"]).name.lower()
    limits = {"b": (fields["batch"], 1), "i": (fields["rows"], config.grid_rows), "j": (fields["columns"], config.grid_columns)}
    names = name.replace("k", "")
    loops = np.array([limits[n] for n in names], dtype=np.int64)
    chunk = 1 if name[-1] == "k" else config.psum_tiles
    positions, last = _steps(loops, np.array(["bij".index(n) for n in names]), chunk, fields["inner"])
    return Walk(positions, last)


@kernel
def _steps(loops, names, chunk, inner):
    counts = [(loops[n, 0] + loops[n, 1] - 1) // loops[n, 1] for n in range(3)]
    total = counts[0] * counts[1] * counts[2] * inner
    positions, last = np.zeros((total, 4), np.int64), np.zeros(total, np.bool_)
    step = 0
    for x in range(counts[0]):
        for y in range(counts[1]):
            for z in range(0, counts[2], chunk):
                size = min(chunk, counts[2] - z)
                for k in range(inner):
                    for within in range(size):
                        positions[step, names[0]] = x * loops[0, 1]
                        positions[step, names[1]] = y * loops[1, 1]
                        positions[step, names[2]] = (z + within) * loops[2, 1]
                        positions[step, 3] = k
                        last[step] = k == inner - 1
                        step += 1
    return positions, last
