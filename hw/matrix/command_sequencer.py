"""Tells each PE what to do with each output tile: where it goes, its bias, how it is requantised."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount
from ..layout import pe_command, vector_line
from ..spec.widths import LINE_ADDRESS_BITS, TAG_BITS
from .affine_walker import AffineWalker
from .product import COUNT_BITS, PRODUCT, REACH_BITS, position_of, set_loops

__all__ = ["CommandSequencer"]


class CommandSequencer(wiring.Component):
    """One command per output tile and PE; PEs outside the product's edge get theirs with `discard`.

    The bias lines of a group of tile columns are read before its commands are offered (``columns + 3`` cycles, hidden under
    the products of the group before), and kept while the group does not change.

    Parameters
    ----------
    tile, width : value format
    scale_bits : of the scale of a column
    rows, columns : PEs in the grid
    activation_tiles, vector_lines : capacities, checked

    Members
    -------
    product : In(stream(PRODUCT))
    curve, tau : Out(6), In(width - 1), threshold look-up of the product being issued
    line_request, line : Out, In stream, to the vector buffer
    o : Out(stream(pe_command)).array(rows * columns), PE (r, c) at r * columns + c
    open, free, tag, issued, close : the completion tracker's
    slot_fault, line_fault : Out(1), an address is outside its buffer
    """

    def __init__(self, *, tile, width, rows, columns, activation_tiles, vector_lines, scale_bits=0):
        self._width, self._rows, self._columns = width, rows, columns
        self._line = vector_line(tile, width, scale_bits)
        self._activation_tiles, self._vector_lines = activation_tiles, vector_lines
        super().__init__({
            "product": In(stream.Signature(PRODUCT)),
            "curve": Out(6), "tau": In(width - 1),
            "line_request": Out(stream.Signature(LINE_ADDRESS_BITS)),
            "line": In(stream.Signature(self._line)),
            "o": Out(stream.Signature(pe_command(tile, width, scale_bits))).array(rows * columns),
            "open": Out(1), "free": In(1), "tag": In(TAG_BITS),
            "issued": Out(range(rows * columns + 1)), "close": Out(1),
            "slot_fault": Out(1), "line_fault": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = AffineWalker(
            levels=3, position_bits=COUNT_BITS, stride_bits=REACH_BITS, address_bits=REACH_BITS
        )
        product, tau = Signal(PRODUCT, reset_less=True), Signal(self._width - 1, reset_less=True)
        level = set_loops(m, walker, product, rows_step=self._rows, columns_step=self._columns, strides={
            "b": product.c_batch, "i": product.c_pitch * self._rows, "j": self._columns,
        })
        row, column = Signal(COUNT_BITS), Signal(COUNT_BITS)
        m.d.comb += [
            walker.base.eq(product.c_slot),
            row.eq(position_of(walker, level["i"])), column.eq(position_of(walker, level["j"])),
            self.curve.eq(product.curve),
        ]

        bias = Signal(data.ArrayLayout(self._line, self._columns), reset_less=True)
        bias_column, bias_valid = Signal(COUNT_BITS), Signal()
        active = Signal(self._rows * self._columns)
        outside = Signal()
        m.d.comb += active.eq(Cat(
            (row + r < product.rows) & (column + c < product.columns)
            for r in range(self._rows) for c in range(self._columns)
        ))
        reach = [Signal(REACH_BITS, name=f"reach_{n}") for n in range(len(self.o))]
        offering = self._commands(m, walker, product, tau, bias, active, reach)
        taken = self._hand_out(m, offering)

        with m.FSM(name="phase"):
            with m.State("IDLE"):
                m.d.comb += self.product.ready.eq(self.free)
                with m.If(self.product.valid & self.free):
                    m.d.comb += self.open.eq(1)
                    m.d.sync += [product.eq(self.product.payload), bias_valid.eq(0)]
                    m.next = "START"
            with m.State("START"):
                m.d.comb += walker.start.eq(1)
                m.d.sync += tau.eq(self.tau)
                with m.If(~product.bias):
                    m.d.sync += bias.eq(0)
                m.next = "BIAS"
            with m.State("BIAS"):
                with m.If(~product.bias | (bias_valid & (bias_column == column))):
                    m.next = "OFFER"
                with m.Else():
                    with m.If(self._read_bias(m, product, column, bias)):
                        m.d.sync += [bias_column.eq(column), bias_valid.eq(1)]
                        m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += [outside.eq(self._outside(active, reach)), offering.eq(~outside & ~self.slot_fault)]
                m.d.sync += self.slot_fault.eq(self.slot_fault | outside)
                with m.If(taken):
                    m.d.comb += [
                        walker.advance.eq(1), self.close.eq(walker.done),
                        self.issued.eq(popcount(active)),
                    ]
                    m.next = "BIAS"
                    with m.If(walker.done):
                        m.next = "IDLE"
        return m

    def _commands(self, m, walker, product, tau, bias, active, reach):
        for n, command in enumerate(self.o):
            r, c = divmod(n, self._columns)
            m.d.comb += [
                reach[n].eq(walker.address + product.c_pitch * r + c),
                command.payload.post.slot.eq(reach[n]),
                command.payload.post.bias.eq(bias[c]),
                command.payload.post.bias_shift.eq(product.bias_shift),
                command.payload.post.shift.eq(product.shift),
                command.payload.post.function.eq(product.function),
                command.payload.post.function_shift.eq(product.function_shift),
                command.payload.post.tau.eq(tau),
                command.payload.tag.eq(self.tag),
                command.payload.discard.eq(~active[n]),
            ]
        return Signal(name="offering")

    def _hand_out(self, m, offering):
        """Each PE takes its command at its own time; high in the cycle in which the last one does."""
        had, has = Signal(len(self.o)), Signal(len(self.o))
        for n, command in enumerate(self.o):
            m.d.comb += [command.valid.eq(offering & ~had[n]), has[n].eq(had[n] | command.ready)]
        with m.If(offering):
            m.d.sync += had.eq(Mux(has.all(), 0, has))
        return offering & has.all()

    def _read_bias(self, m, product, column, bias):
        """Read one line per grid column; high when the last arrives."""
        asked, got = Signal(range(self._columns + 1)), Signal(range(self._columns + 1))
        line = Signal(LINE_ADDRESS_BITS + 1)
        m.d.comb += [
            line.eq(product.bias_line + column + asked),
            self.line_request.payload.eq(line),
            self.line_request.valid.eq((asked != self._columns) & ~self.line_fault),
            self.line.ready.eq(1),
        ]
        with m.If(line >= self._vector_lines):
            # Columns beyond the product's edge read nothing; any line inside will do for them.
            m.d.comb += self.line_request.payload.eq(0)
            with m.If((asked != self._columns) & (column + asked < product.columns)):
                m.d.comb += self.line_request.valid.eq(0)
                m.d.sync += self.line_fault.eq(1)
        with m.If(self.line_request.valid & self.line_request.ready):
            m.d.sync += asked.eq(asked + 1)
        complete = Signal()
        with m.If(self.line.valid):
            with m.Switch(got):
                for c in range(self._columns):
                    with m.Case(c):
                        m.d.sync += bias[c].eq(self.line.payload)
            m.d.sync += got.eq(got + 1)
            with m.If(got == self._columns - 1):
                m.d.comb += complete.eq(1)
                m.d.sync += [asked.eq(0), got.eq(0)]
        return complete

    def _outside(self, active, reach):
        """An output tile of the group lies outside the activation buffer: none of its commands is offered."""
        return Cat(active[n] & (slot >= self._activation_tiles) for n, slot in enumerate(reach)).any()
