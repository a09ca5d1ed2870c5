"""What a kind of attack gives the campaign: batches made from a seed, their run, and smaller ones that may still fail."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.version import version_text

__all__ = ["FORMAT", "Kind", "Tally", "config_of", "draws", "make_batch", "with_cases"]

FORMAT = 1
"""Version of a batch as it stands in a file."""


@dataclass
class Tally:
    """What batches gave.

    Members
    -------
    counts : by name, what was done and seen: ``values``, ``programs``, ``encoders``, ``moments``, ``cycles``, ``hangs``,
        ``violations`` of AXI's rules, and whatever else the kind counts
    failures : (index of the case, reason) of each case that did what it must not; the index is None where it is no single one
    """

    counts: Counter = field(default_factory=Counter)
    failures: list[tuple[int | None, str]] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Take over what another one counted and found."""
        self.counts.update(other.counts)
        self.failures.extend(other.failures)


class Kind(Protocol):
    """A kind of attack. It has no state: whatever is random in a batch follows from the seed, and stands in the batch."""

    name: str

    def batches(self, seed: int, count: int) -> Iterator[dict]:
        """The first `count` batches of a seed; each can be written as JSON, and is one simulation (see `make_batch`)."""

    def run(self, batch: dict, folder: Path) -> Tally:
        """Build (from the cache) and simulate a batch; logs go into `folder`, which is removed if nothing was found.

        What it raises counts as a failure of the whole batch.
        """

    def smaller(self, batch: dict) -> Iterator[dict]:
        """Smaller batches that may still fail, those with the biggest step first.

        The runner takes the first that still fails, asks for smaller ones of that, and so on, until none fails.
        """


def draws(name: str, seed: int, count: int, configs: Sequence[AcceleratorConfig]) -> Iterator[tuple]:
    """For each of the first `count` batches of a seed what its randomness comes from, and its configuration, in turn."""
    for number in range(count):
        yield random.Random(f"{name} {seed} {number}"), configs[(seed - 1 + number) % len(configs)]


def make_batch(kind: str, seed: int, config: AcceleratorConfig, settings: dict, cases: list) -> dict:
    """A batch: of what kind and seed, on which configuration, what holds for all of it, and what is done one after the other.

    `settings` and `cases` are plain values of JSON that only the kind understands.
    """
    return {"kind": kind, "version": FORMAT, "design": version_text(), "seed": seed, "config": config.to_dict(),
            "settings": settings, "cases": cases}


def config_of(batch: dict) -> AcceleratorConfig:
    """The configuration of a batch."""
    return AcceleratorConfig.from_dict(batch["config"])


def with_cases(batch: dict, cases: list) -> dict:
    """The same batch with other cases."""
    return batch | {"cases": cases}
