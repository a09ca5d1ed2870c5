"""Gamma and beta of the tile that the lanes work on."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..layout import line_layout
from ..spec.layernorm import BETA_LEADS, GUARD
from ..spec.widths import LINE_ADDRESS_BITS

__all__ = ["LayerNormVectors"]


class LayerNormVectors(wiring.Component):
    """Asks for every `stride`-th line of gamma and of beta, in turn, and holds one of each; beta aligned to the result.

    A line is replaced in the very cycle in which the last row that needs it passes, so that tiles follow each other
    without a bubble as long as the next lines wait at the input; up to two tiles' lines are asked for ahead.

    Parameters
    ----------
    tile : T
    width : W
    stride : from line to line

    Members
    -------
    load : In(1), takes ``gamma_line`` and ``beta_line``, the addresses for the first tile column
    columns : In(12), tile columns from the first on
    beta_amount : In, constant from ``ask`` on; shift to the right, within BETA_LEADS
    ask : In(1), begins to ask
    request : Out(stream(LINE_ADDRESS_BITS))
    vector : In(stream(line)); ready depends on ``gamma_used`` and ``beta_used``
    gamma_needed, beta_needed : In(1), a row wants to pass that stage
    gamma_used, beta_used : In(1), a tile's last row passes it
    missing : Out(1), a needed line is not there
    gamma : Out(line)
    beta : Out(T values of W + GUARD bits), with GUARD fraction bits more than the result
    """

    def __init__(self, *, tile, width, stride=1):
        self._stride = stride
        line = line_layout(tile, width)
        super().__init__({
            "load": In(1),
            "gamma_line": In(LINE_ADDRESS_BITS),
            "beta_line": In(LINE_ADDRESS_BITS),
            "columns": In(12),
            "beta_amount": In(range(len(BETA_LEADS))),
            "ask": In(1),
            "request": Out(stream.Signature(LINE_ADDRESS_BITS)),
            "vector": In(stream.Signature(line)),
            "gamma_needed": In(1),
            "gamma_used": In(1),
            "beta_needed": In(1),
            "beta_used": In(1),
            "missing": Out(1),
            "gamma": Out(line),
            "beta": Out(line_layout(tile, width + GUARD)),
        })

    def elaborate(self, platform):
        m = Module()
        self._ask(m)

        used = (self.gamma_needed & self.gamma_used, self.beta_needed & self.beta_used)
        held = [Signal(name="gamma_held"), Signal(name="beta_held")]
        turn = Signal()
        m.d.comb += [
            self.missing.eq(self.gamma_needed & ~held[0] | self.beta_needed & ~held[1]),
            self.vector.ready.eq(Mux(turn, ~held[1] | used[1], ~held[0] | used[0])),
        ]
        loads = self.gamma.eq(self.vector.payload), [
            aligned.eq(Cat(Const(0, GUARD - BETA_LEADS.start), beta).as_signed() >> self.beta_amount)
            for aligned, beta in zip(self.beta, self.vector.payload, strict=True)
        ]
        taken = self.vector.valid & self.vector.ready
        with m.If(taken):
            m.d.sync += turn.eq(~turn)
        for n in range(2):
            mine = taken & (turn == n)
            m.d.sync += held[n].eq(mine | held[n] & ~used[n])
            with m.If(mine):
                m.d.sync += loads[n]
        return m

    def _ask(self, m):
        """Addresses, gamma and beta in turn."""
        addresses = [Signal(LINE_ADDRESS_BITS, name=name, reset_less=True) for name in ("gamma_next", "beta_next")]
        turn, left, ahead = Signal(), Signal(12), Signal(3)
        accepted = self.request.valid & self.request.ready
        m.d.comb += [
            self.request.valid.eq((left != 0) & ~ahead[2]),
            self.request.payload.eq(Mux(turn, addresses[1], addresses[0])),
        ]
        m.d.sync += ahead.eq(ahead + accepted - (self.vector.valid & self.vector.ready))
        with m.If(accepted):
            m.d.sync += turn.eq(~turn)
            with m.If(turn):
                m.d.sync += left.eq(Mux(left > self._stride, left - self._stride, 0))
            for n in range(2):
                with m.If(turn == n):
                    m.d.sync += addresses[n].eq(addresses[n] + self._stride)
        with m.If(self.ask):
            m.d.sync += left.eq(self.columns)
        with m.If(self.load):
            m.d.sync += [addresses[0].eq(self.gamma_line), addresses[1].eq(self.beta_line)]
