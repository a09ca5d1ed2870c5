"""Which of the 24 loop orders a product runs in."""

from dataclasses import dataclass

from ...hw.spec.isa import LoopOrder

__all__ = ["OrderCost", "best_order", "order_cost"]

_A_EXPONENT = 0.85
"""Cycles of a step are the density of A to this power, from the measured speed-up of random masks."""

_B_EXPONENTS = {2: 0.3, 4: 0.54, 5: 0.56, 6: 0.6, 8: 0.7}
"""The same for B, by window: how far the MACs of a lane, of which each skips its own zeros, may drift apart."""

_EVEN_B_EXPONENTS = {2: 0.42, 4: 0.84, 5: 0.98, 6: 0.98, 8: 0.98}
"""The same where zeros are spread evenly over each column of B, as N:M pruning does: then the MACs drift apart less."""

_ENTRIES = 2
"""Activations that a lane takes per cycle at most, however few of its MACs need them."""


@dataclass(frozen=True, order=True)
class OrderCost:
    """What an order costs; smaller is better, field by field.

    Parameters
    ----------
    cycles : the grid's, estimated, whatever it waits for most
    accesses : words read from the buffers
    a_loads, b_loads : tiles read, exact, before multicast
    """

    cycles: int
    accesses: int
    a_loads: int
    b_loads: int


def order_cost(order, rows, inner, columns, batch, config, *, a_density=1.0, b_density=1.0, b_even=False, shared_b=False):
    """The cost of one order for a product of `batch` x (`rows` x `inner` x `columns`) tiles.

    Parameters
    ----------
    order : LoopOrder
    a_density, b_density : share of the operands' values that are not zero
    b_even : B's zeros are spread evenly, see `densities.is_even`
    shared_b : the whole batch uses one B

    Returns
    -------
    OrderCost
    """
    steps = {"b": 1, "i": config.grid_rows, "j": config.grid_columns}
    limits = {"b": batch, "i": rows, "j": columns}
    names = order.name.lower().replace("k", "")
    counts = {name: -(-limits[name] // steps[name]) for name in names}
    third = names[2]
    size = 1 if order.name[-1] == "K" else min(config.psum_tiles, counts[third])
    chunks = -(-counts[third] // size)
    pairs = inner * counts["b"] * counts["i"] * counts["j"]

    def requests(moving):
        """Times that an operand, which these loops move, is asked for: it stays while only others go on."""
        loops = [(n in moving, counts[n]) for n in names[:2]]
        loops += [(third in moving, chunks), (True, inner), (third in moving, size)]
        while loops and (not loops[-1][0] or loops[-1][1] == 1):
            loops.pop()
        total = 1
        for _, count in loops:
            total *= count
        # A last chunk that is not full makes fewer passes of the loop inside it.
        return total * counts[third] // (chunks * size) if len(loops) == 5 else total

    a_requests = requests({"b", "i"})
    b_requests = requests({"j"} if shared_b else {"b", "j"})
    words = {x: max(1, -(-density * config.tile // config.lines_per_beat)) for x, density in
             (("a", a_density), ("b", b_density))}
    share = 1.0
    if config.skip != "none":
        share *= a_density**_A_EXPONENT
    if config.skip == "both":
        share *= b_density ** (_EVEN_B_EXPONENTS if b_even else _B_EXPONENTS)[config.window]
        if b_even:
            share = max(share, a_density / _ENTRIES)
    compute = config.tile * share
    a_rows = config.tile / min(config.lines_per_beat * config.psum_tiles, max(config.lines_per_beat, config.tile // 2))
    busy = max(pairs * compute, a_requests * max(words["a"], a_rows), b_requests * config.tile / config.lines_per_beat)
    # The output tiles of a chunk end together, and leave a row per cycle.
    waiting = counts["b"] * counts["i"] * counts["j"] * (size - 1) / size * max(0.0, config.tile - compute)
    a_loads = a_requests * rows // counts["i"]
    b_loads = b_requests * columns // counts["j"]
    return OrderCost(round(busy + waiting), round(a_loads * words["a"] + b_loads * words["b"]), a_loads, b_loads)


def best_order(rows, inner, columns, batch, config, **densities):
    """The order of the least cost, see `order_cost`; of equal ones the first of `LoopOrder`.

    Returns
    -------
    LoopOrder
    """
    return min(LoopOrder, key=lambda order: order_cost(order, rows, inner, columns, batch, config, **densities))
