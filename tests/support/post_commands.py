"""What post-processes are asked to do, at random, and what comes out of it."""

import numpy as np
import torch

from acceltran.hw.spec.activations import ACTIVATIONS, function_format, has_table
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.sw.golden.post_process import post_process

__all__ = ["PostCommand"]

_NAMES = {entry.code: entry.name for entry in ACTIVATIONS}


class PostCommand:
    """A command for an output tile; its shifts are mostly those that leave something to see.

    Parameters
    ----------
    rng : random.Random
    p : tile, width, accumulator_width, functions and scale_bits of the post-process
    bits : of the sums
    """

    def __init__(self, rng, p, bits):
        self.p = p
        width, wide = p["width"], p["accumulator_width"]
        function = rng.randrange(len(ACTIVATIONS) + 1)
        form, table = function_format(width), function and _NAMES[function] in p["functions"] and has_table(_NAMES[function])
        usual = bits - (form.bits - 4 if table else width)
        self.fields = {
            "bias_shift": rng.choice((0, min(width, wide - width), wide - width, rng.randint(0, wide - width))),
            "shift": rng.choice((*[max(-24, usual)] * 6, rng.randint(-24, 63), -24, 63)),
            "function": function,
            "function_shift": rng.choice((*[form.frac + 4 - width] * 4, rng.randint(-8, 20), 0, -8, 20)),
            "tau": rng.choice((0, 0, 1, rng.getrandbits(width - 1) >> rng.randrange(width), rng.getrandbits(width // 2))),
        }
        low, top = -(1 << width - 1), (1 << width - 1) - 1
        self.biased, self.slot = rng.random() < 0.6, rng.getrandbits(SLOT_BITS)
        self.bias = [rng.choice((low, top, rng.randint(low, top))) if self.biased else 0 for _ in range(p["tile"])]
        # A shifted bias fits in the accumulator.
        most = min((1 << p["scale_bits"]) - 1, wide - width - self.fields["bias_shift"])
        self.scales = [rng.choice((0, most, rng.randint(0, most))) for _ in range(p["tile"])]

    @property
    def values(self):
        """Of a `post_command`."""
        line = {"values": self.bias, "scales": self.scales} if self.p["scale_bits"] else self.bias
        return {**self.fields, "slot": self.slot, "bias": line}

    def result(self, sums):
        """What becomes of the sums, as an int64 array."""
        bias = torch.tensor(self.bias) if self.biased else None
        return post_process(torch.from_numpy(np.asarray(sums, dtype=np.int64)), bias, **self.fields, width=self.p["width"],
                            functions=self.p["functions"], scales=torch.tensor(self.scales)).numpy()
