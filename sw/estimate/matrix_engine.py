"""The matrix engine in time: its four sequencers, and the grid behind them."""

from dataclasses import dataclass

import numpy as np

from ..compiler.write_ports import output_words
from .grid import new_state, run_steps
from .grid_shape import GridShape
from .walk import walk

__all__ = ["MatrixEngine", "Product"]

_DONE = 5
"""Cycles from the last write of a product until its completion is known."""


@dataclass(frozen=True)
class Product:
    """What became of a MATMUL.

    Members
    -------
    accepted, done : cycles
    first, last : cycles in which the first PE has its first step, and the last PE is past its last one
    tally : multiplier cycles: multiplications, waits for operands, waits for a hold register, all those of lanes with a step
    """

    accepted: int
    done: int
    first: int
    last: int
    tally: np.ndarray


class MatrixEngine:
    """Products one after the other: operands of the next are fetched under the last steps of the one before.

    Parameters
    ----------
    config : AcceleratorConfig
    buffers, banks : Buffers, Banks of the activation buffer

    Members
    -------
    counters : performance counters that only this engine knows, by name
    """

    def __init__(self, config, buffers, banks):
        self._config, self._buffers, self._banks = config, buffers, banks
        self._shape = GridShape.of(config)
        self._state = new_state(self._shape)
        self._free = [0, 0, 0, 0]
        self._source = None
        self._walks = {}
        self.counters = dict.fromkeys(("dense_multiplications", "a_tile_loads", "b_tile_loads"), 0)

    @property
    def asked(self):
        """When the reader of B had its last requests and words, and gave them on; to be changed in place."""
        return self._state.b.asked

    def run(self, fields, offered, counts):
        """A MATMUL that is offered at a cycle; returns a Product.

        Parameters
        ----------
        counts : non-zero values of its output tiles, in order of rows and columns
        """
        config, shape = self._config, self._shape
        steps, a_slots, b_slots, wanted, outputs = self._plan(fields)
        a, b, step, command = (max(offered, free) for free in self._free)
        b_start = b + 2
        if self._source not in (None, fields["b_buffer"]):
            b_start = max(b_start, int(self._state.b.sent.max()) + 2)
        self._source = fields["b_buffer"]
        starts = np.array([a + 2, b_start, step + 2], np.int64)
        followed = outputs.reshape(-1, config.grid_rows, config.grid_columns)[:, : shape.rows, : shape.columns]
        followed = followed.reshape(len(followed), -1)
        words = np.where(followed >= 0, output_words(counts[followed], config), 0)
        ends, before = np.zeros(6, np.int64), self._state.tally.copy()
        end = run_steps(shape, self._state, self._banks, bool(fields["b_buffer"]), self._buffers.activation,
                        self._buffers.activation if fields["b_buffer"] else self._buffers.weight, a_slots, b_slots,
                        bool(fields["transpose"]), steps.last, words, wanted, starts, ends)
        self._free = (ends[:4] + 1).tolist()
        self.counters["dense_multiplications"] += len(steps.last) * config.multipliers * config.tile
        self.counters["a_tile_loads"] += int((a_slots >= 0).sum())
        self.counters["b_tile_loads"] += int((b_slots >= 0).sum())
        return Product(max(a, b, step, command), int(end) + _DONE, int(ends[4]), int(ends[5]),
                       (self._state.tally - before) * int((outputs >= 0).sum()) // max(1, int((followed >= 0).sum())))

    def _plan(self, fields):
        """Steps, slots of A and B in each, which are the last uses of their tiles, and the number of each output tile."""
        names = ("order", "batch", "rows", "inner", "columns", "a_slot", "a_pitch", "a_batch", "b_slot", "b_pitch", "b_batch",
                 "transpose")
        key = tuple(fields[name] for name in names)
        shape = key[:5] + (fields["a_batch"] != 0, fields["b_batch"] != 0)
        if shape not in self._walks:
            self._walks[shape] = self._shaped(fields)
        steps, moves, active, wanted, outputs = self._walks[shape]
        batch, i, j, k = steps.positions.T
        rows, columns = np.arange(self._config.grid_rows), np.arange(self._config.grid_columns)
        a = fields["a_slot"] + batch * fields["a_batch"] + i * fields["a_pitch"] + k
        a = a[:, None] + rows * fields["a_pitch"]
        along, across = (1, fields["b_pitch"]) if fields["transpose"] else (fields["b_pitch"], 1)
        b = fields["b_slot"] + batch * fields["b_batch"] + k * along + j * across
        b = b[:, None] + columns * across
        a, b = (np.where(moved[:, None], np.where(there, slots, -1), -2)
                for slots, moved, there in zip((a, b), moves, active, strict=True))
        return steps, a, b, wanted, outputs

    def _shaped(self, fields):
        config = self._config
        steps = walk(fields, config)
        batch, i, j, k = steps.positions.T
        moves, wanted = [], np.ones((len(k), 2), np.bool_)
        for number, (own, stride) in enumerate(((i, fields["a_batch"]), (j, fields["b_batch"]))):
            tile = np.stack([batch * (stride != 0), own, k])
            moved = np.concatenate([[True], (np.diff(tile) != 0).any(0)])
            wanted[:-1, number] = moved[1:]
            moves.append(moved)
        rows, columns = (np.arange(size) for size in (config.grid_rows, config.grid_columns))
        active = (i[:, None] + rows < fields["rows"], j[:, None] + columns < fields["columns"])
        last = steps.last
        r, c = i[last, None, None] + rows[:, None], j[last, None, None] + columns
        number = (batch[last, None, None] * fields["rows"] + r) * fields["columns"] + c
        outputs = np.where((r < fields["rows"]) & (c < fields["columns"]), number, -1).reshape(len(number), -1)
        return steps, moves, active, wanted, outputs
