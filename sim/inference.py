"""One inference on the RTL: compile, simulate, compare every intermediate tensor, report."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from ..hw.spec.design_name import design_name
from ..hw.spec.isa import Engine
from ..sw.compiler import compile_encoder, compile_quantised
from ..sw.ir.counts import multiplication_counts
from ..sw.ir.execute import results
from ..sw.models.checkpoint import encode_texts
from ..sw.models.fidelity import golden_fidelity
from .replay import BufferReplay
from .system import largest_memory, simulate
from .verilator import SimulationError

__all__ = ["COUNTED", "Inference", "compare_tensors", "infer", "report", "zero_shares"]

COUNTED = ("zeros", "elements", "zeros_padded", "elements_padded")
"""What shares of zeros are made of: of valid tokens, and with padding."""


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
    labels : names of the classes, by number
    """

    program: object
    run: object
    golden: dict
    mismatches: dict
    outputs: dict
    golden_outputs: dict
    fidelity: object
    labels: dict


def infer(config, checkpoint, texts, *, folder, length=None, longest=None, encoder=None, stage=lambda name: None, waves=False,
          activity=False, latency=40, power_up=None, model=None, **options):
    """Compile `texts` as one batch, run them, compare.

    Parameters
    ----------
    config : AcceleratorConfig
    checkpoint : Checkpoint
    folder : for logs and results
    length, longest : tokens to pad to, and to cut to, see `encode_texts`
    encoder : QuantisedEncoder, if the caller has it; the options of quantisation are then its own
    stage : called with the name of each stage as it begins
    waves, activity, latency, power_up, model : see `simulate`
    options : see `compile_encoder`

    Raises
    ------
    SimulationError : the program does not end, or ends with an error
    """
    stage("compiling")
    ids, lengths = encode_texts(checkpoint, texts, length, longest=longest)
    options["memory"] = largest_memory(config)
    program = (compile_encoder(checkpoint, config, ids, lengths, **options) if encoder is None else
               compile_quantised(encoder, config, ids, lengths, **options))
    stage("golden model")
    golden, fidelity = golden_fidelity(checkpoint, program.graph, ids)
    stage("building and running the RTL")
    run = simulate(config, program.image, program_address=program.entry, program_length=len(program.instructions),
                   preload=tuple(program.preload.values()) if program.preload else None, folder=folder, curves=program.curves,
                   target=program.target, waves=waves, activity=activity, latency=latency, power_up=power_up, model=model)
    if run.error:
        raise SimulationError(f"the program stopped: {run.error}")
    stage("comparing")
    mismatches = compare_tensors(config, program, run, golden)
    span = max(o["address"] + o["bytes"] for o in program.outputs.values()) - program.base
    memory = run.memory_bytes(program.base, span)
    return Inference(
        program=program, run=run, golden=golden, mismatches=mismatches,
        outputs={name: program.result(name, memory)[1] for name in program.outputs},
        golden_outputs=results(program.graph, golden), fidelity=fidelity, labels=checkpoint.config.id2label,
    )


def compare_tensors(config, program, run, golden):
    """Rebuild every tensor from the log of buffer writes at the completion of its last instruction; {name: unequal}.

    One that the preload made is rebuilt at the start of the program.

    Raises
    ------
    SimulationError : an instruction that should have made a tensor never completed
    """
    completed = {interval.number: interval.end for interval in run.intervals}
    ready = {}
    for name, place in program.tensors.items():
        missing = [step for step in place["steps"] if step not in completed]
        if missing:
            raise SimulationError(f"{name}: instruction {missing[0]} did not complete")
        ready[name] = max((completed[step] for step in place["steps"]), default=run.started)
    replay = BufferReplay(config, run.folder)
    mismatches = {}
    for name in sorted(ready, key=ready.get):
        place = program.tensors[name]
        replay.advance(ready[name])
        seen = replay.matrix(place["slot"], place["pitch"], place["rows"], place["columns"])
        unequal = int((torch.from_numpy(seen) != golden[name]).sum())
        if unequal:
            mismatches[name] = unequal
    for name, output in program.outputs.items():
        span = run.memory_bytes(output["address"], output["bytes"])
        integers, _ = program.result(name, bytes(output["address"] - program.base) + span)
        unequal = int((integers != _stored(program, golden, output)).sum())
        if unequal:
            mismatches[f"{name} (main memory)"] = unequal
    return mismatches


def _stored(program, golden, output):
    return golden[output["tensor"]][: output["rows"] * program.config.tile]


def report(inference):
    """The run as plain values, for JSON and for the tables.

    With `skip` "both" the multiplications done are exactly the effectual ones, ``multiplications_expected``. Otherwise PEs
    beyond a product's edge multiply too, by zeros, and there is no expectation.
    """
    program, run, config = inference.program, inference.run, inference.program.config
    counters = run.counters
    cycles = counters["cycles"]
    graph = program.graph
    counts = multiplication_counts(graph, inference.golden)["total"]
    busy = {engine.name.lower(): counters[f"{engine.name.lower()}_busy"] / cycles for engine in Engine}
    predictions = []
    if "logits" in inference.outputs:
        for row, golden in zip(inference.outputs["logits"], inference.golden_outputs["logits"], strict=True):
            label = int(row.argmax())
            predictions.append({
                "label": inference.labels.get(label, str(label)), "index": label, "logits": row.tolist(),
                "golden_index": int(golden.argmax()),
            })
    return {
        "config": design_name(config),
        "sentences": graph.batch,
        "prediction": predictions[0]["label"] if len(predictions) == 1 else [p["label"] for p in predictions],
        "predictions": predictions,
        "cycles": cycles,
        "planned_cycles": program.planned_cycles,
        "ideal_cycles": -(-counts.none // config.multipliers),
        "lost_cycles": {cause: counters[f"lost_{cause}"] / config.multipliers
                        for cause in ("operands", "output", "imbalance", "idle")},
        "multiplications": counters["multiplications"],
        "skipped": counters["skipped_multiplications"],
        "dense_multiplications": counters["dense_multiplications"],
        "multiplications_expected": counts.both if config.skip == "both" else None,
        "utilisation": {
            "multipliers": counters["multiplications"] / (cycles * config.multipliers),
            "multipliers_dense_equivalent": counters["dense_multiplications"] / (cycles * config.multipliers),
            **busy,
        },
        "stalled": {engine.name.lower(): counters[f"{engine.name.lower()}_stalled"] / cycles for engine in Engine},
        "tensors_compared": len(program.tensors) + len(program.outputs),
        "mismatches": sum(inference.mismatches.values()),
        "mismatched_tensors": inference.mismatches,
        "sparsity": sparsity(program, inference.golden),
        "fidelity": inference.fidelity.to_dict(),
        "counters": counters,
        "instructions": len(program.instructions),
        "build_seconds": run.build_seconds,
        "simulation_seconds": run.simulation_seconds,
        "cycles_per_second": (run.started + cycles) / run.simulation_seconds,
    }


def sparsity(program, golden):
    """Zeros per tensor class: among the elements of valid tokens, and among all with padding."""
    classes = {}
    for name, place in program.tensors.items():
        matrix = golden[name]
        entry = classes.setdefault(place["kind"], dict.fromkeys(COUNTED, 0))
        for suffix, part in (("", program.graph.tensors[name].valid(matrix)), ("_padded", matrix)):
            entry["zeros" + suffix] += int((part == 0).sum())
            entry["elements" + suffix] += part.numel()
    return {kind: zero_shares(entry) for kind, entry in classes.items()}


def zero_shares(counts):
    """Counts of zeros and elements (`COUNTED`), with the shares."""
    shares = {f"sparsity{suffix}": counts["zeros" + suffix] / max(1, counts["elements" + suffix]) for suffix in ("", "_padded")}
    return shares | counts


def write_json(path, values):
    """Write JSON, all or nothing."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(values, indent=2) + "\n")
    partial.rename(path)
