"""A banked buffer of packed tiles: lines in one set of SRAMs, masks in another."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..layout import tile_write
from .sram import Sram
from .tile_reader import read_port

__all__ = ["TileBuffer"]


class TileBuffer(wiring.Component):
    """Slots of T lines, slot s in bank ``s mod banks``; only words in use are touched.

    A reader gets all its active lanes in one cycle or waits; readers that waited go before those that did not, so none
    starves. Writers of one bank take turns. Reads answer after one cycle; a write is in place in the next cycle.

    Parameters
    ----------
    tile, width, lines_per_beat : tile format
    banks, tiles : power-of-two banks and capacity in tiles
    readers : lanes of each reader
    writers : number of write streams
    name : prefix of the SRAM names

    Members
    -------
    read : one In(read_port) per reader, named ``read_0`` ...
    write : In(stream(tile_write)).array(writers)
    words_read, words_written : Out, word accesses in this cycle
    """

    def __init__(self, *, tile, width, lines_per_beat, banks, tiles, readers, writers, name):
        self._tile, self._width, self._lines = tile, width, lines_per_beat
        self._banks, self._tiles, self._readers, self._name = banks, tiles, tuple(readers), name
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
        self._connect_writes(m, lines, masks)

        m.d.sync += [
            self.words_read.eq(sum(bank.read_enable for bank in lines)),
            self.words_written.eq(sum(bank.write_enable.any() for bank in lines)),
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
        one_hot = range(self._banks)
        wanted, waited = [], Signal(len(clients), name=f"{kind}_waited")
        for n, (_, _, slots, active, _, _) in enumerate(clients):
            need = Signal(self._banks, name=f"{kind}_need_{n}")
            m.d.comb += need.eq(Cat(
                Cat(active[lane] & (self._split(slots[lane])[0] == b) for lane in range(self._readers[n])).any()
                for b in one_hot
            ))
            wanted.append(need)

        taken = Const(0, self._banks)
        early, late = [], []
        for stage, grants in ((1, early), (0, late)):
            for n, (valid, *_) in enumerate(clients):
                grant = Signal(name=f"{kind}_grant_{n}_{'early' if stage else 'late'}")
                m.d.comb += grant.eq(valid & (waited[n] if stage else ~waited[n]) & ~(wanted[n] & taken).any())
                grants.append(grant)
                after = Signal(self._banks, name=f"{kind}_taken_{n}_{'early' if stage else 'late'}")
                m.d.comb += after.eq(taken | Mux(grant, wanted[n], 0))
                taken = after
        for n, (valid, ready, *_) in enumerate(clients):
            m.d.comb += ready.eq(early[n] | late[n])
            m.d.sync += waited[n].eq(valid & ~ready)

        for b, bank in enumerate(banks):
            m.d.comb += bank.read_enable.eq(taken[b])
            for n, (_, ready, slots, active, index, _) in enumerate(clients):
                for lane in range(self._readers[n]):
                    number, address = self._split(slots[lane])
                    with m.If(ready & active[lane] & (number == b)):
                        m.d.comb += bank.read_address.eq(
                            address if index is None else address * self._words + index
                        )

        data = Array(bank.read_data for bank in banks)
        for n, (_, _, slots, _, _, answers) in enumerate(clients):
            for lane in range(self._readers[n]):
                chosen = Signal(max(1, self._bank_bits), name=f"{kind}_bank_{n}_{lane}", reset_less=True)
                m.d.sync += chosen.eq(self._split(slots[lane])[0])
                m.d.comb += answers[lane].eq(data[chosen] if self._banks > 1 else data[0])

    def _connect_writes(self, m, lines, masks):
        """In each bank one writer a cycle, in turn."""
        count = len(self.write)
        chosen_any = [[] for _ in range(count)]
        for b in range(self._banks):
            asks = Signal(count, name=f"write_asks_{b}")
            m.d.comb += asks.eq(Cat(w.valid & (self._split(w.payload.slot)[0] == b) for w in self.write))
            turn = Signal(range(count), name=f"write_turn_{b}")
            choice = Signal(range(count), name=f"write_choice_{b}")
            with m.Switch(turn):
                for first in range(count):
                    with m.Case(first):
                        for n in reversed([(first + offset) % count for offset in range(count)]):
                            with m.If(asks[n]):
                                m.d.comb += choice.eq(n)
            with m.If(asks.any()):
                m.d.sync += turn.eq(Mux(choice == count - 1, 0, choice + 1))
            for n in range(count):
                chosen_any[n].append(asks[n] & (choice == n))

            payload = Array(w.payload for w in self.write)[choice] if count > 1 else self.write[0].payload
            word = Signal(self._write_shape, name=f"write_{b}")
            m.d.comb += word.eq(payload)
            _, address = self._split(word.slot)
            m.d.comb += [
                lines[b].write_enable.eq(Mux(asks.any(), word.line_enable, 0)),
                lines[b].write_address.eq(address * self._words + word.index),
                lines[b].write_data.eq(word.lines),
                masks[b].write_enable.eq(asks.any() & word.last),
                masks[b].write_address.eq(address),
                masks[b].write_data.eq(word.mask),
            ]
        for n, writer in enumerate(self.write):
            m.d.comb += writer.ready.eq(Cat(chosen_any[n]).any())
