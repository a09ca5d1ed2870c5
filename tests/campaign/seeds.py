"""Lists of seeds as text: 1,4,9-20."""

import re
from itertools import groupby

from .errors import CampaignError

__all__ = ["parse_seeds", "seeds_text"]

_LARGEST = 10_000_000


def parse_seeds(text, where):
    """The set of seeds of a text.

    Raises
    ------
    CampaignError : it is no list of seeds
    """
    found = set()
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"\s*(\d{1,8})(?:-(\d{1,8}))?\s*", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 < first <= last <= _LARGEST:
            raise CampaignError(f"{where} {text!r}: {part!r} is no seed: give numbers from 1 to {_LARGEST:,} and ranges, such "
                                "as 1,4,9-20")
        found |= set(range(first, last + 1))
    return found


def seeds_text(seeds):
    """The shortest text of a set of seeds."""
    runs = []
    for _, group in groupby(enumerate(sorted(seeds)), lambda one: one[1] - one[0]):
        run = [seed for _, seed in group]
        runs.append(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ",".join(runs)
