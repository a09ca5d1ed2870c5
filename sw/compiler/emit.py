"""Emission: scheduled steps and placements to instructions and the memory image."""

import numpy as np

from ...hw.spec.isa import INSTRUCTION_BYTES, Buffer, Opcode, encode
from ..ir.errors import CompileError
from .image import Image, pack_matrix, pack_table, pack_values
from .program import Program

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
    return _Emission(graph, config, blocks, placements, base).run(*programs, ids)


class _Emission:
    def __init__(self, graph, config, blocks, placements, base):
        self.graph, self.config, self.blocks, self.placements = graph, config, blocks, placements
        self.image, self.addresses, self.outputs = Image(base), {}, {}
        self.bus_bytes = config.bus_width // 8

    def run(self, program, preload, ids):
        """Memory first, since instructions hold addresses."""
        image, graph = self.image, self.graph
        image.section("program")
        entries = [image.add((len(steps) + 1) * INSTRUCTION_BYTES) for steps, _ in (program, preload) if steps]
        self._constants(preload[0] + program[0])
        self._indices(preload[0] + program[0], graph.indices(ids))
        self._outputs(program[0])
        if image.end > 1 << _ADDRESS_BITS:
            raise CompileError(f"the memory image ends at {image.end}, instructions address {1 << _ADDRESS_BITS}: "
                               "use a smaller model")
        lists = []
        for entry, (steps, marks) in zip(entries, (program, preload), strict=False):
            instructions = [(step.opcode, mark.header() | self._fields(step)) for step, mark in zip(steps, marks, strict=True)]
            instructions.append((Opcode.HALT, {}))
            image.replace(entry, b"".join(self._encode(*instruction) for instruction in instructions))
            lists.append(instructions)
        return Program(
            instructions=lists[0], image=image.to_bytes(), base=image.base, entry=entries[0],
            preload={"entry": entries[1], "instructions": len(lists[1])} if preload[0] else None,
            curves=[list(curve) for curve in graph.curves], target=graph.target, outputs=self.outputs,
            tensors=self._tensors(program[0], preload[0]),
            sections={name: tuple(span) for name, span in image.sections.items()}, config=self.config, graph=graph,
        )

    def _encode(self, opcode, fields):
        try:
            return encode(opcode, **fields)
        except ValueError as error:
            raise CompileError(f"{error}: use a smaller model or batch") from None

    def _constants(self, steps):
        graph, width = self.graph, self.config.width
        for home in ("vector", "weight"):
            self.image.section(home + "s")
            for owner, block in self.blocks.items():
                if block.home == home:
                    raw = (self._weights if home == "weight" else self._vectors)(block)
                    self._add(owner, raw)
        self.image.section("activations")
        for step in steps:
            if step.opcode is Opcode.LOAD and (region := step.fields["block"]) not in self.blocks:
                rows = graph.constants[region.owner].numpy()[region.row * graph.tile:][: region.rows * graph.tile]
                self._add(region, pack_matrix(rows, graph.tile, width))
        self.image.section("tables")
        for name, tensor in graph.tensors.items():
            if tensor.home == "table":
                raw, pitch = pack_table(graph.constants[name].numpy(), width, self.bus_bytes)
                self.addresses[name] = self.image.add(raw), pitch

    def _add(self, owner, raw):
        self.addresses[owner] = self.image.add(raw), -(-len(raw) // self.bus_bytes) * self.bus_bytes

    def _weights(self, block):
        size = self.graph.tile
        matrix = self.graph.constants[block.sources[0]].numpy()
        part = matrix[:, block.column * size: (block.column + block.columns) * size]
        return pack_matrix(part, size, self.config.width)

    def _vectors(self, block):
        lines = np.concatenate([self.graph.constants[name].numpy() for name in block.sources])
        return pack_values(lines.reshape(block.columns, self.graph.tile), self.config.width).tobytes()

    def _indices(self, steps, indices):
        self.image.section("indices")
        for step in steps:
            if step.opcode is Opcode.GATHER:
                first, count = step.fields["first"], step.fields["rows"] * self.graph.tile
                rows = indices[step.fields["indices"]][first: first + count]
                self.addresses[id(step)] = self.image.add(rows.numpy().astype("<u4").tobytes())

    def _outputs(self, steps):
        graph, size = self.graph, self.graph.tile
        tile_bytes = size * size * (1 + self.config.width) // 8
        self.image.section("outputs")
        for step in steps:
            if step.opcode is Opcode.STORE:
                tensor = graph.tensors[step.places[""].owner]
                count = step.fields["rows"] * step.fields["columns"] * tile_bytes
                self.outputs[step.fields["output"]] = {
                    "tensor": tensor.name, "address": self.image.add(-(-count // self.bus_bytes) * self.bus_bytes),
                    "bytes": count, "rows": step.fields["rows"], "columns": step.fields["columns"],
                    "frac": tensor.frac, "shape": list(step.fields["shape"]),
                }

    def _tensors(self, steps, preload):
        tensors = {}
        for number, step in [*((None, step) for step in preload), *enumerate(steps)]:
            if step.tensor in self.graph.tensors and self.graph.tensors[step.tensor].home == "activation":
                tensor, place = self.graph.tensors[step.tensor], self.placements[step.tensor]
                entry = tensors.setdefault(step.tensor, {
                    "steps": [], "slot": place.slot, "pitch": place.pitch, "rows": tensor.rows // self.graph.tile,
                    "columns": tensor.columns // self.graph.tile, "frac": tensor.frac, "kind": tensor.kind,
                })
                entry["steps"] += [] if number is None else [number]
        return tensors

    def _place(self, name, region, *, pitch=True):
        place = self.placements[region.owner]
        slot = place.slot + region.row * place.pitch + region.column
        prefix = f"{name}_" if name else ""
        return {prefix + "slot": slot} | ({prefix + "pitch": place.pitch} if pitch else {})

    def _fields(self, step):
        fields = dict(step.fields)
        for name, region in step.places.items():
            if region.home == "vector" and name:
                fields[f"{name}_line"] = self._place("", region)["slot"]
            else:
                fields |= self._place(name, region)
        if step.opcode is Opcode.LOAD:
            owner = fields.pop("block")
            address, count = self.addresses[owner]
            home = self.blocks[owner].home if owner in self.blocks else "activation"
            buffer = {"weight": Buffer.WEIGHT, "vector": Buffer.VECTOR, "activation": Buffer.ACTIVATION}[home]
            return fields | {"address": address, "bytes": count, "buffer": int(buffer)}
        if step.opcode is Opcode.STORE:
            del fields["shape"]
            return fields | {"address": self.outputs[fields.pop("output")]["address"]}
        if step.opcode is Opcode.GATHER:
            address, row_bytes = self.addresses[fields.pop("table")]
            del fields["first"]
            return fields | {"address": address, "indices": self.addresses[id(step)], "row_bytes": row_bytes}
        if step.opcode is Opcode.MATMUL:
            return {"bias_line": 0} | fields
        if step.opcode is Opcode.LAYERNORM:
            repeated = fields.pop("repeat", None)
            return {"r_slot": 0, "r_pitch": 0} | fields | ({f"{repeated}_pitch": 0} if repeated else {})
        return fields
