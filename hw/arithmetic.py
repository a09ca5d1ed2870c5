"""Exact fixed-point helpers: every rounding and every sum in the hardware goes through these."""

from operator import add, or_

from amaranth.hdl import Cat, Const, Mux, signed

__all__ = ["saturate", "round_shift", "tree_sum", "tree_or", "popcount", "partial_products", "join_products"]


def saturate(value, width):
    """Clamp a signed value to `width` bits: the golden function is `sw.golden.fixed.saturate`."""
    if len(value) <= width:
        return value
    high, low = (1 << (width - 1)) - 1, -(1 << (width - 1))
    upper = value[width - 1:]
    fits = upper.all() | ~upper.any()
    return Mux(fits, value[:width].as_signed(), Mux(value[-1], Const(low, signed(width)), Const(high, signed(width))))


def round_shift(value, shift):
    """Shift right by `shift` (a Python int or an unsigned value), rounding half up: ``(x + 2**(shift-1)) >> shift``.

    The golden function is `sw.golden.fixed.round_shift`.
    """
    if isinstance(shift, int):
        if shift == 0:
            return value
        return ((value >> (shift - 1)) + 1) >> 1
    doubled = Cat(Const(0, 1), value).as_signed()
    return ((doubled >> shift) + 1) >> 1


def tree_sum(terms):
    """Balanced sum; one bit of growth per level."""
    return _tree(add, terms)


def tree_or(terms):
    """Balanced OR, which synthesis does not make of a long chain."""
    return _tree(or_, terms)


def _tree(operator, terms):
    terms = list(terms)
    while len(terms) > 1:
        pairs = [operator(a, b) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + ([terms[-1]] if len(terms) % 2 else [])
    return terms[0]


def popcount(bits):
    """Number of ones."""
    return tree_sum([bits[i] for i in range(len(bits))])


def partial_products(a, b, bits):
    """`a` times each group of `bits` bits of `b`, lowest first: the first stage of a product in two."""
    groups = [b[n:n + bits] for n in range(0, len(b), bits)]
    if b.shape().signed:
        groups[-1] = groups[-1].as_signed()
    return [a * group for group in groups]


def join_products(parts, bits):
    """The product from its `partial_products`: the second stage."""
    total = parts[-1]
    for part in reversed(parts[:-1]):
        total = Cat(part[:bits], total + (part >> bits)).as_signed()
    return total
