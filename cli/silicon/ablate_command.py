"""What `acceltran ablate` does."""

import tempfile
from pathlib import Path

from ...hw.spec.files import write_json
from ..console import check_outputs, console, stages
from ..documents import update_part
from .ablation import ablate, ablation_table
from .synth_command import synthesise

__all__ = ["ablate_command"]


def ablate_command(*, results, output, json_path):
    """Options are those of the command, see its help."""
    check_outputs(results, output, json_path)

    def area(config):
        return synthesise(config=config, top="pe")["gate_equivalents"]

    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder, stages("ablation") as stage:
        values = ablate(area, folder=Path(folder), results=results, stage=stage)
    table = ablation_table(values)
    if output:
        update_part(output, "ablation", table)
        console.print(f"wrote {output}")
    else:
        console.print(table, markup=False)
    if json_path:
        write_json(json_path, values)
