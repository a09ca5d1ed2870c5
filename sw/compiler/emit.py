"""Emission: scheduled steps and placements to instructions and the memory image."""

import numpy as np

from ...hw.spec.isa import INSTRUCTION_BYTES, Opcode, encode
from ..ir.errors import CompileError
from .image import Image, pack_matrix, pack_table, pack_values
from .program import Program
from .steps import Places, StoreStep

__all__ = ["emit"]

_ADDRESS_BITS = 32


def emit(graph, config, programs, blocks, placements, ids, base=0):
    """Encode a scheduled program, with its preload, and lay out their memory.

    Parameters
    ----------
    graph, config : what is compiled, and for what
    programs : (steps in program order, LOADs included; Semaphores of every step) of the program and of its preload
    blocks : Block by owner
    placements : Placement by owner, of all three buffers
    ids : int64 [batch, columns]; None without gathers
    base : address of the image

    Returns
    -------
    Program
    """
    program, preload = programs
    return _Emission(graph, config, blocks, placements, base).run(program, preload, ids)


class _Emission:
    def __init__(self, graph, config, blocks, placements, base):
        self.graph, self.config, self.blocks, self.placements = graph, config, blocks, placements
        self.image = Image(base)
        self.places = Places(placements, {}, {})
        self.bus_bytes = config.bus_width // 8
        self.packed = {}

    def run(self, program, preload, ids):
        """Memory first, since instructions hold addresses."""
        image, graph = self.image, self.graph
        image.section("program")
        entries = [image.add((len(steps) + 1) * INSTRUCTION_BYTES) for steps, _ in (program, preload) if steps]
        self._blocks()
        steps, indices = preload[0] + program[0], graph.indices(ids)
        self._transfers("activations", steps, indices)
        self._tables()
        self._transfers("indices", steps, indices)
        self._transfers("outputs", steps, indices)
        if image.end > 1 << _ADDRESS_BITS:
            raise CompileError(f"the memory image ends at {image.end}, instructions address {1 << _ADDRESS_BITS}: "
                               "use a smaller model")
        lists = []
        for entry, (steps, marks) in zip(entries, (program, preload), strict=False):
            instructions = [(step.opcode, mark.header() | step.fields(self.places))
                            for step, mark in zip(steps, marks, strict=True)]
            instructions.append((Opcode.HALT, {}))
            image.replace(entry, b"".join(self._encode(*instruction) for instruction in instructions))
            lists.append(instructions)
        return Program(
            instructions=lists[0], image=image.to_bytes(), base=image.base, entry=entries[0],
            preload={"entry": entries[1], "instructions": len(lists[1])} if preload[0] else None,
            curves=[list(curve) for curve in graph.curves], target=graph.target, outputs=self._outputs(program[0]),
            tensors=self._tensors(program[0], preload[0]),
            sections={name: tuple(span) for name, span in image.sections.items()}, config=self.config, graph=graph,
        )

    def _encode(self, opcode, fields):
        try:
            return encode(opcode, **fields)
        except ValueError as error:
            raise CompileError(f"{error}: use a smaller model or batch") from None

    def _blocks(self):
        for home, contents in (("vector", self._vectors), ("weight", self._weights)):
            self.image.section(home + "s")
            for owner, block in self.blocks.items():
                if block.home == home:
                    self._add(owner, contents(block), self.image.share)

    def _transfers(self, section, steps, indices):
        self.image.section(section)
        for step in steps:
            if step.section == section and step.tensor not in self.blocks:
                self._add(step, step.contents(self.graph, self.config, indices))

    def _tables(self):
        self.image.section("tables")
        for name, tensor in self.graph.tensors.items():
            if tensor.home == "table":
                raw, pitch = pack_table(self.graph.constants[name].numpy(), self.config.width, self.bus_bytes)
                self.places.tables[name] = self.image.add(raw), pitch

    def _add(self, key, raw, add=None):
        size = raw if isinstance(raw, int) else len(raw)
        self.places.addresses[key] = (add or self.image.add)(raw), -(-size // self.bus_bytes) * self.bus_bytes

    def _weights(self, block):
        size = self.graph.tile
        matrix = self.graph.constants[block.sources[0]]
        # Layers that share weights have the same tensor.
        key = id(matrix), block.column, block.columns
        if key not in self.packed:
            part = matrix.numpy()[:, block.column * size: (block.column + block.columns) * size]
            self.packed[key] = pack_matrix(part, size, self.config.width)
        return self.packed[key]

    def _vectors(self, block):
        lines = np.concatenate([self.graph.constants[name].numpy() for name in block.sources])
        return pack_values(lines.reshape(block.columns, self.graph.tile), self.config.width).tobytes()

    def _outputs(self, steps):
        outputs = {}
        for step in steps:
            if isinstance(step, StoreStep):
                tensor = self.graph.tensors[step.x.owner]
                outputs[step.operation.output] = {
                    "tensor": tensor.name, "address": self.places.addresses[step][0], "bytes": step.most_bytes(self.config),
                    "rows": step.x.rows, "columns": step.x.columns, "frac": tensor.frac, "shape": list(step.operation.shape),
                }
        return outputs

    def _tensors(self, steps, preload):
        tensors: dict[str, dict] = {}
        for number, step in [*((None, step) for step in preload), *enumerate(steps)]:
            if step.tensor in self.graph.tensors and self.graph.tensors[step.tensor].home == "activation":
                tensor, place = self.graph.tensors[step.tensor], self.placements[step.tensor]
                entry = tensors.setdefault(step.tensor, {
                    "steps": [], "slot": place.slot, "pitch": place.pitch, "rows": tensor.rows // self.graph.tile,
                    "columns": tensor.columns // self.graph.tile, "frac": tensor.frac, "kind": tensor.kind,
                })
                entry["steps"] += [] if number is None else [number]
        return tensors
