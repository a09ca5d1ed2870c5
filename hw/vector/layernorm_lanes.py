"""The T-wide arithmetic of layer-norm, the same pipeline for both passes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...sw.golden.layernorm import BETA_LEADS, GAMMA_LEADS, GUARD, LEFT_MAX, LayerNormFormat
from ..arithmetic import join_products, partial_products, round_shift, saturate, tree_sum
from ..layout import line_layout
from ..post_process.dynatran import DynaTran

__all__ = ["LayerNormLanes"]


class LayerNormLanes(wiring.Component):
    """One row of T values per enabled cycle, `latency` stages, two multipliers a column.

    Stages: operands (1), v (2), deviation from the mean (3), aligned to sigma (4), times either half of 1/sigma (5), y1
    (6), times either half of gamma or, in pass 1, of itself (7), aligned to the result or, in pass 1, summed over the row
    (8). Behind the last register follow beta, rounding and pruning. In pass 1 the row's scalars are those of a mean of
    zero and a deviation of one (`identity`), so that y1 is v and the gamma multiplier squares it: no operand needs a way
    round. Formats: `sw.golden.layernorm.LayerNormFormat`.

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
    beta : In(line), at stage 8
    beta_shift, shift, tau : In, constant
    total : Out, sum of v over the row, stage 8
    squares : Out, sum of v*v over the row, stage 8
    y : Out(line), stage 8
    """

    latency = 8

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
            doubled = _align(x, x_amount) + Mux(self.residual, _align(r, r_amount), 0)
            v = self._stage(saturate((doubled + 1) >> 1, form.sum_width), f"v_{c}")
            values.append(self._normalise(v, left, mantissa, c))
        products = [self._scale(y1, c) for c, y1 in enumerate(values)]

        self._sums(values, products)
        m.submodules.prune = prune = DynaTran(tile=self._tile, width=self._width)
        m.d.comb += [prune.tau.eq(self.tau), self.y.eq(prune.o)]
        product_amount, beta_amount = (Signal(range(len(leads)), name=name) for name, leads in (
            ("product_amount", GAMMA_LEADS), ("beta_amount", BETA_LEADS)))
        m.d.comb += [
            product_amount.eq(self.shift - (form.fraction + GAMMA_LEADS.start)),
            beta_amount.eq(self.shift - self.beta_shift - BETA_LEADS.start),
        ]
        for c, parts in enumerate(products):
            m.d.comb += prune.i[c].eq(self._finish(parts, product_amount, beta_amount, c))
        return m

    def _stage(self, value, name):
        register = Signal(value.shape(), name=name, reset_less=True)
        with self._m.If(self.enable):
            self._m.d.sync += register.eq(value)
        return register

    def _normalise(self, v, left, mantissa, c):
        """Stages 3 to 6: v to y1. Nothing saturates if the longest row cannot deviate that far."""
        form = self._form
        right = form.exponent_max - form.deviation_fraction
        bits = max(form.deviation_fraction + self._ratio_bits, form.sum_width)
        bounded = bits <= form.value_width

        def fit(value):
            return value[:form.value_width].as_signed() if bounded else saturate(value, form.value_width)

        deviation = self._stage((v << form.mean_guard) - self.mean, f"deviation_{c}")
        aligned = (deviation << left)[:bits + right].as_signed()
        d = self._stage(fit(round_shift(aligned, right)), f"d_{c}")
        parts = [self._stage(part, f"normalised_{n}_{c}")
                 for n, part in enumerate(partial_products(d, mantissa, form.mantissa_half))]
        return self._stage(fit(round_shift(join_products(parts, form.mantissa_half), form.fraction)), f"y1_{c}")

    def _scale(self, y1, c):
        """Stage 7: y1 times either half of gamma, or of v."""
        factor = Signal(signed(self._form.sum_width), name=f"factor_{c}")
        self._m.d.comb += factor.eq(Mux(self.square, y1[:len(factor)].as_signed(), self.gamma[c]))
        return [self._stage(part, f"product_{n}_{c}")
                for n, part in enumerate(partial_products(y1, factor, self._form.factor_half))]

    def _sums(self, values, products):
        """Stages 7 and 8: sums of v and v*v, those of the halves of v*v apart."""
        form = self._form
        total = self._stage(tree_sum(y1[:form.sum_width].as_signed() for y1 in values), "total_7")
        squares = [self._stage(tree_sum(halves), f"squares_{n}") for n, halves in enumerate(zip(*products, strict=True))]
        self._m.d.comb += [
            self.total.eq(self._stage(total, "total_8")),
            self.squares.eq(join_products(squares, form.factor_half)),
        ]

    def _finish(self, parts, product_amount, beta_amount, c):
        """Stage 8, and behind it: product and beta at the binary point of the result, GUARD bits more, to the result."""
        form = self._form
        product = join_products(parts, form.factor_half)[form.fraction + GAMMA_LEADS.start - GUARD:].as_signed()
        product = self._stage(saturate(product >> product_amount, self._width + GUARD + 1), f"aligned_{c}")
        beta = Cat(Const(0, GUARD - BETA_LEADS.start), self.beta[c]).as_signed() >> beta_amount
        return saturate(round_shift(product + beta, GUARD), self._width)


def _align(value, amount):
    """Twice the value, shifted right by `amount` less LEFT_MAX."""
    return Cat(Const(0, LEFT_MAX + 1), value).as_signed() >> amount
