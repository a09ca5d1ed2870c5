"""The measured table of BERT-Tiny at 128 tokens: configurations, dense and pruned at run time."""

import tempfile
from pathlib import Path

from ..hw.config import AcceleratorConfig
from ..sim.design import accelerator_verilog
from ..sim.inference import infer, report
from .checkpoint import load_checkpoint

__all__ = ["markdown", "measure"]

TEXT = "a gripping , beautifully acted film that never loses its nerve"
LENGTH = 128
_RUNS = (
    ("nano", "dense", {}),
    ("nano", "tau = 0.05", {"tau": 0.05}),
    ("mini", "dense", {}),
    ("mini", "tau = 0.05", {"tau": 0.05}),
    ("mini", "activations 50 %, weights 50 %", {"target_sparsity": 0.5, "weight_sparsity": 0.5}),
)


def measure(model, stage=lambda name: None):
    """Run every line of the table on the RTL; each is compared with the golden model in every integer.

    Returns
    -------
    list of the reports of `sim.inference.report`, with ``setting`` and ``verilog_lines``
    """
    checkpoint = load_checkpoint(model)
    rows = []
    for preset, setting, options in _RUNS:
        config = AcceleratorConfig.load(preset)
        with tempfile.TemporaryDirectory(prefix="acceltran-") as folder:
            inference = infer(config, checkpoint, [TEXT], folder=Path(folder), length=LENGTH,
                              stage=lambda name, at=f"{preset}, {setting}": stage(f"{at}: {name}"), **options)
        rows.append(report(inference) | {"setting": setting, "multipliers": config.multipliers,
                                         "verilog_lines": accelerator_verilog(config).count("\n")})
    return rows


def markdown(rows):
    """The measurements as a document."""
    text = [
        "# Benchmarks", "",
        f"BERT-Tiny (`models/bert-tiny-reviews`), one sentence padded to {LENGTH} tokens, everything from the first fetch to "
        "the last store, on the generated RTL under Verilator; every intermediate tensor equals the golden model. "
        "Made by `make bench`.", "",
        "| configuration | multipliers | setting | cycles | multiplications done | share of dense | multipliers busy | "
        "dense-equivalent | matrix engine busy | tensors compared | mismatches |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        use = r["utilisation"]
        text.append(
            f"| {r['config']} | {r['multipliers']:,} | {r['setting']} | {r['cycles']:,} | {r['multiplications']:,} | "
            f"{r['multiplications'] / r['dense_multiplications']:.3f} | {use['multipliers']:.1%} | "
            f"{use['multipliers_dense_equivalent']:.1%} | {use['matrix']:.1%} | {r['tensors_compared']} | {r['mismatches']} |"
        )
    text += [
        "", "Multipliers busy counts multiplications done per multiplier and cycle; dense-equivalent counts all that the "
        "products have, so that skipping can lift it above 100 %. Even the dense run skips: the probabilities of padded "
        "columns are zero.", "",
        "| configuration | Verilog lines | bytes read | A / B tiles loaded | simulation seconds | cycles per second |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        if r["setting"] == "dense":
            c = r["counters"]
            text.append(f"| {r['config']} | {r['verilog_lines']:,} | {c['bytes_read']:,} | {c['a_tile_loads']:,} / "
                        f"{c['b_tile_loads']:,} | {r['simulation_seconds']:.0f} | {r['cycles_per_second']:,.0f} |")
    text += ["", "Seconds depend on the machine and its load; cycles do not.", ""]
    return "\n".join(text)
