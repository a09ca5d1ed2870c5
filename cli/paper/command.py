"""What `acceltran paper` does."""

from ...hw.spec.errors import InputError
from ..console import check_outputs, console, stages
from ..documents import update_part
from .claim import claims_table
from .claims import claims
from .figures import FIGURES, ON_REQUEST, collect

__all__ = ["paper_command"]


def paper_command(*, output, results, only):
    """Options are those of the command, see its help."""
    for name in only or ():
        if name not in FIGURES:
            raise InputError(f"only = {name!r}: no such figure; choose one of {', '.join(FIGURES)}")
    check_outputs(output)
    results.parent.mkdir(parents=True, exist_ok=True)
    with stages("paper") as stage:
        figures = collect(results, only=only, stage=stage)
    missing = [name for name in FIGURES if name not in figures and name not in ON_REQUEST]
    if missing:
        console.print(f"wrote {results}; still missing for the table: {', '.join(missing)}")
        return 0
    rows = claims(figures)
    if output:
        update_part(output, "claims", claims_table(rows))
        console.print(f"wrote {output}")
    else:
        console.print(claims_table(rows), markup=False)
    return 0
