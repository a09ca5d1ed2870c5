"""Emission: scheduled steps and placements to instructions and the memory image."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from ...hw.spec.isa import INSTRUCTION_BYTES, Opcode, encode
from ...hw.spec.registers import PAGE_BITS
from ..ir.errors import CompileError
from ..ir.graph import Gather, Store
from . import descriptor
from .bucket import Bucket, Run
from .capacity import ADDRESSED
from .image import Image, pack_shares, pack_table, pack_vectors
from .program import Program
from .spread import Spread
from .steps import GatherStep, Places, SoftmaxStep, StoreStep

__all__ = ["Scheduled", "check_base", "emit"]


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """What is emitted for one bucket.

    Parameters
    ----------
    spread : Spread
    programs : (steps in program order, LOADs included; Semaphores of every step) of the program and of its preload
    blocks : Block by owner
    pieces : Piece of activation tensors by owner
    placements : Placement by owner, of all three buffers
    ids : int64 [batch, columns]; None without gathers
    tokens : the most of a sentence
    planned : cycles, where they are planned
    """

    spread: Spread
    programs: tuple
    blocks: dict
    pieces: dict
    placements: dict
    ids: object
    tokens: int
    planned: int | None

    @property
    def graph(self):
        """What is lowered: that of the first cluster."""
        return self.spread.graphs[0]

    @property
    def steps(self):
        """Those of the preload, then of the program."""
        (program, _), (preload, _) = self.programs
        return [*preload, *program]


def emit(parts, config, base=0):
    """Encode scheduled programs, with their preloads, and lay out the memory that they share.

    Every address in the image is one from its first byte on.

    Parameters
    ----------
    parts : Scheduled of each bucket, from the shortest on
    config : for what they are compiled
    base : address at which the image is to lie

    Returns
    -------
    list of Program

    Raises
    ------
    CompileError : the image is too large, for its base or for the instructions' addresses
    """
    return _Emission(config).run(parts, base)


class _Emission:
    def __init__(self, config):
        self.config = config
        self.image = Image(config.memory_ports)
        self.bus_bytes = config.bus_width // 8
        self.packed = {}

    def run(self, parts, base):
        """Memory first, since instructions hold addresses."""
        image = self.image
        image.section("descriptor")
        image.add(descriptor.largest([_counts(part) for part in parts], self.config))
        image.section("program")
        entries = [[image.add((len(steps) + 1) * INSTRUCTION_BYTES) for steps, _ in part.programs if steps] for part in parts]
        places = [Places(part.placements, {}, {}, self.config.memory_ports > 1) for part in parts]
        for home, contents, add in (("vector", self._vectors, image.share),
                                    ("weight", self._weights, image.share_striped)):
            image.section(home + "s")
            for part, place in zip(parts, places, strict=True):
                for owner, block in part.blocks.items():
                    if block.home == home:
                        self._add(place, owner, contents(part.graph, block), add)
        indices = [part.spread.indices(part.ids) for part in parts]
        self._transfers("activations", parts, places, indices, image.share)
        self._tables(parts, places)
        self._transfers("indices", parts, places, indices, image.add)
        self._transfers("outputs", parts, places, indices, image.add)
        image.add_stripes("weights")
        if image.end > ADDRESSED:
            raise CompileError(f"the memory image ends at {image.end}, instructions address {ADDRESSED}: use a smaller model")
        lists = [self._encoded(part, entry, place) for part, entry, place in zip(parts, entries, places, strict=True)]
        programs = [self._program(*one) for one in zip(parts, entries, places, lists, strict=True)]
        image.replace(0, descriptor.build(programs, self.config, image.size, image.sections))
        raw = image.to_bytes()
        check_base(base, len(raw), self.config)
        sections = {name: tuple(span) for name, span in image.sections.items()}
        return [Program(**program | {"image": raw, "base": base, "sections": sections}) for program in map(vars, programs)]

    def _encoded(self, part, entries, places):
        """Instructions of the program and of the preload; they are put where there is room for them."""
        lists = []
        for entry, (steps, marks) in zip(entries, part.programs, strict=False):
            instructions = [(step.opcode, mark.header() | step.header | step.fields(places))
                            for step, mark in zip(steps, marks, strict=True)]
            instructions.append((Opcode.HALT, {}))
            self.image.replace(entry, b"".join(self._encode(*instruction) for instruction in instructions))
            lists.append(instructions)
        return lists

    def _program(self, part, entries, places, lists):
        (steps, _), (preload, _) = part.programs
        graph = part.spread.whole
        return Program(
            instructions=lists[0], image=b"", base=0, entry=entries[0],
            preload={"entry": entries[1], "instructions": len(lists[1])} if preload else None,
            curves=[list(curve) for curve in graph.curves], target=graph.target, outputs=self._outputs(part, steps, places),
            tensors=self._tensors(part), sections={}, config=self.config, bucket=self._bucket(part, places),
            planned_cycles=part.planned, graph=graph,
        )

    def _encode(self, opcode, fields):
        try:
            return encode(opcode, **fields)
        except ValueError as error:
            raise CompileError(f"{error}: use a smaller model or batch") from None

    def _transfers(self, section, parts, places, indices, add):
        self.image.section(section)
        for part, place, numbers in zip(parts, places, indices, strict=True):
            for step in part.steps:
                if step.section == section and step.tensor not in part.blocks:
                    own = numbers[step.clusters[0]] if step.clusters else numbers[0]
                    self._add(place, step, step.contents(part.spread.graph_of(step), self.config, own), add)

    def _tables(self, parts, places):
        self.image.section("tables")
        for part, place in zip(parts, places, strict=True):
            for name, tensor in part.graph.tensors.items():
                if tensor.home == "table":
                    values = part.graph.constants[name]
                    raw, pitch = self._packed(id(values), lambda values=values: pack_table(
                        values.numpy(), self.config.width, self.bus_bytes))
                    place.tables[name] = self.image.share(raw), pitch

    def _add(self, places, key, raw, add):
        size = raw if isinstance(raw, int) else len(raw[0]) if isinstance(raw, list) else len(raw)
        places.addresses[key] = add(raw), -(-size // self.bus_bytes) * self.bus_bytes

    def _packed(self, key, make):
        """Programs of one encoder, and layers that share weights, have the same constants: they are packed once."""
        if key not in self.packed:
            self.packed[key] = make()
        return self.packed[key]

    def _weights(self, graph, block):
        """The share of each port."""
        size = graph.tile
        matrix = graph.constants[block.sources[0]]
        columns = slice(block.column * size, (block.column + block.columns) * size)
        return self._packed((id(matrix), block.column, block.columns),
                            lambda: pack_shares(matrix.numpy()[:, columns], size, self.config.b_width,
                                                self.config.memory_ports))

    def _vectors(self, graph, block):
        """Lines of values, and of the scales behind them."""
        def lines(of):
            return np.concatenate([of(graph.tensors[name]) for name in block.sources]).reshape(block.columns, graph.tile)

        return pack_vectors(lines(lambda vector: graph.constants[vector.name].numpy()),
                            lines(lambda vector: graph.scales_of(vector).numpy()), self.config)

    def _outputs(self, part, steps, places):
        """Of every result, where its parts lie, one behind the other: one of each cluster that has its own."""
        stores: dict[str, list] = {}
        for step in steps:
            if isinstance(step, StoreStep):
                stores.setdefault(step.operation.output, []).append(step)
        outputs = {}
        for name, parts in stores.items():
            first, graph = parts[0], part.spread.whole
            addresses = [places.addresses[step][0] for step in parts]
            pitch = addresses[1] - addresses[0] if len(parts) > 1 else 0
            tensor, shape = graph.tensors[first.x.tensor], next(
                one.shape for one in graph.operations if isinstance(one, Store) and one.output == name)
            outputs[name] = {
                "tensor": tensor.name, "address": addresses[0],
                "bytes": pitch * (len(parts) - 1) + first.most_bytes(self.config), "parts": len(parts), "pitch": pitch,
                "rows": len(parts) * first.x.rows, "columns": first.x.columns, "frac": tensor.frac, "shape": list(shape),
            }
        return outputs

    def _tensors(self, part):
        """Of every cluster's part of each tensor, where its pieces are, and what writes them."""
        graph, spread = part.graph, part.spread
        (steps, _), (preload, _) = part.programs
        tensors: dict[str, dict] = {}
        pieces: dict[tuple, dict] = {}
        before = {region.owner for step in preload for region in step.writes}
        everyone = tuple(range(len(spread.graphs)))
        for number, step in [*((None, step) for step in preload), *enumerate(steps)]:
            for owner, cluster in product((region.owner for region in step.writes if region.home == "activation"),
                                          step.clusters or everyone):
                if (owner, cluster) not in pieces:
                    piece, place = part.pieces[owner], part.placements[owner]
                    name, row = spread.tensor(cluster, piece.tensor)
                    pieces[owner, cluster] = {
                        "steps": [], "slot": place.slot, "pitch": place.pitch, "row": row // graph.tile + piece.row,
                        "column": piece.column, "rows": piece.rows, "columns": piece.columns, "cluster": cluster}
                    tensor = spread.whole.tensors[name]
                    tensors.setdefault(name, {
                        "rows": tensor.rows // graph.tile, "columns": tensor.columns // graph.tile, "frac": tensor.frac,
                        "kind": tensor.kind, "pieces": []})["pieces"].append(pieces[owner, cluster])
                pieces[owner, cluster]["steps"] += [] if owner in before else [number]
        return tensors

    def _bucket(self, part, places):
        graph, steps = part.spread.whole, part.programs[0][0]
        tables = [graph.tensors[operation.table].rows for operation in graph.operations if isinstance(operation, Gather)]
        softmaxes = [(number, graph.tensors[step.operation.o.tensor].sequences) for number, step in enumerate(steps)
                     if isinstance(step, SoftmaxStep)]
        own = tables and all(len(sequences) == 1 for _, sequences in softmaxes)
        fixed = graph.fixed or (None if own else "data") or ("lengths" if self.config.clusters > 1 else None)
        prefetch = any(isinstance(step, GatherStep) for step in part.programs[1][0])
        return Bucket(tokens=part.tokens, sentences=graph.batch, words=min(tables, default=0), fixed=fixed, prefetch=prefetch,
                      runs=() if fixed else tuple(_runs(graph, steps, places)),
                      softmaxes=() if fixed else tuple((number, sequence) for number, (sequence,) in softmaxes))


def check_base(base, size, config):
    """Refuse an address at which an image of `size` bytes cannot lie.

    Raises
    ------
    CompileError : says which could
    """
    page, end = 1 << PAGE_BITS, 1 << config.address_bits
    if base % page or base < 0:
        raise CompileError(f"base = {base:#x}: is no multiple of {page:,}; choose {max(0, base // page * page):#x}")
    if base + size > end:
        raise CompileError(f"base = {base:#x}: the image of {size:,} bytes ends beyond addresses of {config.address_bits} "
                           f"bits; choose {max(0, (end - size) // page * page):#x} or less")


def _counts(part):
    """What `descriptor.largest` asks for."""
    gathers, softmaxes, stores = (sum(isinstance(step, kind) for step in part.steps)
                                  for kind in (GatherStep, SoftmaxStep, StoreStep))
    return gathers, softmaxes, part.spread.whole.batch, stores, len(part.graph.curves)


def _runs(graph, steps, places):
    """Token numbers by sentence, those that lie one behind the other together."""
    starts = np.cumsum([0, *graph.token_rows])
    gathers = sorted((step for step in steps if isinstance(step, GatherStep)), key=lambda step: step.o.tensor_row)
    merged: list[Run] = []
    for step in gathers:
        first, end = step.o.tensor_row * graph.tile, (step.o.tensor_row + step.o.rows) * graph.tile
        address = places.addresses[step][0]
        for sentence in range(graph.batch):
            low, high = max(first, starts[sentence]), min(end, starts[sentence + 1])
            if low >= high:
                continue
            run = Run(int(address + 4 * (low - first)), sentence, int(low - starts[sentence]), int(high - low))
            last = merged[-1] if merged else None
            if last and last.sentence == sentence and last.offset + 4 * last.count == run.offset:
                merged[-1] = Run(last.offset, sentence, last.first, last.count + run.count)
            else:
                merged.append(run)
    return merged
