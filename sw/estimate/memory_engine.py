"""The memory engine in time: bursts, what limits their data, and what takes these."""

from typing import NamedTuple

import numpy as np

from ...hw.spec.isa import INSTRUCTION_BYTES, Buffer
from ...hw.spec.transfer import lines_at_once
from .kernel import kernel

__all__ = ["MemoryEngine"]

_REMEMBERED = 4096
"""Beats and bursts that are remembered: more than may be in flight."""

_PART = 256
"""Parts of a cycle, in which the time from beat to beat is counted."""

_ANSWER = 2
"""Cycles from a beat on the bus until it is offered."""

_INDEX = 4
"""Cycles from an index to the request for its row."""

_SHARED = 1
"""Cycles from the last port's end of a LOAD that several share until it is done."""

_STORE = 19
"""Cycles of a STORE beside its pieces and beats: its first read, and the answer of main memory."""


class Port(NamedTuple):
    """The data client of the reader of a memory port.

    Members
    -------
    times : [6], last address issued, cycle from which the bus has room for data, when the client takes the next request, when
        the engine is done with the last job, beats asked for, bursts asked for
    arrived, popped : of each of the last beats, when it came and when it was taken
    ended : of each of the last bursts, when its last beat came
    """

    times: np.ndarray
    arrived: np.ndarray
    popped: np.ndarray
    ended: np.ndarray


class MemoryEngine:
    """LOADs, GATHERs and STOREs one after the other, reads of the next under way while data of the one before arrive.

    With several memory ports each has its share of a LOAD to the weight buffer, and may be ahead of the others.

    Parameters
    ----------
    config : AcceleratorConfig
    latency : cycles from an address to its first data
    bytes_per_cycle : that main memory brings through each port; None: as many as the bus
    """

    def __init__(self, config, latency=40, bytes_per_cycle=None):
        self._config, self._latency = config, latency
        self._bus = config.bus_width // 8
        spacing = max(_PART, round(_PART * self._bus / (bytes_per_cycle or self._bus)))
        self._ports = [Port(np.zeros(6, np.int64), *(np.full(_REMEMBERED, -1 << 20, np.int64) for _ in range(3)))
                       for _ in range(config.memory_ports)]
        self._port = self._ports[0]
        self._limits = np.array([config.burst_beats, config.burst_beats * config.outstanding_reads, config.outstanding_reads,
                                 latency, spacing], np.int64)
        self._jobs = [[0, 0] for _ in self._ports]
        self._done = [0] * _ahead(config)
        self.bytes_read = self.bytes_written = 0

    def fetch(self, cycle):
        """An instruction that is asked for at a cycle; when it is there. Its data take their place on the bus."""
        beats = INSTRUCTION_BYTES // self._bus
        times = self._port.times
        self.bytes_read += INSTRUCTION_BYTES
        come = cycle + 2 + self._latency
        if come <= times[1]:
            # In between data that are under way already.
            times[1] += beats
        return come + beats + 3

    def load(self, fields, offered, counts):
        """A LOAD that is offered at a cycle; when it is taken and done. `counts`: non-zero values of each tile."""
        config, buffer = self._config, Buffer(fields["buffer"])
        ports = len(self._ports) if buffer is Buffer.WEIGHT else 1
        accepted = self._accept(offered, ports)
        self.bytes_read += fields["bytes"] * (ports if buffer is Buffer.VECTOR else min(ports, len(counts)))
        if buffer is Buffer.VECTOR:
            lines = np.ones(fields["columns"], np.int64)
            mask, line, most = 0, config.vector_line_bits, 1
        else:
            lines = -(-counts // config.tile)
            line = config.weight_line_bits if buffer is Buffer.WEIGHT else config.line_bits
            mask, most = config.mask_bits, lines_at_once(line, config.bus_width, config.lines_per_beat)
        done = [_load(port, self._limits, fields["address"] // self._bus, fields["bytes"] // self._bus, accepted,
                      lines[number::ports], mask, line, most, config.bus_width) if number < len(lines) else accepted + 1
                for number, port in enumerate(self._ports[:ports])]
        return self._end(accepted, done)

    def gather(self, fields, offered, indices):
        """A GATHER of the rows `indices`; that of one cluster is a matter of the port with its number, modulo the ports."""
        config, named = self._config, fields.get("clusters", 0)
        alone = named and not named & (named - 1)
        number = (named.bit_length() - 1) % len(self._ports) if alone else 0
        accepted = self._accept(offered, only=number)
        beats = -(-fields["columns"] * config.line_bits // config.bus_width)
        count = len(indices)
        self.bytes_read += (count * beats + -(-4 * count // self._bus)) * self._bus
        rows = fields["address"] // self._bus + np.asarray(indices, np.int64) * (fields["row_bytes"] // self._bus)
        columns = fields["columns"]
        whole = columns * config.line_bits % config.bus_width == 0
        done = _gather(self._ports[number], self._limits, fields["indices"] // self._bus, rows, beats, accepted, columns, whole,
                       self._bus // 4)
        return self._end(accepted, [done], first=number)

    def store(self, fields, offered, counts):
        """A STORE, which is taken when it is done."""
        config = self._config
        begin = max(offered, self._done[-1])
        lines = -(-counts // config.tile)
        beats = -(-int((config.mask_bits + lines * config.line_bits).sum()) // config.bus_width)
        self.bytes_written += beats * self._bus
        done = begin + _STORE + max(beats, int((1 + lines).sum()))
        self._port.times[2] = max(self._port.times[2], done)
        return done - 1, done

    def _accept(self, offered, ports=1, only=None):
        """A request is taken when the one before has been issued, and there is room for its job in every port concerned."""
        concerned = range(ports) if only is None else [only]
        issued = int(self._ports[concerned[0]].times[2])
        return max(offered, issued, self._done[0] + 1, *(self._jobs[number][0] + 1 for number in concerned))

    def _end(self, accepted, done, first=0):
        """A job of which each port concerned, from `first` on, is done at a time of its own."""
        concerned = self._jobs[first: first + len(done)]
        for jobs, end in zip(concerned, done, strict=True):
            jobs[:] = jobs[1], max(int(end), jobs[1])
        last = max(jobs[1] for jobs in concerned)
        if len(self._ports) > 1:
            last = max(last + _SHARED, self._done[-1] + 1)
        self._done = [*self._done[1:], last]
        return accepted, last + 2


def _ahead(config):
    """Instructions that may be under way at once: with several ports more than each port knows of."""
    if config.memory_ports == 1:
        return 2
    return 4 if config.clusters == 1 else 8


@kernel
def _burst(port, limits, beat, left, at):
    """Ask for the next burst; returns its length."""
    most, depth, outstanding, latency, spacing = limits
    times = port.times
    length, come = min(left, most - beat % most), 0
    asked, bursts = times[4], times[5]
    issue = max(times[0] + 1, at + 1, port.ended[(bursts - outstanding) % len(port.ended)] + 1,
                port.popped[(asked + length - depth - 1) % len(port.popped)] + 1)
    first = max(issue + 1 + latency, times[1])
    for n in range(length):
        come = first + n * spacing // _PART
        port.arrived[(asked + n) % len(port.arrived)] = come
        port.popped[(asked + n) % len(port.popped)] = come + _ANSWER
    port.ended[bursts % len(port.ended)] = come
    times[0], times[1] = issue, first + (length * spacing + _PART - 1) // _PART
    times[4], times[5] = asked + length, bursts + 1
    return length


@kernel
def _load(port, limits, beat, beats, accepted, lines, mask_bits, line_bits, most, bus):
    """Tiles, or lines, one after the other: each waits for its bits, and takes a cycle for each piece."""
    times = port.times
    origin, left, bits = times[4], beats, 0
    now = max(times[3] + 1, accepted + 1) + 1
    before = now
    for tile in range(len(lines)):
        first = origin + bits // bus
        bits += mask_bits + lines[tile] * line_bits
        last = origin + (bits - 1) // bus
        while left and times[4] <= last:
            length = _burst(port, limits, beat, left, accepted)
            beat, left = beat + length, left - length
        pieces = (lines[tile] + most - 1) // most
        if mask_bits:
            pieces = 1 + max(1, pieces)
        for n in range(first, last + 1):
            place = n % len(port.popped)
            port.popped[place] = max(port.popped[place], before)
        before = now
        now = max(now + pieces, port.arrived[last % len(port.arrived)] + _ANSWER + 2)
    while left:
        length = _burst(port, limits, beat, left, accepted)
        beat, left = beat + length, left - length
        now = max(now, times[1] + _ANSWER)
    times[2] = times[0] + 1
    times[3] = now + 2
    return now + 2


@kernel
def _gather(port, limits, indices, rows, beats, accepted, columns, whole, per_beat):
    """Indices in chunks of 64 bytes, then the rows that they name."""
    times = port.times
    count = len(rows)
    chunk = 16
    known = np.zeros(count, np.int64)
    asked_rows = 0
    now = max(times[3] + 1, accepted + 1) + 1
    issued = accepted
    # Indices of two chunks ahead are asked for before the rows.
    chunks = (count + chunk - 1) // chunk
    for part in range(chunks + 1):
        if part < chunks:
            length = (min(chunk, count - part * chunk) + per_beat - 1) // per_beat
            left, beat = length, indices + part * chunk // per_beat
            while left:
                size = _burst(port, limits, beat, left, issued + 1)
                beat, left = beat + size, left - size
            come = port.arrived[(times[4] - 1) % len(port.arrived)] + _ANSWER
            for n in range(part * chunk, min(count, (part + 1) * chunk)):
                known[n] = come + _INDEX
        if part == 0 and chunks > 1:
            continue
        for row in range(asked_rows, count if part >= chunks - 1 else part * chunk):
            issued = max(issued + 1, known[row])
            left, beat = beats, rows[row]
            while left:
                size = _burst(port, limits, beat, left, issued)
                beat, left = beat + size, left - size
            now = max(now + columns + (0 if whole else 2), port.arrived[(times[4] - 1) % len(port.arrived)] + _ANSWER + 2)
            asked_rows = row + 1
        if asked_rows == count:
            break
    times[2] = times[0] + 1
    times[3] = now + 3
    return now + 3
