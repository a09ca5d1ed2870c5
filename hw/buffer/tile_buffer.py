"""A banked buffer of packed tiles: lines in one set of SRAMs, masks in another."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import popcount, tree_or
from ..layout import tile_write
from ..shared_module import instantiate
from ..streams.crossbar import route
from ..streams.round_robin import RoundRobin
from .bank_arbiter import BankArbiter
from .sram import Sram
from .tile_reader import read_port
from .wide_bank_arbiter import WideBankArbiter

__all__ = ["TileBuffer"]


class TileBuffer(wiring.Component):
    """Slots of T lines, slot s in bank ``s mod banks``; only words in use are touched.

    A reader gets all its active lanes in one cycle or waits, for a number of cycles that is bounded (see `BankArbiter`). If
    grants are registered, the readers after the first two have one lane each (see `WideBankArbiter`). Writers of one bank take
    turns. Reads answer after one cycle, and one more for each of `registered`. A write is in place two cycles after it is
    taken, or three if grants are registered: a read then comes to the SRAMs later by as much.

    Parameters
    ----------
    tile, width, lines_per_beat : tile format
    banks, tiles : power-of-two banks and capacity in tiles
    readers : lanes of each reader
    writers : number of write streams
    name : prefix of the SRAM names
    registered : what lies between registers of its own, for one cycle of latency each: "grants", behind the arbitration of many
        clients, and "addresses", in front of the SRAMs, for wires that are long

    Members
    -------
    read : one In(read_port) per reader, named ``read_0`` ...
    write : In(stream(tile_write)).array(writers)
    words_read, words_written : Out, word accesses in this cycle
    """

    def __init__(self, *, tile, width, lines_per_beat, banks, tiles, readers, writers, name, registered=()):
        self._tile, self._width, self._lines = tile, width, lines_per_beat
        self._banks, self._tiles, self._readers, self._name = banks, tiles, tuple(readers), name
        self._registered = registered
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

        reads, writes = Signal(self._banks), Signal(self._banks)
        m.d.sync += [
            reads.eq(Cat(bank.read_enable for bank in lines)), writes.eq(Cat(bank.write_enable.any() for bank in lines)),
        ]
        m.d.comb += [self.words_read.eq(popcount(reads)), self.words_written.eq(popcount(writes))]
        return m

    def _bank(self, m, kind, number, depth, width, lanes):
        bank = Sram(depth=depth, width=width, lanes=lanes, name=f"{self._name}_{kind}_{number}")
        m.submodules[f"{kind}_{number}"] = bank
        return bank

    def _split(self, slot):
        """Bank number and address within the bank."""
        return slot[: self._bank_bits] if self._bank_bits else Const(0, 1), slot[self._bank_bits:]

    def _bank_of(self, slot, enable):
        """The bank of a slot in one-hot form, zero unless enabled, whatever the slot then is."""
        number, _ = self._split(slot)
        return Cat(enable & (number == b) for b in range(self._banks))

    def _connect_reads(self, m, banks, clients, kind):
        """Arbitrate whole groups, address the banks, and bring each lane the bank it asked."""
        wide = "grants" in self._registered and len(clients) > 2
        arbiter = (WideBankArbiter if wide else BankArbiter)(clients=len(clients), banks=self._banks)
        m.submodules[f"{kind}_arbiter"] = arbiter
        delays = {name: int(name in self._registered) for name in ("grants", "addresses")}
        asked, selects, answered = [[] for _ in range(self._banks)], [], []
        for n, (valid, ready, slots, active, index, answers) in enumerate(clients):
            wanted = [self._bank_of(slots[lane], valid & active[lane]) for lane in range(self._readers[n])]
            m.d.comb += [
                arbiter.asks[n].eq(valid), arbiter.wanted[n].eq(tree_or(wanted)), ready.eq(arbiter.grant[n]),
            ]
            for lane in range(self._readers[n]):
                number, address = self._split(slots[lane])
                if index is not None:
                    address = address * self._words + index
                granted, bank, number, address = (
                    self._later(m, value, f"{kind}_{name}_{n}_{lane}", delays["grants"])
                    for name, value in (("granted", ready), ("wanted", wanted[lane]), ("number", number), ("address", address)))
                for b, asks in enumerate(asked):
                    asks.append((granted & bank[b], address))
                selects.append(self._later(m, number, f"{kind}_bank_{n}_{lane}", 1 + delays["addresses"]))
                answered.append(answers[lane])
        for b, (bank, asks) in enumerate(zip(banks, asked, strict=True)):
            # At most one lane is granted a bank, so a bank's address is an OR, however many lanes there are.
            enable, address = (
                self._later(m, value, f"{kind}_{name}_{b}", delays["addresses"])
                for name, value in (("enable", tree_or(takes for takes, _ in asks)),
                                    ("address", tree_or(Mux(takes, address, 0) for takes, address in asks))))
            m.d.comb += [bank.read_enable.eq(enable), bank.read_address.eq(address)]
        words = route(m, f"read_{kind}s", [bank.read_data for bank in banks], selects)
        m.d.comb += [answer.eq(word) for answer, word in zip(answered, words, strict=True)]

    def _later(self, m, value, name, cycles, *, reset_less=True):
        for n in range(cycles):
            register = Signal(len(value), name=f"{name}_{n}", reset_less=reset_less)
            m.d.sync += register.eq(value)
            value = register
        return value

    def _connect_writes(self, m, platform, lines, masks):
        """In each bank one writer a cycle, in turn."""
        count = len(self.write)
        asked = []
        for n, writer in enumerate(self.write):
            asks = Signal(self._banks, name=f"write_asks_{n}")
            m.d.comb += asks.eq(self._bank_of(writer.payload.slot, writer.valid))
            asked.append(asks)

        turns = [instantiate(m, platform, f"write_turn_{b}", RoundRobin, inputs=count) for b in range(self._banks)]
        delay = int("grants" in self._registered)
        offered = [self._later(m, writer.payload.as_value(), f"offered_{n}", delay) for n, writer in enumerate(self.write)]
        choices = [self._later(m, turn.choice, f"write_choice_{b}", delay) for b, turn in enumerate(turns)]
        words = route(m, "write_words", offered, choices)
        granted = []
        for b, (turn, chosen) in enumerate(zip(turns, words, strict=True)):
            word = data.View(self._write_shape, self._later(m, chosen, f"word_{b}", 1))
            wrote = self._later(m, turn.asks.any(), f"wrote_{b}", delay + 1, reset_less=False)
            _, address = self._split(word.slot)
            m.d.comb += [turn.asks.eq(Cat(asks[b] for asks in asked)), turn.advance.eq(1)]
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
