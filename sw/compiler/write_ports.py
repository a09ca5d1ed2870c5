"""How fast output tiles leave the PE grid: the PEs of one anti-diagonal share a write port, which takes a word in a cycle."""

import numpy as np

__all__ = ["busiest_port", "leaving", "output_words"]


def busiest_port(rows, columns):
    """Of rows x columns PEs, how many share the busiest write port: those of the longest anti-diagonal."""
    return min(rows, columns)


def output_words(nonzeros, config):
    """Words that the write port takes for output tiles: their full and last lines, or one with an empty mask.

    Parameters
    ----------
    nonzeros : values of each tile that are not zero, a number or an array of them
    config : AcceleratorConfig
    """
    return np.maximum(1, -(-nonzeros // (config.tile * config.lines_per_beat))).astype(np.int64)


def leaving(rows, columns, config, density=1.0):
    """Cycles in which `rows` x `columns` output tiles can leave the grid at best, group by group of as many as it has PEs.

    Each PE gives a row of its tile in a cycle, and each port takes a word.

    Parameters
    ----------
    rows, columns : of output tiles
    config : AcceleratorConfig
    density : share of their values that is expected not to be zero
    """
    words = int(output_words(density * config.tile**2, config))
    heights, widths = _groups(rows, config.grid_rows), _groups(columns, config.grid_columns)
    return sum(number * other * max(config.tile, busiest_port(height, width) * words)
               for height, number in heights for width, other in widths)


def _groups(tiles, size):
    """(Tiles of a group, number of such groups) along one side of a product: full ones, and the last where it is not."""
    full, rest = divmod(tiles, size)
    return [(size, full)] + ([(rest, 1)] if rest else [])
