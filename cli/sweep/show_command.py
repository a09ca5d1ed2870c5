"""`acceltran sweep --show FOLDER`: what is there, without running anything."""

from ..console import check_outputs, tell
from .results import Measure, read_results
from .show import show_results

__all__ = ["show_command"]


def show_command(folder, *, outputs):
    """Run the command; the exit code is 1 if points are missing, were refused or have failed.

    Parameters
    ----------
    folder : of the sweep
    outputs : keywords of `show_results`
    """
    Measure.several(outputs["pareto"])
    check_outputs(*outputs["files"].values())
    results = read_results(folder)
    for path in results.damaged:
        tell(f"sweep: {path} is damaged and left out; acceltran sweep ... --resume does its points again")
    return show_results(results, **outputs)
