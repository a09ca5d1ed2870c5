"""What `acceltran bench table` does."""

from ...hw.spec.errors import ConfigError
from ...sw.models.checkpoint import load_checkpoint
from ..console import console, stages
from .document import write_document
from .points import GROUPS, measure_all

__all__ = ["table_command"]


def table_command(*, model, output, results, only):
    """Options are those of the command, see its help."""
    if unknown := set(only or ()) - set(GROUPS):
        raise ConfigError(f"--only = {sorted(unknown)[0]!r}: choose of {', '.join(GROUPS)}")
    for path in (output, results):
        if path.is_dir():
            raise ConfigError(f"output = {str(path)!r}: is a folder; name a file")
    results.absolute().parent.mkdir(parents=True, exist_ok=True)
    checkpoint = load_checkpoint(model)
    with stages("bench") as stage:
        values = measure_all(checkpoint, results, only=only, stage=stage)
    for path in write_document(output, values):
        console.print(f"wrote {path}")
    missing = [name for name in GROUPS if name not in values]
    if missing:
        console.print(f"not measured yet: {', '.join(missing)}")
    return 1 if any(run["mismatches"] for group in values.values() for run in group["runs"]) else 0
