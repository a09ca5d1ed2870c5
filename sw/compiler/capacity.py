"""Whether a graph fits a configuration, told from shapes, before anything is planned; if it does not, what would."""

from dataclasses import replace
from functools import partial

from ...hw.spec.errors import ConfigError
from ...hw.spec.isa import INSTRUCTIONS, LoopOrder
from ...hw.spec.registers import by_name
from ..ir.errors import CapacityError, CompileError
from .allocate import live_tiles, place_activations, place_blocks, required_tiles
from .image import bytes_of
from .lower import lower
from .room import splits, tightest

__all__ = ["ADDRESSED", "FITTED", "IN_ORDER", "LARGEST_PROGRAM", "check_fit", "check_memory", "fits", "ways"]

ADDRESSED = 1 << 32
"""Bytes of main memory that instructions address."""

FITTED = ("overlap", "resident", "prefetch")
"""Options of `compile_graph` that matter for what fits."""

LARGEST_PROGRAM = (1 << by_name("PROGRAM_LENGTH").width) - 1
"""Instructions that the PROGRAM_LENGTH register counts."""

_COUNTS = {instruction.opcode: {field.name: (1 << field.bits) - 1 for field in instruction.fields
                                if field.name in ("rows", "columns", "inner")} for instruction in INSTRUCTIONS}
"""What the fields count to that grow with the batch."""

IN_ORDER = (
    {"stagger": 2, "chunks": 2, "pack": False},
    {"stagger": 2, "chunks": 2, "pack": True},
    {"stagger": 1, "chunks": 2, "pack": True},
    {"stagger": 1, "chunks": 1, "pack": True},
)
"""Ways to lower and place in an order that the planner does not change, from the one that keeps most in flight to the tightest,
of a graph that is whole or split: what none of them can place is refused."""


def _in_order(graph, config, overlap, resident, whole):
    """Attempts to lower and place a graph, whole, or also split to the utmost: options of `lower`, and whether to pack."""
    unsplit = [({name: attempt[name] for name in ("chunks", "stagger")} | {"resident": resident}, attempt["pack"])
             for attempt in reversed(IN_ORDER if overlap else IN_ORDER[2:])]
    options, pack = unsplit[0]
    split = None if whole else tightest(graph, config)
    return [unsplit[0], *([(options | {"split": split}, pack)] if split else []), *unsplit[1:]]


def _searched(graph, config, resident):
    """Attempts with the splits that are fast."""
    tight = {"chunks": IN_ORDER[-1]["chunks"], "stagger": IN_ORDER[-1]["stagger"], "resident": resident}
    for split in splits(graph, config, resident=resident)[:-1]:
        yield tight | {"split": split}, True


def ways(graph, config, resident, prefetch=False):
    """Whole, then split: None and every Split that is worth a try, the fastest first. What is prefetched stays whole."""
    yield None
    yield from () if prefetch else splits(graph, config, resident=resident)


def fits(graph, config, *, overlap=True, resident=False, prefetch=False, memory=ADDRESSED, whole=False):
    """Whether `check_fit` has nothing to say, in less time than it takes to find the remedies; `whole`: without a split."""
    check_memory(graph, config, memory)
    return _shortage(graph, config, overlap, resident, prefetch, whole) is None


def check_fit(graph, config, *, overlap=True, resident=False, prefetch=False, memory=ADDRESSED):
    """Refuse what no attempt could place.

    The orders without a plan are lowered and placed, which takes milliseconds; loop orders do not matter for it.

    Parameters
    ----------
    graph : Graph
    config : AcceleratorConfig
    overlap, resident, prefetch : as for `compile_graph`
    memory : bytes of main memory

    Raises
    ------
    CapacityError : what is needed, what there is, and the fields that would make it fit
    CompileError : the memory image is too large
    """
    if prefetch and not resident:
        raise CompileError("prefetch: the next embeddings are fetched only where weights are resident; give resident too")
    check_memory(graph, config, memory)
    short = _shortage(graph, config, overlap, resident, prefetch)
    if short is None:
        return
    what = short.what
    fields: dict[str, int] = {}
    while short is not None and short.fields:
        fields |= short.fields
        short = _shortage(graph, replace(config, **fields), overlap, resident, prefetch)
    raise CapacityError(what, fields if short is None else {})


def _shortage(graph, config, overlap, resident, prefetch, whole=False):
    """What is short, as a CapacityError, in the attempt that comes furthest with least; None if one fits."""
    whole = whole or prefetch
    if graph.sequence > config.max_inner:
        need = 1 << (graph.sequence - 1).bit_length()
        return _short(f"contexts sum over {graph.sequence} tokens, the accumulators are made for {config.max_inner}", config,
                      "max_inner", need)
    columns = max((tensor.rows // graph.tile for tensor in graph.tensors.values() if tensor.home == "weight"), default=0)
    if 2 * columns > config.weight_tiles:
        name = next(t.name for t in graph.tensors.values() if t.home == "weight" and t.rows // graph.tile == columns)
        return _short(f"{name} has columns of {columns} tiles, of which the weight buffer must hold two, and has "
                      f"{config.weight_tiles}", config, "weight_tiles", 2 * columns)
    found: list[tuple] = []
    searched = () if whole else _searched(graph, config, resident)
    for attempts in (_in_order(graph, config, overlap, resident, whole), searched):
        for options, pack in attempts:
            plan = lower(graph, config, order=LoopOrder.BIJK, **options)
            loads, steps = plan.split_preload(resident, prefetch)
            checks = (partial(_short_of_program, plan, steps, resident),
                      partial(_short_of_activations, plan.pieces, config, loads, steps, pack),
                      partial(_short_of_blocks, config, plan.blocks, steps, resident))
            for stage, check in enumerate(checks):
                if (short := check()) is not None:
                    found.append((-stage, max(short.fields.values(), default=0), len(found), short))
                    break
            else:
                return None
        if all(stage for stage, *_ in found):
            break  # Looser splits help only where the tightest has too many instructions.
    return min(found)[-1]


def _short_of_program(plan, steps, resident):
    count, limit = len(steps) + (0 if resident else len(plan.blocks)) + 1, LARGEST_PROGRAM
    if count > limit:
        return CapacityError(f"the program needs {count} instructions or more, PROGRAM_LENGTH counts {limit}", {})
    for step in steps:
        for name, count in step.counts.items():
            if count > (largest := _COUNTS[step.opcode][name]):
                return CapacityError(f"{step.tensor}: {step.opcode.name} has {name} = {count}, instructions count to {largest}",
                                     {})
    return None


def _short_of_activations(pieces, config, loads, steps, pack):
    everything = [*loads, *steps]
    kept = {step.tensor for step in loads}
    if live_tiles(pieces, everything, kept) <= config.activation_tiles and place_activations(
            pieces, everything, config.activation_tiles, pack=pack, kept=kept) is not None:
        return None
    need, largest, size = required_tiles(pieces, everything, kept)
    need = -(-need // config.activation_banks) * config.activation_banks
    largest = f"a piece of {pieces[largest].tensor} alone {size}"
    return _short(f"the activations need {need} tiles ({largest}), the activation buffer has {config.activation_tiles}", config,
                  "activation_tiles", need)


def _short_of_blocks(config, blocks, steps, resident):
    for home, field in (("weight", "weight_tiles"), ("vector", "vector_lines")):
        capacity = getattr(config, field)
        try:
            place_blocks(blocks, steps, home, capacity, field, resident=resident)
        except CapacityError as error:
            # With more room the blocks of weights are wider, so what is needed for those of now may not be enough.
            return _short(error.what, config, field, max(error.fields[field], 1 << capacity.bit_length()))
    return None


def _short(what, config, field, value):
    """A CapacityError with the field's value in whole banks; without it if no configuration may have it."""
    unit = {"activation_tiles": config.activation_banks, "weight_tiles": config.weight_banks}.get(field, 1)
    fields = {field: -(-value // unit) * unit}
    try:
        replace(config, **fields)
    except ConfigError:
        fields = {}
    return CapacityError(what, fields)


def check_memory(graph, config, memory):
    """Refuse a memory image that is too large even without its program, vectors and gaps."""
    homes = {home: [t for t in graph.tensors.values() if t.home == home] for home in ("weight", "table")}
    size = sum(t.rows * bytes_of(t.columns * config.width, config.bus_width) for t in homes["table"])
    most = sum(t.rows * t.columns * (config.b_width + 1) // 8 for t in homes["weight"])
    if size + most > memory:
        size += sum(_stream_bytes(graph.constants[t.name].numpy(), config) for t in homes["weight"])
    if size > memory:
        remedy = "use a smaller model" + ("" if memory == ADDRESSED else ", or a machine that simulates more")
        raise CompileError(f"the memory image needs {size:,} bytes and more, main memory has {memory:,}: {remedy}")


def _stream_bytes(matrix, config):
    """Bytes of a matrix as masked tiles, zeros left out."""
    tile = config.tile
    nonzero = (matrix != 0).reshape(matrix.shape[0] // tile, tile, -1, tile).sum((1, 3))
    return int((config.mask_bits // 8 + -(-nonzero // tile) * config.weight_line_bits // 8).sum())
