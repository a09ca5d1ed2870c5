"""One row of the PE grid: its PEs share their A tiles."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..layout import pe_output, pe_step, tile_beat
from ..pe.pe import PE
from ..pe.pe_core import lost_layout
from ..shared_module import instantiate
from ..streams.stream_fork import StreamFork

__all__ = ["PERow"]


class PERow(wiring.Component):
    """`columns` PEs. Each takes A tiles, steps, its B tiles and its commands in its own time.

    Parameters
    ----------
    columns : number of PEs
    form : PEFormat of each

    Members
    -------
    a : In(stream(tile_beat)), for all PEs
    b_payload : In(ArrayLayout(tile_beat, columns)); b_valid : In(columns); b_ready : Out(columns): a stream for each PE. The
        payloads are those of all rows, only valid and ready belong to this one
    step : In(stream(pe_step)), for all PEs
    command : In(stream(pe_command)).array(columns)
    o : Out(stream(pe_output)).array(columns)
    fired, lost : of each PE, as there, named ``fired_0`` ...
    busy : Out(columns)
    """

    def __init__(self, *, columns, form):
        self._columns, self._form = columns, form
        self._a_beat, self._step = tile_beat(**form.size), pe_step(form.psum_tiles)
        outcome = {"fired": range(form.tile**2 + 1), "lost": lost_layout(form.tile)}
        super().__init__({
            "a": In(stream.Signature(self._a_beat)),
            "b_payload": In(data.ArrayLayout(tile_beat(**form.b_size), columns)),
            "b_valid": In(columns), "b_ready": Out(columns),
            "step": In(stream.Signature(self._step)),
            "command": In(stream.Signature(form.command)).array(columns),
            "o": Out(stream.Signature(pe_output(**form.size))).array(columns),
            **{f"{name}_{n}": Out(shape) for name, shape in outcome.items() for n in range(columns)},
            "busy": Out(columns),
        })

    def elaborate(self, platform):
        m = Module()
        forks = {}
        for name, port, shape in (("a", self.a, self._a_beat), ("step", self.step, self._step)):
            m.submodules[f"{name}_fork"] = fork = StreamFork(shape=shape, branches=self._columns)
            connect(m, flipped(port), fork.i)
            forks[name] = fork.o
        for n in range(self._columns):
            pe = instantiate(m, platform, f"pe_{n}", PE, form=self._form)
            connect(m, forks["a"][n], pe.a)
            connect(m, forks["step"][n], pe.step)
            connect(m, flipped(self.command[n]), pe.command)
            connect(m, pe.o, flipped(self.o[n]))
            m.d.comb += [
                pe.b.payload.eq(self.b_payload[n]), pe.b.valid.eq(self.b_valid[n]), self.b_ready[n].eq(pe.b.ready),
                getattr(self, f"fired_{n}").eq(pe.fired), getattr(self, f"lost_{n}").eq(pe.lost), self.busy[n].eq(pe.busy),
            ]
        return m
