"""Layer-norm of one tile row: two passes over its tiles, T values per cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...sw.golden.layernorm import EPSILON_BITS, RECIPROCAL_BITS, LayerNormFormat
from ..layout import LINE_ADDRESS_BITS, SLOT_BITS, line_layout, tile_beat, tile_write
from ..pe.expander import Expander
from ..post_process.compressor import Compressor
from .layernorm_lanes import LayerNormLanes
from .layernorm_scalars import LayerNormScalars
from .layernorm_vectors import LayerNormVectors
from .tile_requester import TileRequester

__all__ = ["LayerNormUnit", "layernorm_command"]


def layernorm_command(width):
    """One tile row of a LAYERNORM instruction; its golden function is `sw.golden.layernorm.layernorm`."""
    return data.StructLayout({
        "x_slot": SLOT_BITS,
        "residual": 1,
        "r_slot": SLOT_BITS,
        "o_slot": SLOT_BITS,
        "columns": 12,
        "x_shift": signed(6),
        "r_shift": signed(6),
        "reciprocal": RECIPROCAL_BITS,
        "reciprocal_shift": 6,
        "epsilon": EPSILON_BITS,
        "gamma_line": LINE_ADDRESS_BITS,
        "beta_line": LINE_ADDRESS_BITS,
        "beta_shift": 6,
        "shift": 6,
        "tau": width - 1,
    })


class LayerNormUnit(wiring.Component):
    """Layer-norm of the T matrix rows of a tile row, with an optional residual, gamma, beta and pruning.

    Pass 1 sums, pass 2 normalises; each takes one row of T values per cycle as long as its tiles arrive. Between them
    lie the pipeline's and the scalars' latencies only (`LayerNormLanes.latency + LayerNormScalars.latency`, the T rows
    overlapping), during which pass 2's tiles are already under way. The operands of the next command are asked for
    while this one runs; its first row enters when this one's last write is out.

    A stalled ``o`` stops the lanes at once and, through the full expanders, the operands. The tile ports have a
    combinational path from ``o.ready`` to ``x.ready``, ``r.ready`` and ``vector.ready``.

    Parameters
    ----------
    tile : T
    width : W
    lines_per_beat : packed lines in a beat of a tile stream and a buffer word
    max_inner : largest N

    Members
    -------
    command : In(stream(layernorm_command)), accepted when its rows may enter; looked at earlier to ask for tiles
    x_request, r_request : Out(stream(SLOT_BITS)), tiles wanted, up to four ahead; both passes in turn
    x, r : In(stream(tile_beat)), the tiles in that order
    vector_request : Out(stream(LINE_ADDRESS_BITS)), lines of gamma and beta in turn, from the last tile of pass 1 on
    vector : In(stream(line)), the lines in that order
    o : Out(stream(tile_write)), tiles to o_slot, o_slot + 1, ...
    done : Out(1), high for one cycle after the last write of a command was accepted
    busy : Out(1), a command is waiting or under way
    """

    def __init__(self, *, tile, width, lines_per_beat, max_inner):
        self._tile, self._width = tile, width
        self._lines_per_beat, self._max_inner = lines_per_beat, max_inner
        self._form = LayerNormFormat(width)
        beat = tile_beat(tile, width, lines_per_beat)
        super().__init__({
            "command": In(stream.Signature(layernorm_command(width))),
            "x_request": Out(stream.Signature(SLOT_BITS)),
            "r_request": Out(stream.Signature(SLOT_BITS)),
            "x": In(stream.Signature(beat)),
            "r": In(stream.Signature(beat)),
            "vector_request": Out(stream.Signature(LINE_ADDRESS_BITS)),
            "vector": In(stream.Signature(line_layout(tile, width))),
            "o": Out(stream.Signature(tile_write(tile, width, lines_per_beat))),
            "done": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        command, active, load = Signal(self.command.p.shape(), reset_less=True), Signal(), Signal()
        m.submodules.lanes = lanes = LayerNormLanes(tile=self._tile, width=self._width, max_inner=self._max_inner)
        m.submodules.vectors = vectors = LayerNormVectors(tile=self._tile, width=self._width)

        # Operands: one row of x, and of the residual, per cycle.
        x, r = self._operands(m, load)
        tokens, ready_rows = self._sequence(m, command, active, load, x, r, lanes.enable, vectors)
        m.d.comb += [
            lanes.x.eq(x.p.rows[0]),
            lanes.r.eq(r.p.rows[0]),
            *(getattr(lanes, name).eq(command[name])
              for name in ("residual", "x_shift", "r_shift", "beta_shift", "shift", "tau")),
        ]

        # Pass 1 ends in the sums, which give the scalars; pass 2 reads them.
        self._scalars(m, command, load, lanes, tokens, ready_rows)

        # Gamma and beta meet the rows in the lanes.
        connect(m, flipped(self.vector_request), vectors.request)
        connect(m, flipped(self.vector), vectors.vector)
        m.d.comb += [
            vectors.load.eq(load),
            Cat(vectors.gamma_line, vectors.beta_line).eq(Cat(self.command.p.gamma_line, self.command.p.beta_line)),
            vectors.columns.eq(command.columns),
            lanes.square.eq(~tokens[6].second),
            lanes.gamma.eq(vectors.gamma),
            lanes.beta.eq(vectors.beta),
            vectors.gamma_needed.eq(tokens[6].valid & tokens[6].second),
            vectors.beta_needed.eq(tokens[7].valid & tokens[7].second),
            vectors.gamma_used.eq(tokens[6].row_last & lanes.enable),
            vectors.beta_used.eq(tokens[7].row_last & lanes.enable),
        ]

        # The way out: pruned rows are packed.
        self._results(m, command, active, load, lanes, tokens[9], vectors.missing)
        return m

    def _operands(self, m, load):
        """Requests, and expanders; the requester runs on a waiting command."""
        asked = Signal()
        rows, requesters = [], []
        for name, request, i in (("x", self.x_request, self.x), ("r", self.r_request, self.r)):
            requester = TileRequester()
            expander = Expander(
                tile=self._tile, width=self._width, lines_per_beat=self._lines_per_beat, rows_per_beat=1)
            m.submodules[f"{name}_requester"], m.submodules[f"{name}_expander"] = requester, expander
            connect(m, flipped(request), requester.request)
            connect(m, flipped(i), expander.i)
            m.d.comb += [
                requester.slot.eq(self.command.p[f"{name}_slot"]),
                requester.columns.eq(self.command.p.columns),
                requester.arrived.eq(i.valid & i.ready & i.p.last),
            ]
            rows.append(expander.o)
            requesters.append(requester)
        of_x, of_r = requesters
        ask = self.command.valid & ~asked & of_x.idle & of_r.idle
        m.d.comb += [of_x.start.eq(ask), of_r.start.eq(ask & self.command.p.residual)]
        m.d.sync += asked.eq((asked | ask) & ~load)
        return rows

    def _sequence(self, m, command, active, load, x, r, enable, vectors):
        """Let rows enter; returns their tokens, stage by stage, and the count of rows whose scalars are ready."""
        row, column = Signal(range(self._tile)), Signal(12)
        second, ended = Signal(), Signal(init=1)
        ready_rows = Signal(range(self._tile + 1))
        token = data.StructLayout({
            "valid": 1, "second": 1, "row": range(self._tile), "row_last": 1, "column_first": 1, "column_last": 1,
        })
        tokens = [Signal(token, name=f"token_{n}") for n in range(LayerNormLanes.latency + 1)]
        enter = tokens[0]
        m.d.comb += [
            load.eq(self.command.valid & ~active),
            self.command.ready.eq(~active),
            enter.valid.eq(~ended & x.valid & (r.valid | ~command.residual) & (~second | (ready_rows > row))),
            enter.second.eq(second),
            enter.row.eq(row),
            enter.row_last.eq(row == self._tile - 1),
            enter.column_first.eq(column == 0),
            enter.column_last.eq(column + 1 == command.columns),
            x.ready.eq(enter.valid & enable),
            r.ready.eq(enter.valid & enable & command.residual),
            vectors.ask.eq(enter.valid & enable & ~second & (row == 0) & enter.column_last),
        ]
        with m.If(enable):
            m.d.sync += [after.eq(before) for before, after in zip(tokens, tokens[1:], strict=False)]
            with m.If(enter.valid):
                m.d.sync += row.eq(row + 1)
                with m.If(enter.row_last):
                    m.d.sync += column.eq(Mux(enter.column_last, 0, column + 1))
                    with m.If(enter.column_last):
                        m.d.sync += [second.eq(~second), ended.eq(second)]
        with m.If(load):
            m.d.sync += [command.eq(self.command.p), ended.eq(0)]
        return tokens, ready_rows

    def _scalars(self, m, command, load, lanes, tokens, ready_rows):
        """Accumulate the sums of pass 1 in rings of T rows; keep each row's scalars for pass 2."""
        m.submodules.scalars = scalars = LayerNormScalars(tile=self._tile, width=self._width, max_inner=self._max_inner)
        summed = Signal()
        m.d.comb += summed.eq(tokens[8].valid & ~tokens[8].second & lanes.enable)
        for name in ("total", "squares"):
            target = getattr(scalars, name)
            ring = [Signal.like(target, name=f"{name}_{n}", reset_less=True) for n in range(self._tile)]
            m.d.comb += target.eq(Mux(tokens[8].column_first, 0, ring[0]) + getattr(lanes, name))
            with m.If(summed):
                m.d.sync += [after.eq(before) for after, before in zip(ring, [*ring[1:], target], strict=True)]
        m.d.comb += [
            scalars.valid.eq(summed & tokens[8].column_last),
            *(getattr(scalars, name).eq(command[name])
              for name in ("columns", "reciprocal", "reciprocal_shift", "epsilon")),
        ]

        mean_rows = Signal(range(self._tile))
        with m.If(scalars.mean_valid):
            m.d.sync += mean_rows.eq(mean_rows + 1)
        with m.If(scalars.o_valid):
            m.d.sync += ready_rows.eq(ready_rows + 1)
        with m.If(load):
            m.d.sync += ready_rows.eq(0)
        identity = LayerNormLanes.identity(self._width)
        mean = self._kept(m, "mean", scalars.mean, scalars.mean_valid, mean_rows, tokens[1].row, lanes.enable)
        scale = Cat(scalars.left, scalars.mantissa)
        scale = self._kept(m, "scale", scale, scalars.o_valid, ready_rows, tokens[1].row, lanes.enable)
        second = tokens[2].second
        left = len(scalars.left)
        m.d.comb += [
            lanes.mean.eq(Mux(second, mean, identity[0])),
            lanes.left.eq(Mux(second, scale[:left], identity[1])),
            lanes.mantissa.eq(Mux(second, scale[left:], identity[2])),
        ]

    def _kept(self, m, name, value, write, row, wanted, enable):
        """A memory of one `value` per row, read into a register."""
        store = memory.Memory(shape=value.shape(), depth=self._tile, init=[])
        m.submodules[name] = store
        w, r = store.write_port(), store.read_port()
        m.d.comb += [w.en.eq(write), w.addr.eq(row), w.data.eq(value), r.en.eq(enable), r.addr.eq(wanted)]
        return r.data

    def _results(self, m, command, active, load, lanes, token, missing):
        """Pack pass 2's rows; `done` counts the tiles written."""
        m.submodules.compressor = compressor = Compressor(
            tile=self._tile, width=self._width, lines_per_beat=self._lines_per_beat)
        slot, left = Signal(SLOT_BITS, reset_less=True), Signal(12)
        out = compressor.i
        waiting = token.valid & token.second
        m.d.comb += [
            lanes.enable.eq(~missing & (~waiting | out.ready)),
            out.valid.eq(waiting & ~missing),
            out.p.row.eq(lanes.y),
            out.p.slot.eq(slot),
            out.p.last.eq(token.row_last),
            self.busy.eq(active | self.command.valid),
        ]
        connect(m, flipped(self.o), compressor.o)
        with m.If(out.valid & out.ready & token.row_last):
            m.d.sync += slot.eq(slot + 1)
        written = Signal()
        m.d.comb += written.eq(self.o.valid & self.o.ready & self.o.p.last)
        m.d.sync += self.done.eq(written & (left == 1))
        with m.If(written):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 1):
                m.d.sync += active.eq(0)
        with m.If(load):
            m.d.sync += [active.eq(1), left.eq(self.command.p.columns), slot.eq(self.command.p.o_slot)]
