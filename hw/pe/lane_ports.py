"""How steps and operands reach a lane and its parts."""

from amaranth.lib.wiring import In, Out

from ..layout import pe_step
from .operand_writer import column_write
from .ring import ring_position

__all__ = ["STEP_RING", "connect_lane", "lane_ports"]

STEP_RING = 4
"""Steps that the lanes of a PE may be apart."""


def lane_ports(form):
    """Members that a lane of a `LaneFormat` has in common with the parts of it that read operands.

    steps, steps_end, steps_position : ring of steps, its end, and the step that this lane reads; modulo twice `STEP_RING`
    a_group : In, group of rows to which the lane's row belongs
    a_end, b_end, b_partial : where the operands end, from `OperandSlots`
    a_values, a_masks : the lane's row in each slot of A
    b_masks : all mask rows of B, with `b_memory` "registers"
    b_writes : In(column_write) per column of B, to the copies in the lane, with "ram"
    """
    position = ring_position(form.tile, form.group_rows, form.slots)
    return {
        "steps": In(STEP_RING * pe_step(form.psum_tiles).size),
        "steps_end": In(range(2 * STEP_RING)),
        "steps_position": Out(range(2 * STEP_RING)),
        "a_group": In(range(form.tile // form.group_rows)),
        "a_end": In(position),
        "b_end": In(position),
        "b_partial": In(1),
        "a_values": In(form.rows * form.width),
        "a_masks": In(form.rows),
        **({"b_writes": In(column_write(form.b_width, form.rows)).array(form.tile)} if form.in_ram else
           {"b_masks": In(form.rows * form.tile)}),
    }


def connect_lane(m, lane, part):
    """Pass the `lane_ports` of a lane on to a part of it."""
    for name in ("steps", "steps_end", "a_group", "a_end", "b_end", "b_partial", "a_values", "a_masks"):
        m.d.comb += getattr(part, name).eq(getattr(lane, name))
    if hasattr(lane, "b_masks"):
        m.d.comb += part.b_masks.eq(lane.b_masks)
    else:
        m.d.comb += [inner.eq(outer) for inner, outer in zip(part.b_writes, lane.b_writes, strict=True)]
    m.d.comb += lane.steps_position.eq(part.steps_position)
