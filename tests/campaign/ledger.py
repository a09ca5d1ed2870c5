"""What the campaign has done over several sessions, in one file: counts by kind, the seeds, the design."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from acceltran.hw.spec.files import write_json
from acceltran.hw.spec.version import version_text

from .errors import CampaignError
from .kind import FORMAT
from .seeds import parse_seeds, seeds_text

__all__ = ["Ledger"]

_EMPTY = {"seeds": "", "batches": 0, "failures": 0, "found": [], "configurations": [], "counts": {}}


class Ledger:
    """The ledger in a file, or one that is only in memory.

    Parameters
    ----------
    path : None, or the file; it is made if it is not there
    sources : digest of the hardware that is attacked

    Raises
    ------
    CampaignError : the file is no ledger, or of another version or design
    """

    def __init__(self, path=None, *, sources=""):
        self._path, self._sources = path and Path(path), sources
        self._content = {"version": FORMAT, "design": version_text(), "kinds": {}}
        if self._path and self._path.exists():
            self._content = _read(self._path)
        self._seeds = {name: parse_seeds(entry["seeds"], f"--ledger {path}: seeds of {name}")
                       for name, entry in self._content["kinds"].items()}

    @property
    def kinds(self):
        """What stands in the file of each kind."""
        return self._content["kinds"]

    def done(self, kind, seed):
        """Whether a seed of a kind needs no repetition."""
        return seed in self._seeds.get(kind, ())

    def add(self, attacked, found=None):
        """Take over a batch that was run, with the name of the file that replays what it found; the file is written anew."""
        batch = attacked.batch
        entry = self.kinds.setdefault(batch["kind"], json.loads(json.dumps(_EMPTY)))
        self._seeds.setdefault(batch["kind"], set()).add(batch["seed"])
        counts = Counter(entry["counts"])
        counts.update(attacked.counts)
        entry |= {"seeds": seeds_text(self._seeds[batch["kind"]]), "batches": entry["batches"] + 1,
                  "failures": entry["failures"] + len(attacked.failures),
                  "found": [*entry["found"], str(found)] if found else entry["found"],
                  "configurations": sorted({*entry["configurations"], batch["config"]["name"]}),
                  "counts": {name: round(count, 1) if isinstance(count, float) else count
                             for name, count in sorted(counts.items())},
                  "sources": self._sources, "date": datetime.now(UTC).date().isoformat()}
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, self._content)


def _read(path):
    try:
        content = json.loads(path.read_text())
        kinds = content["kinds"]
        if not all(entry.keys() >= _EMPTY.keys() for entry in kinds.values()):
            raise KeyError("counts of a kind")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CampaignError(f"--ledger {path}: is no ledger ({type(error).__name__}: {error}): give another file") from None
    for name, wanted in (("version", FORMAT), ("design", version_text())):
        if content.get(name) != wanted:
            raise CampaignError(f"--ledger {path}: {name} = {content.get(name)!r}, and this campaign's is {wanted!r}: its "
                                "figures belong to that; begin another file")
    return content
