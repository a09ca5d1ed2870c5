"""A banked buffer of packed tiles: lines in one set of SRAMs, masks in another."""

from functools import reduce
from itertools import combinations
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import tree_sum
from ..crossbar import route
from ..layout import tile_write
from ..round_robin import RoundRobin
from ..shared_module import instantiate
from .sram import Sram
from .tile_reader import read_port

__all__ = ["ROUNDS", "TileBuffer"]

ROUNDS = 2
"""Of an arbitration: the more, the longer its path, and the fewer readers wait for one that waits itself."""


class TileBuffer(wiring.Component):
    """Slots of T lines, slot s in bank ``s mod banks``; only words in use are touched.

    A reader gets all its active lanes in one cycle or waits; readers that waited go before those that did not, so none
    starves. A reader may wait for one that waits itself (see `ROUNDS`). Writers of one bank take turns. Reads answer after
    `latency` cycles; a write is in place two cycles after it is taken.

    Parameters
    ----------
    tile, width, lines_per_beat : tile format
    banks, tiles : power-of-two banks and capacity in tiles
    readers : lanes of each reader
    writers : number of write streams
    name : prefix of the SRAM names
    latency : of a read, 1, or 2 with registers between arbitration and the SRAMs

    Members
    -------
    read : one In(read_port) per reader, named ``read_0`` ...
    write : In(stream(tile_write)).array(writers)
    words_read, words_written : Out, word accesses in this cycle
    """

    def __init__(self, *, tile, width, lines_per_beat, banks, tiles, readers, writers, name, latency=1):
        self._tile, self._width, self._lines = tile, width, lines_per_beat
        self._banks, self._tiles, self._readers, self._name = banks, tiles, tuple(readers), name
        self._latency = latency
        self._bank_bits = (banks - 1).bit_length()
        self._words = tile // lines_per_beat
        self._write_shape = tile_write(tile, width, lines_per_beat)
        super().__init__({
            **{f"read_{n}": In(read_port(tile=tile, width=width, lines_per_beat=lines_per_beat, lanes=lanes))
               for n, lanes in enumerate(self._readers)},
            "write": In(stream.Signature(self._write_shape)).array(writers),
            "words_read": Out(range(banks + 1)),
            "words_written": Out(range(banks + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        slots = self._tiles // self._banks
        lines = [self._bank(m, "lines", n, slots * self._words, self._lines * self._tile * self._width, self._lines)
                 for n in range(self._banks)]
        masks = [self._bank(m, "masks", n, slots, self._tile**2, 1) for n in range(self._banks)]
        ports = [getattr(self, f"read_{n}") for n in range(len(self._readers))]

        self._connect_reads(m, masks, [
            (p.mask_valid, p.mask_ready, p.mask_slots, p.mask_active, None, p.masks) for p in ports
        ], "mask")
        self._connect_reads(m, lines, [
            (p.line_valid, p.line_ready, p.line_slots, p.line_active, p.line_index, p.lines) for p in ports
        ], "line")
        self._connect_writes(m, platform, lines, masks)

        m.d.sync += [
            self.words_read.eq(tree_sum(bank.read_enable for bank in lines)),
            self.words_written.eq(tree_sum(bank.write_enable.any() for bank in lines)),
        ]
        return m

    def _bank(self, m, kind, number, depth, width, lanes):
        bank = Sram(depth=depth, width=width, lanes=lanes, name=f"{self._name}_{kind}_{number}")
        m.submodules[f"{kind}_{number}"] = bank
        return bank

    def _split(self, slot):
        """Bank number and address within the bank."""
        return slot[: self._bank_bits] if self._bank_bits else Const(0, 1), slot[self._bank_bits:]

    def _connect_reads(self, m, banks, clients, kind):
        """Arbitrate whole groups, address the banks, and bring each lane the bank it asked."""
        wanted, waited = [], Signal(len(clients), name=f"{kind}_waited")
        for n, (_, _, slots, active, _, _) in enumerate(clients):
            need = Signal(self._banks, name=f"{kind}_need_{n}")
            lanes = [active[lane] << self._split(slots[lane])[0] for lane in range(self._readers[n])]
            m.d.comb += need.eq(reduce(or_, lanes))
            wanted.append(need)

        grants = self._arbitrate(m, kind, Cat(valid for valid, *_ in clients), wanted, waited)
        taken = reduce(or_, (Mux(grant, need, 0) for grant, need in zip(grants, wanted, strict=True)))
        for n, (valid, ready, *_) in enumerate(clients):
            m.d.comb += ready.eq(grants[n])
            m.d.sync += waited[n].eq(valid & ~ready)

        addresses = Signal(data.ArrayLayout(len(banks[0].read_address), self._banks), name=f"{kind}_addresses")
        selects, answered = [], []
        for n, (_, ready, slots, active, index, answers) in enumerate(clients):
            for lane in range(self._readers[n]):
                number, address = self._split(slots[lane])
                with m.If(ready & active[lane]):
                    m.d.comb += addresses[number].eq(address if index is None else address * self._words + index)
                selects.append(self._later(m, number, f"{kind}_bank_{n}_{lane}", self._latency))
                answered.append(answers[lane])
        for b, bank in enumerate(banks):
            enable, address = (self._later(m, value, f"{kind}_{name}_{b}", self._latency - 1)
                               for name, value in (("enable", taken[b]), ("address", addresses[b])))
            m.d.comb += [bank.read_enable.eq(enable), bank.read_address.eq(address)]
        words = route(m, f"read_{kind}s", [bank.read_data for bank in banks], selects)
        m.d.comb += [answer.eq(word) for answer, word in zip(answered, words, strict=True)]

    def _later(self, m, value, name, cycles):
        for n in range(cycles):
            register = Signal(len(value), name=f"{name}_{n}", reset_less=True)
            m.d.sync += register.eq(value)
            value = register
        return value

    def _arbitrate(self, m, kind, valid, wanted, waited):
        """Which of the `valid` clients get all banks that they want.

        In each of `ROUNDS` rounds those win that want no bank of a client before them which is still in it; then those are
        out that want a bank of a winner.
        """
        count = len(wanted)
        clash = [Signal(count, name=f"{kind}_clash_{n}") for n in range(count)]
        rivals = [Signal(count, name=f"{kind}_rivals_{n}") for n in range(count)]
        for a, b in combinations(range(count), 2):
            first = waited[a] | ~waited[b]
            m.d.comb += [
                clash[a][b].eq((wanted[a] & wanted[b]).any()), clash[b][a].eq(clash[a][b]),
                rivals[b][a].eq(clash[a][b] & first), rivals[a][b].eq(clash[a][b] & ~first),
            ]
        grants, left = Const(0, count), valid
        for number in range(ROUNDS):
            wins, after = (Signal(count, name=f"{kind}_{name}_{number}") for name in ("wins", "left"))
            for n in range(count):
                m.d.comb += [
                    wins[n].eq(left[n] & ~(rivals[n] & left).any()),
                    after[n].eq(left[n] & ~wins[n] & ~(clash[n] & wins).any()),
                ]
            grants, left = grants | wins, after
        return grants

    def _connect_writes(self, m, platform, lines, masks):
        """In each bank one writer a cycle, in turn."""
        count = len(self.write)
        asked = []
        for n, writer in enumerate(self.write):
            asks = Signal(self._banks, name=f"write_asks_{n}")
            m.d.comb += asks.eq(writer.valid << self._split(writer.payload.slot)[0])
            asked.append(asks)

        turns = [instantiate(m, platform, f"write_turn_{b}", RoundRobin, inputs=count) for b in range(self._banks)]
        words = route(m, "write_words", [writer.payload for writer in self.write], [turn.choice for turn in turns])
        granted = []
        for b, (turn, chosen) in enumerate(zip(turns, words, strict=True)):
            word, wrote = Signal(self._write_shape, name=f"word_{b}", reset_less=True), Signal(name=f"wrote_{b}")
            _, address = self._split(word.slot)
            m.d.comb += [turn.asks.eq(Cat(asks[b] for asks in asked)), turn.advance.eq(1)]
            m.d.sync += [wrote.eq(turn.asks.any()), word.eq(chosen)]
            m.d.comb += [
                lines[b].write_enable.eq(Mux(wrote, word.line_enable, 0)),
                lines[b].write_address.eq(address * self._words + word.index),
                lines[b].write_data.eq(word.lines),
                masks[b].write_enable.eq(wrote & word.last),
                masks[b].write_address.eq(address),
                masks[b].write_data.eq(word.mask),
            ]
            granted.append(turn.grant)
        for n, writer in enumerate(self.write):
            m.d.comb += writer.ready.eq(Cat(grant[n] for grant in granted).any())
