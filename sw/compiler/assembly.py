"""Tensors of a run, put together from their pieces."""

import torch

__all__ = ["CONFLICT", "Assembly"]

CONFLICT = 1 << 30
"""Stands where copies of an element differ: no tensor holds it."""


class Assembly:
    """Collects the pieces of a program's tensors in any order.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program):
        self._tile = program.config.tile
        self._tensors = program.tensors
        self._missing = {name: len(tensor["pieces"]) for name, tensor in program.tensors.items()}
        self._values, self._seen = {}, {}

    def add(self, name, piece, matrix):
        """One piece of a tensor, int64 [rows, columns] in elements.

        Returns
        -------
        The whole tensor, if this is the last piece; else None
        """
        if name not in self._values:
            shape = [self._tensors[name][count] * self._tile for count in ("rows", "columns")]
            self._values[name] = torch.zeros(shape, dtype=torch.int64)
            self._seen[name] = torch.zeros(shape, dtype=torch.bool)
        place = tuple(slice(piece[first] * self._tile, (piece[first] + piece[count]) * self._tile)
                      for first, count in (("row", "rows"), ("column", "columns")))
        values, seen = self._values[name][place], self._seen[name][place]
        values[:] = torch.where(seen & (values != matrix), CONFLICT, matrix)
        seen[:] = True
        self._missing[name] -= 1
        return None if self._missing[name] else self._values.pop(name)
