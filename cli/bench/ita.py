"""ITA's workload on the RTL: cycles from the first product's start to the last one's completion, every integer compared."""

from ...hw.spec.design_name import design_name
from ...hw.spec.isa import Opcode
from ...sim.errors import SimulationError
from ...sim.inference import compare_tensors
from ...sim.system import simulate
from ...sw.compiler import compile_graph
from ...sw.ir.execute import execute
from ...sw.models.ita import PRODUCTS, SIZE, ita_graph

__all__ = ["ITA_CYCLES", "measure_ita"]

ITA_CYCLES = 2144
"""What ITA takes for the eight products with its 1,024 multipliers, as its own RTL simulation shows."""


def measure_ita(config, *, layernorm, folder, model=None, activity=False):
    """Run the workload, with weights and input in the buffers.

    Parameters
    ----------
    config : AcceleratorConfig
    layernorm : with residual and layer-norm, see `ita_graph`
    folder : for logs and results
    model, activity : see `simulate`

    Returns
    -------
    values : plain values for JSON: cycles, ideal_cycles, utilisation, mismatches, ...
    program, run : Program and RunResult, for a timeline

    Raises
    ------
    SimulationError : the program does not end, or ends with an error
    """
    graph = ita_graph(config, layernorm=layernorm)
    program, golden = compile_graph(graph, config, resident=True), execute(graph, None)
    run = simulate(config, program.image, port_bases=program.port_bases(), program_address=program.entry,
                   program_length=len(program.instructions), preload=tuple(program.preload.values()), folder=folder,
                   model=model, activity=activity)
    if run.error:
        raise SimulationError(f"the program stopped: {run.error}")
    mismatches = compare_tensors(config, program, run, golden)
    products = {n for n, (opcode, _) in enumerate(program.instructions) if opcode is Opcode.MATMUL}
    spans = [(i.start, i.end) for i in run.intervals if i.engine == "matrix" and i.number in products]
    cycles = max(end for _, end in spans) - min(start for start, _ in spans)
    multiplications = PRODUCTS * SIZE**3
    ideal = -(-multiplications // config.multipliers)
    values = {
        "config": design_name(config), "layernorm": layernorm, "cycles": cycles, "ideal_cycles": ideal,
        "utilisation": ideal / cycles, "ita_cycles": ITA_CYCLES, "program_cycles": run.counters["cycles"],
        "mismatches": sum(mismatches.values()), "mismatched_tensors": mismatches, "tensors_compared": len(program.tensors),
        "instructions": len(program.instructions),
    }
    return values, program, run
