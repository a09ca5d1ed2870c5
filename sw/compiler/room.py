"""How far a graph must be split to fit, and what that costs."""

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import replace

from ..ir.graph import Gather, Load, MatMul, Store, target
from .allocate import activation_slots
from .split import Split, is_encoder, split_operations

__all__ = ["splits", "tightest"]


_FASTEST = 3
"""Splits that are worth a try."""

_SPARE = 0.75
"""Share of the activation buffer within which splits are tightened no more: places cannot use all of it."""


def splits(graph, config, *, resident=False):
    """Splits of a graph that may fit the activation buffer, the fastest first, and behind them the one that needs least.

    Parts of every number of sequences are looked at. The others are tightened where most tiles are in use at once, until those
    fit.

    Parameters
    ----------
    graph : Graph
    config : AcceleratorConfig
    resident : what is loaded stays

    Returns
    -------
    list of Split; empty for graphs that cannot be split
    """
    if not is_encoder(graph):
        return []
    tiles, height = graph.sequence // graph.tile, config.grid_rows
    graph = _few_layers(graph)
    heads = 1 + max(tensor.head for tensor in graph.tensors.values() if tensor.head is not None)
    found, count = [], graph.batch
    while count:
        if count > 1 and _least(graph, count) > config.activation_tiles:
            count = -(-count // 2)
            continue
        split = _split(count, heads, count * tiles, tiles, height)
        while split:
            used, attention, cycles = _room(graph, config, split, resident)
            fits = used <= config.activation_tiles
            found.append((not fits, cycles if fits else used, used, split))
            split = _tightened(split, attention, height) if not fits or used > _SPARE * config.activation_tiles else None
        count = -(-count // 2) if count > 1 else 0
    fitting = [split for misses, *_, split in sorted(found, key=lambda one: one[:3]) if not misses]
    return list(dict.fromkeys([*fitting[:_FASTEST], tightest(graph, config)]))


def tightest(graph, config):
    """The Split that needs least room; None for graphs that cannot be split."""
    height = config.grid_rows
    half = -(-height // 2)
    return replace(_split(1, 1, height, half, height), grain=half) if is_encoder(graph) else None


def _few_layers(graph):
    """A graph with the operations of the first two layers and of the last: the others need as much."""
    layers = [graph.tensors[target(one).tensor].layer for one in graph.operations if isinstance(one, MatMul)]
    middle = set(list(dict.fromkeys(layer for layer in layers if layer.isdigit()))[2:-1])
    return replace(graph, operations=[one for one in graph.operations if not any(
        graph.tensors[view.tensor].layer in middle for view in _views(graph, one))])


def _least(graph, sequences):
    """Tiles of the contexts of so many sequences, beside what they are made from."""
    columns = max(graph.tensors[operation.c.tensor].columns for operation in graph.operations if isinstance(operation, MatMul)
                  and graph.tensors[operation.c.tensor].kind == "context")
    return 2 * sequences * graph.sequence * columns // graph.tile**2


def _tightened(split, attention, height):
    """The next tighter split, of attention or of what is worked on row by row; None if there is none.

    Pieces are as high as the grid, which works on them at its full speed, as long as something else can be split.
    """
    sequences, heads, rows, score_rows = split.sequences, split.heads, split.rows, split.score_rows
    if score_rows < height:
        return None
    smaller = {
        "heads": _split(sequences, -(-heads // 2), rows, score_rows, height) if heads > 1 else None,
        "scores": _split(sequences, heads, rows, _half(score_rows, height), height) if score_rows > height else None,
        "rows": _split(sequences, heads, _half(rows, height), score_rows, height) if rows > height else None}
    order = ("heads", "scores", "rows") if attention else ("rows", "heads", "scores")
    if found := next((smaller[name] for name in order if smaller[name]), None):
        return found
    return replace(split, score_rows=-(-height // 2)) if height > 1 else None


def _split(sequences, heads, rows, score_rows, height):
    return Split(sequences, heads, rows, score_rows, _half(rows, height))


def _half(rows, height):
    """Half of so many tile rows, in whole heights of the grid."""
    return max(1, -(-rows // height // 2)) * height


def _room(graph, config, split, resident):
    """Tiles in use at once, whether that is in attention, and cycles, roughly: those of the first part."""
    operations, cuts = split_operations(graph, split, resident=resident, parts=1)
    spans: dict[tuple, list] = {}
    made = {target(one).tensor for one, _ in operations if not isinstance(one, Store)}
    for position, (operation, copies) in enumerate(operations):
        for view in (view for view in _views(graph, operation) if view.tensor in made):
            for piece, size in _pieces(graph, view, cuts, copies):
                spans.setdefault(piece, [position, position, size])[1] = position
    changes: Counter[int] = Counter()
    for first, last, size in spans.values():
        changes[first] += size
        changes[last + 1] -= size
    used = most = place = 0
    for position in range(len(operations)):
        used += changes[position]
        if used > most:
            most, place = used, position
    operation = operations[place][0]
    view = target(operation)
    attention = view is not None and graph.tensors[view.tensor].kind in ("query", "key", "value", "scores", "probabilities",
                                                                         "context")
    again = sum(one.rows * one.columns for one in graph.tensors.values() if one.home == "weight") > (
        config.weight_tiles * graph.tile**2)
    cycles = sum(_cycles(graph, config, one, again) for one, _ in operations if isinstance(one, MatMul))
    return most, attention, cycles * -(-graph.batch // split.sequences)


def _views(graph, operation):
    match operation:
        case MatMul():
            b = [operation.b] if graph.tensors[operation.b.tensor].home == "activation" else []
            return [operation.a, *b, operation.c]
        case Store():
            return [operation.x]
        case Gather() | Load():
            return [operation.o]
    return [view for view in (operation.x, operation.o, getattr(operation, "residual", None)) if view is not None]


def _pieces(graph, view, cuts, copies):
    """Name and slots of each piece that a view lies in."""
    tensor, tile = graph.tensors[view.tensor], graph.tile
    if view.tensor in copies:
        name, _, rows = copies[view.tensor]
        return [((name,), activation_slots(rows, tensor.columns // tile)[1])]
    if view.tensor not in cuts:
        return [((view.tensor,), activation_slots(tensor.rows // tile, tensor.columns // tile)[1])]
    spans = []
    for edges, first, count in ((cuts[view.tensor].rows, view.row, view.rows),
                                (cuts[view.tensor].columns, view.column, view.columns)):
        low, high = bisect_right(edges, first // tile) - 1, bisect_left(edges, (first + count) // tile)
        spans.append([edges[n: n + 2] for n in range(low, high)])
    return [((view.tensor, top, left), activation_slots(bottom - top, right - left)[1])
            for top, bottom in spans[0] for left, right in spans[1]]


def _cycles(graph, config, operation, again):
    """Of a product: those of its multiplications, or of bringing its weights, if that must be done `again` and again."""
    tile = graph.tile
    rows, inner, columns = operation.c.rows // tile, operation.a.columns // tile, operation.c.columns // tile
    compute = -(-rows // config.grid_rows) * -(-columns // config.grid_columns) * inner * tile
    if graph.tensors[operation.b.tensor].home != "weight" or not again:
        return compute
    bits = config.mask_bits + tile * config.weight_line_bits
    return max(compute, inner * columns * bits / (config.bus_width * config.memory_ports))
