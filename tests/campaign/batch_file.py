"""A batch as a file, to be run again with ``--replay``."""

import json
from pathlib import Path

from acceltran.hw.spec.errors import ConfigError
from acceltran.hw.spec.files import write_json
from acceltran.hw.spec.version import version_text

from .errors import CampaignError
from .kind import FORMAT, config_of

__all__ = ["load_batch", "save_batch"]

_FIELDS = {"kind": str, "version": int, "design": str, "seed": int, "config": dict, "settings": dict, "cases": list}


def save_batch(batch, path, reason=None):
    """Write a batch, with the reason why it failed."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_json(path, batch | ({"reason": reason} if reason else {}))


def load_batch(path, kinds):
    """The batch of a file, and the kind that runs it.

    Parameters
    ----------
    kinds : {name: Kind}

    Raises
    ------
    CampaignError : it is no such file, of another version, of another design, of a kind that there is not, or its configuration
        is refused
    """
    try:
        batch = json.loads(Path(path).read_text())
    except OSError as error:
        raise CampaignError(f"--replay {path}: {error.strerror}: give a file that the campaign wrote") from None
    except ValueError as error:
        raise CampaignError(f"--replay {path}: is no JSON ({error}): give a file that the campaign wrote") from None
    if not isinstance(batch, dict):
        raise CampaignError(f"--replay {path}: holds no batch: give a file that the campaign wrote")
    for name, wanted in (("version", FORMAT), ("design", version_text())):
        if batch.get(name) != wanted:
            raise CampaignError(f"--replay {path}: {name} = {batch.get(name)!r}, and this campaign's is {wanted!r}: replay it "
                                "with the checkout that wrote it")
    for name, kind in _FIELDS.items():
        if not isinstance(batch.get(name), kind):
            raise CampaignError(f"--replay {path}: {name} is missing or no {kind.__name__}: give a file of the campaign")
    if batch["kind"] not in kinds:
        raise CampaignError(f"--replay {path}: kind = {batch['kind']!r}: known are {', '.join(kinds)}")
    try:
        config_of(batch)
    except (ConfigError, TypeError) as error:
        raise CampaignError(f"--replay {path}: config: {error}") from None
    batch.pop("reason", None)
    return batch, kinds[batch["kind"]]
