"""Which weights become zero: a share of each matrix, or all but N of every M that a multiplier meets one after the other."""

import re

import numpy as np

from ...hw.spec.config import TILES
from ..ir.errors import CompileError

__all__ = ["GroupSparsity", "as_weight_sparsity", "random_mask", "sparsity_text", "zero_share"]


class GroupSparsity(str):
    """N:M pruning: of every M consecutive weights along the inner dimension of a product the N largest magnitudes stay.

    It is the text "N:M" itself, so that it stands in JSON, in a key or in a table as it was given.

    Parameters
    ----------
    text : N:M, such as 2:4

    Raises
    ------
    CompileError : N is 0 or larger than M, M divides no tile size, or the text is something else
    """

    __slots__ = ()
    field = "weight_sparsity"

    def __new__(cls, text):
        match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", str(text), re.ASCII)
        if not match:
            raise CompileError(f"{cls.field} = {text}: give N:M, such as 2:4")
        found = super().__new__(cls, f"{int(match[1])}:{int(match[2])}")
        if found.kept > found.group:
            raise CompileError(f"{cls.field} = {text}: {found.kept} of {found.group} cannot be kept: give an N up to M")
        if not found.kept:
            raise CompileError(f"{cls.field} = {text}: nothing would be kept: give an N of at least 1, such as 2:4")
        found.check(max(TILES))
        return found

    def check(self, tile):
        """Refuse groups that do not fill tiles of this size: CompileError."""
        if tile % self.group:
            near = min((size for size in range(self.group, tile) if not tile % size), default=tile)
            raise CompileError(f"{self.field} = {self}: groups of {self.group} do not fill tiles of {tile}: choose an M that "
                               f"divides {tile}, such as {min(self.kept, near)}:{near}")

    @property
    def kept(self):
        """N."""
        return int(self.partition(":")[0])

    @property
    def group(self):
        """M."""
        return int(self.partition(":")[2])

    def keeps(self, magnitudes):
        """Which elements stay.

        Parameters
        ----------
        magnitudes : array [..., k], k being the inner dimension

        Returns
        -------
        bool array of the same shape: the N largest of each group; of equal ones the last. Where the last group of k is not
        whole, the zeros behind it are the first to go
        """
        inner = magnitudes.shape[-1]
        rows = np.full((*magnitudes.shape[:-1], inner + -inner % self.group), -1, dtype=magnitudes.dtype)
        rows[..., :inner] = magnitudes
        groups = rows.reshape(*rows.shape[:-1], -1, self.group)
        mask = np.ones(groups.shape, dtype=bool)
        np.put_along_axis(mask, groups.argsort(axis=-1, kind="stable")[..., : self.group - self.kept], False, axis=-1)
        return mask.reshape(rows.shape)[..., :inner]


def as_weight_sparsity(value, *, most=1.0):
    """A share of weights from 0 to `most`, or a GroupSparsity, from what a user gave: a number, or text.

    Raises
    ------
    CompileError : it is neither
    """
    if ":" in str(value):
        return GroupSparsity(value)
    try:
        share = float(value)
    except ValueError:
        share = None
    if share is None or not 0 <= share <= most:
        raise CompileError(f"{GroupSparsity.field} = {value}: give a share from 0 to {most:g}, such as 0.5, or N:M, such as "
                           "2:4")
    return share


def zero_share(sparsity):
    """The share of weights that become zero."""
    return 1 - sparsity.kept / sparsity.group if isinstance(sparsity, GroupSparsity) else sparsity


def random_mask(rng, shape, sparsity):
    """Where random weights [..., k, n] are not zero: each by itself with a share, any N of each group with a GroupSparsity."""
    chances = rng.random(shape)
    if isinstance(sparsity, GroupSparsity):
        return sparsity.keeps(chances.swapaxes(-1, -2)).swapaxes(-1, -2)
    return chances >= sparsity


def sparsity_text(sparsity):
    """As tables name it: 50%, or 2:4."""
    return sparsity if isinstance(sparsity, str) else f"{sparsity:.0%}"
