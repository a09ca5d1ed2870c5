"""Where tensors lie in the buffers, and how long."""

from dataclasses import dataclass

import numpy as np

from ..ir.errors import CapacityError

__all__ = ["Placement", "activation_slots", "lifetimes", "live_tiles", "piece_slots", "place_activations", "place_blocks",
           "required_tiles"]


@dataclass(frozen=True)
class Placement:
    """Slots of a tensor: tile (i, j) lies in ``slot + i * pitch + j``; for a block, the step before which it may load.

    `release` is the position of the first step that no longer uses what lay there before.
    """

    slot: int
    pitch: int
    release: int = 0


def activation_slots(rows, columns):
    """(Pitch, slots) of an activation tensor of so many tiles: the one rule for every matrix in the activation buffer.

    The pitch is the smallest odd one: neighbours in a column lie in different banks, since the number of banks is a power of
    two. A tensor of one tile row needs no gaps.
    """
    pitch = columns if rows == 1 else columns | 1
    return pitch, (rows - 1) * pitch + columns


def piece_slots(pieces):
    """Slots of every piece of an activation tensor, by owner."""
    return {owner: activation_slots(piece.rows, piece.columns)[1] for owner, piece in pieces.items()}


def lifetimes(steps, home):
    """First and last position at which each owner of a kind of buffer is used, in order of first use."""
    spans: dict[str, tuple[int, int]] = {}
    for position, step in enumerate(steps):
        for region in (*step.reads, *step.writes):
            if region.home == home:
                spans[region.owner] = (spans.get(region.owner, (position,))[0], position)
    return spans


class _Ring:
    """Online allocation that prefers what was free first, so that a new tensor waits for old work only."""

    def __init__(self, capacity):
        self.last_use = np.full(capacity, -1, dtype=np.int64)

    def place(self, size, first, last):
        """The start of a region that is free from position `first` on, and its release; None where there is none."""
        use, best = self.last_use, None
        edges = np.flatnonzero(np.diff(use)) + 1
        starts = np.unique(np.concatenate([[0], edges, edges - size, [len(use) - size]]))
        for start in starts[(starts >= 0) & (starts + size <= len(use))].tolist():
            release = int(use[start: start + size].max()) + 1
            if release <= first and (best is None or release < best[1]):
                best = start, release
        if best is not None:
            use[best[0]: best[0] + size] = last
        return best


def place_activations(pieces, steps, capacity, *, pack, kept=()):
    """Slots of every piece of an activation tensor.

    Parameters
    ----------
    pieces : Piece by owner
    steps : in order
    capacity : of the activation buffer, in tiles
    pack : place the largest pieces first, or what takes most tiles for the longest time, instead of preferring what was free
        first: both are denser
    kept : owners of pieces that nothing may overwrite, before they are written or after they were read

    Returns
    -------
    dict of Placement by owner, or None where they do not fit
    """
    shapes = _shapes(pieces, steps, kept)
    if pack:
        return next((placed for placed, height in _packed(shapes) if height <= capacity), None)
    ring, placed = _Ring(capacity), {}
    for name, (size, pitch, first, last) in shapes.items():
        best = ring.place(size, first, last) if size <= capacity else None
        if best is None:
            return None
        placed[name] = Placement(best[0], pitch, best[1])
    return placed


def live_tiles(pieces, steps, kept=()):
    """The most tiles in use at one step: no placement takes fewer."""
    changes = np.zeros(len(steps) + 2, dtype=np.int64)
    for size, _, first, last in _shapes(pieces, steps, kept).values():
        changes[first] += size
        changes[last + 1] -= size
    return int(changes.cumsum().max())


def required_tiles(pieces, steps, kept=()):
    """Tiles that the packed placement takes, and the largest piece with its size."""
    shapes = _shapes(pieces, steps, kept)
    largest = max(shapes, key=lambda name: shapes[name][0])
    return min(height for _, height in _packed(shapes)), largest, shapes[largest][0]


def _shapes(pieces, steps, kept=()):
    """(slots, pitch, first use, last use) of every piece, in order of first use; of `kept`, all steps."""
    shapes = {}
    for name, (first, last) in lifetimes(steps, "activation").items():
        pitch, size = activation_slots(pieces[name].rows, pieces[name].columns)
        span = (0, len(steps)) if name in kept else (first, last)
        shapes[name] = size, pitch, *span
    return shapes


def _packed(shapes):
    """Placements of pieces as low as they go, each with the tiles that it takes: the largest pieces first, then again with
    those first that take most tiles for the longest time, which leaves fewer gaps between pieces that live long.
    """
    yield _pack(shapes, lambda size, first, last: size)
    yield _pack(shapes, lambda size, first, last: size * (last - first))


def _pack(shapes, weight):
    placed, height, count = {}, 0, 0
    starts, ends, firsts, lasts = np.zeros((4, len(shapes)), dtype=np.int64)
    for name, (size, pitch, first, last) in sorted(shapes.items(), key=lambda item: -weight(item[1][0], *item[1][2:])):
        beside = np.flatnonzero((firsts[:count] <= last) & (lasts[:count] >= first))
        start = 0
        for other in beside[np.lexsort((ends[beside], starts[beside]))].tolist():
            if starts[other] < start + size and start < ends[other]:
                start = int(ends[other])
        starts[count], ends[count], firsts[count], lasts[count] = start, start + size, first, last
        placed[name] = Placement(start, pitch)
        height, count = max(height, start + size), count + 1
    return placed, height


def place_blocks(blocks, steps, home, capacity, field, *, resident=False):
    """Places of the blocks that LOADs bring, in a ring, in order of need.

    Parameters
    ----------
    blocks : Block by owner
    steps : in order
    home : weight or vector
    capacity : tiles or lines
    field : configuration field that holds the capacity
    resident : every block keeps its place to itself

    Returns
    -------
    dict of (Placement, position of first use) by owner, in order of need

    Raises
    ------
    CapacityError : naming the first block that finds no place
    """
    ring, placed = _Ring(capacity), {}
    live: dict[str, tuple[int, int]] = {}
    for owner, (first, last) in sorted(lifetimes(steps, home).items(), key=lambda item: item[1]):
        block = blocks[owner]
        size = block.rows * block.columns
        if resident:
            last = len(steps)
        best = ring.place(size, first, last) if size <= capacity else None
        live = {name: entry for name, entry in live.items() if entry[1] >= first}
        if best is None:
            unit = "tiles" if home == "weight" else "lines"
            held = sum(entry[0] for entry in live.values())
            need = 1 << (held + size - 1).bit_length()
            raise CapacityError(f"{block.sources[0]} needs {size} {unit} of the {home} buffer beside {held} in use, of "
                                f"{capacity}", {field: need})
        live[owner] = size, last
        placed[owner] = Placement(best[0], block.columns, best[1]), first
    return placed
