"""Which of the 24 loop orders a product runs in."""

from ...hw.isa import LoopOrder

__all__ = ["best_order"]


def best_order(rows, inner, columns, batch, config):
    """The loop order of a product of `batch` x (`rows` x `inner` x `columns`) tiles on `config`.

    Returns
    -------
    LoopOrder
    """
    return LoopOrder.BIJK
