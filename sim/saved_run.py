"""Run a saved program on the RTL and compare it with what was saved beside it, without its model."""

from ..sw.compiler import CompileError
from ..sw.compiler.expected import tensor_hash
from .inference import in_memory, report_run, run_program, seen_outputs, seen_tensors
from .system import largest_memory

__all__ = ["compare_hashes", "run_saved"]


def run_saved(program, *, folder, stage=lambda name: None, **options):
    """Run a loaded program, compare every tensor and output.

    Parameters
    ----------
    program : Program with `expected`
    folder : for logs and results
    stage : called with the name of each stage as it begins
    options : see `simulate_programs`

    Returns
    -------
    values : as `report_run`; a tensor that differs counts as one integer that does, since only its hash is known
    run : RunResult

    Raises
    ------
    CompileError : nobody said what the program must give, or its image is larger than this machine can simulate
    SimulationError : the program does not end, or ends with an error
    """
    if program.expected is None:
        raise CompileError("the program was saved without the results that it must give: compile it again")
    size, room = len(program.image), largest_memory(program.config)
    if size > room:
        raise CompileError(f"the program's image has {size:,} bytes, and this machine simulates a main memory of {room:,} "
                           "bytes: use a machine with more")
    stage("building and running the RTL")
    run = run_program(program, folder=folder, **options)
    stage("comparing")
    outputs = {name: floats for name, (_, floats) in seen_outputs(program, run).items()}
    return report_run(program, run, program.expected, compare_hashes(program, run), outputs), run


def compare_hashes(program, run):
    """`compare_tensors` with what was saved: 1 for a tensor of another hash, of an output the number of unequal integers."""
    hashes = program.expected.hashes
    mismatches = {name: 1 for name, seen in seen_tensors(program, run) if tensor_hash(seen) != hashes.get(name)}
    for name, (integers, _) in seen_outputs(program, run).items():
        if unequal := int((integers != program.expected.integers(name, integers.shape[1])).sum()):
            mismatches[in_memory(name)] = unequal
    return mismatches
