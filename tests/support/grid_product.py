"""One product on the PE grid of the performance model, by itself."""

import numpy as np

from acceltran.hw.spec.isa import LoopOrder
from acceltran.sw.estimate.banks import new_banks
from acceltran.sw.estimate.grid import new_state, run_steps
from acceltran.sw.estimate.grid_shape import GridShape
from acceltran.sw.estimate.walk import walk

__all__ = ["product"]


def product(config, *, rows, inner, columns, order="bijk", a=1.0, b=1.0, seed=1, transposed=False):
    """Cycles and multiplications of a product of random masks, and how many pairs of values are not zero."""
    tile, rng = config.tile, np.random.default_rng(seed)
    masks = [rng.random((*shape, tile, tile)) < density for shape, density in (((rows, inner), a), ((inner, columns), b))]
    empty = np.zeros((1, tile), np.int64)
    packed = [np.concatenate([(one @ (1 << np.arange(tile))).reshape(-1, tile), empty]) for one in masks]
    shape, fields = GridShape.of(config), {"order": LoopOrder[order.upper()], "batch": 1, "rows": rows, "inner": inner,
                                           "columns": columns}
    steps = walk(fields, config)
    _, i, j, k = steps.positions.T
    tiles, wanted = [], np.ones((len(k), 2), bool)
    for n, (own, size, limit) in enumerate(((i, config.grid_rows, rows), (j, config.grid_columns, columns))):
        moved = np.concatenate([[True], (np.diff(np.stack([own, k])) != 0).any(0)])
        wanted[:-1, n] = moved[1:]
        place = own[:, None] + np.arange(size)
        number = place * inner + k[:, None] if n == 0 else k[:, None] * columns + place
        tiles.append(np.where(moved[:, None], np.where(place < limit, number, -1), -2))
    state, ends = new_state(shape), np.zeros(6, np.int64)
    i, j = i[steps.last], j[steps.last]
    there = ((i[:, None, None] + np.arange(config.grid_rows)[:, None] < rows)
             & (j[:, None, None] + np.arange(config.grid_columns) < columns))[:, : shape.rows, : shape.columns]
    words = np.where(there, config.words_per_slot, 0).reshape(len(i), -1)
    end = run_steps(shape, state, new_banks(), False, *packed, *tiles, transposed, steps.last, words, wanted,
                    np.zeros(3, np.int64), ends)
    sums = masks[0].sum((0, 2), dtype=np.int64), masks[1].sum((1, 3), dtype=np.int64)
    return int(end), int(state.tally[0]), int((sums[0] * sums[1]).sum())
