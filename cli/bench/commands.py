"""What the other subcommands of `acceltran bench` do."""

import tempfile
from pathlib import Path

from rich.table import Table

from ...hw.spec.design_name import design_name
from ...hw.spec.files import write_json
from ...hw.spec.isa import LoopOrder
from ...sim.inference import infer, report
from ...sim.products import CAUSES, Product, measure_products
from ...sim.timeline import write_timeline
from ...sw.compiler import CompileError, compile_encoder
from ...sw.models.checkpoint import load_checkpoint
from ...sw.models.errors import ModelError
from ...sw.models.full_texts import full_texts
from ...sw.models.sentences import encode_texts
from ..console import check_outputs, console, stages
from ..hardware import load_config, loop_order
from ..inputs import calibration_options
from .ita import measure_ita
from .points import ORDER_BATCH, ORDER_SHAPES, model_options

__all__ = ["ita_command", "matmul_command", "model_command", "orders_command"]


def _measure(config, products):
    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder, stages(config.name) as stage:
        return measure_products(config, products, folder=Path(folder), stage=stage)


def _verdict(mismatches, compared, what="integers"):
    if mismatches:
        console.print(f"[bold]{mismatches:,} integers differ[/bold] from the golden model")
        return 1
    console.print(f"all {compared:,} {what} equal")
    return 0


def matmul_command(*, config, skip, json_path, order, **options):
    """Options are those of the command, see its help."""
    config = load_config(config, skip)
    product = Product(order=order and loop_order(order).name.lower(), **options)
    check_outputs(json_path)
    (values,) = _measure(config, [product])
    if json_path:
        write_json(json_path, values)
    table = Table("", "", title=f"{product.m} x {product.k} x {product.n} on {design_name(config)}", show_header=False)
    rows = [
        ("loop order", values["order"]),
        ("cycles", f"{values['cycles']:,}"),
        ("ideal cycles, dense", f"{values['ideal_cycles']:,}"),
        ("utilisation (ideal / cycles)", f"{values['utilisation']:.1%}"),
        *((f"cycles lost: {cause.replace('_', ' and ')}", f"{values['lost_cycles'][cause]:,.1f}") for cause in CAUSES),
        ("multiplications done", f"{values['multiplications']:,}"),
        ("multiplications, dense", f"{values['dense_multiplications']:,}"),
        ("pairs of non-zeros", f"{values['effectual_multiplications']:,}"),
        ("A / B tiles loaded from the buffers", f"{values['a_tile_loads']:,} / {values['b_tile_loads']:,}"),
        ("words read / written in the buffers", f"{values['word_reads']:,} / {values['word_writes']:,}"),
        ("bytes of A / B in main memory", f"{values['a_bytes']:,} / {values['b_bytes']:,}"),
        ("build / simulation seconds", f"{values['build_seconds']:.1f} / {values['simulation_seconds']:.1f}"),
    ]
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if values["padded"]:
        console.print(f"sizes were padded with zeros to whole tiles of {config.tile}; ideal cycles count the real ones")
    return _verdict(values["mismatches"], values["integers_compared"])


def model_command(*, config, skip, model, texts, batch, order, length, calibration, json_path, planned=False, **options):
    """Options are those of the command, see its help."""
    config = load_config(config, skip)
    if texts and batch:
        raise ModelError("--text and --batch: give one of them")
    order = loop_order(order)
    check_outputs(json_path)
    checkpoint = load_checkpoint(model)
    options = model_options(checkpoint, length, options) | calibration_options(calibration)
    texts = texts or full_texts(checkpoint, batch or 1, options["length"])
    if planned:
        return _planned(config, checkpoint, texts, order, json_path, **options)
    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder, stages(config.name) as stage:
        values = report(infer(config, checkpoint, texts, folder=Path(folder), order=order, stage=stage, **options))
    if json_path:
        write_json(json_path, values)
    table = Table("", "", title=f"{len(texts)} sentence(s) on {design_name(config)}", show_header=False)
    use, counters = values["utilisation"], values["counters"]
    for row in (
        ("cycles", f"{values['cycles']:,}"),
        ("ideal cycles, dense", f"{values['ideal_cycles']:,}"),
        ("multipliers busy", f"{use['multipliers']:.1%}"),
        ("dense-equivalent utilisation", f"{use['multipliers_dense_equivalent']:.1%}"),
        *((f"cycles lost: {cause}", f"{lost:,.0f}") for cause, lost in values["lost_cycles"].items()),
        *((f"{engine} engine busy / stalled", f"{use[engine]:.1%} / {values['stalled'][engine]:.1%}")
          for engine in ("memory", "matrix", "vector")),
        ("A / B tiles loaded from the buffers", f"{counters['a_tile_loads']:,} / {counters['b_tile_loads']:,}"),
        ("bytes read / written", f"{counters['bytes_read']:,} / {counters['bytes_written']:,}"),
        ("build / simulation seconds", f"{values['build_seconds']:.1f} / {values['simulation_seconds']:.1f}"),
    ):
        table.add_row(*row)
    console.print(table)
    return _verdict(values["mismatches"], values["tensors_compared"], "intermediate tensors")


def _planned(config, checkpoint, texts, order, json_path, *, length, **options):
    """What the compiler's planner expects, without a simulation."""
    ids, lengths = encode_texts(checkpoint, texts, length)
    program = compile_encoder(checkpoint, config, ids, lengths, order=order, **options)
    if program.planned_cycles is None:
        raise CompileError("--planned: there is no plan, since instructions do not overlap: leave --no-overlap out")
    values = {"config": design_name(config), "sequences": len(texts), "instructions": len(program.instructions),
              "planned_cycles": program.planned_cycles}
    if json_path:
        write_json(json_path, values)
    table = Table("", "", title=f"{len(texts)} sentence(s) on {design_name(config)}, planned, not run", show_header=False)
    for row in (
        ("cycles planned", f"{program.planned_cycles:,}"),
        ("cycles per sentence", f"{program.planned_cycles / len(texts):,.1f}"),
        ("instructions", f"{len(program.instructions):,}"),
    ):
        table.add_row(*row)
    console.print(table)
    return 0


def ita_command(*, config, layernorm, trace, json_path):
    """Options are those of the command, see its help."""
    config = load_config(config)
    check_outputs(trace, json_path)
    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder, stages(config.name) as stage:
        stage("building and running the RTL")
        values, program, run = measure_ita(config, layernorm=layernorm, folder=Path(folder), activity=trace is not None)
        if trace:
            labels = {n: opcode.name for n, (opcode, _) in enumerate(program.instructions)}
            labels |= program.made
            write_timeline(trace, config, run, labels)
    if json_path:
        write_json(json_path, values)
    title = f"ITA's workload on {design_name(config)}{', with layer-norm' if layernorm else ''}"
    table = Table("", "", title=title, show_header=False)
    for row in (
        ("cycles", f"{values['cycles']:,}"),
        ("ideal cycles, dense", f"{values['ideal_cycles']:,}"),
        ("utilisation (ideal / cycles)", f"{values['utilisation']:.1%}"),
        ("cycles of ITA", f"{values['ita_cycles']:,}"),
    ):
        table.add_row(*row)
    console.print(table)
    return _verdict(values["mismatches"], values["tensors_compared"], "intermediate tensors")


def orders_command(*, config, skip, json_path, **options):
    """Options are those of the command, see its help."""
    config = load_config(config, skip)
    check_outputs(json_path)
    products = [Product(m=m, k=k, n=n, batch=ORDER_BATCH, order=order.name.lower(), **options)
                for m, k, n in ORDER_SHAPES for order in LoopOrder]
    values = _measure(config, products)
    if json_path:
        write_json(json_path, values)
    table = Table("m x k x n", "order", "A tiles", "B tiles", "words read + written", "cycles", "mismatches",
                  title=f"loop orders, batch {ORDER_BATCH}, {design_name(config)}, psum_tiles = {config.psum_tiles}")
    for v in values:
        table.add_row(f"{v['m']} x {v['k']} x {v['n']}", v["order"], f"{v['a_tile_loads']:,}", f"{v['b_tile_loads']:,}",
                      f"{v['word_reads'] + v['word_writes']:,}", f"{v['cycles']:,}", f"{v['mismatches']:,}")
    console.print(table)
    return _verdict(sum(v["mismatches"] for v in values), sum(v["integers_compared"] for v in values))
