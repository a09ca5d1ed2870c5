"""The vector engine in time: tile rows, one after the other, to units in turn."""

import numpy as np

from ...hw.spec.isa import Opcode
from .rows import passes

__all__ = ["VectorEngine"]

_TAKE = 2
"""Cycles from row to row in a sequencer."""

_ASK = 6
"""Cycles from a command to the first word that its reader asks for."""

_SOFTMAX_END = 15
"""Cycles from the last row of a softmax to done."""

_TURNAROUND = 12
"""Cycles from the last row of a pass to the logarithm of its first one; the rows of a tile cover some of them."""

_NORM_SCALARS, _NORM_END = 28, 20
"""Cycles from the last row of a tile to the scalars of its first one, less those of the tile; from the last row to done."""


class VectorEngine:
    """SOFTMAX and LAYERNORM instructions, side by side.

    Parameters
    ----------
    config : AcceleratorConfig
    buffers, banks : Buffers, Banks of the activation buffer

    Members
    -------
    periods : (opcode, unit, start, end) of every tile row
    """

    def __init__(self, config, buffers, banks):
        self._config, self._buffers, self._banks = config, buffers, banks
        self._bubbles = max(0, _TURNAROUND - config.tile)
        self._held = 0
        kinds = {Opcode.SOFTMAX: config.softmax_units, Opcode.LAYERNORM: config.layernorm_units}
        self._sequencers, self._turns = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
        # When a unit takes its next tile row, and when the last row of values of this one entered.
        self._units = {opcode: [(0, 0)] * count for opcode, count in kinds.items()}
        self._done = 0
        self.periods = []

    def run(self, opcode, fields, offered):
        """An instruction that is offered at a cycle; when it is taken, and when it is done."""
        accepted = max(offered, self._held)
        # One instruction is held until its threshold is known and its sequencer's queue has room.
        self._held = accepted + 3
        ready = max(accepted + 4, self._sequencers[opcode])
        row_done = 0
        unit = self._softmax if opcode is Opcode.SOFTMAX else self._layernorm
        for row in range(fields["rows"]):
            turn = self._turns[opcode]
            self._turns[opcode] = (turn + 1) % len(self._units[opcode])
            taken, done, state = unit(self._units[opcode][turn], fields, row, ready)
            self._units[opcode][turn] = state
            self.periods.append((opcode, turn, taken, done))
            ready = taken + _TAKE
            row_done = max(row_done, done)
        self._sequencers[opcode] = ready
        self._done = max(self._done + 1, row_done)
        return accepted, self._done

    def _passes(self, fields, row, names, lengths, slices, begin, gap):
        config, columns = self._config, np.arange(fields["columns"])
        slots = np.stack([fields[f"{name}_slot"] + row * fields[f"{name}_pitch"] + columns for name in names])
        return passes(self._banks, config.activation_banks - 1, self._buffers.activation[slots], slots,
                      np.array(lengths, np.int64), slices, config.lines_per_beat, begin, gap)

    def _softmax(self, unit, fields, row, ready):
        """One tile row: the pass for sums, and that for the results."""
        tile, columns = self._config.tile, fields["columns"]
        asked, entered = unit
        taken = max(ready, asked)
        valid = -(-fields["valid_columns"] // tile)
        begin = max(taken + _ASK, entered - 2)
        _, end = self._passes(fields, row, "x", (valid, columns), 1, begin, 1 + self._bubbles)
        done = int(end) + _SOFTMAX_END
        # The tiles of the next row are asked for when the last one of this is.
        return taken, done, (max(taken + 1, int(end) - 4 * tile), int(end))

    def _layernorm(self, unit, fields, row, ready):
        """One tile row; the next one enters when this one is written."""
        config = self._config
        free, _ = unit
        taken = max(ready, free)
        # Operands are asked for while the command waits.
        begin = taken + _ASK if taken == ready else taken - 3
        names = "xr" if fields["residual"] else "x"
        _, end = self._passes(fields, row, names, (fields["columns"],) * 2, config.layernorm_slices, begin,
                              _NORM_SCALARS - config.tile)
        done = int(end) + _NORM_END
        return taken, done, (done - 2, int(end))
