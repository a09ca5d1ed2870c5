"""An accelerator in Python: runs programs from their bytes, tile by tile, in any order that it may."""

from collections import deque

import numpy as np
import torch

from acceltran.hw.spec.isa import INSTRUCTION_BYTES, INSTRUCTIONS, Buffer, Engine, Opcode, decode
from acceltran.sw.compiler.assembly import Assembly
from acceltran.sw.golden.tiles import matrix_of

from .tile_buffers import LineBuffer, TileBuffer
from .tile_operations import TileOperations, slots_of

__all__ = ["Machine", "engine_of"]

_ENGINE = {instruction.opcode: instruction.engine for instruction in INSTRUCTIONS}


def engine_of(opcode, fields):
    """The Engine of an instruction, None for HALT."""
    return Engine(fields["engine"]) if opcode is Opcode.SYNC else _ENGINE[opcode]


class Machine:
    """Buffers start with garbage. `run` interleaves the reads and writes of tiles by all instructions under way, of which an
    engine has several, at random; in each cluster, they are made at other times. So a missing semaphore shows as a wrong value,
    and so does a result over what the same instruction still reads.

    A STORE begins when everything before it in its engine is complete, and nothing behind it begins before it is.

    Parameters
    ----------
    program : with `config`, `image`, `port_bases`, `curves`, `target`; to `run` it, a Program
    exact : a LOAD brings the bytes of its tiles and no more, addresses are whole beats, and no token is left over

    Members
    -------
    memory, bases : main memory, and what each memory port adds to addresses of weights
    origin : where in `memory` the addresses of instructions begin
    seen : {tensor: its integers} of those that are whole
    """

    def __init__(self, program, seed=0, *, exact=True):
        config = program.config
        self.config, self.program, self.exact, self.rng = config, program, exact, np.random.default_rng(seed)
        self.memory, self.bases = bytearray(program.image), [0, *program.port_bases(0)]
        self.curves, self.target = program.curves, program.target
        size = config.tile
        limit, b_limit = 1 << (config.width - 1), 1 << (config.b_width - 1)
        self.weight = TileBuffer(self.rng.integers(-b_limit, b_limit, (config.weight_tiles, size, size)), config.b_width)
        self.activations = [
            TileBuffer(self.rng.integers(-limit, limit, (config.cluster.activation_tiles, size, size)), config.width)
            for _ in range(config.clusters)]
        self.vector = LineBuffer(self.rng.integers(-limit, limit, (config.vector_lines, size)),
                                 self.rng.integers(0, 1 << config.scale_bits, (config.vector_lines, size)))
        self.origin, self.seen, self._operations = 0, {}, TileOperations(self, self.rng)

    def clear(self):
        """Buffers as a scrub leaves them."""
        for buffer in (self.weight, self.vector, *self.activations):
            buffer.clear()

    def whole(self, count):
        """As many of these bytes as are whole beats."""
        beat = self.config.bus_width // 8
        assert not self.exact or count % beat == 0
        return count - count % beat

    def address(self, address):
        """Where an address of an instruction is in `memory`."""
        return self.origin + self.whole(address)

    def fetched(self, fields, used):
        """A LOAD uses so many of its bytes."""
        assert not self.exact or used <= fields["bytes"] < used + self.config.bus_width // 8

    def run(self):
        """The preload, if there is one, and the program, until HALT; raises when nothing moves."""
        pieces = self.pieces()
        if self.program.preload:
            self.run_from(self.program.preload["entry"], [])
        for name, piece in pieces:
            if not piece["steps"]:
                self._see(name, piece)
        self.run_from(self.program.entry, [(name, piece) for name, piece in pieces if piece["steps"]])

    def pieces(self):
        """(name, piece) of all tensors; what was seen of them before is forgotten."""
        self._assembly = Assembly(self.program)
        return [(name, piece) for name, tensor in self.program.tensors.items() for piece in tensor["pieces"]]

    def run_from(self, entry, pieces):
        """Until HALT; each of the `pieces`, see above, is whole when the last of its instructions is complete."""
        start, writers = entry, {}
        missing = [len(set(piece["steps"])) for _, piece in pieces]
        for index, (_, piece) in enumerate(pieces):
            for step in set(piece["steps"]):
                writers.setdefault(step, []).append(index)
        queues, flights = ({engine: deque() for engine in Engine} for _ in range(2))
        tokens = {(p, c): 0 for p in Engine for c in Engine}
        number, following = 0, self._decode(start)
        most = {engine: (2, 3, 4, 8)[self.rng.integers(4)] for engine in Engine}
        while True:
            moves = []
            opcode, fields, engine = following
            if engine is not None and len(queues[engine]) < self.config.instruction_queue:
                moves.append(("fetch", engine))
            for e in Engine:
                if flights[e]:
                    moves.append(("move", e))
                if queues[e] and len(flights[e]) < most[e] and self._may_start(queues[e][0], flights[e]):
                    head = queues[e][0][2]
                    if all(tokens[p, e] >= head[f"wait_{p.name.lower()}"] for p in Engine):
                        moves.append(("start", e))
            if not moves:
                assert engine is None and not any(queues.values()), f"stuck at instruction {number}"
                assert not self.exact or not any(tokens.values()), tokens
                return
            move, e = moves[self.rng.integers(len(moves))]
            if move == "fetch":
                queues[e].append((number, opcode, fields))
                number += 1
                following = self._decode(start + number * INSTRUCTION_BYTES)
            elif move == "start":
                entry = queues[e].popleft()
                for p in Engine:
                    tokens[p, e] -= entry[2][f"wait_{p.name.lower()}"]
                flights[e].append((*entry, self.begin(*entry[1:])))
            elif self._moves(flights[e]):
                done, opcode, fields, _ = flights[e].popleft()
                for c in Engine:
                    tokens[e, c] += fields["signal"] >> c & 1
                for index in writers.get(done, []):
                    missing[index] -= 1
                    if not missing[index]:
                        self._see(*pieces[index])

    def begin(self, opcode, fields):
        """What an instruction does, as iterators that run beside each other."""
        clusters = self.clusters(opcode, fields)
        return [] if opcode is Opcode.SYNC else self._operations.begin(opcode, fields, clusters)

    def perform(self, opcode, fields):
        """An instruction from its beginning to its end, nothing beside it."""
        for stream in self.begin(opcode, fields):
            for _ in stream:
                pass

    def _decode(self, at):
        opcode, fields = decode(self.memory[at:][:INSTRUCTION_BYTES])
        return opcode, fields, engine_of(opcode, fields)

    @staticmethod
    def _may_start(entry, flight):
        return not flight or entry[1] is not Opcode.STORE and flight[-1][1] is not Opcode.STORE

    def _moves(self, flight):
        """Let an instruction under way go on, the oldest more often; whether that one is done."""
        number = min(int(self.rng.integers(len(flight) + 1)), len(flight) - 1) if self.rng.integers(2) else 0
        streams = flight[number][3]
        if streams:
            stream = streams[self.rng.integers(len(streams))]
            if next(stream, self) is self:
                streams.remove(stream)
        return number == 0 and not streams

    def _see(self, name, piece):
        slots = slots_of(*(piece[key] for key in ("slot", "pitch", "rows", "columns")))
        matrix = torch.from_numpy(matrix_of(self.activations[piece["cluster"]].values[slots]))
        if (whole := self._assembly.add(name, piece, matrix)) is not None:
            self.seen[name] = whole

    def clusters(self, opcode, f):
        """The numbers of those that an instruction is for; where it does not say, one stands for all or for what they share."""
        if self.config.clusters == 1:
            return [0]
        named = [n for n in range(16) if f["clusters"] >> n & 1]
        count, activation = self.config.clusters, f.get("buffer") == Buffer.ACTIVATION
        allowed = {Opcode.GATHER: True, Opcode.LOAD: activation, Opcode.STORE: len(named) == 1, Opcode.SYNC: False,
                   Opcode.MATMUL: f.get("b_buffer"), Opcode.SOFTMAX: True, Opcode.LAYERNORM: True}[opcode]
        assert allowed or not named and opcode is not Opcode.STORE, (opcode, named)
        assert not named or max(named) < count, named
        return named or list(range(count))
