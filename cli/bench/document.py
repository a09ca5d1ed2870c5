"""The measurements as a document."""

from ...hw.spec.files import write_text
from ...sw.models.weight_sparsity import sparsity_text
from .plots import plot_all
from .points import ORDER_BATCH, ORDER_SHAPES

__all__ = ["write_document"]

_MULTIPLIERS_USED = "multiplications done per multiplier and cycle"

_MOST_CYCLES = (
    ("model", "2:4 weights", 39_000), ("model", "24 tokens, resident", 16_500), ("model_w8", "8 tokens", 16_500),
    ("model_w8", "24 tokens", 16_800), ("model_w8", "64 tokens", 30_000), ("model_edge", "dense", 19_100),
    ("model_edge", "sparse", 9_600), ("model_edge", "sparse, weights 2:4, prefetched", 7_000),
)
"""Of groups and settings: the most cycles that BERT-Tiny is to take."""

_BUS_SHARE = 1.02
"""Cycles, in those of the bytes on the bus, that a sentence is to take which waits for its weights."""


def write_document(output, values):
    """Write the document and its plots, each all or nothing; returns their paths."""
    folder = output.parent / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    plots = plot_all(values, folder)
    text = [
        "# Benchmarks", "",
        "Made by `make bench`. Everything runs on the generated RTL under Verilator. Every integer of every result, and of "
        "every intermediate tensor of a model, equals that of the golden model, except where a column says otherwise. "
        "Operands of products are random; each element is zero with the given probability, independently of the others. They "
        "are in the buffers before cycles are counted, from the start of the MATMUL to its completion. Special words are "
        "explained in the [glossary](glossary.md).", "",
        *_bars(values), *_products(values), *_orders(values), *_models(values, plots),
    ]
    for name, title in (("speedup", "Cycles of the dense product over those of the sparse one, 128 x 512 x 128, `mini`"),
                        ("inner", "Utilisation of dense 128 x K x 128 on `mini`")):
        if name in plots:
            text += [f"![{title}](plots/{plots[name].name})", "", f"{title}.", ""]
    write_text(output, "\n".join(text).rstrip() + "\n")
    return [output, *plots.values()]


def _table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows), ""]


def _bars(values):
    """What was to be reached, and what is."""
    rows = []

    def bar(what, target, measured, met):
        rows.append((what, target, measured, "yes" if met else "no"))

    def product(group, **wanted):
        wanted = {"act_sparsity": 0.0, "weight_sparsity": 0.0, "b_from": "weight"} | wanted
        return next(run for run in values[group]["runs"] if all(run[name] == value for name, value in wanted.items()))

    def setting(group, name):
        return next(run for run in values[group]["runs"] if run["setting"] == name)

    small, large = {"m": 64, "k": 64, "n": 64}, {"m": 128, "k": 512, "n": 128}
    for group in ("int8", "mini"):
        if group in values:
            cycles = product(group, **small)["cycles"]
            bar(f"dense 64 x 64 x 64, `{group}`", "<= 310 cycles", f"{cycles:,}", cycles <= 310)
    for group, skip in (("ita", "both"), ("ita_none", "none")):
        for run in values.get(group, {"runs": ()})["runs"]:
            what = "with residual and layer-norm" if run["layernorm"] else "without residual and layer-norm"
            reach = "<= 2,450 cycles (ITA: 2,144)"
            bar(f"ITA's workload, `int8`, skip {skip}, {what}", reach, f"{run['cycles']:,}", run["cycles"] <= 2450)
    for group, name in (("mini", "`mini`"), ("one_pe", "one PE")):
        if group in values:
            use = product(group, **large)["utilisation"]
            bar(f"dense 128 x 512 x 128, {name}", ">= 95 %", f"{use:.1%}", use >= 0.95)
    for group, skip in (("mini", "both"), ("mini_activation", "activation")):
        for a, w, least in ((0.5, 0.5, 2.5), (0.5, 0.0, 1.7), (0.9, 0.0, 4.0)):
            if group in values and (skip == "both" or (a, w) == (0.5, 0.0)):
                dense = product(group, **large)["cycles"]
                ratio = dense / product(group, **large, act_sparsity=a, weight_sparsity=w)["cycles"]
                bar(f"128 x 512 x 128, {a:.0%} x {w:.0%} zeros, `{skip}`, against dense", f">= {least}x", f"{ratio:.2f}x",
                    ratio >= least)
    if "mini_none" in values:
        plain = product("mini_none", **large)["cycles"]
        for group, skip in (("mini", "both"), ("mini_activation", "activation")):
            if group in values:
                more = product(group, **large)["cycles"] / plain - 1
                bar(f"dense 128 x 512 x 128, `{skip}` against `none`", "<= 3 % slower", f"{100 * more:+.1f} %", more <= 0.03)
    if "model" in values:
        dense, sparse = setting("model", "dense"), setting("model", "sparse")
        use = dense["utilisation"]["multipliers"]
        bar("BERT-Tiny, 128 tokens, `mini`, dense, everything", ">= 80 % of multiplier cycles used", f"{use:.1%}", use >= 0.8)
        ratio = dense["cycles"] / sparse["cycles"]
        bar("the same, weights and activations 50 % zeros, against dense", ">= 2x", f"{ratio:.2f}x", ratio >= 2)
    for group, name, reach in _MOST_CYCLES:
        if group in values:
            run = setting(group, name)
            bar(f"BERT-Tiny, {_batch(run)}`{run['config']}`, {name}", f"<= {reach:,} cycles", f"{run['cycles']:,}",
                run["cycles"] <= reach)
    for name in ("8 tokens", "24 tokens", "64 tokens"):
        if "model" in values:
            run = setting("model", name)
            share = run["cycles"] / run["bus_cycles"]
            bar(f"BERT-Tiny, `mini`, {name}, against the time of its bytes on the bus", f"<= {_BUS_SHARE:.2f}x",
                f"{share:.3f}x", share <= _BUS_SHARE)
    for group, least in (("model", 8000), ("model_edge", 300)):
        if group in values:
            run = setting(group, "dense")
            speed = run["cycles_per_second"]
            bar(f"simulation of BERT-Tiny on `{run['config']}`, here and now", f">= {least:,} cycles per second",
                f"{speed:,.0f}", speed >= least)
    if not rows:
        return []
    return ["## Targets", "", *_table(("run", "target", "measured", "met"), rows),
            "ITA is another accelerator (arXiv 2307.03493). Its workload takes 2,048 cycles of multiplications if none is "
            "skipped.", ""]


def _batch(run):
    return f"batch {run['batch']}, weights resident, " if run["batch"] > 1 else ""


def _products(values):
    rows = []
    for group in ("int8", "mini", "mini_activation", "mini_none", "one_pe"):
        for r in values.get(group, {"runs": ()})["runs"]:
            lost = r["lost_cycles"]
            rows.append((
                f"`{r['config']}`", r["skip"], f"{r['m']} x {r['k']} x {r['n']}",
                f"{r['act_sparsity']:.0%} x {sparsity_text(r['weight_sparsity'])}", r["b_from"], f"{r['cycles']:,}",
                f"{r['ideal_cycles']:,}", f"{r['utilisation']:.1%}",
                *(f"{lost[cause]:,.0f}" for cause in ("operands", "output", "imbalance", "fill_drain")),
                f"{r['mismatches']:,}",
            ))
    if not rows:
        return []
    return [
        "## Products", "",
        "Ideal cycles are those of the dense product with every multiplier busy in every cycle; skipping can take fewer. Lost "
        "cycles are given per multiplier, by their cause: a lane waited for operands (operands), or for its results to be read "
        "(output), or had too little work for all of its multipliers (imbalance), or had no work (fill and drain).", "",
        *_table(("configuration", "skip", "m x k x n", "zeros in A x B", "B from", "cycles", "ideal", "utilisation",
                 "operands", "output", "imbalance", "fill and drain", "mismatches"), rows),
    ]


def _orders(values):
    if "orders" not in values:
        return []
    runs = values["orders"]["runs"]
    text = ["## Loop orders", "",
            f"All 24 orders ran on `{runs[0]['config']}`, with dense operands and batch {ORDER_BATCH}. Tiles of A and B are "
            "counted as they are loaded from the buffers, before they go to several PEs. Accesses are words of lines that are "
            "read or written, a measure of the energy of the buffers.", ""]
    rows = []
    orders = list(dict.fromkeys(run["order"] for run in runs))
    for order in orders:
        cells = [order]
        for m, k, n in ORDER_SHAPES:
            run = next(r for r in runs if r["order"] == order and (r["m"], r["k"], r["n"]) == (m, k, n))
            cells.append(f"{run['a_tile_loads']:,} + {run['b_tile_loads']:,}; {run['word_reads'] + run['word_writes']:,}; "
                         f"{run['cycles']:,}")
        rows.append(cells)
    heads = [f"{m} x {k} x {n}: A + B tiles; accesses; cycles" for m, k, n in ORDER_SHAPES]
    wrong = sum(run["mismatches"] for run in runs)
    return [*text, *_table(("order", *heads), rows),
            f"{wrong:,} of {sum(run['integers_compared'] for run in runs):,} integers differ.", ""]


def _models(values, plots):
    rows, text = [], []
    for group in ("model", "model_w8", "model_edge"):
        for r in values.get(group, {"runs": ()})["runs"]:
            lost = r["lost_cycles"]
            rows.append((
                f"`{r['config']}`", f"{r['batch']}", r["setting"], f"{r['cycles']:,}", f"{r['ideal_cycles']:,}",
                f"{r['utilisation']['multipliers']:.1%}", f"{r['utilisation']['multipliers_dense_equivalent']:.1%}",
                *(f"{lost[cause]:,.0f}" for cause in ("operands", "output", "imbalance", "idle")),
                f"{r['tensors_compared']}", f"{r['mismatches']}", f"{r['cycles_per_second']:,.0f}",
            ))
    if rows:
        text += [
            "## BERT-Tiny", "",
            "The text has 128 tokens, or as many as the setting says, without padding, and cycles count everything from the "
            "first fetch to the last store. The weights of `edge` are resident. In the setting sparse, half of the weights are "
            "pruned by magnitude, and DynaTran is set to half of the activations. Where embeddings are prefetched, the run "
            "fetches those of the next batch, and finds its own in the buffer, as in a steady stream of batches. "
            "Without overlap, every instruction waits for the one before. Multipliers busy means "
            f"{_MULTIPLIERS_USED}; dense-equivalent counts also those that were skipped. Cycles per second depend on the "
            "machine and its load, and include the cycles of a preload.", "",
            *_table(("configuration", "batch", "setting", "cycles", "ideal", "multipliers busy", "dense-equivalent",
                     "lost: operands", "output", "imbalance", "idle", "tensors compared", "mismatches", "cycles / s"), rows),
        ]
    if "timeline" in plots:
        title = "Engines and units during the dense inference on `mini`"
        text += [f"![{title}](plots/{plots['timeline'].name})", "", f"{title}.", ""]
    return text
