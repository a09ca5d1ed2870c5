"""Asks for the A tiles or the B tiles of a product, in loop order, ahead of their use."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..buffer.tile_reader import read_request
from .affine_walker import AffineWalker
from .product import COUNT_BITS, LEVELS, PRODUCT, REACH_BITS, kept, moves, position_of, set_loops

__all__ = ["OperandSequencer"]


class OperandSequencer(wiring.Component):
    """One request per step of the grid: the tiles of all grid rows (A) or all grid columns (B).

    A tile that the next step uses again is not asked for twice; the step sequencer keeps it in its operand slot by the same
    rule. One request per cycle.

    Parameters
    ----------
    operand : "a" or "b"
    rows, columns : PEs in the grid
    psum_tiles : output tiles that a PE holds
    activation_tiles, weight_tiles : capacities; a slot outside stops the sequencer and raises `fault`

    Members
    -------
    product : In(stream(PRODUCT))
    activation : Out(stream(read_request)), to the reader at the activation buffer
    weight : Out(stream(read_request)), B only, to the reader at the weight buffer
    drained : In(1), B only: both readers have delivered everything, so the source of B may change
    source : Out(1), B only: 0 weight buffer, 1 activation buffer
    tiles : Out(range(lanes + 1)), tiles asked for in this cycle
    fault : Out(1), a slot is outside its buffer
    """

    def __init__(self, *, operand, rows, columns, psum_tiles, activation_tiles, weight_tiles):
        self._operand, self._rows, self._columns, self._psum_tiles = operand, rows, columns, psum_tiles
        self._activation_tiles, self._weight_tiles = activation_tiles, weight_tiles
        self._lanes = rows if operand == "a" else columns
        request = Out(stream.Signature(read_request(self._lanes)))
        super().__init__({
            "product": In(stream.Signature(PRODUCT)),
            "activation": request,
            **({"weight": request, "drained": In(1), "source": Out(1)} if operand == "b" else {}),
            "tiles": Out(range(self._lanes + 1)),
            "fault": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = AffineWalker(
            levels=LEVELS, position_bits=COUNT_BITS, stride_bits=REACH_BITS, address_bits=REACH_BITS
        )
        product, walking = Signal(PRODUCT, reset_less=True), Signal()
        level, lane_stride = self._loops(m, walker, product)

        # Start a product once the last request of the one before is taken, and B's source may change.
        finished = Signal()
        waiting = Signal()
        m.d.comb += self.product.ready.eq(~walking & ~waiting)
        with m.If(self.product.valid & self.product.ready):
            m.d.sync += [product.eq(self.product.payload), waiting.eq(1)]
        m.d.comb += walker.base.eq(product.a_slot if self._operand == "a" else product.b_slot)
        clear = 1 if self._operand == "a" else (self.source == product.b_buffer) | self.drained
        with m.If(waiting & clear):
            m.d.comb += walker.start.eq(1)
            m.d.sync += [waiting.eq(0), walking.eq(1)]
            if self._operand == "b":
                m.d.sync += self.source.eq(product.b_buffer)
        with m.If(finished):
            m.d.sync += walking.eq(0)

        request = Signal(read_request(self._lanes))
        reach = self._request(m, walker, product, request, level["i" if self._operand == "a" else "j"], lane_stride)
        repeated = Signal()
        offered, taken = self._offer(m, product, request, walking & ~repeated & ~self.fault)
        with m.If(walker.advance):
            m.d.sync += repeated.eq(kept(walker, moves(product, level, self._operand)))
        m.d.comb += [
            walker.advance.eq(walking & ~self.fault & (taken | repeated)),
            finished.eq(walker.advance & walker.done),
            self.tiles.eq(Mux(taken, sum(request.active[n] for n in range(self._lanes)), 0)),
        ]
        self._check(m, product, request, reach, offered)
        return m

    def _loops(self, m, walker, product):
        if self._operand == "a":
            strides = {"b": product.a_batch, "i": product.a_pitch * self._rows, "j": 0}
            lane_stride, inner_stride = product.a_pitch, 1
        else:
            lane_stride = Mux(product.transpose, product.b_pitch, 1)
            strides = {"b": product.b_batch, "i": 0, "j": lane_stride * self._columns}
            inner_stride = Mux(product.transpose, 1, product.b_pitch)
        level = set_loops(m, walker, product, rows_step=self._rows, columns_step=self._columns, strides=strides,
                          inner_stride=inner_stride, psum_tiles=self._psum_tiles)
        return level, lane_stride

    def _request(self, m, walker, product, request, moving, lane_stride):
        limit = product.rows if self._operand == "a" else product.columns
        position = Signal(COUNT_BITS)
        m.d.comb += position.eq(position_of(walker, moving))
        reach = [Signal(REACH_BITS, name=f"reach_{n}") for n in range(self._lanes)]
        for n, slot in enumerate(reach):
            m.d.comb += [
                slot.eq(walker.address + lane_stride * n),
                request.slots[n].eq(slot),
                request.active[n].eq(position + n < limit),
            ]
        if self._operand == "b":
            m.d.comb += request.transpose.eq(product.transpose)
        return reach

    def _offer(self, m, product, request, offer):
        m.d.comb += self.activation.payload.eq(request)
        if self._operand == "a":
            m.d.comb += self.activation.valid.eq(offer)
            return offer, offer & self.activation.ready
        m.d.comb += [
            self.weight.payload.eq(request),
            self.weight.valid.eq(offer & ~product.b_buffer),
            self.activation.valid.eq(offer & product.b_buffer),
        ]
        return offer, offer & Mux(product.b_buffer, self.activation.ready, self.weight.ready)

    def _check(self, m, product, request, reach, offered):
        # The fault shows a cycle late: reading a wrong slot once cannot harm.
        capacity = self._activation_tiles
        if self._operand == "b":
            capacity = Mux(product.b_buffer, self._activation_tiles, self._weight_tiles)
        outside = Cat(request.active[n] & (reach[n] >= capacity) for n in range(self._lanes)).any()
        with m.If(offered & outside):
            m.d.sync += self.fault.eq(1)
