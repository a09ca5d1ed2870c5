"""What the sequencers of the matrix engine share: a decoded MATMUL, its loops, and what they reuse."""

from amaranth.hdl import Cat, Mux, Signal

from ..instruction_layout import layout
from ..spec import isa
from ..spec.widths import SLOT_BITS

__all__ = ["COUNT_BITS", "LEVELS", "PRODUCT", "REACH_BITS", "kept", "moves", "position_of", "set_loops"]

PRODUCT = layout(isa.Opcode.MATMUL)
"""The instruction as it lies in the 512 bits."""

COUNT_BITS = 12
"""Bits of a tile count."""

LEVELS = 5
"""Loops over pairs of tiles, outermost first: two of b, i and j; chunks of the third; k; the third inside its chunk."""

REACH_BITS = SLOT_BITS + 2
"""Bits of the slot that a walk arrives at. From the last slot inside a buffer a step of a loop takes it no further than this
counts, so that a slot outside never looks like one inside."""

_PERMUTATIONS = ("bij", "bji", "ibj", "ijb", "jbi", "jib")


def _order(m, order):
    """Which permutation of b, i, j a loop order induces, and whether another loop than k is its innermost."""
    chosen, chunked = Signal(range(len(_PERMUTATIONS))), Signal()
    with m.Switch(order):
        for entry in isa.LoopOrder:
            name = entry.name.lower()
            with m.Case(int(entry)):
                m.d.comb += [chosen.eq(_PERMUTATIONS.index(name.replace("k", ""))), chunked.eq(name[-1] != "k")]
    return chosen, chunked


def set_loops(m, walker, product, *, rows_step, columns_step, strides, inner_stride=None, psum_tiles=1):
    """Give `walker` the loops of `product` in its order; returns which level is b, i and j, as one-hot triples.

    `strides` maps "b", "i", "j" to address strides. With `inner_stride`, that of k, the loops are the `LEVELS` over pairs of
    tiles: where k is not the innermost loop of the order, as many output tiles as a PE holds (`psum_tiles`) share a pass of k.
    Without it they are the three over output tiles, whose order is the same.

    The loops are registered: they are those of `product` one cycle after it, when a walker that starts at once needs them.
    """
    chosen, chunked = _order(m, product.order)
    loops = {
        "b": (product.batch, 1, strides["b"]),
        "i": (product.rows, rows_step, strides["i"]),
        "j": (product.columns, columns_step, strides["j"]),
    }
    held = [Signal.like(loop, name=f"loop_{n}", reset_less=True) for n, loop in enumerate(walker.loops)]
    level_of = {name: Signal(3, name=f"level_of_{name}") for name in loops}
    with m.Switch(chosen):
        for number, names in enumerate(_PERMUTATIONS):
            with m.Case(number):
                for level, name in enumerate(names):
                    limit, step, stride = loops[name]
                    m.d.sync += [held[level].limit.eq(limit), held[level].step.eq(step), held[level].stride.eq(stride)]
                    m.d.sync += [level_of[other][level].eq(other == name) for other in loops]
                if inner_stride is not None:
                    within = held[4]
                    m.d.sync += [within.step.eq(step), within.stride.eq(stride)]
                    with m.If(chunked):
                        m.d.sync += [held[2].step.eq(step * psum_tiles), held[2].stride.eq(stride * psum_tiles)]
    m.d.comb += [loop.eq(kept_loop) for loop, kept_loop in zip(walker.loops, held, strict=True)]
    if inner_stride is not None:
        third, rest = held[2], Signal(COUNT_BITS)
        m.d.sync += [held[3].limit.eq(product.inner), held[3].step.eq(1), held[3].stride.eq(inner_stride)]
        m.d.comb += [
            rest.eq(third.limit - walker.position[2]),
            walker.loops[4].limit.eq(Mux(rest < third.step, rest, third.step)),
        ]
    return level_of


def position_of(walker, level):
    """The position of the loop at a one-hot level."""
    chosen = 0
    for n in range(3):
        position = walker.position[n]
        if n == 2 and len(walker.position) == LEVELS:
            position = (position + walker.position[4])[: len(position)]
        chosen = chosen | (position & level[n].replicate(len(position)))
    return chosen


def moves(product, level, operand):
    """Which of the `LEVELS` bring another tile of `operand`, "a" or "b"; a batch stride of zero shares it in the batch."""
    batch = level["b"] & (getattr(product, f"{operand}_batch") != 0).replicate(3)
    own = batch | level["i" if operand == "a" else "j"]
    return Cat(own, 1, own[2])


def kept(walker, moving):
    """High where the iteration after this one, of the same product, uses the same tile; `moving` as from `moves`."""
    brings = []
    for n in range(LEVELS):
        here = ~walker.last[n] & walker.last[n + 1:].all() if n + 1 < LEVELS else ~walker.last[n]
        restarted = (moving[n + 1:] & ~walker.first[n + 1:]).any() if n + 1 < LEVELS else 0
        brings.append(here & (moving[n] | restarted))
    return ~walker.done & ~Cat(brings).any()
