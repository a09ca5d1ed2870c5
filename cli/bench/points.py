"""What is measured for docs/benchmarks.md, in groups that share a build, and the file that keeps the measurements."""

import dataclasses
import hashlib
import json
import tempfile
from pathlib import Path

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.files import write_json
from ...hw.spec.isa import LoopOrder
from ...sim.inference import infer, report
from ...sim.products import Product, measure_products
from ...sim.sources import source_identity
from ...sim.timeline import tracks
from ...sw.models.full_texts import full_texts
from ...sw.models.weight_sparsity import GroupSparsity
from .ita import measure_ita

__all__ = ["ACTIVATIONS", "GROUPS", "INNER", "LENGTH", "ORDER_BATCH", "ORDER_SHAPES", "WEIGHTS", "Ita", "Model", "Products",
           "identity", "measure_all", "model_options"]

LENGTH = 128
ORDER_SHAPES = ((64, 64, 64), (64, 64, 128), (128, 64, 64), (64, 128, 64))
ORDER_BATCH = 4
ACTIVATIONS = (0.0, 0.25, 0.5, 0.7, 0.9)
WEIGHTS = (0.0, 0.5)
INNER = (16, 32, 64, 128, 256, 512)

_LARGE = {"m": 128, "k": 512, "n": 128}
_CURVE = tuple(Product(**_LARGE, act_sparsity=a, weight_sparsity=w) for w in WEIGHTS for a in ACTIVATIONS)
_SMALL = Product(m=64, k=64, n=64)
_SPARSE = {"target_sparsity": 0.5, "weight_sparsity": 0.5}
_HALVES = {"weight_sparsity": GroupSparsity("2:4")}
_LENGTHS = {f"{length} tokens": {"length": length} for length in (8, 24, 64)}


def _one_pe():
    return dataclasses.replace(AcceleratorConfig.load("mini"), name="one_pe", grid_rows=1, grid_columns=1)


def _mini(skip):
    return lambda: dataclasses.replace(AcceleratorConfig.load("mini"), name=f"mini_{skip}", skip=skip)


def _int8_none():
    return dataclasses.replace(AcceleratorConfig.load("int8"), name="int8_none", skip="none")


def _preset(name):
    return lambda: AcceleratorConfig.load(name)


@dataclasses.dataclass(frozen=True)
class Products:
    """Products of one simulation."""

    config: object
    products: tuple

    def measure(self, checkpoint, folder, stage):
        """The runs, as plain values."""
        return measure_products(self.config(), list(self.products), folder=folder, stage=stage)


@dataclasses.dataclass(frozen=True)
class Model:
    """Inferences without padding, of 128 tokens if the setting has no other length: one with each of the `settings`."""

    config: object
    settings: dict
    batch: int = 1

    def measure(self, checkpoint, folder, stage):
        """The runs, as plain values."""
        config, runs = self.config(), []
        for name, options in self.settings.items():
            texts = full_texts(checkpoint, self.batch, options.get("length", LENGTH))
            inference = infer(config, checkpoint, texts, folder=folder / name.replace(" ", "_"), activity=name == "dense",
                              stage=lambda text, name=name: stage(f"{name}: {text}"),
                              **model_options(checkpoint, LENGTH, options))
            run = report(inference)
            moved = run["counters"]["bytes_read"] + run["counters"]["bytes_written"]
            runs.append(run | {"setting": name, "batch": self.batch, "multipliers": config.multipliers,
                               "bus_cycles": 8 * moved / config.bus_width})
            if name == "dense":
                runs[-1]["tracks"] = tracks(config, inference.run, {
                    n: opcode.name for n, (opcode, _) in enumerate(inference.program.instructions)})
        return runs


@dataclasses.dataclass(frozen=True)
class Ita:
    """ITA's workload, without and with residual and layer-norm."""

    config: object

    def measure(self, checkpoint, folder, stage):
        """The runs, as plain values."""
        stage("building and running the RTL")
        return [measure_ita(self.config(), layernorm=layernorm, folder=folder / f"layernorm_{layernorm}")[0]
                for layernorm in (False, True)]


GROUPS = {
    "int8": Products(_preset("int8"), (_SMALL, dataclasses.replace(_SMALL, b_from="activation"))),
    "mini": Products(_preset("mini"), (_SMALL, *_CURVE, Product(**_LARGE, **_HALVES),
                                        *(Product(m=128, k=k, n=128) for k in INNER))),
    "mini_activation": Products(_mini("activation"), _CURVE),
    "mini_none": Products(_mini("none"), _CURVE),
    "one_pe": Products(_one_pe, (Product(**_LARGE), Product(**_LARGE, act_sparsity=0.5, weight_sparsity=0.5))),
    "orders": Products(_preset("mini"), tuple(
        Product(m=m, k=k, n=n, batch=ORDER_BATCH, order=order.name.lower())
        for m, k, n in ORDER_SHAPES for order in LoopOrder)),
    "ita": Ita(_preset("int8")),
    "ita_none": Ita(_int8_none),
    "model": Model(_preset("mini"), {
        "dense": {}, "sparse": _SPARSE, "2:4 weights": _HALVES, "without overlap": {"overlap": False}, **_LENGTHS,
        "24 tokens, resident": {"length": 24, "resident": True}}),
    "model_w8": Model(_preset("mini_w8"), {"dense": {}, "2:4 weights": _HALVES, **_LENGTHS}),
    "model_edge": Model(_preset("edge"), {
        "dense": {"resident": True}, "sparse": {"resident": True, **_SPARSE},
        "sparse, weights 2:4, prefetched": {"resident": True, "prefetch": True, **_SPARSE, **_HALVES}}, batch=4),
}
"""Groups of measurements by name."""


def model_options(checkpoint, length, options):
    """Options of `infer`, with the usual length where none is given."""
    return {"length": length or min(LENGTH, checkpoint.config.max_position_embeddings), **options}


def identity(group):
    """Of a group: changes with configuration, with what is measured, with every source that could change a measurement."""
    found = hashlib.sha256(group.config().to_json().encode())
    found.update(repr([getattr(group, f.name) for f in dataclasses.fields(group) if f.name != "config"]).encode())
    found.update(source_identity("acceltran.hw", "acceltran.sw.golden", "acceltran.sw.compiler", "acceltran.sim").encode())
    return found.hexdigest()


def measure_all(checkpoint, results, *, only=None, stage=lambda name: None):
    """Measure the groups that `results` lacks or has from other sources; with `only`, just these, if need be.

    Returns
    -------
    {group: {"identity", "runs"}}, as in the file
    """
    values = json.loads(results.read_text()) if results.exists() else {}
    for name, group in GROUPS.items():
        current = identity(group)
        if (only and name not in only) or values.get(name, {}).get("identity") == current:
            continue
        with tempfile.TemporaryDirectory(prefix="acceltran-") as folder:
            runs = group.measure(checkpoint, Path(folder), lambda text, name=name: stage(f"{name}: {text}"))
        values[name] = {"identity": current, "runs": runs}
        write_json(results, values)
    return {name: values[name] for name in GROUPS if name in values}
