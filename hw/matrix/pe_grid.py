"""R x C PEs: A tiles multicast along rows, B tiles along columns."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic import tree_sum
from ..layout import pe_command, pe_output, pe_step, tile_beat
from ..pe.pe import PE
from ..shared_module import instantiate
from ..stream_arbiter import StreamArbiter
from ..stream_fork import StreamFork

__all__ = ["PEGrid", "lost_multipliers"]


def lost_multipliers(multipliers):
    """Multipliers that did not fire in a cycle, by cause: no operand, hold register not read, too little work for all
    multipliers of a lane, no work. Together with those that did they are all.
    """
    return data.StructLayout(dict.fromkeys(("operands", "output", "imbalance", "idle"), range(multipliers + 1)))


class PEGrid(wiring.Component):
    """The multipliers. PE (r, c) computes output tile (i + r, j + c).

    Output tiles of one anti-diagonal lie in one buffer bank, so its PEs share a write port and nothing is lost.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    a : In(stream(tile_beat)).array(rows)
    b : In(stream(tile_beat)).array(columns)
    step : In(stream(pe_step)), for all PEs
    command : In(stream(pe_command)).array(rows * columns)
    o : Out(stream(pe_output)).array(rows + columns - 1)
    fired : Out, multiplications done, four cycles after they were picked
    lost : Out(lost_multipliers(multipliers)), the other multipliers in the same cycle
    busy : Out(rows * columns)
    """

    def __init__(self, *, config):
        self._config = c = config
        beat = stream.Signature(tile_beat(c.tile, c.width, c.lines_per_beat))
        self._output = pe_output(c.tile, c.width, c.lines_per_beat)
        self.ports = c.grid_rows + c.grid_columns - 1
        super().__init__({
            "a": In(beat).array(c.grid_rows),
            "b": In(beat).array(c.grid_columns),
            "step": In(stream.Signature(pe_step(c.psum_tiles))),
            "command": In(stream.Signature(pe_command(c.tile, c.width))).array(c.pes),
            "o": Out(stream.Signature(self._output)).array(self.ports),
            "fired": Out(range(c.multipliers + 1)),
            "lost": Out(lost_multipliers(c.multipliers)),
            "busy": Out(c.pes),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        beat = tile_beat(c.tile, c.width, c.lines_per_beat)

        def fork(name, source, shape, branches):
            m.submodules[name] = component = StreamFork(shape=shape, branches=branches)
            connect(m, flipped(source), component.i)
            return component.o

        rows = [fork(f"a_fork_{n}", self.a[n], beat, c.grid_columns) for n in range(c.grid_rows)]
        columns = [fork(f"b_fork_{n}", self.b[n], beat, c.grid_rows) for n in range(c.grid_columns)]
        steps = fork("step_fork", self.step, pe_step(c.psum_tiles), c.pes)

        diagonals = [[] for _ in range(self.ports)]
        pes = []
        for row in range(c.grid_rows):
            for column in range(c.grid_columns):
                number = row * c.grid_columns + column
                pe = instantiate(
                    m, platform, f"pe_{row}_{column}", PE, tile=c.tile, width=c.width,
                    accumulator_width=c.accumulator_width, lines_per_beat=c.lines_per_beat, skip=c.skip,
                    window=c.window, operand_slots=c.operand_slots, psum_tiles=c.psum_tiles, functions=c.functions,
                )
                connect(m, rows[row][column], pe.a)
                connect(m, columns[column][row], pe.b)
                connect(m, steps[number], pe.step)
                connect(m, flipped(self.command[number]), pe.command)
                diagonals[row + column].append(pe)
                pes.append(pe)

        for number, members in enumerate(diagonals):
            m.submodules[f"write_{number}"] = arbiter = StreamArbiter(shape=self._output, inputs=len(members))
            for n, pe in enumerate(members):
                connect(m, pe.o, arbiter.i[n])
            connect(m, arbiter.o, flipped(self.o[number]))

        self._count(m, pes)
        m.d.comb += self.busy.eq(Cat(pe.busy for pe in pes))
        return m

    def _count(self, m, pes):
        """Sums over a grid row, then over the rows, each with a register."""
        c = self._config

        def total(name, values):
            sums = []
            for row in range(c.grid_rows):
                value = tree_sum(values[row * c.grid_columns: (row + 1) * c.grid_columns])
                sums.append(Signal(value.shape(), name=f"{name}_{row}"))
                m.d.sync += sums[-1].eq(value)
            return tree_sum(sums)

        fired = total("fired", [pe.fired for pe in pes])
        operands = total("operands", [pe.lost.operands for pe in pes]) * c.tile
        output = total("output", [pe.lost.output for pe in pes])
        idle = total("idle", [pe.lost.idle for pe in pes]) * c.tile
        m.d.sync += [
            self.fired.eq(fired),
            self.lost.operands.eq(operands), self.lost.output.eq(output), self.lost.idle.eq(idle),
            self.lost.imbalance.eq(c.multipliers - tree_sum([fired, operands, output, idle])),
        ]
