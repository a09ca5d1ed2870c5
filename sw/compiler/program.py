"""A compiled program: instructions, memory image, and where everything is."""

from dataclasses import dataclass, field

import torch

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.isa import Opcode, encode
from ..golden.tiles import from_stream
from ..ir.graph import Graph, unpad
from .bucket import Bucket, sentence_writes
from .expected import Expected
from .image import stripe_section

__all__ = ["Program", "parts_of", "written_area"]

_TARGETS = {
    Opcode.LOAD: ("slot", "pitch"), Opcode.GATHER: ("slot", "pitch"), Opcode.MATMUL: ("c_slot", "c_pitch"),
    Opcode.SOFTMAX: ("o_slot", "o_pitch"), Opcode.LAYERNORM: ("o_slot", "o_pitch"),
}


def written_area(opcode, fields):
    """(first slot, pitch, tile rows, tile columns) of what an instruction writes into a tile buffer."""
    slot, pitch = _TARGETS[opcode]
    return fields[slot], fields[pitch], fields["rows"], fields["columns"]


def parts_of(output, raw):
    """The bytes of each part of an output, see `Program`; there may be less of the last one than of the others."""
    if output["parts"] == 1:
        return [raw]
    return [raw[n * output["pitch"]: (n + 1) * output["pitch"]] for n in range(output["parts"])]


@dataclass(frozen=True, kw_only=True)
class Program:
    """Everything a host, a simulator or a test bench needs. Addresses count from the image's first byte.

    Programs for sentences of several lengths share one image.

    Parameters
    ----------
    instructions : (Opcode, fields) in program order, HALT last; an instruction's number is its index
    image : main memory: descriptor, programs, vectors, weights, tables, indices, room for outputs
    base : where the image lies, unless the host puts it elsewhere
    entry : address of the first instruction
    preload : {"entry", "instructions"} of the program in the image that must have run once before; None: there is none
    curves : threshold curves, 9 knots each; curve field n means ``curves[n - 1]``
    target : wanted sparsity in 1/256, for the TARGET_SPARSITY register
    outputs : by name: tensor, address, bytes (at most), parts (as many, packed one by one), pitch (bytes from one to the
        next), rows, columns (tiles of all, packed back to back in each part), frac, shape of the result without padding
    tensors : every activation tensor that the program writes, by name: rows, columns (tiles), frac, kind, and pieces: steps
        (numbers of the instructions that write it, none where the preload does; it is whole when the last is complete), slot,
        pitch, row, column, rows, columns (tiles of the tensor), cluster (in whose buffer); copies of the same tiles are pieces
        too
    sections : address and bytes of each part of the image, by name
    config : AcceleratorConfig it is compiled for
    bucket : Bucket, the sentences that it runs
    expected : Expected, what a run must give; None where nobody ran the golden model
    planned_cycles : how long the planner expects it to take; None where instructions do not overlap
    graph : the Graph that `golden_run` executes; None in a program that was loaded
    """

    instructions: list
    image: bytes = field(repr=False)
    base: int
    entry: int
    preload: dict | None
    curves: list[list[int]]
    target: int
    outputs: dict[str, dict]
    tensors: dict[str, dict]
    sections: dict[str, tuple[int, int]]
    config: AcceleratorConfig
    bucket: Bucket
    expected: Expected | None = None
    planned_cycles: int | None = None
    graph: Graph | None = field(default=None, repr=False)

    @property
    def raw(self):
        """The instructions as bytes."""
        return b"".join(encode(opcode, **fields) for opcode, fields in self.instructions)

    @property
    def made(self):
        """The name of the tensor that each instruction writes, by number."""
        return {step: name for name, tensor in self.tensors.items() for piece in tensor["pieces"] for step in piece["steps"]}

    def port_bases(self, base=None):
        """PORT_BASE of each memory port beside the first, where the image lies at `base`, by default its own."""
        base, (first, _) = self.base if base is None else base, self.sections["weights"]
        return tuple(base + self.sections[stripe_section(port)][0] - first for port in range(1, self.config.memory_ports))

    def sentence_writes(self, sentences, following=None):
        """See `bucket.sentence_writes`: for the driver, which runs in simulators and so without all that compiles."""
        return sentence_writes(self, sentences, following)

    def result(self, name, memory):
        """The integers and floats of an output, from main memory after a run.

        Parameters
        ----------
        name : of the output
        memory : bytes-like, from the image's first byte on

        Returns
        -------
        integers : int64 Tensor of all tiles, as the golden model has it
        floats : float64 Tensor of the output's shape, padding removed
        """
        output = self.outputs[name]
        return self.output(name, memory[output["address"]: output["address"] + output["bytes"]])

    def output(self, name, raw):
        """`result` from the bytes of the output alone."""
        output = self.outputs[name]
        integers = torch.cat([torch.from_numpy(from_stream(
            part, output["rows"] // output["parts"], output["columns"], self.config.tile, self.config.width)[0])
            for part in parts_of(output, bytes(raw))])
        return integers, unpad(integers, output["frac"], output["shape"])
