"""Pieces of activation tensors: what the allocator places, each for as long as it is used."""

from bisect import bisect_right
from dataclasses import dataclass, fields, replace

from .steps import Region

__all__ = ["Cuts", "Piece", "Pieces"]


@dataclass(frozen=True)
class Piece:
    """A rectangle of tiles of a tensor, or a copy of one."""

    tensor: str
    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Cuts:
    """Tile rows and tile columns at which the pieces of a tensor begin, in order, and at which the last ones end."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def inside(self, first, count):
        """Tile rows at which pieces begin within `count` rows from `first` on, counted from there."""
        return {row - first for row in self.rows if first < row < first + count}


class Pieces:
    """The pieces of all activation tensors of a graph.

    Parameters
    ----------
    graph : Graph
    cuts : Cuts by tensor; others are one piece

    Members
    -------
    by_owner : Piece by the name that the allocator knows
    """

    def __init__(self, graph, cuts=None):
        self._graph, self._cuts = graph, cuts or {}
        self.by_owner: dict[str, Piece] = {}

    def cuts(self, tensor):
        """Those of a tensor."""
        if tensor not in self._cuts:
            shape = self._graph.tensors[tensor]
            self._cuts[tensor] = Cuts((0, shape.rows // self._graph.tile), (0, shape.columns // self._graph.tile))
        return self._cuts[tensor]

    def settled(self, step, copies):
        """A step whose regions of activations lie in pieces.

        Parameters
        ----------
        step : with regions that count in whole tensors
        copies : (name, first tile row) by tensor, of those of which some rows were brought for the operation
        """
        regions = {f.name: getattr(step, f.name) for f in fields(step) if isinstance(getattr(step, f.name), Region)}
        return replace(step, **{name: self._located(region, copies) for name, region in regions.items()
                                if region.home == "activation"})

    def _located(self, region, copies):
        cuts, tensor = self.cuts(region.owner), region.owner
        if tensor in copies:
            owner, top, rows = copies[tensor]
            left, columns = 0, cuts.columns[-1]
        else:
            (top, bottom), (left, right) = _span(cuts.rows, region.row), _span(cuts.columns, region.column)
            rows, columns = bottom - top, right - left
            whole = (rows, columns) == (cuts.rows[-1], cuts.columns[-1])
            owner = tensor if whole else f"{tensor}[{top}, {left}]"
        row, column = region.row - top, region.column - left
        if not (row >= 0 and row + region.rows <= rows and column + region.columns <= columns):
            raise ValueError(f"{region} lies in several pieces")
        self.by_owner.setdefault(owner, Piece(tensor, top, left, rows, columns))
        return Region(region.home, owner, row, column, region.rows, region.columns, tensor, top, left)


def _span(edges, position):
    """The piece in which a position lies: its begin and its end."""
    after = bisect_right(edges, position)
    return edges[after - 1], edges[after]
