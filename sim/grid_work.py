"""What a batch of explored points has to do: random masks, cut into the operand streams and steps of the PE grid."""

from dataclasses import dataclass, replace

import numpy as np

from ..sw.models.weight_sparsity import GroupSparsity, random_mask

__all__ = ["PORTS", "GridPoint", "GridWork", "batch_work"]

PORTS = ("diagonal", "balanced", "own")


@dataclass(frozen=True, kw_only=True)
class GridPoint:
    """One product on one PE array.

    Parameters
    ----------
    rows, columns : PEs in the grid
    tile : T, up to 16
    lines_per_beat, window, operand_slots, skip : as in `AcceleratorConfig`
    a_slots, b_slots : operand slots of one operand, in place of `operand_slots`
    a_rows, b_rows : rows per cycle out of the expander of one operand, in place of `lines_per_beat`
    fifo_tiles : packed tiles in front of each PE and operand
    psum_tiles : output tiles that a PE works on at once, each with an accumulator per MAC
    shared : "b", these are in one tile column and share B's tiles; "a", in one tile row and share A's
    holds : hold registers per MAC
    drain : rows of an output tile that leave a PE per cycle
    write_lines : lines that go to the buffer in one write
    ports : which PEs share a write port: "diagonal", those of an anti-diagonal of the grid, ``r + c``; "balanced", those of
        equal ``(2 r + c) mod 2 max(R, C)``; "own", none
    step_queue : steps waiting at a PE, beside the four in its ring
    m, k, n : the product, in elements
    a_sparsity, b_sparsity : share of zeros, each drawn by itself; of B also a GroupSparsity, drawn group by group
    transpose : B arrives transposed
    seed : of the masks
    """

    rows: int = 2
    columns: int = 2
    tile: int = 16
    lines_per_beat: int = 4
    window: int = 4
    operand_slots: int = 2
    a_slots: int | None = None
    b_slots: int | None = None
    a_rows: int | None = None
    b_rows: int | None = None
    fifo_tiles: int = 2
    psum_tiles: int = 1
    shared: str = "b"
    holds: int = 1
    drain: int = 1
    write_lines: int = 1
    ports: str = "diagonal"
    step_queue: int = 4
    skip: str = "both"
    m: int = 128
    k: int = 512
    n: int = 128
    a_sparsity: float = 0.0
    b_sparsity: float | GroupSparsity = 0.0
    transpose: bool = False
    seed: int = 1

    def __post_init__(self):
        i, j, k = (size // self.tile for size in (self.m, self.n, self.k))
        blocks = i // self.rows if self.shared == "b" else j // self.columns
        if (i * self.tile, j * self.tile, k * self.tile) != (self.m, self.n, self.k):
            raise ValueError(f"{self.m} x {self.k} x {self.n}: use multiples of tile = {self.tile}")
        if i % self.rows or j % self.columns or not blocks or blocks % self.psum_tiles:
            raise ValueError(
                f"{self.m} x {self.n}: not a multiple of the {self.rows} x {self.columns} grid with psum_tiles = "
                f"{self.psum_tiles}; change m, n or psum_tiles"
            )
        if self.ports not in PORTS:
            raise ValueError(f"ports = {self.ports!r}: choose one of {', '.join(PORTS)}")
        if self.write_lines % self.drain:
            raise ValueError(f"write_lines = {self.write_lines}: use a multiple of drain = {self.drain}")

    @property
    def steps(self):
        """Pairs of tiles per PE."""
        return (self.m // self.tile // self.rows) * (self.n // self.tile // self.columns) * (self.k // self.tile)

    @property
    def rows_per_beat(self):
        """Of A and B."""
        return self.a_rows or self.lines_per_beat, self.b_rows or self.lines_per_beat

    @property
    def bound(self):
        """Cycles in which dense operands keep every multiplier busy."""
        return self.steps * self.tile

    def but(self, **changes):
        """Return this point with other values."""
        return replace(self, **changes)


@dataclass
class GridWork:
    """Operand streams and steps of one point. N tiles per stream and S steps; a mask row is an integer of T bits.

    Members
    -------
    a_masks, b_masks : [rows, N, T], [columns, N, T], as the lanes see them (row r of A; row k of B)
    a_counts, b_counts : [rows, N, T], [columns, N, T], values in each row as it is streamed
    a, b : [S + 1], tile of the stream that each step uses; the last entry is one past the end
    b_kept : [S], the next step uses B's tile again
    last : [S], the step ends an output tile
    output : [S], number of its output tile
    """

    a_masks: np.ndarray
    b_masks: np.ndarray
    a_counts: np.ndarray
    b_counts: np.ndarray
    a: np.ndarray
    b: np.ndarray
    b_kept: np.ndarray
    last: np.ndarray
    output: np.ndarray


def _rows(mask):
    """Integers of T bits from booleans [..., T]."""
    return (mask.astype(np.uint32) << np.arange(mask.shape[-1], dtype=np.uint32)).sum(axis=-1).astype(np.uint16)


def grid_work(point):
    """The steps of `point`, in loop order i, j, k with its output tiles in groups of `psum_tiles`."""
    p, tile = point, point.tile
    rng = np.random.default_rng(p.seed)
    i, j, k = p.m // tile, p.n // tile, p.k // tile
    a = rng.random((i, k, tile, tile)) >= p.a_sparsity
    b = random_mask(rng, (k, j, tile, tile), p.b_sparsity)

    row_blocks, column_blocks = np.arange(i // p.rows), np.arange(j // p.columns)
    group = p.psum_tiles
    row_groups = row_blocks.reshape(-1, group) if p.shared == "b" else row_blocks.reshape(-1, 1)
    column_groups = column_blocks.reshape(-1, group) if p.shared == "a" else column_blocks.reshape(-1, 1)
    steps = [(r, c, inner) for rs in row_groups for cs in column_groups for inner in range(k) for r in rs for c in cs]
    a_tile = _numbers([(r, inner) for r, _, inner in steps])
    b_tile = _numbers([(inner, c) for _, c, inner in steps])
    order = np.arange(len(steps))
    pair, place = order // (group * k), order % group
    used_a = [steps[n] for n in np.flatnonzero(np.diff(a_tile))]
    used_b = [steps[n] for n in np.flatnonzero(np.diff(b_tile))]

    a_streams = np.stack([[a[r * p.rows + lane, inner] for r, _, inner in used_a] for lane in range(p.rows)])
    b_streams = np.stack([[b[inner, c * p.columns + lane] for _, c, inner in used_b] for lane in range(p.columns)])
    streamed = b_streams.swapaxes(-1, -2) if p.transpose else b_streams
    return GridWork(
        a_masks=_rows(a_streams), b_masks=_rows(b_streams),
        a_counts=a_streams.sum(axis=-1), b_counts=streamed.sum(axis=-1),
        a=a_tile, b=b_tile, b_kept=np.diff(b_tile) == 0,
        last=(order // group) % k == k - 1, output=pair * group + place,
    )


def _numbers(tiles):
    """Number the tiles of a stream: one that the step before used too is not sent again. One more at the end."""
    new = np.array([n > 0 and tile != tiles[n - 1] for n, tile in enumerate(tiles)] + [True])
    return np.cumsum(new)


def _padded(arrays, fill):
    """Stack arrays of unequal first (1-d) or second (3-d) length, filled up with `fill`, "edge" for the last value."""
    axis = 0 if arrays[0].ndim == 1 else 1
    size = max(a.shape[axis] for a in arrays)
    widths = [[(0, size - a.shape[axis]) if n == axis else (0, 0) for n in range(a.ndim)] for a in arrays]
    return np.stack([
        np.pad(a, w, mode="edge") if fill == "edge" else np.pad(a, w, constant_values=fill)
        for a, w in zip(arrays, widths, strict=True)
    ])


def batch_work(points):
    """The work of several points of one grid, tile and `lines_per_beat`, stacked: every array gets a first axis."""
    works = [grid_work(p) for p in points]
    fills = {"a": "edge", "b": "edge"}
    names = GridWork.__dataclass_fields__
    return GridWork(**{name: _padded([getattr(w, name) for w in works], fills.get(name, 0)) for name in names})
