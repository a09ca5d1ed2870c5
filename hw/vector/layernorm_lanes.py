"""The T-wide arithmetic of layer-norm, the same pipeline for both passes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...sw.golden.layernorm import LEFT_MAX, LayerNormFormat
from ..arithmetic import round_shift, saturate, tree_sum
from ..layout import line_layout
from ..post_process.dynatran import DynaTran

__all__ = ["LayerNormLanes"]


class LayerNormLanes(wiring.Component):
    """One row of T values per enabled cycle, `latency` stages, two multipliers a column.

    Stages: operands (1), v (2), deviation from the mean (3), aligned to sigma (4), times 1/sigma (5), rounded to y1
    (6), times gamma or, in pass 1, times itself (7), plus beta, or summed over the row (8), rounded and pruned (9).
    In pass 1 the row's scalars are those of a mean of zero and a deviation of one (`identity`), so that y1 is v and
    the gamma multiplier squares it: no operand needs a way round. Formats: `sw.golden.layernorm.LayerNormFormat`.

    Parameters
    ----------
    tile : T
    width : W
    max_inner : largest N, bounds |d| / sigma

    Members
    -------
    enable : In(1), moves the pipeline
    x, r : In(line), operands, stage 0
    residual, x_shift, r_shift : In, constant while rows are under way
    mean, left, mantissa : In, the row's scalars, at its stage 2 (see `LayerNormScalars`)
    square : In(1), pass 1, at the row's stage 6
    gamma : In(line), at stage 6
    beta : In(line), at stage 7
    beta_shift, shift, tau : In, constant
    total : Out, sum of v over the row, stage 8
    squares : Out, sum of v*v over the row, stage 8
    y : Out(line), stage 9
    """

    latency = 9

    def __init__(self, *, tile, width, max_inner):
        self._tile, self._width, self._form = tile, width, LayerNormFormat(width)
        form, grow = self._form, (tile - 1).bit_length()
        self._ratio_bits = (max_inner - 1).bit_length() // 2 + 3
        line = line_layout(tile, width)
        super().__init__({
            "enable": In(1),
            "x": In(line),
            "r": In(line),
            "residual": In(1),
            "x_shift": In(signed(6)),
            "r_shift": In(signed(6)),
            "mean": In(signed(form.sum_width + form.mean_guard)),
            "left": In(5),
            "mantissa": In(form.mantissa),
            "square": In(1),
            "gamma": In(line),
            "beta": In(line),
            "beta_shift": In(6),
            "shift": In(6),
            "tau": In(width - 1),
            "total": Out(signed(form.sum_width + grow)),
            "squares": Out(2 * form.sum_width - 1 + grow),
            "y": Out(line),
        })

    @staticmethod
    def identity(width):
        """(mean, left, mantissa) that make y1 = v."""
        form = LayerNormFormat(width)
        return 0, form.exponent_max - form.deviation_fraction - form.mean_guard, 1 << form.fraction

    def elaborate(self, platform):
        m = Module()
        self._m = m
        form = self._form
        x_amount, r_amount = Signal(5), Signal(5)
        m.d.comb += [x_amount.eq(self.x_shift + LEFT_MAX), r_amount.eq(self.r_shift + LEFT_MAX)]
        left = self._stage(self.left, "left_3")
        mantissa = self._stage(self._stage(self.mantissa, "mantissa_3"), "mantissa_4")

        values = []
        for c in range(self._tile):
            x, r = self._stage(self.x[c], f"x_{c}"), self._stage(self.r[c], f"r_{c}")
            addend = Mux(self.residual, _align(r, r_amount), 0)
            v = self._stage(saturate(_align(x, x_amount) + addend, form.sum_width), f"v_{c}")
            y1 = self._normalise(v, left, mantissa, c)
            values.append(y1)
        products = [self._scale(y1, c) for c, y1 in enumerate(values)]

        total = self._stage(tree_sum(y1[:form.sum_width].as_signed() for y1 in values), "total_7")
        with m.If(self.enable):
            m.d.sync += [
                self.total.eq(total),
                self.squares.eq(tree_sum(p[:2 * form.sum_width - 1] for p in products)),
            ]
        m.submodules.prune = prune = DynaTran(tile=self._tile, width=self._width)
        m.d.comb += prune.tau.eq(self.tau)
        for c, product in enumerate(products):
            m.d.comb += prune.i[c].eq(self._finish(product, c))
            with m.If(self.enable):
                m.d.sync += self.y[c].eq(prune.o[c])
        return m

    def _stage(self, value, name):
        register = Signal(value.shape(), name=name, reset_less=True)
        with self._m.If(self.enable):
            self._m.d.sync += register.eq(value)
        return register

    def _normalise(self, v, left, mantissa, c):
        """Stages 3 to 6: v to y1."""
        form = self._form
        right = form.exponent_max - form.deviation_fraction
        deviation = self._stage((v << form.mean_guard) - self.mean, f"deviation_{c}")
        bits = max(form.deviation_fraction + self._ratio_bits, form.sum_width)
        aligned = (deviation << left)[:bits + right].as_signed()
        d = self._stage(saturate(round_shift(aligned, right), form.value_width), f"d_{c}")
        product = (d * mantissa)[form.fraction - 1:].as_signed()
        product = self._stage(product, f"normalised_{c}")
        return self._stage(saturate((product + 1) >> 1, form.value_width), f"y1_{c}")

    def _scale(self, y1, c):
        """Stage 7: y1 times gamma, or v squared."""
        factor = Signal(signed(self._form.sum_width), name=f"factor_{c}")
        self._m.d.comb += factor.eq(Mux(self.square, y1[:len(factor)].as_signed(), self.gamma[c]))
        return self._stage(y1 * factor, f"product_{c}")

    def _finish(self, product, c):
        """Stages 8 and 9: plus beta, round, saturate."""
        shifted = (self.beta[c] << self.beta_shift[:5])[:len(product)].as_signed()
        y2 = self._stage(product + shifted, f"y2_{c}")
        return saturate(round_shift(y2, self.shift[:5]), self._width)


def _align(value, amount):
    """Shift right by `amount` less LEFT_MAX, rounding."""
    return round_shift(Cat(Const(0, LEFT_MAX), value).as_signed(), amount)
