"""Several tables behind one interpolator."""

from dataclasses import dataclass

import numpy as np

from .quadratic_table import QuadraticTable

__all__ = ["TableBank"]


@dataclass(frozen=True)
class TableBank:
    """Tables of one format, one after the other in blocks of the size of the smallest.

    The argument of the bank is ``u + (first_block(n) << block_bits)`` for the argument u of table n.

    Parameters
    ----------
    tables : alike in everything but their function and their length, which is a power of two of blocks
    """

    tables: tuple[QuadraticTable, ...]

    @property
    def block_bits(self):
        """Bits of the argument of the smallest table."""
        return min(table.input_bits for table in self.tables)

    def blocks(self, number):
        """Blocks that table `number` takes."""
        return 1 << self.tables[number].input_bits - self.block_bits

    def first_block(self, number):
        """The first block of table `number`, a multiple of the blocks that it takes."""
        first = 0
        for n in range(number + 1):
            first = -(-first // self.blocks(n)) * self.blocks(n)
            if n < number:
                first += self.blocks(n)
        return first

    @property
    def input_bits(self):
        """Bits of the bank's argument."""
        last = len(self.tables) - 1
        return self.block_bits + (self.first_block(last) + self.blocks(last) - 1).bit_length()

    @property
    def input_frac(self):
        """Binary point of the argument."""
        return self.tables[0].input_frac

    @property
    def t_bits(self):
        """Bits of the position within a segment."""
        return self.tables[0].t_bits

    @property
    def guard(self):
        """Extra bits inside."""
        return self.tables[0].guard

    @property
    def coefficients(self):
        """Integer arrays c0, c1, c2 over the segments of all tables, zeros in the blocks between them."""
        segments = 1 << self.block_bits - self.t_bits
        parts: tuple[list, ...] = ([], [], [])
        for number, table in enumerate(self.tables):
            for part, values in zip(parts, table.coefficients, strict=True):
                gap = self.first_block(number) * segments - sum(map(len, part))
                part += [np.zeros(gap, dtype=np.int64), values]
        return tuple(np.concatenate(part) for part in parts)
