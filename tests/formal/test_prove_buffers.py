"""Buffers and their readers: what was written is read, by who asked for it, in order, and nobody waits beyond a bound."""

import pytest
from amaranth.hdl import Array, Cat, Const, Mux, ResetSignal, Signal

from acceltran.hw import layout
from acceltran.hw.arithmetic import popcount, tree_sum
from acceltran.hw.buffer import bank_arbiter, vector_buffer
from acceltran.hw.buffer import tile_buffer as tile_buffers
from acceltran.hw.buffer import tile_reader as tile_readers
from acceltran.hw.buffer.bank_arbiter import BankArbiter
from acceltran.hw.buffer.wide_bank_arbiter import WideBankArbiter
from acceltran.hw.streams import round_robin, stream_queue
from support.contracts import Contract, opened, prove, refute, survive
from support.mutation import mutated, with_names
from support.shifted_queue import ShiftedQueue

pytestmark = pytest.mark.prove

ADDRESS_BITS = 2
"""Of a line of the vector buffer."""


def moved(stream):
    return stream.valid & stream.ready


def vectors(module, readers, *, less=0):
    """Each reader gets the lines that it asks for, in order, each within a bound once it is first in its queue.

    One line of two values is followed, at any address; it is not written any more once a reader has asked for it.
    """
    short = with_names(module, LINE_ADDRESS_BITS=ADDRESS_BITS,
                       vector_write=with_names(layout, LINE_ADDRESS_BITS=ADDRESS_BITS).vector_write)
    component = short.VectorBuffer(tile=1, width=2, lines=1 << ADDRESS_BITS, readers=readers)
    c, write = Contract(component), component.write
    address, line = c.fixed(ADDRESS_BITS, "address"), Signal(2, reset_less=True)
    chosen, reader = c.free(1, "chosen"), c.fixed(range(readers), "reader")
    asked, known = Signal(), Signal(reset_less=True)
    writes = write.valid & (write.p.address == address)
    c.assume((reader < readers) & ~(writes & asked) & (known | ~chosen))
    with c.m.If(writes):
        c.m.d.sync += [line.eq(write.p.line), known.eq(1)]
    c.promise("write", write.ready)
    for n, (request, o) in enumerate(zip(component.request, component.o, strict=True)):
        held, ahead, followed = Signal(3, name=f"held_{n}"), Signal(3, name=f"ahead_{n}"), Signal(name=f"followed_{n}")
        begins = moved(request) & chosen & ~asked & (request.p == address) & (reader == n)
        leaves = followed & moved(o) & (ahead == 0)
        c.m.d.sync += held.eq(held + moved(request) - moved(o))
        with c.m.If(begins):
            c.m.d.sync += [asked.eq(1), followed.eq(1), ahead.eq(held - moved(o))]
        with c.m.Elif(followed):
            c.m.d.sync += [ahead.eq(ahead - moved(o)), followed.eq(~leaves)]
        c.still(o, "still")
        c.promise("held", (held <= 5 - less) & (~o.valid | (held != 0)))
        c.promise("order", ~leaves | (o.p.as_value() == line))
        c.promise("room", request.ready | (held >= 2))
        c.at_most((held != 0) & ~o.valid, readers + 1 - less, "soon")
    return c


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_vector_buffer(readers):
    prove(vectors(vector_buffer, readers))


def test_vector_buffer_bounds_are_tight():
    for readers in (1, 2, 3):
        refute(vectors(vector_buffer, readers, less=1), "soon")
    refute(vectors(vector_buffer, 2, less=1), "held")


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("write", "self.write.ready.eq(1)", "self.write.ready.eq(~self.request[0].valid)"),
    ("order", "& (request.payload == line)", ""),
    ("order", "arriving[n].eq(request.ready)", "arriving[n].eq(turn.grant[n])"),
    ("order", "answers.level + arriving[n] < 3", "answers.level < 3"),
    ("held", "shape=LINE_ADDRESS_BITS, depth=2)", "shape=LINE_ADDRESS_BITS, depth=3)"),
    ("room", "shape=LINE_ADDRESS_BITS, depth=2)", "shape=LINE_ADDRESS_BITS, depth=1)"),
    ("soon", "answers.level + arriving[n] < 3", "(answers.level == 0) & ~arriving.any()"),
])
def test_vector_buffer_fault(promise, old, new):
    refute(vectors(mutated(vector_buffer, old, new), 2), promise)


@pytest.mark.parametrize(("promise", "part", "module", "old", "new"), [
    ("still", "StreamQueue", stream_queue, "valid.eq(self.level != 0)", "valid.eq((self.level != 0) & ~self.i.valid)"),
    ("soon", "RoundRobin", round_robin, "pool.eq(Mux(early.any(), early, self.asks))", "pool.eq(self.asks)"),
])
def test_vector_buffer_fault_of_a_part(promise, part, module, old, new):
    refute(vectors(with_names(vector_buffer, **{part: getattr(mutated(module, old, new), part)}), 3), promise)


def tile_buffer(module, *, readers=(2, 1), banks=2, lines_per_beat=1, registered=(), less=0):
    """Every lane gets the word and the mask of its slot that were written last; readers and writers wait within bounds.

    A write is there for reads that are granted two cycles after it is taken; until then nobody reads that word. One line of one
    slot is followed, at any place, and the mask of that slot.
    """
    tile, tiles, writers = 2, 2 * banks, 2
    component = module.TileBuffer(tile=tile, width=1, lines_per_beat=lines_per_beat, banks=banks, tiles=tiles, readers=readers,
                                  writers=writers, name="tiles", registered=registered)
    c, words, bank_bits = Contract(component), tile // lines_per_beat, (banks - 1).bit_length()
    slot, index, part = c.fixed(range(tiles), "slot"), c.fixed(1, "index"), c.fixed(1, "part")
    c.assume((index < words) & (part < lines_per_beat))
    wide = "grants" in registered and len(readers) > 2
    c.m.submodules.bound = arbiter = (WideBankArbiter if wide else BankArbiter)(clients=len(readers), banks=banks)
    limits = [(arbiter.longest_wait(n) if wide else arbiter.longest_wait) - less for n in range(len(readers))]

    # Writes, of which the followed one has arrived two cycles later.
    here, takes = {"line": [], "mask": []}, []
    for n, write in enumerate(component.write):
        c.still(write, f"writer_{n}", assumed=True)
        c.assume((write.p.slot < tiles) & (write.p.index < words))
        c.at_most(write.valid & ~write.ready, writers - 1 - less, "write_soon")
        ours, line = moved(write) & (write.p.slot == slot), Signal(tile, name=f"line_{n}")
        c.m.d.comb += line.eq(Array(write.p.lines)[part])
        here["line"].append((ours & (write.p.index == index) & write.p.line_enable.bit_select(part, 1), line))
        here["mask"].append((ours & write.p.last, write.p.mask))
        takes.append((moved(write), write.p.slot[:bank_bits], write.p.line_enable.any()))
    (first, bank, _), (second, other, _) = takes
    c.promise("one_writer", ~(first & second & (bank == other)))
    expected, busy = {}, {}
    for kind, sources in here.items():
        value, known = (Signal(len(sources[0][1]) if name == "is" else 1, name=f"{kind}_{name}", reset_less=True)
                        for name in ("is", "known"))
        wrote = c.before(Cat(comes for comes, _ in sources).any(), f"{kind}_wrote")
        came = Signal.like(value, name=f"{kind}_came", reset_less=True)
        for comes, word in sources:
            with c.m.If(comes):
                c.m.d.sync += came.eq(word)
        # What waits for its bank in a register is lost in a reset.
        with c.m.If(wrote):
            c.m.d.sync += [value.eq(came), known.eq(~ResetSignal(allow_reset_less=True) if "grants" in registered else 1)]
        expected[kind], busy[kind] = value, Cat(wrote, *(comes for comes, _ in sources)).any() | ~known

    # Reads, answered after the latency.
    words_read = []
    for n, lanes in enumerate(readers):
        port = getattr(component, f"read_{n}")
        for kind in ("mask", "line"):
            valid, ready, slots, active = (getattr(port, f"{kind}_{name}") for name in ("valid", "ready", "slots", "active"))
            at = port.line_index if kind == "line" else index
            c.held(valid & ~ready, valid, [slots, active, at], f"reader_{n}_{kind}", assumed=True)
            c.at_most(valid & ~ready, limits[n], f"{kind}_soon")
            for lane in range(lanes):
                c.assume(~(valid & active[lane]) | (slots[lane] < tiles) & (at < words))
                for before in range(lane):
                    c.assume(~(valid & active[lane] & active[before])
                             | (slots[lane][:bank_bits] != slots[before][:bank_bits]))
                reads = valid & ready & active[lane] & (slots[lane] == slot) & (at == index)
                c.assume(~(valid & active[lane] & (slots[lane] == slot) & (at == index) & busy[kind]))
                was = Cat(reads, expected[kind])
                for k in range(1 + len(registered)):
                    was = c.before(was, f"{kind}_{n}_{lane}_{k}")
                answer = port.masks[lane] if kind == "mask" else port.lines[lane].word_select(part, tile)
                c.promise(kind, ~was[0] | (answer == was[1:]))
                if kind == "line":
                    words_read.append(valid & ready & active[lane])
    for name in registered:
        later = Signal(len(words_read), name=f"behind_{name}", reset_less=True)
        c.m.d.sync += later.eq(Cat(words_read))
        words_read = list(later)
    written = c.before(tree_sum(takes & some for takes, _, some in takes), "written")
    if "grants" in registered:
        written = c.before(written, "written_then")
    c.promise("counted", component.words_read == c.before(tree_sum(words_read), "words_read_before"))
    c.promise("counted", component.words_written == c.before(written, "words_written_before"))
    return c


@pytest.mark.parametrize("registered", [(), ("addresses",), ("grants",), ("grants", "addresses")], ids="_".join)
def test_tile_buffer(registered):
    prove(tile_buffer(tile_buffers, registered=registered))


def test_tile_buffer_of_whole_tiles():
    prove(tile_buffer(tile_buffers, lines_per_beat=2))


@pytest.mark.parametrize("registered", [(), ("grants",)], ids="_".join)
def test_tile_buffer_for_three(registered):
    prove(tile_buffer(tile_buffers, readers=(1, 2, 1), registered=registered))


@pytest.mark.parametrize("registered", [(), ("grants",)], ids="_".join)
@pytest.mark.parametrize("promise", ["write_soon", "mask_soon", "line_soon"])
def test_tile_buffer_bounds_are_tight(promise, registered):
    refute(tile_buffer(tile_buffers, readers=(1, 2, 1), registered=registered, less=1), promise)


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("one_writer", "granted.append(turn.grant)", "granted.append(turn.asks)"),
    ("mask", "write_enable.eq(wrote & word.last)", "write_enable.eq(wrote)"),
    ("mask", '1 + delays["addresses"]))', 'delays["addresses"]))'),
    ("line", '1 + delays["addresses"]))', 'delays["addresses"]))'),
    ("line", "address * self._words + word.index", "address * self._words"),
    ("line", "address * self._words + index", "address + index"),
    ("line", "Mux(wrote, word.line_enable, 0)", "Mux(wrote, -1, 0)"),
    ("line", "valid & active[lane]) for lane", "valid) for lane"),
    ("counted", "Cat(bank.read_enable for bank in lines)", "Cat(bank.read_enable for bank in masks)"),
    ("counted", "bank.write_enable.any() for bank in lines", "bank.write_enable.any() for bank in masks"),
])
def test_tile_buffer_fault(promise, old, new):
    refute(tile_buffer(mutated(tile_buffers, old, new)), promise)


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("line", '("granted", ready)', '("granted", valid)'),
    ("mask", '("wanted", wanted[lane])', '("wanted", wanted[0])'),
    ("line", 'f"write_choice_{b}", delay)', 'f"write_choice_{b}", 0)'),
    ("line", 'f"wrote_{b}", delay + 1', 'f"wrote_{b}", delay'),
    ("line", 'f"offered_{n}", delay)', 'f"offered_{n}", 0)'),
])
def test_tile_buffer_fault_of_registers(promise, old, new):
    refute(tile_buffer(mutated(tile_buffers, old, new), registered=("grants",)), promise)


@pytest.mark.parametrize(("promise", "part", "module", "old", "new"), [
    ("write_soon", "RoundRobin", round_robin, "pool.eq(Mux(early.any(), early, self.asks))", "pool.eq(self.asks)"),
    ("mask_soon", "BankArbiter", bank_arbiter, "first = waiting[a] | ~waiting[b]", "first = Const(1)"),
    ("line_soon", "BankArbiter", bank_arbiter, "first = waiting[a] | ~waiting[b]", "first = Const(1)"),
    ("mask", "BankArbiter", bank_arbiter, "left[n] & ~(rivals[n] & left).any()", "left[n]"),
    ("line", "BankArbiter", bank_arbiter, "left[n] & ~(rivals[n] & left).any()", "left[n]"),
])
def test_tile_buffer_fault_of_a_part(promise, part, module, old, new):
    faulty = with_names(tile_buffers, **{part: getattr(mutated(module, old, new), part)})
    refute(tile_buffer(faulty, readers=(1, 2, 1)), promise)


def standing(c, reader, latency, lanes):
    """Where the tiles of a reader stand, lane by lane, from its output back to its requests: for each place, whether
    something is there, whether it is the last of its tile, and whether it is of the followed request.
    """
    queues, in_work = reader.inside.submodules, reader.in_work
    requests, pending, words = queues.requests, queues.pending, queues.words
    c.promise("inside", (in_work == tree_sum(reader.asked) + pending.level) & (in_work <= reader.ahead))
    c.promise("inside", (requests.level <= 2) & (words.level <= 2))
    for k, word in enumerate(words.entries):
        c.promise("inside", (words.level <= k) | word.present.any() & (word.reads == word.needed.any())
                  & ((word.needed & ~word.present) == 0))
    index, places = words.i.p.index, []
    for n in range(lanes):
        labels, lines = (getattr(queues, f"{name}_{n}") for name in ("labels", "lines"))
        arrives = [(arriving[n], label.last, label.transpose)
                   for arriving, label in zip(reader.arriving, getattr(reader, f"label_{n}"), strict=True)]
        c.promise("inside", labels.level + sum(there for there, _, _ in arrives) <= 2 + latency)
        c.promise("inside", lines.level == labels.level)
        lane = [(labels.level > k, label.last, label.transpose) for k, label in enumerate(labels.entries)]
        lane += reversed(arrives)
        lane += [((words.level > k) & word.present[n], word.labels[n].last, word.labels[n].transpose)
                 for k, word in enumerate(words.entries)]
        unfinished = Const(0)
        for there, last, _ in lane:
            unfinished = Mux(there, ~last, unfinished)
        c.promise("inside", unfinished == ((index != 0) & (pending.entries[0].words[n] > index)))
        for k, entry in enumerate(pending.entries):
            there, count = pending.level > k, entry.words[n]
            c.promise("inside", ~there | (count == (popcount(entry.masks[n]) + 1) >> 1))
            lane.append((there & ((index == 0) | (count > index)) if k == 0 else there, Const(1), entry.transpose))
        lane += reversed([(asked, Const(1), kept.transpose) for asked, kept in zip(reader.asked, reader.kept, strict=True)])
        lane += [(requests.level > k, Const(1), entry.transpose) for k, entry in enumerate(requests.entries)]
        places.append(lane)
    counts, newest = pending.entries[0].words, Array(words.entries)[words.level == 2]
    c.promise("inside", (index == 0) | (pending.level != 0) & Cat(count > index for count in counts).any() & (words.level != 0)
              & Cat((newest.labels[n].last == (count <= index)) & (newest.present[n] | (count < index))
                    for n, count in enumerate(counts)).all())
    return places


def in_front(c, places, held, followed, ahead):
    """In a lane of `standing` as many tiles are held as it has places with a last part; `ahead` of them are in front of the
    followed one, which is there from when it came until it leaves.
    """
    tiles, found = Const(0), Const(0)
    for there, last, mark in places:
        c.promise("inside", ~(there & mark) | followed & (ahead == tiles))
        tiles = (tiles + (there & last))[:4]
        found |= there & last & mark
    c.promise("inside", (held == tiles) & (found == followed))


def tile_reader(module, *, lanes=2, latency=1, ahead=4, queue=ShiftedQueue, less=0, steady=False):
    """Each lane gets the tiles of its requests in their order, each with its mask and all of its words, framed.

    One request is followed, which alone is transposed and has slots of odd numbers, and one line of each lane.
    """
    for old, new in ("ahead = 4", f"ahead = {ahead}"), ("in_work = Signal", "in_work = self.in_work = Signal"), (
            "asked = [Signal", "asked = self.asked = [Signal"), ("kept = [Signal", "kept = self.kept = [Signal"), (
            "arriving = [Signal", "arriving = self.arriving = [Signal"), (
            "label = [Signal", 'label = vars(self)[f"label_{n}"] = [Signal'):
        module = mutated(module, old, new)
    short = with_names(module, SLOT_BITS=2, StreamQueue=queue)
    component = opened(short.TileReader)(tile=2, width=1, lines_per_beat=1, lanes=lanes, latency=latency)
    c, request, port = Contract(component), component.request, component.port
    mark, granted, read = request.p.transpose, port.mask_valid & port.mask_ready, port.line_valid & port.line_ready
    capacity = 2 + ahead + 2 + 2 + latency - less
    c.assume(~request.valid | (Cat(slot[0] for slot in request.p.slots) == mark.replicate(lanes)))
    c.order(moved(request), mark, granted, port.mask_slots[0][0], 2, "masks",
            carried=Cat(request.p.slots, request.p.active), brought=Cat(port.mask_slots, port.mask_active))
    for kind, values in (("mask", (port.mask_slots, port.mask_active)),
                         ("line", (port.line_slots, port.line_active, port.line_index))):
        valid, ready = getattr(port, f"{kind}_valid"), getattr(port, f"{kind}_ready")
        c.held(valid & ~ready, valid, values, f"{kind}_still")

    # What the port says of the followed request.
    slots, due, known, line = Signal(2 * lanes), Signal(lanes + 1), Signal(), Signal(2)
    c.m.d.comb += due.eq(Cat(granted & port.mask_slots[0][0], port.mask_active))
    for n in range(latency):
        due = c.before(due, f"due_{n}")
    with c.m.If(granted & port.mask_slots[0][0]):
        c.m.d.sync += slots.eq(port.mask_slots)
    with c.m.If(due[0]):
        c.m.d.sync += known.eq(1)
    masks = [Signal(4, name=f"mask_{n}") for n in range(lanes)]
    words = [Signal(2, name=f"words_{n}") for n in range(lanes)]
    for n, (mask, count) in enumerate(zip(masks, words, strict=True)):
        with c.m.If(due[0]):
            c.m.d.sync += mask.eq(Mux(due[1 + n], port.masks[n], 0))
        c.m.d.comb += count.eq((popcount(mask) + 1) >> 1)
    ours = read & port.line_slots[0][0]
    c.m.d.sync += line.eq(line + ours)
    c.promise("words", ~ours | (known & (port.line_index == line) & (Cat(port.line_slots) == slots)))
    c.promise("words", ~ours | (port.line_active == Cat(count > line for count in words)))
    c.promise("words", ~read | port.line_active.any())

    idle, stages = [], standing(c, component, latency, lanes)
    goes = port.mask_ready & port.line_ready & Cat(o.ready for o in component.o).all()
    for n, o in enumerate(component.o):
        c.still(o, "still")
        held = c.order(moved(request), mark, moved(o) & o.p.last, o.p.transpose, capacity, "order")
        idle.append(held == 0)
        in_front(c, stages[n], held, *c.followed["order"])
        c.promise("mask", ~(o.valid & o.p.transpose) | (known & (o.p.mask == masks[n])))
        c.at_most((held != 0) & ~o.valid & goes, 4 + 2 * latency - less, "soon")

        # Frames: as many beats as the mask says, at least one, all with the same label.
        beats, label = Signal(range(3), name=f"beats_{n}"), Cat(o.p.mask, o.p.transpose)
        was = Signal(len(label), name=f"label_{n}")
        with c.m.If(moved(o)):
            c.m.d.sync += [beats.eq(Mux(o.p.last, 0, beats + 1)), was.eq(label)]
        ends = (popcount(o.p.mask) + 1) >> 1 <= beats + 1
        c.promise("frame", ~o.valid | (o.p.first == (beats == 0)) & (o.p.last == ends))
        c.promise("frame", ~o.valid | (beats == 0) | (was == label))

        # Lines, a latency after they are read.
        answered = read & port.line_active[n]
        for k in range(latency):
            answered = c.before(answered, f"answered_{n}_{k}")
        line_bits, brought = Cat(port.lines[n]), Cat(*o.p.lines[0])
        c.order(answered, line_bits[0], moved(o) & (o.p.mask != 0), brought[0], 2 + latency, "lines",
                carried=line_bits[1], brought=brought[1])
    c.promise("idle", component.idle == Cat(idle).all())
    if steady:
        begun = Signal()
        c.m.d.sync += begun.eq(begun | component.o[0].valid)
        c.assume(request.valid & goes)
        c.promise("rate", ~begun | Cat(o.valid for o in component.o).any())
    return c


@pytest.mark.parametrize("latency", [1, 2])
@pytest.mark.parametrize("lanes", [1, 2])
def test_tile_reader(lanes, latency):
    prove(tile_reader(tile_readers, lanes=lanes, latency=latency), "inside", "order", "idle", together=True)


def test_tile_reader_at_its_port():
    prove(tile_reader(tile_readers, lanes=1), "still", "masks", "mask_still", "line_still")


@pytest.mark.parametrize("promise", ["frame", "words", "mask", "lines"])
def test_tile_reader_of_whole_tiles(promise):
    prove(tile_reader(tile_readers, lanes=1), promise)


@pytest.mark.parametrize("latency", [1, 2])
def test_tile_reader_is_soon_there_for_a_while(latency):
    survive(tile_reader(tile_readers, latency=latency), "soon", cycles=18)
    refute(tile_reader(tile_readers, latency=latency, less=1), "soon")


def test_tile_reader_without_a_gap():
    """Tiles of one word follow each other; with a latency of two there are four in five cycles, as four are in work at most."""
    prove(tile_reader(tile_readers, lanes=1, steady=True), "rate")
    refute(tile_reader(tile_readers, lanes=1, latency=2, steady=True), "rate")


@pytest.mark.parametrize(("promise", "old", "new"), [
    ("order", "pending.ready.eq(words.i.ready & ~more.any())", "pending.ready.eq(words.i.ready & ~more.all())"),
    ("order", "labels.level + sum(stage[n] for stage in arriving) < depth", "labels.level < depth"),
    ("idle", "words.o.valid | Cat(arriving).any() | waiting.any()", "words.o.valid | waiting.any()"),
    ("still", "o.valid.eq(labels.o.valid)", "o.valid.eq(labels.o.valid & port.line_ready)"),
    ("masks", "request.ready.eq(port.mask_ready & (in_work != self.ahead))", "request.ready.eq(port.mask_ready)"),
    ("mask_still", "request.valid & (in_work != self.ahead)", "request.valid & (in_work != self.ahead) & ~port.line_ready"),
    ("line_still", "words.o.valid & oldest.reads & room.all()", "words.o.valid & oldest.reads & room.all() & self.o[0].ready"),
    ("words", "current.words[n] > index for n", "current.words[n] >= index for n"),
    ("mask", "Mux(kept[-2].active[n], port.masks[n], 0)", "port.masks[n]"),
    ("frame", "label.last.eq(~more[n])", "label.last.eq(~more.any())"),
    ("lines", "lines.o.ready.eq(o.ready)", "lines.o.ready.eq(o.ready & o.p.last)"),
    ("inside", "shape=word, depth=2)", "shape=word, depth=3)"),
    ("soon", "(in_work != self.ahead)),\n            port.mask_slots", "(in_work == 0)),\n            port.mask_slots"),
])
def test_tile_reader_fault(promise, old, new):
    refute(tile_reader(mutated(tile_readers, old, new), ahead=2), promise)
