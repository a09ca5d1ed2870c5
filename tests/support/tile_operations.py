"""What the instructions of an accelerator do to its buffers and to main memory, tile by tile."""

from collections import deque
from itertools import product

import numpy as np
import torch

from acceltran.hw.spec.isa import Buffer, LoopOrder
from acceltran.sw.golden.fixed import saturate
from acceltran.sw.golden.layernorm import layernorm
from acceltran.sw.golden.matmul import matmul
from acceltran.sw.golden.post_process import post_process
from acceltran.sw.golden.softmax import softmax
from acceltran.sw.golden.threshold import threshold
from acceltran.sw.golden.tiles import matrix_of, tiles_of

from .tile_buffers import Operand

__all__ = ["TileOperations", "chunks", "parse_tiles", "slots_of", "words_of"]

_ALL = 1 << 30

_ADDRESSED = 0xFFFF_FFFF
"""Addresses in instructions have 32 bits, and so have the sums of a table and its rows."""


def slots_of(slot, pitch, rows, columns):
    """[rows, columns] slots of an area."""
    return slot + pitch * np.arange(rows)[:, None] + np.arange(columns)


def words_of(raw, count, width):
    """So many signed integers of `width` bits from the beginning of bytes."""
    bits = np.unpackbits(np.frombuffer(bytes(raw), np.uint8)[: count * width // 8], bitorder="little").reshape(count, width)
    values = bits.astype(np.int64) @ (1 << np.arange(width, dtype=np.int64))
    return values - ((values >> (width - 1)) << width)


def parse_tiles(raw, count, size, width):
    """(tiles, masks, fill, bytes used) of the first `count` packed tiles, as `TileBuffer.put` takes them."""
    tiles, masks = np.zeros((count, size, size), dtype=np.int64), np.zeros((count, size, size), dtype=bool)
    fill, at = np.zeros((count, size), dtype=np.int64), 0
    for n in range(count):
        masks[n] = np.unpackbits(np.frombuffer(raw, np.uint8, size * size // 8, at), bitorder="little").reshape(size, size)
        at += size * size // 8
        there = int(masks[n].sum())
        words = -(-there // size) * size
        values = words_of(raw[at: at + words * width // 8], words, width)
        tiles[n][masks[n]], rest = values[:there], there % size
        if rest:
            fill[n, rest:] = values[there:]
        at += words * width // 8
    return tiles, masks, fill, at


def chunks(config, f):
    """Output tiles of a MATMUL that share a pass over k, as (batch, rows, columns) in slices, in the order of its loops."""
    name = LoopOrder(f["order"]).name.lower()
    loops = name.replace("k", "")
    steps = {"b": 1, "i": config.cluster.grid_rows, "j": config.grid_columns}
    if name[-1] != "k":
        steps[loops[-1]] *= config.psum_tiles
    limits = {"b": f["batch"], "i": f["rows"], "j": f["columns"]}
    for starts in product(*(range(0, limits[n], steps[n]) for n in loops)):
        here = {n: slice(start, min(start + steps[n], limits[n])) for n, start in zip(loops, starts, strict=True)}
        yield here["b"], here["i"], here["j"]


class TileOperations:
    """One method for each opcode: it begins an instruction and returns iterators, each of which makes a few reads or writes of
    tiles at a time. They run beside each other. What was begun reads main memory at once.

    Parameters
    ----------
    machine : with `config`, `memory`, `bases`, `activations`, `weight`, `vector`, `curves`, `target`
    rng : how far reads run ahead of writes, and how many of them are made at a time, is drawn from it
    """

    def __init__(self, machine, rng):
        self._machine, self._rng, self._config = machine, rng, machine.config

    def begin(self, opcode, fields, clusters):
        """The iterators of an instruction in some clusters, by their numbers."""
        return getattr(self, f"_{opcode.name.lower()}")(fields, [self._machine.activations[n] for n in clusters])

    def _few(self):
        """How many tiles, or chunks, are read or written at a time."""
        return (1, 2, 4, _ALL)[self._rng.integers(4)]

    def _tau(self, curve):
        machine = self._machine
        return int(threshold(torch.tensor(machine.curves[curve - 1]), machine.target)) if curve else 0

    def _load(self, f, activations):
        machine, c = self._machine, self._config
        if f["buffer"] == Buffer.VECTOR:
            return [self._load_lines(f)]
        slots = slots_of(f["slot"], f["pitch"], f["rows"], f["columns"]).ravel()
        striped = f["buffer"] == Buffer.WEIGHT and len(machine.bases) > 1
        assert not striped or f["rows"] <= 1
        most, streams = 0, []
        for port, base in enumerate(machine.bases if striped else machine.bases[:1]):
            share, at = slots[port:: len(machine.bases) if striped else 1], base + machine.address(f["address"])
            if len(share):
                raw = bytes(machine.memory[at: at + f["bytes"]])
                *tiles, used = parse_tiles(raw, len(share), c.tile, c.width if f["buffer"] else c.b_width)
                most = max(most, used)
                buffers = activations if f["buffer"] else [machine.weight]
                streams += [self._write_tiles(buffer, share, *tiles) for buffer in buffers]
        machine.fetched(f, most)
        return streams

    def _write_tiles(self, buffer, slots, *tiles):
        few = self._few()
        for n in range(0, len(slots), few):
            part = slice(n, n + few)
            if few == 1 or len(np.unique(slots[part])) == len(slots[part]):
                buffer.put(slots[part], *(one[part] for one in tiles))
            else:
                for k in range(n, min(n + few, len(slots))):
                    buffer.put(slots[k], *(one[k] for one in tiles))
            yield

    def _load_lines(self, f):
        machine, c = self._machine, self._config
        at, count = machine.address(f["address"]), f["columns"]
        bits = np.unpackbits(np.frombuffer(bytes(machine.memory[at: at + f["bytes"]]), np.uint8), bitorder="little")
        lines = bits[: count * c.vector_line_bits].reshape(count, -1)
        machine.fetched(f, count * c.vector_line_bits // 8)
        split = c.tile * c.width
        values = words_of(np.packbits(lines[:, :split], bitorder="little"), count * c.tile, c.width).reshape(count, -1)
        scales = lines[:, split:].reshape(count, c.tile, c.scale_bits) @ (1 << np.arange(c.scale_bits))
        few = self._few()
        for n in range(0, count, few):
            here = slice(n, min(n + few, count))
            machine.vector.put(np.arange(f["slot"] + here.start, f["slot"] + here.stop), values[here], scales[here])
            yield

    def _store(self, f, activations):
        return [self._store_tiles(f, activations[0])]

    def _store_tiles(self, f, activation):
        slots, few, parts = slots_of(*(f[n] for n in ("slot", "pitch", "rows", "columns"))).ravel().tolist(), self._few(), []
        for n in range(0, len(slots), few):
            parts += [activation.packed(slot) for slot in slots[n: n + few]]
            yield
        raw, beat = b"".join(parts), self._config.bus_width // 8
        raw += bytes(-len(raw) % beat)
        at = self._machine.address(f["address"])
        self._machine.memory[at: at + len(raw)] = raw
        yield

    def _gather(self, f, activations):
        machine, size, width = self._machine, self._config.tile, self._config.width
        at, table = machine.address(f["indices"]), machine.whole(f["address"])
        rows = np.frombuffer(machine.memory, "<u4", f["rows"] * size, at)
        count, pitch = f["columns"] * size, machine.whole(f["row_bytes"])
        starts = [machine.origin + (table + int(row) * pitch & _ADDRESSED) for row in rows]
        del rows
        matrix = np.stack([words_of(bytes(machine.memory[n: n + count * width // 8]), count, width) for n in starts])
        return [self._write_rows(f, activation, tiles_of(matrix, size)) for activation in activations]

    def _write_rows(self, f, activation, tiles):
        """A tile row is not whole before its last row of values has come."""
        slots = slots_of(*(f[n] for n in ("slot", "pitch", "rows", "columns")))
        for row, here in zip(slots, tiles, strict=True):
            if self._rng.integers(2):
                activation.put(row, self._rng.permuted(here, axis=1), True)
                yield
            activation.put(row, here, True)
            yield

    def _matmul(self, f, activations):
        return [self._multiply(f, activation) for activation in activations]

    def _multiply(self, f, activation):
        """Operands are read in the order of the loops, as far ahead of the results as the grid and its FIFOs hold."""
        machine, c = self._machine, self._config
        batch = np.arange(f["batch"])[:, None, None]
        a_slots = f["a_slot"] + batch * f["a_batch"] + slots_of(0, f["a_pitch"], f["rows"], f["inner"])
        b_slots = slots_of(0, f["b_pitch"], *((f["columns"], f["inner"]) if f["transpose"] else (f["inner"], f["columns"])))
        b_slots = f["b_slot"] + batch * f["b_batch"] + (b_slots.T if f["transpose"] else b_slots)
        c_slots = f["c_slot"] + batch * f["c_batch"] + slots_of(0, f["c_pitch"], f["rows"], f["columns"])
        a, b = Operand(activation, a_slots), Operand(activation if f["b_buffer"] else machine.weight, b_slots)
        lines = f["bias_line"] + np.arange(f["columns"]) if f["bias"] else None
        bias = Operand(machine.vector, lines) if f["bias"] else None
        scales = machine.vector.scales[lines] if f["bias"] else None

        def results(n, i, j):
            right = b.values[n, :, j].swapaxes(2, 3) if f["transpose"] else b.values[n, :, j]
            right = saturate(torch.from_numpy(matrix_of(right)), c.b_width)
            sums = matmul(torch.from_numpy(matrix_of(a.values[n, i])), right)
            done = post_process(
                sums, torch.from_numpy(bias.values[j].ravel()) if f["bias"] else None,
                **{name: f[name] for name in ("bias_shift", "shift", "function", "function_shift")}, tau=self._tau(f["curve"]),
                width=c.width, scales=torch.from_numpy(scales[j].ravel()) if f["bias"] else None)
            return tiles_of(done.numpy(), c.tile)

        every = slice(None)
        whole = np.stack([results(n, every, every) for n in range(f["batch"])])
        few, pieces = self._few(), self._few()
        units = [(every, every, every)] if few == _ALL else list(chunks(c, f))
        waiting, ahead = deque(), (0, 1, 3, 8)[self._rng.integers(4)]
        for number, (n, i, j) in enumerate(units):
            newer = bool(bias) and bias.read(j)
            for k in range(0, f["inner"], pieces):
                newer |= a.read((n, i, slice(k, k + pieces))) | b.read((n, slice(k, k + pieces), j))
                if pieces != _ALL:
                    yield
            if newer:
                if bias:
                    scales[j] = machine.vector.scales[lines[j]]
                for one in range(f["batch"])[n]:
                    whole[one, i, j] = results(one, i, j)
            waiting.append((n, i, j))
            if number % few == few - 1:
                yield
            while len(waiting) > ahead:
                done = waiting.popleft()
                activation.put(c_slots[done], whole[done])
                if number % few == few - 1:
                    yield
        while waiting:
            done = waiting.popleft()
            activation.put(c_slots[done], whole[done])
            yield

    def _softmax(self, f, activations):
        def results(x):
            return softmax(x, **{n: f[n] for n in ("valid_columns", "x_shift", "o_frac")}, tau=self._tau(f["curve"]),
                           width=self._config.width, tile=self._config.tile)

        return [self._pass_twice(f, activation, "x", results, self._config.cluster.softmax_units)
                for activation in activations]

    def _layernorm(self, f, activations):
        vector, lines = self._machine.vector, np.arange(f["columns"])
        names = ("x_shift", "r_shift", "reciprocal", "reciprocal_shift", "epsilon", "beta_shift", "shift")

        def results(x, residual=None):
            gamma, beta = (torch.from_numpy(vector.values[f[name] + lines].ravel()) for name in ("gamma_line", "beta_line"))
            return layernorm(x, gamma, beta, residual=residual, **{n: f[n] for n in names}, tau=self._tau(f["curve"]),
                             width=self._config.width)

        both = [Operand(vector, f[name] + lines) for name in ("gamma_line", "beta_line")]
        return [self._pass_twice(f, activation, "xr" if f["residual"] else "x", results,
                                 self._config.cluster.layernorm_units, both)
                for activation in activations]

    def _pass_twice(self, f, activation, names, results, units, vectors=()):
        """Tile rows: each is read twice, and a tile is written once it and a few behind it were read for the second time."""
        shape = f["rows"], f["columns"]
        operands = [Operand(activation, slots_of(f[f"{n}_slot"], f[f"{n}_pitch"], *shape)) for n in names]
        target = slots_of(f["o_slot"], f["o_pitch"], *shape)

        def computed(part):
            done = results(*(torch.from_numpy(matrix_of(operand.values[part])) for operand in operands))
            return tiles_of(done.numpy(), self._config.tile)

        whole, few = computed(slice(None)), self._few()

        def one_row(row):
            parts = [(slice(row, row + 1), slice(n, n + few)) for n in range(0, f["columns"], few)]
            newer = False
            for part in parts:
                newer |= any([operand.read(part) for operand in operands])
                yield
            newer |= any([operand.read(slice(None)) for operand in vectors])
            if newer:
                whole[row] = computed(slice(row, row + 1))[0]
            waiting, ahead = deque(), self._rng.integers(4)
            for part in parts:
                if any([operand.read(part) for operand in operands]):
                    # The sums were those of other values: anything may come out.
                    whole[row] = self._rng.permuted(whole[row], axis=None) + 1
                yield
                waiting.append(part)
                if len(waiting) > ahead:
                    done = waiting.popleft()
                    activation.put(target[done], whole[done])
                    yield
            while waiting:
                done = waiting.popleft()
                activation.put(target[done], whole[done])
                yield

        if few == _ALL:
            if any([operand.read(slice(None)) for operand in (*operands, *vectors)]):
                whole = computed(slice(None))
            yield
            activation.put(target, whole)
            return
        rows, following = [], 0
        while rows or following < f["rows"]:
            if following < f["rows"] and len(rows) < 2 * units:
                rows.append(one_row(following))
                following += 1
            one = rows[self._rng.integers(len(rows))]
            if next(one, self) is self:
                rows.remove(one)
            yield
