"""What the PE grid is built for, in numbers that a kernel takes."""

from typing import NamedTuple

from ..compiler.write_ports import busiest_port

__all__ = ["GridShape"]

_FOLLOWED = 8
"""Rows and columns of PEs that are followed."""


class GridShape(NamedTuple):
    """What the grid is built for, as plain numbers.

    Of a large grid only the PEs of the first rows and columns are followed: the others have as much to do.

    Parameters
    ----------
    tile, rows, columns : T, and the PEs that are followed
    all_rows, all_columns : PEs that there are
    window, entries : of a lane; activations that it takes per cycle
    skip : 0 none, 1 activation, 2 both
    slots : operand slots
    lines : of a beat
    a_rows, b_rows : that the expanders make per cycle
    latency : of a buffer
    bank_mask : bits of a slot that number its bank in the activation buffer
    turn : cycles that a row of a transposed tile takes longer
    way : cycles from a row of an output tile to its write
    crowd : times that more PEs share a port than if only those that are followed were there
    """

    tile: int
    rows: int
    columns: int
    all_rows: int
    all_columns: int
    window: int
    entries: int
    skip: int
    slots: int
    lines: int
    a_rows: int
    b_rows: int
    latency: int
    bank_mask: int
    turn: int
    way: int
    crowd: int

    @classmethod
    def of(cls, config):
        """That of an `AcceleratorConfig`."""
        lines = config.lines_per_beat
        rows, columns = min(_FOLLOWED, config.grid_rows), min(_FOLLOWED, config.grid_columns)
        window = config.window if config.skip == "both" else 1
        return cls(
            tile=config.tile, rows=rows, columns=columns,
            all_rows=config.grid_rows, all_columns=config.grid_columns, window=window, entries=min(2, window),
            skip=("none", "activation", "both").index(config.skip), slots=config.operand_slots, lines=lines,
            a_rows=min(lines * config.psum_tiles, max(lines, config.tile // 2)), b_rows=lines, latency=config.buffer_latency,
            bank_mask=config.activation_banks - 1,
            turn=config.tile if config.b_memory == "ram" else 0, way=10,
            crowd=busiest_port(config.grid_rows, config.grid_columns) // busiest_port(rows, columns))
