"""Mean and reciprocal deviation of a row from its exact sums."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import join_products, partial_products
from ..spec.layernorm import EPSILON_BITS, RECIPROCAL_BITS, LayerNormFormat
from ..spec.rsqrt import FRACTION
from .rsqrt import Rsqrt

__all__ = ["LayerNormScalars"]

_PRODUCT = 20
_GROUP = 12


class LayerNormScalars(wiring.Component):
    """Scalars of one row per cycle, without stalls; the golden functions are in `sw.golden.layernorm`.

    The mean is ``p = round(total * reciprocal >> reciprocal_shift)`` in units of 2**-g of v (g guard bits). The sum of
    squares about p is exact for any p: ``4**g * squares - p * (2 * 2**g * total - N * p)``. With epsilon added it is
    normalised to 20 bits, multiplied by 20 bits of 1/N, normalised again to an octave pair [1, 4), and goes through
    `Rsqrt`. Relative error of 1/sigma before that table: below 2**-19.

    Parameters
    ----------
    tile : T
    width : W
    max_inner : largest N

    Members
    -------
    valid, total, squares : In, the sums of v and v*v over a row
    columns, reciprocal, reciprocal_shift, epsilon : In, constant while rows are under way; N is ``columns * T``
    mean_valid, mean : Out, p, `mean_latency` cycles after ``valid``
    o_valid, left, mantissa : Out, `latency` cycles after ``valid``: ``left`` is `exponent_max` less the exponent of
        sigma, ``mantissa`` that of 1/sigma
    """

    mean_latency = 4
    latency = 14 + Rsqrt.latency

    def __init__(self, *, tile, width, max_inner):
        self._tile, self._form = tile, LayerNormFormat(width)
        form, grow = self._form, (max_inner - 1).bit_length()
        self._mean_width = form.sum_width + form.mean_guard
        self._energy_width = 2 * self._mean_width - 1 + grow
        super().__init__({
            "valid": In(1),
            "total": In(signed(form.sum_width + grow)),
            "squares": In(2 * form.sum_width - 1 + grow),
            "columns": In(12),
            "reciprocal": In(RECIPROCAL_BITS),
            "reciprocal_shift": In(6),
            "epsilon": In(EPSILON_BITS),
            "mean_valid": Out(1),
            "mean": Out(signed(self._mean_width)),
            "o_valid": Out(1),
            "left": Out(5),
            "mantissa": Out(form.mantissa),
        })

    def elaborate(self, platform):
        m = Module()
        valid = Signal(self.latency)
        m.d.sync += valid.eq(Cat(self.valid, valid))
        m.d.comb += [self.mean_valid.eq(valid[self.mean_latency - 1]), self.o_valid.eq(valid[-1])]
        energy = self._energy(m)
        self._deviation(m, energy)
        return m

    def _stage(self, m, value, name):
        register = Signal(value.shape(), name=name, reset_less=True)
        m.d.sync += register.eq(value)
        return register

    def _delay(self, m, value, cycles, name):
        for n in range(cycles):
            value = self._stage(m, value, f"{name}_{n}")
        return value

    def _product(self, m, a, b, name):
        """``a * b``, two stages."""
        parts = [self._stage(m, part, f"{name}_{n}") for n, part in enumerate(partial_products(a, b, _GROUP))]
        return join_products(parts, _GROUP)

    def _energy(self, m):
        """Stages 1 to 9: the mean, and the sum of squares about it plus epsilon."""
        guard = self._form.mean_guard
        base = RECIPROCAL_BITS - 1 - guard
        grow = len(self.total) - self._form.sum_width

        total, squares = self._stage(m, self.total, "total"), self._stage(m, self.squares, "squares")
        scaled = self._product(m, total, self.reciprocal, "scaled")
        scaled = self._stage(m, scaled[base - 1:].as_signed(), "scaled")
        power = Signal(4)
        m.d.comb += power.eq(self.reciprocal_shift - base)
        mean = self._stage(m, (((scaled >> power) + 1) >> 1)[:self._mean_width].as_signed(), "mean")
        m.d.comb += self.mean.eq(mean)

        total = self._delay(m, total, 4, "total")
        times_n = self._stage(m, mean * Cat(Const(0, (self._tile - 1).bit_length()), self.columns), "times_n")
        twice = (total << guard + 1) - times_n
        twice = self._stage(m, twice[:self._mean_width + grow + 1].as_signed(), "twice")
        product = self._product(m, self._delay(m, mean, 2, "mean_late"), twice, "product")
        product = self._stage(m, product, "product")
        squares = self._delay(m, squares, 7, "squares")
        energy = (squares << 2 * guard) - product + self.epsilon
        return self._stage(m, energy[:self._energy_width], "energy")

    def _deviation(self, m, energy):
        """Stages 10 to 14 and the table: exponent and mantissa of 1/sigma."""
        form = self._form
        coarse, zeros = _normalise(energy, (32, 16, 8))
        coarse, zeros = self._stage(m, coarse, "coarse"), self._stage(m, zeros, "zeros")
        fine, more = _normalise(coarse, (4, 2, 1))
        leading = self._stage(m, fine[-_PRODUCT:], "leading")

        product = self._product(m, leading, self.reciprocal[RECIPROCAL_BITS - _PRODUCT:], "variance")
        product = self._stage(m, product[:2 * _PRODUCT], "variance")
        offset = RECIPROCAL_BITS - form.mean_guard - self.reciprocal_shift
        top = self._energy_width - 1 - Cat(more, zeros)
        scale = self._stage(m, (top + offset)[:8].as_signed(), "scale")
        scale = self._delay(m, scale, 2, "scale_late")
        large = product[-1]
        exponent = Signal(signed(8))
        octave, fraction = Signal(reset_less=True), Signal(FRACTION, reset_less=True)
        half = Signal(5, reset_less=True)
        m.d.comb += exponent.eq(scale - ~large)
        below = 2 * _PRODUCT - 1 - FRACTION
        m.d.sync += [
            octave.eq(exponent[0]),
            fraction.eq(Mux(large, product[below:below + FRACTION], product[below - 1:below - 1 + FRACTION])),
            half.eq(form.exponent_max - (exponent >> 1)),
        ]

        m.submodules.rsqrt = rsqrt = Rsqrt(mantissa=form.mantissa)
        m.d.comb += [
            rsqrt.u.eq(Cat(fraction, octave)),
            rsqrt.enable.eq(1),
            self.left.eq(self._delay(m, half, rsqrt.latency, "half")),
            self.mantissa.eq(rsqrt.o),
        ]


def _normalise(value, steps):
    """Shift left by each of `steps` (descending) whose bits at the top are all zero; returns (value, steps taken)."""
    taken = []
    for step in steps:
        zero = ~value[-step:].any()
        value = Mux(zero, (value << step)[:len(value)], value)
        taken.append(zero)
    return value, Cat(reversed(taken))
