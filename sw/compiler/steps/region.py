"""What instructions work on: rectangles of tiles, and what one LOAD brings."""

from dataclasses import dataclass

__all__ = ["Block", "Region"]


@dataclass(frozen=True)
class Region:
    """A rectangle of tiles of an activation tensor or of a piece of one, of a weight block, or of a vector (one row: lines).

    `home` is activation, weight or vector; `owner` names what the allocator places, in which `row` and `column` count. Of a
    piece, `whole` is the tensor's name, in which the piece begins at row `top` and column `left`.
    """

    home: str
    owner: str
    row: int
    column: int
    rows: int
    columns: int
    whole: str = ""
    top: int = 0
    left: int = 0

    @property
    def tensor(self):
        """The name of the tensor."""
        return self.whole or self.owner

    @property
    def tensor_row(self):
        """The first row in the tensor."""
        return self.top + self.row


@dataclass(frozen=True)
class Block:
    """What one LOAD brings: the columns of a weight matrix from `column` on, or vectors one after the other.

    `owner` is its name for the allocator; rows and columns are tiles (vectors: 1 and lines); `sources` are the tensors.
    """

    home: str
    owner: str
    rows: int
    columns: int
    sources: tuple[str, ...]
    column: int = 0

    @property
    def region(self):
        """All of it."""
        return Region(self.home, self.owner, 0, 0, self.rows, self.columns)
