"""An accelerator in Python: runs programs from their bytes, instruction by instruction, in any order that it may."""

from collections import deque

import numpy as np
import torch

from acceltran.hw.spec.isa import INSTRUCTION_BYTES, INSTRUCTIONS, Buffer, Engine, Opcode, decode
from acceltran.sw.compiler.assembly import Assembly
from acceltran.sw.golden.fixed import saturate
from acceltran.sw.golden.layernorm import layernorm
from acceltran.sw.golden.matmul import matmul
from acceltran.sw.golden.post_process import post_process
from acceltran.sw.golden.softmax import softmax
from acceltran.sw.golden.threshold import threshold
from acceltran.sw.golden.tiles import from_stream, matrix_of, tiles_of, to_stream

_ENGINE = {instruction.opcode: instruction.engine for instruction in INSTRUCTIONS}
_IN_FLIGHT = 3


class Machine:
    """Buffers start with garbage. `run` interleaves the engines at random; every operation may read and write at any
    time between its start and its completion, in each cluster at another, so a missing semaphore shows as a wrong value."""

    def __init__(self, program, seed=0):
        config = program.config
        self.config, self.program, self.rng = config, program, np.random.default_rng(seed)
        self.memory, self.bases = bytearray(program.image), [0, *program.port_bases(0)]
        size = config.tile
        limit, b_limit = 1 << (config.width - 1), 1 << (config.b_width - 1)
        self.weight = self.rng.integers(-b_limit, b_limit, (config.weight_tiles, size, size))
        self.activations = [self.rng.integers(-limit, limit, (config.cluster.activation_tiles, size, size))
                            for _ in range(config.clusters)]
        self.vector = self.rng.integers(-limit, limit, (config.vector_lines, size))
        self.scales = self.rng.integers(0, 1 << config.scale_bits, (config.vector_lines, size))
        self.completed = {}
        self.seen = {}

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
        number = 0
        while True:
            moves = []
            opcode, fields = decode(self.memory[start + number * INSTRUCTION_BYTES:][:INSTRUCTION_BYTES])
            engine = Engine(fields["engine"]) if opcode is Opcode.SYNC else _ENGINE[opcode]
            if opcode is not Opcode.HALT and len(queues[engine]) < self.config.instruction_queue:
                moves.append(("fetch", engine))
            for e in Engine:
                if flights[e]:
                    moves.append(("complete", e))
                if queues[e] and len(flights[e]) < _IN_FLIGHT:
                    head = queues[e][0][2]
                    if all(tokens[p, e] >= head[f"wait_{p.name.lower()}"] for p in Engine):
                        moves.append(("start", e))
            if not moves:
                assert opcode is Opcode.HALT and not any(queues.values()), f"stuck at instruction {number}"
                assert not any(tokens.values()), tokens
                return
            move, e = moves[self.rng.integers(len(moves))]
            if move == "fetch":
                queues[e].append((number, opcode, fields))
                number += 1
            elif move == "start":
                entry = queues[e].popleft()
                for p in Engine:
                    tokens[p, e] -= entry[2][f"wait_{p.name.lower()}"]
                late = [cluster for cluster in self._clusters(*entry[1:]) if self.rng.integers(2)]
                self._perform(*entry[1:], [cluster for cluster in self._clusters(*entry[1:]) if cluster not in late])
                flights[e].append((*entry, late))
            else:
                done, opcode, fields, late = flights[e].popleft()
                self._perform(opcode, fields, late)
                for c in Engine:
                    tokens[e, c] += fields["signal"] >> c & 1
                for index in writers.get(done, []):
                    missing[index] -= 1
                    if not missing[index]:
                        self._see(*pieces[index])

    def _see(self, name, piece):
        matrix = torch.from_numpy(self._matrix(self.activations[piece["cluster"]],
                                               *(piece[key] for key in ("slot", "pitch", "rows", "columns"))))
        if (whole := self._assembly.add(name, piece, matrix)) is not None:
            self.seen[name] = whole

    @staticmethod
    def _slots(slot, pitch, rows, columns):
        return slot + pitch * np.arange(rows)[:, None] + np.arange(columns)

    def _matrix(self, buffer, *place):
        return matrix_of(buffer[self._slots(*place)])

    def _write(self, *place, matrix):
        self.activation[self._slots(*place)] = tiles_of(matrix.numpy(), self.config.tile)

    def _tau(self, curve):
        return int(threshold(torch.tensor(self.program.curves[curve - 1]), self.program.target)) if curve else 0

    def _clusters(self, opcode, f):
        """The numbers of those that an instruction is for; where it does not say, one stands for all or for what they share."""
        named = [n for n in range(16) if f["clusters"] >> n & 1]
        count, activation = self.config.clusters, f.get("buffer") == Buffer.ACTIVATION
        if count > 1:
            allowed = {Opcode.GATHER: True, Opcode.LOAD: activation, Opcode.STORE: len(named) == 1,
                       Opcode.MATMUL: f.get("b_buffer"), Opcode.SOFTMAX: True, Opcode.LAYERNORM: True}[opcode]
            assert allowed or not named and opcode is not Opcode.STORE, (opcode, named)
            assert not named or max(named) < count, named
        shared = opcode is Opcode.LOAD and not activation
        return named or ([0] if shared else list(range(count)))

    def _perform(self, opcode, f, clusters):
        """In the buffers of some clusters."""
        for cluster in clusters:
            self.activation = self.activations[cluster]
            getattr(self, f"_{opcode.name.lower()}")(f)

    def _address(self, address):
        assert address % (self.config.bus_width // 8) == 0
        return address

    def _load(self, f):
        c, size, at = self.config, self.config.tile, self._address(f["address"])
        raw, width = bytes(self.memory[at: at + f["bytes"]]), c.width if f["buffer"] else c.b_width
        if f["buffer"] == 2:
            bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
            lines = bits[: f["columns"] * c.vector_line_bits].reshape(f["columns"], -1)
            here, values = slice(f["slot"], f["slot"] + f["columns"]), size * width
            self.vector[here] = _words(np.packbits(lines[:, :values], bitorder="little"), f["columns"] * size, width).reshape(
                -1, size)
            self.scales[here] = lines[:, values:].reshape(f["columns"], size, c.scale_bits) @ (1 << np.arange(c.scale_bits))
            return
        slots = self._slots(f["slot"], f["pitch"], f["rows"], f["columns"])
        if f["buffer"] == 0 and len(self.bases) > 1:
            self._load_shares(f, slots.ravel())
            return
        matrix, used = from_stream(raw, f["rows"], f["columns"], size, width)
        assert used <= f["bytes"] < used + self.config.bus_width // 8
        (self.weight if f["buffer"] == 0 else self.activation)[slots] = tiles_of(matrix, size)

    def _load_shares(self, f, slots):
        """Each port has every n-th tile, and reads as many bytes as the one that needs most."""
        assert f["rows"] == 1
        most = 0
        for port, base in enumerate(self.bases):
            share, at = slots[port:: len(self.bases)], base + self._address(f["address"])
            if len(share):
                matrix, used = from_stream(bytes(self.memory[at: at + f["bytes"]]), 1, len(share), self.config.tile,
                                           self.config.b_width)
                self.weight[share], most = tiles_of(matrix, self.config.tile)[0], max(most, used)
        assert most <= f["bytes"] < most + self.config.bus_width // 8

    def _store(self, f):
        place = [f[n] for n in ("slot", "pitch", "rows", "columns")]
        raw = to_stream(self._matrix(self.activation, *place), self.config.tile, self.config.width)
        at = self._address(f["address"])
        self.memory[at: at + len(raw)] = raw

    def _gather(self, f):
        size, width = self.config.tile, self.config.width
        at, table = self._address(f["indices"]), self._address(f["address"])
        rows = np.frombuffer(self.memory, "<u4", f["rows"] * size, at)
        count = f["columns"] * size
        starts = [table + int(row) * f["row_bytes"] for row in rows]
        matrix = np.stack([_words(bytes(self.memory[n: n + count * width // 8]), count, width) for n in starts])
        self._write(*(f[n] for n in ("slot", "pitch", "rows", "columns")), matrix=torch.from_numpy(matrix))

    def _matmul(self, f):
        for b in range(f["batch"]):
            a = self._matrix(self.activation, f["a_slot"] + b * f["a_batch"], f["a_pitch"], f["rows"], f["inner"])
            shape = (f["columns"], f["inner"]) if f["transpose"] else (f["inner"], f["columns"])
            source = self.activation if f["b_buffer"] else self.weight
            right = self._matrix(source, f["b_slot"] + b * f["b_batch"], f["b_pitch"], *shape)
            right = saturate(torch.from_numpy(right.T if f["transpose"] else right), self.config.b_width)
            lines = slice(f["bias_line"], f["bias_line"] + f["columns"])
            bias, scales = (x[lines].ravel() if f["bias"] else None for x in (self.vector, self.scales))
            result = post_process(
                matmul(torch.from_numpy(a.copy()), right),
                None if bias is None else torch.from_numpy(bias.copy()), bias_shift=f["bias_shift"], shift=f["shift"],
                function=f["function"], function_shift=f["function_shift"], tau=self._tau(f["curve"]),
                width=self.config.width, scales=None if scales is None else torch.from_numpy(scales.copy()))
            self._write(f["c_slot"] + b * f["c_batch"], f["c_pitch"], f["rows"], f["columns"], matrix=result)

    def _softmax(self, f):
        x = torch.from_numpy(self._matrix(self.activation, f["x_slot"], f["x_pitch"], f["rows"], f["columns"]))
        result = softmax(x, **{n: f[n] for n in ("valid_columns", "x_shift", "o_frac")},
                         tau=self._tau(f["curve"]), width=self.config.width, tile=self.config.tile)
        self._write(f["o_slot"], f["o_pitch"], f["rows"], f["columns"], matrix=result)

    def _layernorm(self, f):
        shape = f["rows"], f["columns"]
        x, r = (torch.from_numpy(self._matrix(self.activation, f[f"{n}_slot"], f[f"{n}_pitch"], *shape)) for n in "xr")
        gamma, beta = (torch.from_numpy(self.vector[f[n]: f[n] + f["columns"]].ravel().copy())
                       for n in ("gamma_line", "beta_line"))
        names = ("x_shift", "r_shift", "reciprocal", "reciprocal_shift", "epsilon", "beta_shift", "shift")
        result = layernorm(x, gamma, beta, residual=r if f["residual"] else None, **{n: f[n] for n in names},
                           tau=self._tau(f["curve"]), width=self.config.width)
        self._write(f["o_slot"], f["o_pitch"], f["rows"], f["columns"], matrix=result)


def _words(raw, count, width):
    bits = np.unpackbits(np.frombuffer(bytes(raw), np.uint8)[: count * width // 8], bitorder="little").reshape(count, width)
    values = bits.astype(np.int64) @ (1 << np.arange(width, dtype=np.int64))
    return values - ((values >> (width - 1)) << width)
