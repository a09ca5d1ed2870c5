"""Reads packed tiles from a tile buffer: masks first, then only the words in use."""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic import popcount
from ..layout import tile_beat
from ..spec.widths import SLOT_BITS
from ..streams.stream_queue import StreamQueue

__all__ = ["TileReader", "read_port", "read_request"]


def read_port(*, tile, width, lines_per_beat, lanes):
    """The connection of a reader to a buffer's banks, seen from the reader.

    ``mask_valid``/``line_valid`` ask for all active lanes at once; the answer comes the buffer's latency after ``..._ready``.
    """
    index_bits = max(1, (tile // lines_per_beat - 1).bit_length())
    return wiring.Signature({
        "mask_valid": Out(1), "mask_ready": In(1),
        "mask_slots": Out(data.ArrayLayout(SLOT_BITS, lanes)), "mask_active": Out(lanes),
        "masks": In(data.ArrayLayout(tile * tile, lanes)),
        "line_valid": Out(1), "line_ready": In(1),
        "line_slots": Out(data.ArrayLayout(SLOT_BITS, lanes)), "line_active": Out(lanes),
        "line_index": Out(index_bits),
        "lines": In(data.ArrayLayout(lines_per_beat * tile * width, lanes)),
    })


def read_request(lanes):
    """A request for one tile per lane; an inactive lane gets an all-zero tile without an access."""
    return data.StructLayout({
        "slots": data.ArrayLayout(SLOT_BITS, lanes), "active": lanes, "transpose": 1,
    })


class TileReader(wiring.Component):
    """A group of lanes that reads one tile each, in lockstep from bank to bank, into one stream per lane.

    A request costs as many cycles as its longest tile has words (at least one); up to four requests are in work, so that
    masks are read under the words of earlier tiles, and two more wait. With a latency of two, four requests of one word each
    take five cycles. All lanes of a request must lie in different banks.
    From `port`'s ready only the ends of queues and one register per lane depend in a cycle.

    Parameters
    ----------
    tile, width, lines_per_beat : tile format
    lanes : tiles per request
    latency : of the buffer, in cycles

    Members
    -------
    request : In(stream(read_request(lanes)))
    port : Out(read_port), to the buffer
    o : Out(stream(tile_beat)).array(lanes)
    idle : Out(1), nothing is in work or waiting at an output
    """

    ahead = 4

    def __init__(self, *, tile, width, lines_per_beat, lanes, latency=1):
        self._tile, self._width, self._lines, self._lanes = tile, width, lines_per_beat, lanes
        self._latency = latency
        self._beat = tile_beat(tile, width, lines_per_beat)
        self._label = data.StructLayout({name: field.shape for name, field in self._beat if name != "lines"})
        super().__init__({
            "request": In(stream.Signature(read_request(lanes))),
            "port": Out(read_port(tile=tile, width=width, lines_per_beat=lines_per_beat, lanes=lanes)),
            "o": Out(stream.Signature(self._beat)).array(lanes),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        pending, asking = self._masks(m)
        reading = self._words(m, pending)
        m.d.comb += self.idle.eq(~asking & ~reading)
        return m

    def _masks(self, m):
        """Ask for masks, count their ones, queue the request with what is needed to read its words."""
        lanes, words = self._lanes, self._tile // self._lines
        entry = data.StructLayout({
            "slots": data.ArrayLayout(SLOT_BITS, lanes), "masks": data.ArrayLayout(self._tile**2, lanes),
            "words": data.ArrayLayout(range(words + 1), lanes), "transpose": 1,
        })
        m.submodules.requests = requests = StreamQueue(shape=read_request(lanes), depth=2)
        m.submodules.pending = pending = StreamQueue(shape=entry, depth=self.ahead)
        connect(m, flipped(self.request), requests.i)
        port, request = self.port, requests.o
        in_work = Signal(range(self.ahead + 1))
        granted = port.mask_valid & port.mask_ready
        m.d.comb += [
            port.mask_valid.eq(request.valid & (in_work != self.ahead)),
            port.mask_slots.eq(request.payload.slots),
            port.mask_active.eq(request.payload.active),
            request.ready.eq(port.mask_ready & (in_work != self.ahead)),
        ]

        asked = [Signal(name=f"asked_{n}") for n in range(self._latency + 1)]
        kept = [Signal(read_request(lanes), name=f"kept_{n}", reset_less=True) for n in range(self._latency + 1)]
        masks = Signal(data.ArrayLayout(self._tile**2, lanes), reset_less=True)
        for values in ([granted, *asked], [request.payload, *kept]):
            m.d.sync += [after.eq(before) for before, after in pairwise(values)]
        for n in range(lanes):
            m.d.sync += masks[n].eq(Mux(kept[-2].active[n], port.masks[n], 0))

        filled = pending.i.payload
        m.d.comb += [
            pending.i.valid.eq(asked[-1]),
            filled.slots.eq(kept[-1].slots), filled.masks.eq(masks), filled.transpose.eq(kept[-1].transpose),
        ]
        per_word = (self._tile * self._lines - 1).bit_length()
        for n in range(lanes):
            m.d.comb += filled.words[n].eq((popcount(masks[n]) + (1 << per_word) - 1) >> per_word)

        m.d.sync += in_work.eq(in_work + granted - (pending.o.valid & pending.o.ready))
        return pending.o, request.valid | (in_work != 0)

    def _words(self, m, pending):
        """Cut the oldest request into words, queue those, and read them, all lanes together, while every output has room."""
        lanes, current = self._lanes, pending.payload
        index = Signal(range(self._tile // self._lines))
        word = data.StructLayout({
            "slots": current.slots.shape(), "index": index.shape(), "needed": lanes, "present": lanes, "reads": 1,
            "labels": data.ArrayLayout(self._label, lanes),
        })
        m.submodules.words = words = StreamQueue(shape=word, depth=2)
        more, cut = Cat(current.words[n] > index + 1 for n in range(lanes)), words.i.payload
        m.d.comb += [
            words.i.valid.eq(pending.valid),
            pending.ready.eq(words.i.ready & ~more.any()),
            cut.slots.eq(current.slots),
            cut.index.eq(index),
            cut.needed.eq(Cat(current.words[n] > index for n in range(lanes))),
            cut.present.eq(cut.needed | (index == 0).replicate(lanes)),
            cut.reads.eq(cut.needed.any()),
        ]
        for n, label in enumerate(cut.labels):
            m.d.comb += [
                label.mask.eq(current.masks[n]), label.first.eq(index == 0), label.last.eq(~more[n]),
                label.transpose.eq(current.transpose),
            ]
        with m.If(pending.valid & words.i.ready):
            m.d.sync += index.eq(Mux(more.any(), index + 1, 0))

        # A label is queued together with the lines, `latency` cycles after a grant, which comes late in its own.
        port, oldest = self.port, words.o.payload
        room, waiting, depth = Signal(lanes), Signal(lanes), 2 + self._latency
        arriving = [Signal(lanes, name=f"arriving_{n}") for n in range(self._latency)]
        m.d.comb += [
            port.line_valid.eq(words.o.valid & oldest.reads & room.all()),
            port.line_slots.eq(oldest.slots),
            port.line_active.eq(oldest.needed),
            port.line_index.eq(oldest.index),
            words.o.ready.eq(room.all() & (port.line_ready | ~oldest.reads)),
        ]
        taken = Mux(words.o.valid & words.o.ready, oldest.present, 0)
        m.d.sync += [after.eq(before) for before, after in pairwise([taken, *arriving])]
        for n, o in enumerate(self.o):
            m.submodules[f"labels_{n}"] = labels = StreamQueue(shape=self._label, depth=depth)
            m.submodules[f"lines_{n}"] = lines = StreamQueue(shape=self._beat["lines"].shape, depth=depth)
            label = [Signal(self._label, name=f"label_{n}_{k}", reset_less=True) for k in range(self._latency)]
            m.d.sync += [after.eq(before) for before, after in pairwise([oldest.labels[n], *label])]
            m.d.comb += [
                labels.i.payload.eq(label[-1]), labels.i.valid.eq(arriving[-1][n]), labels.o.ready.eq(o.ready),
                lines.i.payload.eq(port.lines[n]), lines.i.valid.eq(arriving[-1][n]), lines.o.ready.eq(o.ready),
                o.valid.eq(labels.o.valid), o.payload.lines.eq(lines.o.payload),
                *(o.payload[name].eq(labels.o.payload[name]) for name, _ in self._label),
                room[n].eq(labels.level + sum(stage[n] for stage in arriving) < depth), waiting[n].eq(labels.o.valid),
            ]
        return words.o.valid | Cat(arriving).any() | waiting.any()
