"""The kind `encoders`: random encoders of every family, back to back, every integer of every tensor compared."""

import json
from dataclasses import replace

from acceltran.hw.spec.error_codes import ErrorCode
from acceltran.hw.spec.errors import InputError
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.inference import in_memory, seen_outputs, seen_tensors
from acceltran.sim.replay import BufferReplay
from acceltran.sim.system import RunResult, read_memory, read_timeline, write_image
from acceltran.sw.compiler import CapacityError
from acceltran.sw.host import Outcome
from acceltran.sw.ir.counts import multiplication_counts
from acceltran.sw.ir.execute import golden_run
from support.changed_programs import MEMORY_END, monitored_system

from .attack import fewer_cases
from .configurations import configurations
from .encoder_spec import bulk_spec, compiled, draw_spec, smaller_specs
from .kind import Tally, config_of, draws, make_batch, with_cases
from .system import CALM, draw_memory, plusargs_of, tally_bus

__all__ = ["Encoders"]

_PAGE = 4096
_CASES, _BULK = 3, 6
"""Encoders of a batch that are drawn freely, and long ones that bring most values."""

_WATCHDOG = 400_000
_LIMIT = 20_000_000


class Encoders:
    """See `Kind`."""

    name = "encoders"

    def batches(self, seed, count):
        """See `Kind`."""
        configs = [config for _, config in configurations()[0] if config.functions]
        for rng, config in draws(self.name, seed, count, configs):
            cases = [draw_spec(config, rng) for _ in range(_CASES)] + [bulk_spec(config, rng) for _ in range(_BULK)]
            yield make_batch(self.name, seed, config, draw_memory(rng), cases)

    def run(self, batch, folder):
        """See `Kind`."""
        tally, config = Tally(), config_of(batch)
        programs = _programs(batch, config, tally)
        if not programs:
            return tally
        image = bytearray()
        for _, program, *_ in programs:
            image += bytes(program.base - len(image)) + program.image
        write_image(bytes(image), config.bus_width, folder / "image.hex")
        logs = [f"+activation_{kind}_{bank}" for kind in ("lines", "masks") for bank in range(config.cluster.activation_banks)]
        run_cocotb(monitored_system(config), "campaign.encoder_runs", folder,
                   plusargs=["+image=image.hex", *logs, *plusargs_of(batch["settings"])],
                   parameters={"config": config.to_dict(), "watchdog": _WATCHDOG,
                               "programs": [_job(program) for _, program, *_ in programs]})
        tally_bus(tally, folder)
        _compare(programs, json.loads((folder / "result.json").read_text()), folder, tally)
        return tally

    def smaller(self, batch):
        """See `Kind`."""
        for cases in fewer_cases(batch["cases"]):
            yield with_cases(batch, cases)
        if batch["settings"] != CALM:
            yield batch | {"settings": CALM}
        for name, value in CALM.items():
            if batch["settings"][name] != value:
                yield batch | {"settings": batch["settings"] | {name: value}}
        for number, spec in enumerate(batch["cases"]):
            for smaller in smaller_specs(spec):
                yield with_cases(batch, [*batch["cases"][:number], smaller, *batch["cases"][number + 1:]])


def _programs(batch, config, tally):
    """(case, Program at its place in main memory, token numbers, lengths) of every encoder that fits."""
    programs, place = [], 0
    for number, spec in enumerate(batch["cases"]):
        try:
            program, ids, lengths = compiled(spec, config)
        except InputError as error:
            tally.counts["no room" if isinstance(error, CapacityError) else "refused"] += 1
            continue
        if place + len(program.image) > MEMORY_END:
            tally.counts["no room"] += 1
            continue
        programs.append((number, replace(program, base=place), ids, lengths))
        place += len(program.image) + -len(program.image) % _PAGE
    return programs


def _job(program):
    runs = [tuple(program.preload.values())] if program.preload else []
    return {"base": program.base, "port_bases": list(program.port_bases()), "target": program.target, "limit": _LIMIT,
            "curves": [list(map(int, knots)) for knots in program.curves],
            "runs": [*runs, (program.entry, len(program.instructions))]}


def _compare(programs, seen, folder, tally):
    """Compare every tensor of every program, and its outputs in main memory; count what was compared."""
    config = programs[0][1].config
    replays = [BufferReplay(config, folder, cluster) for cluster in range(config.clusters)]
    memory, shown = read_memory(folder / "memory.log"), iter(seen)
    for number, program, ids, lengths in programs:
        for preload in [True] * bool(program.preload) + [False]:
            one = next(shown, None)
            if one is None:
                return
            outcome = Outcome(**one["outcome"])
            if not one["ended"] or outcome.error:
                tally.counts["hangs"] += not one["ended"] or outcome.error_code == ErrorCode.WATCHDOG
                what = "preload" if preload else "program"
                tally.failures.append((number, f"its {what} did not end well: {outcome.error or 'no interrupt'}"))
                return
        run = RunResult(folder=folder, status=outcome.status, error=None, counters=one["counters"], started=one["started"],
                        intervals=read_timeline(folder / "timeline.log", one["started"], one["woken"]), build_seconds=0.0,
                        simulation_seconds=0.0, memory=memory)
        golden, unequal = golden_run(program, ids, lengths), {}
        for name, tensor, wanted in _pairs(program, run, golden, replays):
            tally.counts["values"] += wanted.numel()
            tally.counts["tensors"] += 1
            if different := int((tensor != wanted).sum()):
                unequal[name] = different
        counted = multiplication_counts(program.graph, golden)["total"].both
        if config.skip == "both" and counted != run.counters["multiplications"]:
            unequal["multiplications"] = run.counters["multiplications"] - counted
        tally.counts["encoders"] += 1
        tally.counts["instructions"] += len(program.instructions)
        if unequal:
            tally.failures.append((number, f"{sum(unequal.values())} values are not those of the golden model: {unequal}"))


def _pairs(program, run, golden, replays):
    """Name, what was seen and what the golden model gives, of every tensor and output."""
    for name, tensor in seen_tensors(program, run, replays):
        yield name, tensor, golden[name]
    for name, (integers, _) in seen_outputs(program, run).items():
        yield in_memory(name), integers, golden[program.outputs[name]["tensor"]][: len(integers)]
