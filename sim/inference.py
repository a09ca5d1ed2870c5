"""One inference on the RTL: compile, simulate, compare every intermediate tensor, report."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..hw.spec.design_name import design_name
from ..hw.spec.isa import Engine
from ..sw.compiler import compile_encoder, compile_quantised
from ..sw.compiler.assembly import Assembly
from ..sw.compiler.program import written_area
from ..sw.ir.execute import results
from ..sw.models.answers import answers_of
from ..sw.models.fidelity import golden_fidelity
from ..sw.models.sentences import Batch, encode_sentences
from .errors import SimulationError
from .expectation import expectation, stored
from .replay import BufferReplay
from .system import largest_memory, simulate

__all__ = ["Inference", "compare_tensors", "in_memory", "infer", "report", "report_run", "run_program", "seen_outputs",
           "seen_tensors"]


@dataclass(frozen=True)
class Inference:
    """Everything one run gave.

    Parameters
    ----------
    program : Program
    run : RunResult
    golden : tensors of the golden model by name
    mismatches : {tensor: number of unequal integers}, only those with any
    outputs, golden_outputs : stored results by name, floats
    fidelity : Fidelity, how far the golden model is from the float one
    answers : Answers, for what the outputs mean
    sentences : how many were given; those behind them repeat the last one, so that every cluster has as many
    """

    program: object
    run: object
    golden: dict
    mismatches: dict
    outputs: dict
    golden_outputs: dict
    fidelity: object
    answers: object
    sentences: int


def infer(config, checkpoint, sentences, *, folder, length=None, longest=None, encoder=None, stage=lambda name: None,
          waves=False, activity=False, latency=40, power_up=None, model=None, **options):
    """Compile sentences as one batch, run them, compare.

    Parameters
    ----------
    config : AcceleratorConfig
    checkpoint : Checkpoint
    sentences : texts or Sentence each, or a Batch of them
    folder : for logs and results
    length, longest : tokens to pad to, and to cut to, see `encode_sentences`
    encoder : QuantisedEncoder, if the caller has it; the options of quantisation are then its own
    stage : called with the name of each stage as it begins
    waves, activity, latency, power_up, model : see `simulate`
    options : see `compile_encoder`

    Raises
    ------
    SimulationError : the program does not end, or ends with an error
    """
    stage("compiling")
    batch = sentences if isinstance(sentences, Batch) else encode_sentences(checkpoint, sentences, length, longest=longest)
    count, batch = len(batch.encoded), batch.filled(config.clusters)
    options |= {"memory": largest_memory(config), "tokens": batch.tokens}
    program = (compile_encoder(checkpoint, config, batch.ids, batch.lengths, **options) if encoder is None else
               compile_quantised(encoder, config, batch.ids, batch.lengths, **options))
    stage("golden model")
    golden, fidelity = golden_fidelity(checkpoint, program.graph, batch)
    stage("building and running the RTL")
    run = run_program(program, folder=folder, waves=waves, activity=activity, latency=latency, power_up=power_up, model=model)
    stage("comparing")
    mismatches = compare_tensors(config, program, run, golden)
    return Inference(
        program=program, run=run, golden=golden, mismatches=mismatches,
        outputs={name: floats for name, (_, floats) in seen_outputs(program, run).items()},
        golden_outputs=results(program.graph, golden), fidelity=replace(fidelity, sentences=fidelity.sentences[:count]),
        answers=answers_of(checkpoint, batch, layers=program.graph.layers, tile=config.tile), sentences=count,
    )


def run_program(program, **options):
    """Simulate a program with its preload, if it has one; its RunResult.

    Parameters
    ----------
    program : Program
    options : as in `simulate_programs`, but what the program itself tells

    Raises
    ------
    SimulationError : it does not end, or ends with an error
    """
    run = simulate(program.config, program.image, base=program.base, port_bases=program.port_bases(),
                   program_address=program.entry, program_length=len(program.instructions),
                   preload=tuple(program.preload.values()) if program.preload else None, curves=program.curves,
                   target=program.target, **options)
    if run.error:
        raise SimulationError(f"the program stopped: {run.error}")
    return run


def compare_tensors(config, program, run, golden):
    """Compare every tensor, and every output in main memory, with those of the golden model; {name: unequal integers}.

    Raises
    ------
    SimulationError : see `seen_tensors`
    """
    mismatches = {}
    for name, seen in seen_tensors(program, run):
        if unequal := int((seen != golden[name]).sum()):
            mismatches[name] = unequal
    for name, (integers, _) in seen_outputs(program, run).items():
        if unequal := int((integers != stored(program, golden, program.outputs[name])).sum()):
            mismatches[in_memory(name)] = unequal
    return mismatches


def seen_tensors(program, run, replays=None):
    """Rebuild every piece of every tensor from the log of buffer writes.

    What an instruction wrote is taken as it stood when the instruction was complete: its first rows may be used, and their
    place taken by others, before the last instruction of a piece is. A piece that the preload made is rebuilt at the start of
    the program.

    Parameters
    ----------
    program, run : Program, RunResult
    replays : BufferReplay of each cluster, where several programs ran in one simulation: they go on from the one before

    Yields
    ------
    name and int64 Tensor of whole tiles, in the order in which they were complete

    Raises
    ------
    SimulationError : an instruction that should have made a tensor never completed
    """
    completed = {interval.number: interval.end for interval in run.intervals}
    moments = []
    for name, piece in ((name, piece) for name, tensor in program.tensors.items() for piece in tensor["pieces"]):
        missing = [step for step in piece["steps"] if step not in completed]
        if missing:
            raise SimulationError(f"{name}: instruction {missing[0]} did not complete")
        whole = piece["slot"], piece["pitch"], piece["rows"], piece["columns"]
        areas = [(completed[step], written_area(*program.instructions[step])) for step in piece["steps"]]
        last = len(moments) + len(areas or [None]) - 1
        for time, area in areas or [(run.started, whole)]:
            moments.append((time, len(moments), last, name, piece, area))
    replays = replays or [BufferReplay(program.config, run.folder, cluster) for cluster in range(program.config.clusters)]
    assembly, tile = Assembly(program), program.config.tile
    found, left = {}, Counter(moment[2] for moment in moments)
    for time, _, number, name, piece, (slot, pitch, rows, columns) in sorted(moments, key=lambda one: one[:2]):
        replay = replays[piece["cluster"]]
        replay.advance(time)
        if number not in found:
            found[number] = np.zeros((piece["rows"] * tile, piece["columns"] * tile), dtype=np.int64)
        row, column = divmod(slot - piece["slot"], piece["pitch"])
        found[number][row * tile: (row + rows) * tile, column * tile: (column + columns) * tile] = replay.matrix(
            slot, pitch, rows, columns)
        left[number] -= 1
        if not left[number] and (tensor := assembly.add(name, piece, torch.from_numpy(found.pop(number)))) is not None:
            yield name, tensor


def seen_outputs(program, run):
    """{output: its integers and floats} as the run left them in main memory, see `Program.result`."""
    return {name: program.output(name, run.memory_bytes(program.base + output["address"], output["bytes"]))
            for name, output in program.outputs.items()}


def in_memory(name):
    """How a mismatch of an output in main memory is called."""
    return f"{name} (main memory)"


def report(inference):
    """The run of an Inference as plain values, see `report_run`."""
    expected = expectation(inference.program, inference.golden, fidelity=inference.fidelity.to_dict(),
                           answers=inference.answers, sentences=inference.sentences)
    return report_run(inference.program, inference.run, expected, inference.mismatches, inference.outputs)


def report_run(program, run, expected, mismatches, outputs):
    """A run as plain values, for JSON and for the tables.

    With `skip` "both" the multiplications done are exactly the effectual ones, ``multiplications_expected``. Otherwise PEs
    beyond a product's edge multiply too, by zeros, and there is no expectation.

    Parameters
    ----------
    program : Program
    run : RunResult
    expected : Expected
    mismatches : {tensor or output: number of unequal integers}, only those with any
    outputs : stored results by name, floats
    """
    config, counters = program.config, run.counters
    cycles = counters["cycles"]
    counts = expected.multiplications
    busy = {engine.name.lower(): counters[f"{engine.name.lower()}_busy"] / cycles for engine in Engine}
    answers, wanted = expected.answers, expected.floats(program)
    arrays, golden = answers.arrays(outputs), answers.arrays(wanted)
    predictions = [answers.answer(number, one) | {"equals_golden": all(one[name].equal(other[name]) for name in one)}
                   for number, (one, other) in enumerate(zip(arrays, golden, strict=True))][: expected.sentences]
    return {
        "config": design_name(config),
        "sentences": expected.sentences,
        "repeated": program.bucket.sentences - expected.sentences,
        "prediction": predictions[0]["label"] if len(predictions) == 1 else [p["label"] for p in predictions],
        "predictions": predictions,
        "task": answers.task,
        "kind": answers.kind,
        "host": answers.host,
        "similarity_kind": answers.similarity,
        "cycles": cycles,
        "planned_cycles": program.planned_cycles,
        "ideal_cycles": -(-counts["none"] // config.multipliers),
        "lost_cycles": {cause: counters[f"lost_{cause}"] / config.multipliers
                        for cause in ("operands", "output", "imbalance", "idle")},
        "multiplications": counters["multiplications"],
        "skipped": counters["skipped_multiplications"],
        "dense_multiplications": counters["dense_multiplications"],
        "multiplications_expected": counts["both"] if config.skip == "both" else None,
        "utilisation": {
            "multipliers": counters["multiplications"] / (cycles * config.multipliers),
            "multipliers_dense_equivalent": counters["dense_multiplications"] / (cycles * config.multipliers),
            **busy,
        },
        "stalled": {engine.name.lower(): counters[f"{engine.name.lower()}_stalled"] / cycles for engine in Engine},
        "tensors_compared": len(program.tensors) + len(program.outputs),
        "mismatches": sum(mismatches.values()),
        "mismatched_tensors": mismatches,
        "sparsity": expected.sparsity,
        "fidelity": expected.fidelity,
        "counters": counters,
        "instructions": len(program.instructions),
        "build_seconds": run.build_seconds,
        "simulation_seconds": run.simulation_seconds,
        "cycles_per_second": (run.started + cycles) / run.simulation_seconds,
    }
