"""Where the cycles of an estimate went: a partition of all of them by what the matrix engine worked on or waited for."""

from collections import defaultdict

import numpy as np

__all__ = ["CAUSES", "phases"]

CAUSES = ("memory", "vector", "matrix", "fetch")
"""For what the matrix engine waits between products: data from main memory, softmax and layer-norm, its own earlier results,
instructions."""


def phases(program, estimate):
    """Cycles by kind of product, and the waits before these.

    The cycles in which a product is worked on begin where those of the one before end, or with its first step. What is before
    that is a wait; what comes after the last product is counted as `end`.

    Parameters
    ----------
    program : Program
    estimate : its Estimate

    Returns
    -------
    list of {"kind": of tensor, "products", "cycles", "multiplying", "operands", "output", "imbalance", and a number for each of
    `CAUSES`}, all in cycles, in the order in which kinds first appear; and {"kind": "end", "cycles"}
    """
    multipliers = estimate.config.multipliers
    found: dict[str, dict] = defaultdict(lambda: dict.fromkeys(
        ("products", "cycles", "multiplying", "operands", "output", "imbalance", *CAUSES), 0))
    made, now = program.made, 0
    for event in estimate.events:
        product = event.product
        if product is None:
            continue
        name = made.get(event.number)
        one = found[program.tensors[name]["kind"] if name else "other"]
        begin, end = max(now, product.first), max(now, product.last)
        one[event.cause] += begin - now
        fired, operands, output, spent = product.tally.tolist()
        lost = np.array([fired, operands, output, max(0, spent - fired - operands - output)], dtype=float)
        # Lanes that are done earlier than others, and the overlap of products, leave the span unlike the sum of its parts.
        shares = lost / lost.sum() * (end - begin) if lost.sum() else lost
        shares[0] = min(end - begin, fired / multipliers)
        rest = lost[1:].sum()
        shares[1:] = lost[1:] / rest * (end - begin - shares[0]) if rest else 0
        for key, value in zip(("multiplying", "operands", "output", "imbalance"), shares.tolist(), strict=True):
            one[key] += value
        one["products"] += 1
        one["cycles"] += end - begin
        now = end
    return [{"kind": kind, **values} for kind, values in found.items()] + [{"kind": "end", "cycles": estimate.cycles - now}]
