"""Work for PEs: steps with the operand tiles they use, and the sums that must come out."""

from itertools import product

import numpy as np

from .streams import random_tile, tile_beats

__all__ = ["Work", "low_tile", "mixture"]


class Work:
    """A sequence of steps with the operand tiles they use, what must come out, and the multiplications it takes."""

    def __init__(self, p):
        self.p = p
        self.a, self.b, self.steps, self.outputs = [], [], [], []
        self.fired = 0
        self._sums = [0] * p["psum_tiles"]
        self._released = 3

    def step(self, a, b, *, transpose=False, last=False, a_release=True, b_release=True, a_mask=None, b_mask=None, ahead=0):
        """Add C += a * b, for the output tile `ahead` of the next to end; a tile is sent if the step before released it."""
        p, size, psums = self.p, self.p["tile"], self.p["psum_tiles"]
        sent = b.T if transpose else b
        if self._released & 1:
            self.a.append(tile_beats(a, p["width"], p["lines_per_beat"], mask=a_mask))
        if self._released & 2:
            sent_mask = b_mask.T if transpose and b_mask is not None else b_mask
            self.b.append(tile_beats(sent, p["b_width"], p["lines_per_beat"], transpose=transpose, mask=sent_mask))
        self._released = a_release | b_release << 1
        psum = (len(self.outputs) + ahead) % psums
        self.steps.append(psum | (last | self._released << 1) << (psums - 1).bit_length())
        a_on = (a != 0) | (a_mask if a_mask is not None else False)
        b_on = (b != 0) | (b_mask if b_mask is not None else False)
        self.fired += {
            "none": size**3,
            "activation": int(a_on.sum()) * size,
            "both": int((a_on.astype(int) @ b_on.astype(int)).sum()),
        }[p["skip"]]
        self._sums[psum] = self._sums[psum] + a @ b
        if last:
            self.outputs.append(self._sums[psum])
            self._sums[psum] = 0

    def align(self):
        """End with the last partial sum, so that another sequence may follow."""
        zero = np.zeros((self.p["tile"],) * 2, dtype=np.int64)
        while len(self.outputs) % self.p["psum_tiles"]:
            self.step(zero, zero, last=True)

    def product(self, rng, length, a_density, b_density, chunk=1):
        """`chunk` output tiles from `length` steps of random tiles each; they share every B tile."""
        size = self.p["tile"]
        for k in range(length):
            b = random_tile(rng, size, self.p["b_width"], b_density)
            for n in range(chunk):
                a, last = random_tile(rng, size, self.p["width"], a_density), k == length - 1
                self.step(a, b, last=last, b_release=n == chunk - 1, ahead=0 if last else n)


def low_tile(size, width):
    return np.full((size, size), -(1 << (width - 1)))


def mixture(p, rng, tiles):
    """Random densities, lengths, transposition, reuse of either operand."""
    size, width, b_width = p["tile"], p["width"], p["b_width"]
    work = Work(p)
    densities = (0.0, 0.03, 0.2, 0.5, 0.8, 1.0)
    a = b = None
    a_kept = b_kept = False
    for _ in range(tiles):
        length, chunk = rng.choice((1, 1, 2, 3, 5)), rng.randint(1, p["psum_tiles"])
        a_density, b_density = rng.choice(densities), rng.choice(densities)
        for k, n in product(range(length), range(chunk)):
            if not a_kept:
                a = random_tile(rng, size, width, a_density)
            if not b_kept:
                b = random_tile(rng, size, b_width, b_density)
                transpose = rng.random() < 0.4
            a_kept, b_kept, last = rng.random() < 0.3, rng.random() < 0.3, k == length - 1
            work.step(a, b, transpose=transpose, last=last, a_release=not a_kept, b_release=not b_kept,
                      ahead=0 if last else n)
    work.step(a if a_kept else low_tile(size, width), b if b_kept else low_tile(size, b_width), last=True)
    return work
