"""The T-wide arithmetic of layer-norm, the same pipeline for both passes."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import join_products, tree_sum
from ..layout import line_layout
from ..post_process.dynatran import DynaTran
from ..spec.layernorm import GAMMA_LEADS, GUARD, LEFT_MAX, LayerNormFormat
from .layernorm_column import LayerNormColumn

__all__ = ["LayerNormLanes"]


class LayerNormLanes(wiring.Component):
    """One row of T values per enabled cycle, `latency` stages: T columns (`LayerNormColumn`), their sums, and pruning.

    In pass 1 the row's scalars are those of a mean of zero and a deviation of one (`identity`), so that y1 is v and the
    gamma multiplier squares it: no operand needs a way round. Formats: `sw.golden.layernorm.LayerNormFormat`.

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
    square : In(1), pass 1, at the row's stage 5
    gamma : In(line), at stage 6
    beta : In(T values of W + GUARD bits), aligned to the result, at stage 8
    shift, tau : In, constant
    total : Out, sum of v over the row, stage 9
    squares : Out, sum of v*v over the row, stage 9
    y : Out(line), stage 9, combinational
    """

    latency = 9

    def __init__(self, *, tile, width, max_inner):
        self._tile, self._width, self._max_inner, self._form = tile, width, max_inner, LayerNormFormat(width)
        form, grow = self._form, (tile - 1).bit_length()
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
            "beta": In(line_layout(tile, width + GUARD)),
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
        form = self._form
        amounts = {
            "x_amount": self.x_shift + LEFT_MAX,
            "r_amount": self.r_shift + LEFT_MAX,
            "product_amount": self.shift - (form.fraction + GAMMA_LEADS.start),
        }
        scalars = {
            "mean": self.mean,
            "left": self._stage(m, self.left, "left_3"),
            "mantissa": self._stage(m, self._stage(m, self.mantissa, "mantissa_3"), "mantissa_4"),
        }
        m.submodules.prune = prune = DynaTran(tile=self._tile, width=self._width)
        m.d.comb += [prune.tau.eq(self.tau), self.y.eq(prune.o)]
        columns = []
        for c in range(self._tile):
            m.submodules[f"column_{c}"] = column = LayerNormColumn(width=self._width, max_inner=self._max_inner)
            m.d.comb += [
                *(getattr(column, name).eq(value) for name, value in amounts.items()),
                *(getattr(column, name).eq(value) for name, value in scalars.items()),
                *(getattr(column, name).eq(getattr(self, name)) for name in ("enable", "residual", "square")),
                *(getattr(column, name).eq(getattr(self, name)[c]) for name in ("x", "r", "gamma", "beta")),
                prune.i[c].eq(column.o),
            ]
            columns.append(column)

        # The sums of either half of the squares are joined behind their registers.
        total = self._stage(m, tree_sum(column.v for column in columns), "total_7")
        halves = [self._stage(m, tree_sum(column.halves[n] for column in columns), f"squares_{n}") for n in range(2)]
        m.d.comb += [
            self.total.eq(self._stage(m, self._stage(m, total, "total_8"), "total_9")),
            self.squares.eq(self._stage(m, join_products(halves, form.factor_half)[:len(self.squares)], "squares_9")),
        ]
        return m

    def _stage(self, m, value, name):
        register = Signal(value.shape(), name=name, reset_less=True)
        with m.If(self.enable):
            m.d.sync += register.eq(value)
        return register
