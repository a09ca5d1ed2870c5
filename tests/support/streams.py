"""Streams in cocotb tests: driving, collecting, and the payloads of tiles and rows.

Payloads are Python ints, laid out as `acceltran.hw.layout` says. The coroutines change inputs on the falling edge of
``dut.clk`` and sample when everything has settled, so several of them may run on one device.
"""

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.sim.clock import PERIOD
from acceltran.sw.golden.tiles import pack_bits, pack_tile, unpack_bits, unpack_tile

__all__ = ["start", "send", "collect", "tile_beats", "tile_of_beats", "row_of_beat", "random_tile"]


async def start(dut, *ports):
    """Start the clock, hold the reset for two cycles; the streams in `ports` that are inputs begin idle."""
    Clock(dut.clk, PERIOD, "ns").start()
    dut.rst.value = 1
    for port in ports:
        getattr(dut, f"{port}__valid").value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


async def send(dut, port, words, rng=None, idle=0.0):
    """Send the payloads `words` to the input stream `port`; before each, idle with probability `idle` per cycle."""
    clock = dut.clk
    valid, ready, payload = (getattr(dut, f"{port}__{name}") for name in ("valid", "ready", "payload"))
    for word in words:
        if idle and rng.random() < idle:
            valid.value = 0
            await FallingEdge(clock)
            while rng.random() < idle:
                await FallingEdge(clock)
        valid.value = 1
        payload.value = word
        await ReadOnly()
        while not ready.value:
            await FallingEdge(clock)
            await ReadOnly()
        await FallingEdge(clock)
    valid.value = 0


async def collect(dut, port, count, rng=None, stall=0.0, on_transfer=None, patience=20000):
    """Take `count` payloads from the output stream `port`, not ready with probability `stall` per cycle.

    `on_transfer(word)`, if given, is called at the moment of each transfer. After `patience` cycles without a transfer
    the test fails.
    """
    clock = dut.clk
    valid, ready, payload = (getattr(dut, f"{port}__{name}") for name in ("valid", "ready", "payload"))
    words, level, waited = [], None, 0
    while len(words) < count:
        waited += 1
        assert waited <= patience, f"{port}: {len(words)} of {count} transfers, then none in {patience} cycles"
        wanted = int(not stall or rng.random() >= stall)
        if wanted != level:
            ready.value = level = wanted
        if level:
            await ReadOnly()
            if valid.value:
                words.append(int(payload.value))
                waited = 0
                if on_transfer:
                    on_transfer(words[-1])
        await FallingEdge(clock)
    ready.value = 0
    return words


def tile_beats(tile, width, lines_per_beat, *, transpose=False, mask=None, rng=None, held=False):
    """Pack a T x T integer array into the payloads of its `tile_beat` stream.

    `mask` may name zeros to be sent as values; `rng` fills what the format leaves undefined, the mask on later beats
    among it unless it is `held`.
    """
    tile = np.asarray(tile, dtype=np.int64)
    size = len(tile)
    if mask is None:
        mask, lines = pack_tile(tile)
    else:
        mask = np.asarray(mask, dtype=bool) | (tile != 0)
        values = tile[mask]
        lines = np.zeros((-(-len(values) // size), size), dtype=np.int64)
        lines.reshape(-1)[: len(values)] = values
    line_bits = size * width
    mask_word = pack_bits(mask.reshape(-1), 1)
    beats = max(1, -(-len(lines) // lines_per_beat))
    words = []
    for n in range(beats):
        word = 0
        for m in range(lines_per_beat):
            index = n * lines_per_beat + m
            if index < len(lines):
                word |= pack_bits(lines[index], width) << m * line_bits
            elif rng:
                word |= rng.getrandbits(line_bits) << m * line_bits
        shown = mask_word if n == 0 or rng is None or held else rng.getrandbits(size * size)
        flags = (n == 0) | (n == beats - 1) << 1 | bool(transpose) << 2
        words.append(word | (shown | flags << size * size) << lines_per_beat * line_bits)
    return words


def tile_of_beats(words, size, width, lines_per_beat):
    """The inverse of `tile_beats` for the beats of one tile: (tile, mask, transpose); checks `first` and `last`."""
    line_bits = size * width
    heads = [word >> lines_per_beat * line_bits for word in words]
    flags = [head >> size * size for head in heads]
    assert [f & 1 for f in flags] == [1] + [0] * (len(words) - 1)
    assert [f >> 1 & 1 for f in flags] == [0] * (len(words) - 1) + [1]
    assert len({f >> 2 for f in flags}) == 1
    mask = unpack_bits(heads[0] & (1 << size * size) - 1, 1, size * size, signed=False).astype(bool).reshape(size, size)
    assert len(words) == max(1, -(-int(mask.sum()) // (size * lines_per_beat)))
    values = [v for word in words for v in unpack_bits(word, width, lines_per_beat * size)]
    return unpack_tile(mask, values), mask, bool(flags[0] >> 2)


def row_of_beat(word, size, width, rows_per_beat):
    """A `row_beat` payload as (rows, masks, first, last, transpose)."""
    rows = unpack_bits(word, width, rows_per_beat * size).reshape(rows_per_beat, size)
    word >>= rows_per_beat * size * width
    masks = unpack_bits(word, 1, rows_per_beat * size, signed=False).astype(bool).reshape(rows_per_beat, size)
    first, last, transpose = (bool(word >> rows_per_beat * size + n & 1) for n in range(3))
    return rows, masks, first, last, transpose


def random_tile(rng, size, width, density):
    """A T x T array of `width`-bit values (the extremes among them) of which a share `density` is non-zero."""
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    tile = np.zeros((size, size), dtype=np.int64)
    for n in range(size * size):
        if rng.random() < density:
            tile[divmod(n, size)] = rng.choice((low, high, 1, -1)) if rng.random() < 0.1 else rng.randint(low, high)
    return tile
