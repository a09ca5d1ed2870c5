"""What is run to measure coverage: the programs of the tests of whole systems, on one configuration.

Every run checks its results as the tests do; a wrong one ends the measurement.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import test_clusters_system
import test_encoder_system
import test_errors_system
import test_hostile_system
import test_matmul_system
import test_ports_system
import test_power_up
import test_worst_cases

from acceltran.hw.spec.activations import ACTIVATIONS
from acceltran.hw.spec.isa import Engine, LoopOrder, Opcode, encode
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.design import build_system
from acceltran.sim.inference import infer
from acceltran.sim.system import write_image
from acceltran.sw.models.checkpoint import load_checkpoint
from support.changed_programs import MEMORY_BITS, monitored_system
from support.hostile_programs import Attack
from support.models import make_checkpoint

__all__ = ["RUNS", "Run"]

_BASE = 0x7FFF_0000
"""Where main memory of the hostile programs begins: an address in which most bits are set."""

_HIGH_BASE = 0x7FFF_FFFF_7FFF_0000
"""The same with 64 bits."""


@dataclass(frozen=True)
class Run:
    """One entry of the list.

    Parameters
    ----------
    name : unique
    what : in a sentence
    run : function of (configuration, folder for logs)
    where : function of a configuration, whether the run is possible
    """

    name: str
    what: str
    run: Callable
    where: Callable = lambda config: True


def _single(config):
    """Whether programs written by hand run: they know of one cluster and one memory port."""
    return config.clusters == config.memory_ports == 1


def _several(config):
    return not _single(config)


def _model(config):
    """The simulator of most runs."""
    return build_system(config, memory_bits=MEMORY_BITS) if _single(config) else monitored_system(config)


def _registers(config, folder):
    waits = encode(Opcode.SYNC, engine=int(Engine.VECTOR), wait_vector=1)
    write_image(encode(Opcode.HALT) + waits + encode(Opcode.HALT), config.bus_width, folder / "image.hex")
    run_cocotb(_model(config), "rtl_coverage.register_runs", folder, plusargs=["+image=image.hex"],
               parameters={"config": config.to_dict()})


def _errors(test):
    return lambda config, folder: getattr(test_errors_system, test)(test_errors_system.Suite(config), folder)


def _encoders(config, folder):
    for number, (shape, options) in enumerate(test_encoder_system.encoders(config, len(config.functions) + 1)):
        checkpoint = load_checkpoint(make_checkpoint(folder / str(number) / "model", **shape))
        texts = options.pop("texts")
        inference = infer(config, checkpoint, texts, folder=folder / str(number), model=_model(config), **options)
        assert not inference.mismatches, (shape, options, inference.mismatches)


def _products(config, folder):
    """Every loop order in a shape of several tiles, every activation function, and sums that saturate."""
    shape = {"rows": 3, "inner": 2, "columns": 3, "batch": 2, "density_a": 0.5, "density_b": 0.7}
    cases = [{**shape, "order": order} for order in LoopOrder]
    codes = [entry.code for entry in ACTIVATIONS if entry.name in config.functions]
    cases += [{"rows": 2, "inner": 2, "columns": 2, "density_a": density, "density_b": density, "function": code,
               "transpose": bool(code % 2)} for code in (0, *codes) for density in (0.0, 0.2, 1.0)]
    cases += [{"rows": 1, "inner": 12, "columns": 1, "density_a": 1.0, "density_b": 1.0, "function": code} for code in codes]
    results = test_matmul_system.run_cases(config, np.random.default_rng(1), cases, folder, _model(config))
    assert len(list(results)) == len(cases)


def _worst_cases(config, folder):
    for stall in (0.0, 0.5):
        test_worst_cases.test_worst_cases(config, stall, folder / str(stall))


def _resets(config, folder):
    checkpoint = load_checkpoint(make_checkpoint(folder / "model", hidden=2 * config.tile, heads=2, layers=1, ffn=32,
                                                 act=config.functions[-1]))
    test_power_up.test_v3_one_cycle_of_reset_at_any_moment(config, checkpoint, 40, folder)


def _hostile(config, folder):
    """Hostile programs at high addresses, after a user whose secret fills every buffer; then a memory that mixes and stalls."""
    case = config, _HIGH_BASE if config.address_bits > 32 else _BASE
    attack = Attack(config, 120, 1)
    test_hostile_system.simulate(case, attack, [attack.runs], folder / "attack", secret=1)
    awkward = Attack(config, 24, 2, watchdog=20_000, harmless=True)
    seen, _, violations, _ = test_hostile_system.simulate(
        case, awkward, [awkward.runs], folder / "awkward", secret=2,
        plusargs=["+shuffle", "+latency=70", "+stall=50", "+stall_seed=3"])
    assert not violations, violations[:5]
    assert all(run["ended"] and run["reset"] for run in seen[0]["runs"])


def _cluster_encoders(config, folder):
    test_clusters_system.check(config, range(4), folder)


def _port_encoders(config, folder):
    test_ports_system.check(config, range(3), folder)


def _small_batch(config, folder):
    return test_clusters_system.small_batch(config, folder / "model")


def _cluster_errors(config, folder):
    batch = _small_batch(config, folder)
    for first in range(4):
        (folder / str(first)).mkdir()
        test_clusters_system.test_each_instruction_at_fault_in_one_cluster(batch, first, folder / str(first))
    (folder / "on").mkdir()
    test_clusters_system.test_a_cluster_that_goes_on_behind_what_it_refuses(batch, folder / "on")


def _cluster_resets(config, folder):
    test_clusters_system.test_soft_resets_with_traffic(_small_batch(config, folder), 60, folder)


def _port_errors(config, folder):
    encoder = test_ports_system.compiled(config, folder, 0)
    for latency in (1, 40):
        (folder / str(latency)).mkdir()
        test_ports_system.test_each_load_at_fault_on_the_further_port(encoder, latency, folder / str(latency))


RUNS = (
    Run("registers", "every word of the register window, with a host that lets answers wait; thresholds; each command in each "
        "state", _registers),
    Run("control-errors", "programs that the control unit stops", _errors("test_control_errors"), _single),
    Run("memory-errors", "LOADs, GATHERs and STOREs outside of buffers, windows and memory", _errors("test_memory_errors"),
        _single),
    Run("matrix-errors", "products that the matrix engine refuses", _errors("test_matrix_errors"), _single),
    Run("matrix-limits", "shifts and pitches at their limits",
        _errors("test_h5_shifts_and_pitches_that_the_matrix_engine_refuses"), _single),
    Run("vector-errors", "rows that the vector engine refuses", _errors("test_vector_errors"), _single),
    Run("causes", "each cause of an error that the runs before leave out", _errors("test_each_cause"), _single),
    Run("semaphores", "the semaphores of each pair of engines", _errors("test_semaphores_of_each_pair"), _single),
    Run("soft-resets", "soft resets at any moment of a program", _errors("test_reset_at_any_moment"), _single),
    Run("resets", "one cycle of reset at any moment of an encoder", _resets, _single),
    Run("encoders", "random encoders, pruned and not", _encoders),
    Run("products", "loop orders, activation functions, saturation", _products, _single),
    Run("worst-cases", "products of empty, dense and nearly empty matrices, with a memory that stalls", _worst_cases, _single),
    Run("hostile", "hostile programs under locked windows, and traffic of a memory that mixes ids", _hostile),
    Run("cluster-encoders", "random encoders and batches, spread over the clusters", _cluster_encoders, _several),
    Run("port-encoders", "random encoders, with stalls and latencies of each memory port", _port_encoders, _several),
    Run("cluster-errors", "each instruction at fault in one cluster", _cluster_errors, _several),
    Run("cluster-resets", "soft resets with traffic on all ports", _cluster_resets, _several),
    Run("port-errors", "each LOAD of weights at fault on a further port", _port_errors, _several),
)
"""Every run, in order."""
