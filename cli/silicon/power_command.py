"""What `acceltran power` does."""

import json
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

from ...hw.spec.design_name import design_name
from ...hw.spec.errors import ConfigError
from ...hw.spec.files import write_json
from ...silicon.activity import bank_accesses, instance_modules, module_activity
from ...silicon.design import accelerator_modules
from ...silicon.energy import NOT_MODELLED, MainMemory, energy, sram_energy
from ...silicon.errors import SynthesisError
from ...silicon.estimate import estimated_accesses, estimated_activity
from ...silicon.liberty import read_library
from ...silicon.mapper import map_modules
from ...silicon.power import module_power
from ...silicon.sram import SRAM_TABLE, SramTable
from ...silicon.toggle_counters import COUNTER_SOURCE, LOG, read_toggles, with_toggle_counters
from ...sim.design import build_system
from ...sim.inference import infer
from ...sw.models.sentences import count_cut
from ..console import announce, check_outputs, console, plain_table, progress_bar, stages
from ..hardware import load_config
from ..inputs import calibration_options, load_inputs, longest_of, site_options
from .library_files import library_files
from .plot import plot_shares

__all__ = ["estimated_inference", "power_command", "print_energy", "traced_inference"]

_ROOT, _CLOCK = "system.dut", "system.clk"


def power_command(*, config, model, texts, text_pairs=None, file, skip, liberty, clock, memory, memories, memory_node, jobs,
                  json_path, plot, sites, target_sparsity, activity, run, calibration=None, layout=None, **options):
    """Options are those of the command, see its help."""
    liberty = library_files(liberty)
    check_outputs(json_path, plot)
    if not liberty:
        raise ConfigError("liberty = None: power needs a cell library; give --liberty FILE")
    memory, sram = MainMemory(memory), SramTable(memories or SRAM_TABLE, memory_node)
    if (activity is None) != (run is None):
        raise ConfigError("activity: needs --run as well, and --run needs it; give both or none")
    if run:
        if texts or file:
            raise ConfigError("run: nothing is simulated with it, so sentences mean nothing; leave --text and --file out")
        config = load_config(config, skip)
    else:
        config, checkpoint, data = load_inputs(config, model, texts, file, skip, layout, text_pairs=text_pairs)
        options |= site_options(sites, target_sparsity, checkpoint) | calibration_options(calibration)
        options["longest"] = longest_of(checkpoint, data, options.get("length"))
    library = read_library(liberty, power=True)
    if "internal_power" not in library.text:
        raise ConfigError(f"liberty = {str(liberty[0])!r}: has no power tables; give a library with internal_power")
    modules = accelerator_modules(config)
    if run:
        values = estimated_inference(config, modules, run, activity)
    else:
        if data.reading:
            announce(data, cut=count_cut(checkpoint, data.sentences, options["longest"]), longest=options["longest"])
        values = traced_inference(config, checkpoint, data.sentences, modules, **options)
    with progress_bar("mapping modules", len(modules)) as done:
        mapped = map_modules(modules, read_library(liberty), clock=clock if library.timed else None, jobs=jobs, done=done)
    activity, banks = values.pop("activity"), values.pop("banks")
    words = values["counters"]["bytes_read"] / (config.bus_width // 8)
    accesses = sram_energy(modules, mapped, sram, banks=banks, other=words)
    values |= {"clock_mhz": clock, "library": library.name, "memory": memory.kind, "memory_node_nm": sram.node,
               "activity": {name: asdict(one) for name, one in activity.items()},
               "banks": {name: {"reads": reads, "writes": writes} for name, (reads, writes) in banks.items()},
               "not_modelled": NOT_MODELLED}
    with progress_bar("power of modules", len(modules)) as done:
        power = module_power(modules, mapped, library, activity, done)
    counters = values["counters"]
    values |= energy(
        modules, power, clock=clock, cycles=counters["cycles"], sram=accesses, memory=memory, sequences=values["sequences"],
        bytes_moved=counters["bytes_read"] + counters["bytes_written"], multiplications=counters["dense_multiplications"])
    values["modules"] = {name: {"internal_J": one.internal, "switching_J": one.switching, "leakage_W": one.leakage}
                         for name, one in power.items()}
    print_energy(values)
    if plot:
        plot_shares(values, plot)
    if json_path:
        write_json(json_path, values)


def traced_inference(config, checkpoint, texts, modules, **options):
    """Run `texts` as one batch on a model that counts toggles.

    Returns
    -------
    dict: config, counters, sequences, activity_from (configuration), activity ({module: Activity}), banks (see
    `bank_accesses`)

    Raises
    ------
    SynthesisError : the RTL and the golden model differ
    """
    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder, stages(config.name) as stage:
        simulator = partial(build_system, config, instrument=partial(with_toggle_counters, clock=_CLOCK),
                            sources=(COUNTER_SOURCE,))
        inference = infer(config, checkpoint, texts, folder=Path(folder), model=simulator, stage=stage, **options)
        if inference.mismatches:
            raise SynthesisError(f"the RTL and the golden model differ in {', '.join(inference.mismatches)}: see acceltran run")
        stage("reading toggles")
        counts = read_toggles(Path(folder) / LOG)
    instances, counters = instance_modules(modules), inference.run.counters
    return {
        "config": design_name(config), "counters": counters, "sequences": len(texts), "activity_from": design_name(config),
        "activity": module_activity(instances, counts, cycles=counters["cycles"], root=_ROOT),
        "banks": bank_accesses(instances, counts, root=_ROOT),
    }


def estimated_inference(config, modules, run, activity):
    """The same from two reports: `run` of `acceltran run` or `bench model` with `config`, and `activity` of `acceltran power`
    with another configuration.

    Raises
    ------
    ConfigError : a file is none of these, or `run` is of another configuration
    """
    reports = {}
    for name, path, wanted in (("run", run, "predictions"), ("activity", activity, "activity")):
        try:
            reports[name] = json.loads(path.read_text())
            reports[name]["counters"]["cycles"], reports[name][wanted]
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
            reason = getattr(error, "strerror", None) or "is no such report"
            raise ConfigError(f"{name} = {str(path)!r}: {reason}; give the --json of acceltran "
                              f"{'run' if name == 'run' else 'power'}") from None
    run, earlier = reports["run"], reports["activity"]
    if run["config"] != design_name(config):
        raise ConfigError(f"run: is of configuration {run['config']!r}, not {design_name(config)!r}; run acceltran run "
                          f"--config {config.name} --json")
    counters = run["counters"]
    return {
        "config": design_name(config), "counters": counters, "sequences": len(run["predictions"]),
        "activity_from": earlier["config"],
        "activity": estimated_activity(modules, config, counters, earlier),
        "banks": estimated_accesses(modules, config, counters),
    }


def print_energy(values):
    """The table of blocks, and the totals."""
    table = plain_table("block", "power mW", "dynamic uJ", "leakage uJ", "energy uJ", "share %",
                   title=f"{values['config']} at {values['clock_mhz']:g} MHz, {values['library']}, {values['memory']}")
    for row in values["blocks"]:
        table.add_row(row["block"], *(f"{row[key]:,.3g}" for key in ("power_mW", "dynamic_uJ", "leakage_uJ", "energy_uJ")),
                      f"{100 * row['share']:.1f}")
    console.print(table)
    console.print(f"{values['energy_uJ']:,.4g} uJ per inference, {values['power_mW']:,.4g} mW, "
                  f"{values['sequences_per_second']:,.1f} sequences/s, {values['tops_per_watt']:.3g} TOPS/W (two "
                  "operations for each multiplication of the dense model)")
    if values["activity_from"] != values["config"]:
        console.print(f"estimated: toggles of {values['activity_from']}, times the ratio of multiplications per cycle")
    console.print(NOT_MODELLED)
