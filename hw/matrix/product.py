"""What the sequencers of the matrix engine share: a decoded MATMUL and its loops."""

from amaranth.hdl import Signal

from .. import isa

__all__ = ["COUNT_BITS", "PRODUCT", "position_of", "set_loops"]

PRODUCT = isa.layout(isa.Opcode.MATMUL)
"""The instruction as it lies in the 512 bits."""

COUNT_BITS = 12
"""Bits of a tile count."""

_PERMUTATIONS = ("bij", "bji", "ibj", "ijb", "jbi", "jib")


def _permutation(m, order):
    """Which of the six orders of b, i, j a loop order induces: k always runs to its end for each output tile."""
    chosen = Signal(range(len(_PERMUTATIONS)))
    with m.Switch(order):
        for entry in isa.LoopOrder:
            with m.Case(int(entry)):
                m.d.comb += chosen.eq(_PERMUTATIONS.index(entry.name.lower().replace("k", "")))
    return chosen


def set_loops(m, walker, product, *, rows_step, columns_step, strides, inner_stride=None):
    """Give `walker` the loops of `product` in its order; returns which level is b, i and j, as one-hot triples.

    `strides` maps "b", "i", "j" to address strides; `inner_stride` adds the k loop as the innermost level.
    """
    chosen = _permutation(m, product.order)
    loops = {
        "b": (product.batch, 1, strides["b"]),
        "i": (product.rows, rows_step, strides["i"]),
        "j": (product.columns, columns_step, strides["j"]),
    }
    level_of = {name: Signal(3, name=f"level_of_{name}") for name in loops}
    with m.Switch(chosen):
        for number, names in enumerate(_PERMUTATIONS):
            with m.Case(number):
                for level, name in enumerate(names):
                    limit, step, stride = loops[name]
                    loop = walker.loops[level]
                    m.d.comb += [loop.limit.eq(limit), loop.step.eq(step), loop.stride.eq(stride)]
                    m.d.comb += level_of[name][level].eq(1)
    if inner_stride is not None:
        loop = walker.loops[3]
        m.d.comb += [loop.limit.eq(product.inner), loop.step.eq(1), loop.stride.eq(inner_stride)]
    return level_of


def position_of(walker, level):
    """The position of the loop at a one-hot level."""
    chosen = 0
    for n in range(3):
        chosen = chosen | (walker.position[n] & level[n].replicate(len(walker.position[n])))
    return chosen
