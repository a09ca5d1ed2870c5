"""A setting estimated, as plain values."""

import time

from ...hw.spec.design_name import design_name
from ...silicon.quick_area import quick_area
from ...silicon.quick_energy import CLOCK_MHZ, quick_energy
from ...sw.compiler import compile_encoder
from ...sw.estimate.estimate import estimate
from ...sw.estimate.phases import phases
from ...sw.ir.execute import execute

__all__ = ["compiled", "estimate_setting", "estimated"]


def compiled(setting, *, stage=lambda name: None):
    """The Program of a Setting, its Batch and its Checkpoint."""
    stage("compiling")
    config, checkpoint = setting.hardware(), setting.checkpoint()
    batch = setting.sentences(checkpoint).filled(config.clusters)
    program = compile_encoder(checkpoint, config, batch.ids, batch.lengths, tokens=batch.tokens, **setting.options(checkpoint))
    return program, batch, checkpoint


def estimated(setting, *, stage=lambda name: None):
    """The Program of a Setting, its Estimate, and seconds by stage."""
    begin = time.perf_counter()
    program, batch, _ = compiled(setting, stage=stage)
    seconds = {"compiling": time.perf_counter() - begin}
    tensors = None
    if setting.values:
        stage("golden model")
        begin = time.perf_counter()
        tensors = execute(program.graph, batch.ids)
        seconds["golden model"] = time.perf_counter() - begin
    stage("estimating")
    begin = time.perf_counter()
    result = estimate(program, tensors, latency=setting.latency, bytes_per_cycle=setting.bytes_per_cycle)
    return program, result, seconds | {"estimating": time.perf_counter() - begin}


def estimate_setting(setting, *, clock_mhz=CLOCK_MHZ, stage=lambda name: None):
    """What a Setting takes.

    Returns
    -------
    dict of plain values: setting, model, config (design name), fields (of the configuration), sentences, tokens, cycles,
    planned_cycles, clock_mhz, milliseconds, sequences_per_second, counters, utilisation, phases, area (see
    `quick_area`), energy (see `quick_energy`), note, seconds

    Raises
    ------
    AcceltranError : see `compile_encoder`
    """
    program, result, seconds = estimated(setting, stage=stage)
    return values_of(setting, program, result, clock_mhz=clock_mhz) | {"seconds": seconds}


def values_of(setting, program, result, *, clock_mhz=CLOCK_MHZ):
    """An Estimate as plain values; area and energy are those in ASAP7, at `clock_mhz`."""
    config, counters = program.config, result.counters
    cycles = max(1, result.cycles)
    possible = cycles * config.multipliers
    energy = quick_energy(config, counters, clock_mhz, sequences=len(program.graph.lengths))
    return {
        "setting": setting.to_dict(), "model": setting.model_name, "config": design_name(config), "fields": config.to_dict(),
        "sentences": len(program.graph.lengths), "tokens": list(program.graph.lengths),
        "cycles": result.cycles, "planned_cycles": program.planned_cycles,
        "clock_mhz": clock_mhz, "milliseconds": result.cycles / (1000 * clock_mhz),
        "sequences_per_second": 1e6 * clock_mhz * len(program.graph.lengths) / cycles, "counters": counters,
        "utilisation": {
            "multipliers": counters["multiplications"] / possible,
            "multipliers_dense_equivalent": counters["dense_multiplications"] / possible,
            **{engine: counters[f"{engine}_busy"] / cycles for engine in ("memory", "matrix", "vector")},
            "bus": 8 * (counters["bytes_read"] + counters["bytes_written"]) / (cycles * config.bus_width),
        },
        "phases": phases(program, result), "area": quick_area(config, measured=False), "energy": energy,
        "note": "estimated, not simulated: zeros of activations are " + (
            "those of the golden model" if setting.values else "drawn at random, by the share that the compiler expects"),
    }
