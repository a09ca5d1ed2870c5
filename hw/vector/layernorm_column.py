"""The arithmetic of one column of the layer-norm unit: operands to the result before pruning."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import join_products, partial_products, round_shift, saturate
from ..spec.layernorm import GAMMA_LEADS, GUARD, LEFT_MAX, LayerNormFormat

__all__ = ["LayerNormColumn"]


class LayerNormColumn(wiring.Component):
    """Nine registered stages, one value per enabled cycle, for both passes.

    ====== =====================================================================================================
    stage  register
    ====== =====================================================================================================
    1      x and residual, aligned
    2      v
    3      deviation from the mean
    4      d, the deviation aligned to sigma
    5      d times either half of 1/sigma
    6      y1, normalised; `v`
    7      y1 times either half of gamma or, in pass 1, of itself; `halves`
    8      the product aligned to the result
    9      with beta, rounded: `o`
    ====== =====================================================================================================

    Parameters
    ----------
    width : W
    max_inner : largest N, bounds |d| / sigma

    Members
    -------
    enable : In(1), moves the pipeline
    x, r : In(W), operands, stage 0
    residual, x_amount, r_amount : In, constant; shifts of the operands to the right plus LEFT_MAX
    mean, left, mantissa : In, the row's scalars, at its stages 2, 3 and 4 (see `LayerNormScalars`)
    square : In(1), pass 1, stage 5
    gamma : In(W), stage 6
    beta : In(W + GUARD), stage 8, aligned to the result
    product_amount : In, constant from a row's stage 6 on; shift within GAMMA_LEADS
    v : Out, in pass 1 v, stage 6
    halves : Out, either half of the product, stage 7
    o : Out(W), stage 9
    """

    def __init__(self, *, width, max_inner):
        self._width, self._form = width, LayerNormFormat(width)
        form = self._form
        self._ratio_bits = (max_inner - 1).bit_length() // 2 + 3
        word = signed(width)
        super().__init__({
            "enable": In(1),
            "x": In(word),
            "r": In(word),
            "residual": In(1),
            "x_amount": In(5),
            "r_amount": In(5),
            "mean": In(signed(form.sum_width + form.mean_guard)),
            "left": In(5),
            "mantissa": In(form.mantissa),
            "square": In(1),
            "gamma": In(word),
            "beta": In(signed(width + GUARD)),
            "product_amount": In(range(len(GAMMA_LEADS))),
            "v": Out(signed(form.sum_width)),
            "halves": Out(signed(form.value_width + form.factor_half)).array(2),
            "o": Out(word),
        })

    def elaborate(self, platform):
        m = Module()
        self._m = m
        form = self._form
        x = self._stage(_align(self.x, self.x_amount), "x_1")
        r = self._stage(Mux(self.residual, _align(self.r, self.r_amount), 0).as_signed(), "r_1")
        v = self._stage(saturate((x + r + 1) >> 1, form.sum_width), "v_2")

        y1 = self._normalise(v)
        m.d.comb += self.v.eq(y1[:form.sum_width].as_signed())

        factor = Signal(signed(form.sum_width))
        m.d.comb += factor.eq(Mux(self._stage(self.square, "square_6"), self.v, self.gamma))
        with m.If(self.enable):
            m.d.sync += [half.eq(part) for half, part in zip(
                self.halves, partial_products(y1, factor, form.factor_half), strict=True)]

        # The product meets beta at the binary point of the result, GUARD bits more.
        product = join_products(list(self.halves), form.factor_half)[form.fraction + GAMMA_LEADS.start - GUARD:].as_signed()
        amount = Signal.like(self.product_amount, reset_less=True)
        m.d.sync += amount.eq(self.product_amount)
        product = self._stage(saturate(product >> amount, self._width + GUARD + 1), "aligned")
        with m.If(self.enable):
            m.d.sync += self.o.eq(saturate(round_shift(product + self.beta, GUARD), self._width))
        return m

    def _stage(self, value, name):
        register = Signal(value.shape(), name=name, reset_less=True)
        with self._m.If(self.enable):
            self._m.d.sync += register.eq(value)
        return register

    def _normalise(self, v):
        """Stages 3 to 6: v to y1. Nothing saturates if the longest row cannot deviate that far."""
        form = self._form
        right = form.exponent_max - form.deviation_fraction
        bits = max(form.deviation_fraction + self._ratio_bits, form.sum_width)

        def fit(value):
            return value[:bits].as_signed() if bits <= form.value_width else saturate(value, form.value_width)

        deviation = self._stage((v << form.mean_guard) - self.mean, "deviation")
        aligned = (deviation << self.left)[:bits + right].as_signed()
        d = self._stage(fit(round_shift(aligned, right)), "d")
        parts = [self._stage(part, f"normalised_{n}")
                 for n, part in enumerate(partial_products(d, self.mantissa, form.mantissa_half))]
        return self._stage(fit(round_shift(join_products(parts, form.mantissa_half), form.fraction)), "y1")


def _align(value, amount):
    """Twice the value, shifted right by `amount` less LEFT_MAX."""
    return Cat(Const(0, LEFT_MAX + 1), value).as_signed() >> amount
