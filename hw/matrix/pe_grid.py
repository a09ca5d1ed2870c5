"""R x C PEs: A tiles multicast along rows, B tiles along columns."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic import tree_sum
from ..layout import pe_output, pe_step, tile_beat
from ..pe.pe_format import PEFormat
from ..shared_module import instantiate
from ..streams.stream_arbiter import StreamArbiter
from ..streams.stream_fork import StreamFork
from .pe_row import PERow

__all__ = ["PEGrid", "lost_multipliers"]


def lost_multipliers(multipliers):
    """Multipliers that did not fire in a cycle, by cause: no operand, hold register not read, too little work for all
    multipliers of a lane, no work. Together with those that did they are all.
    """
    return data.StructLayout(dict.fromkeys(("operands", "output", "imbalance", "idle"), range(multipliers + 1)))


class PEGrid(wiring.Component):
    """The multipliers. PE (r, c) computes output tile (i + r, j + c).

    The PEs of one anti-diagonal share a write port.

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
        self._form = form = PEFormat.of(c)
        self._output = pe_output(c.tile, c.width, c.lines_per_beat)
        self.ports = c.grid_rows + c.grid_columns - 1
        super().__init__({
            "a": In(stream.Signature(tile_beat(**form.size))).array(c.grid_rows),
            "b": In(stream.Signature(tile_beat(**form.b_size))).array(c.grid_columns),
            "step": In(stream.Signature(pe_step(c.psum_tiles))),
            "command": In(stream.Signature(form.command)).array(c.pes),
            "o": Out(stream.Signature(self._output)).array(self.ports),
            "fired": Out(range(c.multipliers + 1)),
            "lost": Out(lost_multipliers(c.multipliers)),
            "busy": Out(c.pes),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        rows = [instantiate(m, platform, f"row_{n}", PERow, columns=c.grid_columns, form=self._form)
                for n in range(c.grid_rows)]

        # A and steps are forked again in each row. Of B only the handshake is forked: all rows see the same payload.
        m.submodules.step_fork = steps = StreamFork(shape=pe_step(c.psum_tiles), branches=c.grid_rows)
        connect(m, flipped(self.step), steps.i)
        for n, row in enumerate(rows):
            connect(m, flipped(self.a[n]), row.a)
            connect(m, steps.o[n], row.step)
            m.d.comb += row.b_payload.eq(Cat(b.payload for b in self.b))
            for column in range(c.grid_columns):
                connect(m, flipped(self.command[n * c.grid_columns + column]), row.command[column])
        for column, b in enumerate(self.b):
            m.submodules[f"b_fork_{column}"] = fork = StreamFork(shape=0, branches=c.grid_rows)
            m.d.comb += [fork.i.valid.eq(b.valid), b.ready.eq(fork.i.ready)]
            for row, branch in zip(rows, fork.o, strict=True):
                m.d.comb += [row.b_valid[column].eq(branch.valid), branch.ready.eq(row.b_ready[column])]

        for number, port in enumerate(self.o):
            members = [(n, number - n) for n in range(c.grid_rows) if 0 <= number - n < c.grid_columns]
            if len(members) == 1:
                (row, column), = members
                connect(m, rows[row].o[column], flipped(port))
                continue
            arbiter = instantiate(m, platform, f"write_{number}", StreamArbiter, shape=self._output, inputs=len(members))
            for n, (row, column) in enumerate(members):
                connect(m, rows[row].o[column], arbiter.i[n])
            connect(m, arbiter.o, flipped(port))

        self._count(m, rows)
        m.d.comb += self.busy.eq(Cat(row.busy for row in rows))
        return m

    def _count(self, m, rows):
        """Sums over a grid row, then over the rows, each with a register."""
        c = self._config

        def total(name, values):
            sums = []
            for n, row in enumerate(rows):
                value = tree_sum(values(row, column) for column in range(c.grid_columns))
                sums.append(Signal(value.shape(), name=f"{name}_{n}"))
                m.d.sync += sums[-1].eq(value)
            return tree_sum(sums)

        fired = total("fired", lambda row, n: getattr(row, f"fired_{n}"))
        operands = total("operands", lambda row, n: getattr(row, f"lost_{n}").operands) * c.tile
        output = total("output", lambda row, n: getattr(row, f"lost_{n}").output)
        idle = total("idle", lambda row, n: getattr(row, f"lost_{n}").idle) * c.tile
        m.d.sync += [
            self.fired.eq(fired),
            self.lost.operands.eq(operands), self.lost.output.eq(output), self.lost.idle.eq(idle),
            self.lost.imbalance.eq(c.multipliers - tree_sum([fired, operands, output, idle])),
        ]
