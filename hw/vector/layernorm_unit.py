"""Layer-norm of one tile row: two passes over its tiles, a row of T values per slice and cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic import popcount, tree_sum
from ..layout import line_layout, tile_beat, tile_write
from ..post_process.compressor import Compressor
from ..spec.layernorm import BETA_LEADS, EPSILON_BITS, RECIPROCAL_BITS
from ..spec.widths import LINE_ADDRESS_BITS, SLOT_BITS
from ..streams.stream_queue import StreamQueue
from .layernorm_lanes import LayerNormLanes
from .layernorm_scalars import LayerNormScalars
from .layernorm_vectors import LayerNormVectors
from .row_expander import RowExpander
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

    Slice s of S works on tile columns s, s + S, ...; the slices move together and share the scalars of the rows. Pass 1
    sums, pass 2 normalises; each takes one row of T values per slice and cycle as long as its tiles arrive. Between them
    lie the pipeline's and the scalars' latencies only (`LayerNormLanes.latency + LayerNormScalars.latency`, the T rows
    overlapping), during which pass 2's tiles are already under way. The operands of the next command are asked for
    while this one runs; its first row enters when this one's last write is out.

    A stalled ``o`` stops the lanes when two rows wait for the compressor, and through the expanders the operands. No
    combinational path from ``o.ready`` to any other port.

    Parameters
    ----------
    tile : T
    width : W
    lines_per_beat : packed lines in a beat of a tile stream and a buffer word
    max_inner : largest N
    slices : S, tile columns in work at once

    Members
    -------
    command : In(stream(layernorm_command)), accepted when its rows may enter; looked at earlier to ask for tiles
    x_request, r_request : Out(stream(SLOT_BITS)).array(S), tiles wanted, up to four ahead; both passes in turn
    x, r : In(stream(tile_beat)).array(S), the tiles in that order
    vector_request : Out(stream(LINE_ADDRESS_BITS)).array(S), lines of gamma and beta in turn, from the last tiles of pass 1
        on
    vector : In(stream(line)).array(S), the lines in that order
    o : Out(stream(tile_write)).array(S), of slice s tiles to o_slot + s, o_slot + s + S, ...
    done : Out(1), high for one cycle after the last write of a command was accepted
    busy : Out(1), a command is waiting or under way
    """

    def __init__(self, *, tile, width, lines_per_beat, max_inner, slices=1):
        self._tile, self._width, self._slices = tile, width, slices
        self._lines_per_beat, self._max_inner = lines_per_beat, max_inner
        beat = tile_beat(tile, width, lines_per_beat)
        super().__init__({
            "command": In(stream.Signature(layernorm_command(width))),
            "x_request": Out(stream.Signature(SLOT_BITS)).array(slices),
            "r_request": Out(stream.Signature(SLOT_BITS)).array(slices),
            "x": In(stream.Signature(beat)).array(slices),
            "r": In(stream.Signature(beat)).array(slices),
            "vector_request": Out(stream.Signature(LINE_ADDRESS_BITS)).array(slices),
            "vector": In(stream.Signature(line_layout(tile, width))).array(slices),
            "o": Out(stream.Signature(tile_write(tile, width, lines_per_beat))).array(slices),
            "done": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        command, active, load = Signal(self.command.p.shape(), reset_less=True), Signal(), Signal()
        enable, asks = Signal(), Signal()

        # Operands: one row of x, and of the residual, per slice and cycle.
        x, r = self._operands(m, load)
        tokens, ready_rows = self._sequence(m, command, active, load, x, r, enable, asks)
        lanes, missing = [], []
        for n in range(self._slices):
            m.submodules[f"lanes_{n}"] = lane = LayerNormLanes(
                tile=self._tile, width=self._width, max_inner=self._max_inner)
            m.d.comb += [
                lane.enable.eq(enable),
                lane.x.eq(x[n].p),
                lane.r.eq(r[n].p),
                lane.square.eq(~tokens[5].second),
                *(getattr(lane, name).eq(command[name])
                  for name in ("residual", "x_shift", "r_shift", "shift", "tau")),
            ]
            lanes.append(lane)
            missing.append(self._vectors(m, n, command, load, asks, lane, tokens, enable))

        # Pass 1 ends in the sums, which give the scalars; pass 2 reads them.
        self._scalars(m, command, load, lanes, tokens, ready_rows, enable)

        # The way out: pruned rows are packed.
        self._results(m, active, load, lanes, tokens[9], Cat(missing).any(), enable)
        return m

    def _columns(self, columns, n):
        """Tile columns from slice n's first on."""
        return Mux(columns > n, columns - n, 0)

    def _operands(self, m, load):
        """Requests, and expanders; the requesters run on a waiting command. Returns the rows of x and r, slice by slice."""
        asked, ask = Signal(), Signal()
        rows, idle = {"x": [], "r": []}, []
        wanted = {"x": ask, "r": ask & self.command.p.residual}
        for name, start in wanted.items():
            for n, (request, i) in enumerate(zip(getattr(self, f"{name}_request"), getattr(self, name), strict=True)):
                requester = TileRequester(stride=self._slices)
                expander = RowExpander(
                    tile=self._tile, width=self._width, lines_per_beat=self._lines_per_beat)
                m.submodules[f"{name}_requester_{n}"], m.submodules[f"{name}_expander_{n}"] = requester, expander
                connect(m, flipped(request), requester.request)
                connect(m, flipped(i), expander.i)
                m.d.comb += [
                    requester.slot.eq(self.command.p[f"{name}_slot"] + n),
                    requester.columns.eq(self._columns(self.command.p.columns, n)),
                    requester.arrived.eq(expander.finished),
                    requester.start.eq(start),
                ]
                rows[name].append(expander.o)
                idle.append(requester.idle)
        m.d.comb += ask.eq(self.command.valid & ~asked & Cat(idle).all())
        m.d.sync += asked.eq((asked | ask) & ~load)
        return rows["x"], rows["r"]

    def _sequence(self, m, command, active, load, x, r, enable, asks):
        """Let rows enter; returns their tokens, stage by stage, and the count of rows whose scalars are ready."""
        row, column, columns = Signal(range(self._tile)), Signal(12), Signal(12)
        following, column_last, slices = Signal(12), Signal(), Signal(self._slices)
        second, ended = Signal(), Signal(init=1)
        ready_rows = Signal(range(self._tile + 1))
        token = data.StructLayout({
            "valid": 1, "second": 1, "row": range(self._tile), "row_last": 1, "column_first": 1, "column_last": 1,
            "slices": self._slices,
        })
        tokens = [Signal(token, name=f"token_{n}") for n in range(LayerNormLanes.latency + 1)]
        enter = tokens[0]
        summing = Cat(token.valid & ~token.second for token in tokens[1:9]).any()
        missing = Cat(
            enter.slices[n] & ~(x[n].valid & (r[n].valid | ~command.residual)) for n in range(self._slices)).any()
        m.d.comb += [
            load.eq(self.command.valid & ~active),
            self.command.ready.eq(~active),
            enter.valid.eq(~ended & ~missing & (~second | ~summing & (ready_rows > row))),
            enter.second.eq(second),
            enter.row.eq(row),
            enter.row_last.eq(row == self._tile - 1),
            enter.column_first.eq(column == 0),
            enter.column_last.eq(column_last),
            enter.slices.eq(slices),
            following.eq(Mux(load | column_last, 0, column + self._slices)),
            columns.eq(Mux(load, self.command.p.columns, command.columns)),
            asks.eq(enter.valid & enable & ~second & (row == 0) & enter.column_last),
        ]
        for n in range(self._slices):
            m.d.comb += [
                x[n].ready.eq(enter.valid & enable & enter.slices[n]),
                r[n].ready.eq(enter.valid & enable & enter.slices[n] & command.residual),
            ]
        with m.If(enable):
            m.d.sync += [after.eq(before) for before, after in zip(tokens, tokens[1:], strict=False)]
            with m.If(enter.valid):
                m.d.sync += row.eq(row + 1)
                with m.If(enter.row_last & column_last):
                    m.d.sync += [second.eq(~second), ended.eq(second)]
        with m.If(load):
            m.d.sync += [command.eq(self.command.p), ended.eq(0)]
        with m.If(load | enable & enter.valid & enter.row_last):
            m.d.sync += [
                column.eq(following), column_last.eq(following + self._slices >= columns),
                slices.eq(Cat(following + n < columns for n in range(self._slices))),
            ]
        return tokens, ready_rows

    def _vectors(self, m, n, command, load, asks, lanes, tokens, enable):
        """Gamma and beta meet the rows in the lanes of slice n; returns whether they are missing."""
        m.submodules[f"vectors_{n}"] = vectors = LayerNormVectors(tile=self._tile, width=self._width, stride=self._slices)
        connect(m, flipped(self.vector_request[n]), vectors.request)
        connect(m, flipped(self.vector[n]), vectors.vector)
        m.d.comb += [
            vectors.load.eq(load),
            vectors.gamma_line.eq(self.command.p.gamma_line + n),
            vectors.beta_line.eq(self.command.p.beta_line + n),
            vectors.columns.eq(self._columns(command.columns, n)),
            vectors.ask.eq(asks),
            vectors.beta_amount.eq(command.shift - command.beta_shift - BETA_LEADS.start),
            lanes.gamma.eq(vectors.gamma),
            lanes.beta.eq(vectors.beta),
            vectors.gamma_needed.eq(tokens[6].valid & tokens[6].second & tokens[6].slices[n]),
            vectors.beta_needed.eq(tokens[8].valid & tokens[8].second & tokens[8].slices[n]),
            vectors.gamma_used.eq(tokens[6].row_last & enable),
            vectors.beta_used.eq(tokens[8].row_last & enable),
        ]
        return vectors.missing

    def _scalars(self, m, command, load, lanes, tokens, ready_rows, enable):
        """Accumulate the sums of pass 1; the scalars that follow from them take their place for pass 2."""
        m.submodules.scalars = scalars = LayerNormScalars(tile=self._tile, width=self._width, max_inner=self._max_inner)
        mean_rows = Signal(range(self._tile))
        with m.If(scalars.mean_valid):
            m.d.sync += mean_rows.eq(mean_rows + 1)
        with m.If(scalars.o_valid):
            m.d.sync += ready_rows.eq(ready_rows + 1)
        with m.If(load):
            m.d.sync += ready_rows.eq(0)

        summed, read_row = Signal(), Signal(range(self._tile))
        m.d.comb += [
            summed.eq(tokens[9].valid & ~tokens[9].second & enable),
            read_row.eq(Mux(tokens[8].valid & ~tokens[8].second, tokens[8].row, tokens[0].row)),
            scalars.valid.eq(summed & tokens[9].column_last),
            *(getattr(scalars, name).eq(command[name])
              for name in ("columns", "reciprocal", "reciprocal_shift", "epsilon")),
        ]
        scale = Cat(scalars.left, scalars.mantissa)
        kept = []
        for name, scalar, there, row in (("total", scalars.mean, scalars.mean_valid, mean_rows),
                                         ("squares", scale, scalars.o_valid, ready_rows[:len(mean_rows)])):
            sum_ = getattr(scalars, name)
            m.submodules[name] = store = memory.Memory(shape=sum_.shape(), depth=self._tile, init=[])
            write, read = store.write_port(), store.read_port()
            added = tree_sum(Mux(tokens[9].slices[n], getattr(lane, name), 0) for n, lane in enumerate(lanes))
            m.d.comb += [
                read.en.eq(enable), read.addr.eq(read_row),
                sum_.eq(Mux(tokens[9].column_first, 0, read.data) + added),
                write.en.eq(there | summed & ~tokens[9].column_last),
                write.addr.eq(Mux(there, row, tokens[9].row)), write.data.eq(Mux(there, scalar, sum_)),
            ]
            kept.append(read.data)

        mean, scale = kept[0][:len(scalars.mean)].as_signed(), kept[1][:len(scale)]
        left = len(scalars.left)
        for name, value, identity in zip(("mean", "left", "mantissa"), (mean, scale[:left], scale[left:]),
                                         LayerNormLanes.identity(self._width), strict=True):
            held = Signal(value.shape(), name=f"{name}_2", reset_less=True)
            with m.If(enable):
                m.d.sync += held.eq(Mux(tokens[1].second, value, identity))
            m.d.comb += [getattr(lane, name).eq(held) for lane in lanes]

    def _results(self, m, active, load, lanes, token, missing, enable):
        """Pack pass 2's rows; `done` counts the tiles written."""
        slot, left = Signal(SLOT_BITS, reset_less=True), Signal(12)
        waiting, blocked, written = (Signal(self._slices, name=name) for name in ("waiting", "blocked", "written"))
        m.d.comb += enable.eq(~missing & ~blocked.any())
        for n, (lane, o) in enumerate(zip(lanes, self.o, strict=True)):
            m.submodules[f"compressor_{n}"] = compressor = Compressor(
                tile=self._tile, width=self._width, lines_per_beat=self._lines_per_beat, lines_per_write=1, skid=True)
            m.submodules[f"results_{n}"] = results = StreamQueue(shape=compressor.i.payload.shape(), depth=2)
            out = results.i
            others = [blocked[k] for k in range(self._slices) if k != n]
            m.d.comb += [
                waiting[n].eq(token.valid & token.second & token.slices[n]),
                blocked[n].eq(waiting[n] & ~out.ready),
                out.valid.eq(waiting[n] & ~missing & ~Cat(others).any()),
                out.p.row.eq(lane.y),
                out.p.slot.eq(slot + n),
                out.p.last.eq(token.row_last),
                written[n].eq(o.valid & o.ready & o.p.last),
            ]
            connect(m, results.o, compressor.i)
            connect(m, flipped(o), compressor.o)
        with m.If(token.valid & token.second & token.row_last & enable):
            m.d.sync += slot.eq(slot + self._slices)
        ends = written.any() & (left == popcount(written))
        m.d.comb += self.busy.eq(active | self.command.valid)
        m.d.sync += [self.done.eq(ends), left.eq(left - popcount(written))]
        with m.If(ends):
            m.d.sync += active.eq(0)
        with m.If(load):
            m.d.sync += [active.eq(1), left.eq(self.command.p.columns), slot.eq(self.command.p.o_slot)]
