"""Places in a ring of tile slots, as writers and readers of operands count them."""

from amaranth.lib import data

__all__ = ["advance", "next_slot", "passed", "ring_position"]


def ring_position(tile, group_rows, slots):
    """A place in the ring: group of `group_rows` rows, slot, and a bit that flips whenever the slots wrap."""
    return data.StructLayout({"group": range(tile // group_rows), "slot": range(slots), "lap": 1})


def next_slot(m, place, slots):
    """Move the slot of `place` on by one, in the current condition of `m`."""
    m.d.sync += place.slot.eq(place.slot + 1)
    with m.If(place.slot == slots - 1):
        m.d.sync += [place.slot.eq(0), place.lap.eq(~place.lap)]


def advance(m, place, last, slots):
    """Move `place` on by one group, or to the next slot if the group is the last."""
    m.d.sync += place.group.eq(place.group + 1)
    with m.If(last):
        m.d.sync += place.group.eq(0)
        next_slot(m, place, slots)


def passed(end, needed, by_groups):
    """Whether a reader that still needs place `needed` is past what a write at `end` overwrites: the slot, or with
    `by_groups` the group.
    """
    return (end.lap == needed.lap) | (end.slot < needed.slot) | (
        by_groups & (end.slot == needed.slot) & (end.group < needed.group))
