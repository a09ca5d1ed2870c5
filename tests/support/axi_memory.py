"""An AXI4 memory for cocotb that answers as awkwardly as the standard allows, and checks the manager meanwhile."""

from collections import deque

from cocotb.triggers import FallingEdge, ReadOnly

__all__ = ["AxiMemory"]

_ADDRESS = ("id", "addr", "len", "size", "burst", "prot", "cache")
_DATA = ("data", "strb", "last")


class AxiMemory:
    """Serves the port whose signals start with `prefix`, a cycle at a time, from ``self.data``.

    Addresses count modulo the size; `allowed` are the (first, last) bytes that may be touched at all, by direction "ar" and
    "aw", and `attributes` what AxPROT and AxCACHE have to be. `stall` is the probability that any channel rests for a cycle,
    `latency` the least cycles from a read address to its first beat. Beats of different ids are mixed at random, those of one
    id keep their order. `order` says how write addresses and data depend on each other: "any", "address" (no data is taken
    before its address) or "data" (no address is taken before the last beat of its data). Beats that touch one of the ranges
    `bad` are answered with errors, SLVERR in even words and DECERR in odd ones; a write with the larger of its own.

    Checked: offers stay unchanged until taken, bursts are INCR, full width, aligned, at most `burst_beats` long and
    inside 4 KiB, ``wlast`` is where it belongs, and no response waits for the manager.
    """

    def __init__(self, dut, prefix, rng, *, burst_beats, size=1 << 20, stall=0.0, latency=0, order="any", bad=(),
                 read=True, write=True):
        self._dut, self._prefix, self._rng, self._burst_beats = dut, prefix, rng, burst_beats
        self.stall, self.latency, self.order, self.bad = stall, latency, order, list(bad)
        self.data = bytearray(rng.randbytes(size))
        self._read_port, self._write_port = read, write
        self.width = len(self._signal("rdata" if read else "wdata")) // 8
        self.flying = [0, 0]
        self.most_flying = [0, 0]
        self.unanswered = self.most_unanswered = 0
        self.bursts, self.beats_read, self.beats_written, self.lengths = 0, 0, 0, set()
        self._now = 0
        self._reads = [deque(), deque()]
        self._offered_read = self._offered_answer = None
        self._addresses, self._writes, self._whole, self._answers = deque(), deque(), 0, deque()
        self._held = {}
        self.allowed, self.attributes = {}, (0, 3)
        self.silent = False

    def _signal(self, name):
        return getattr(self._dut, self._prefix + name)

    def _sample(self, channel, fields):
        """What the manager offers on a channel, or None; an offer must stay."""
        offer = None
        if self._signal(f"{channel}valid").value:
            offer = {f: int(self._signal(channel + f).value) for f in fields}
        held = self._held.get(channel)
        assert held is None or offer == held, f"{channel}: {held} became {offer} before it was taken"
        if channel != "w" and offer is not None and held is None:
            self.bursts += 1
        taken = offer is not None and bool(self._signal(f"{channel}ready").value)
        self._held[channel] = None if taken else offer
        return offer if taken else None

    def _check(self, channel, a):
        first, last = self.allowed.get(channel, (0, 1 << 64))
        assert first <= a["addr"] <= last and (a["prot"], a["cache"]) == self.attributes, (channel, a)
        assert a["burst"] == 1 and 1 << a["size"] == self.width and a["addr"] % self.width == 0, a
        length = (a["len"] + 1) * self.width
        assert a["len"] < self._burst_beats and a["addr"] % 4096 + length <= 4096, a
        self.lengths.add(a["len"] + 1)

    def is_bad(self, address):
        """Whether an access to the word at `address` is answered with an error."""
        return any(r.start < address + self.width and address < r.stop for r in self.bad)

    def _response(self, address):
        return (2 + address // self.width % 2) * self.is_bad(address)

    def _go(self):
        return self._rng.random() >= self.stall

    async def run(self):
        """Serve until killed."""
        while True:
            self._drive()
            await ReadOnly()
            self._observe()
            await FallingEdge(self._dut.clk)
            self._now += 1

    def _drive(self):
        if self._read_port:
            self._signal("arready").value = int(self._go())
            if self._offered_read is None and self._go():
                ready = [n for n, queue in enumerate(self._reads) if queue and queue[0][0] <= self._now]
                if ready:
                    n = self._rng.choice(ready)
                    _, address, last = self._reads[n].popleft()
                    at = address % len(self.data)
                    word = int.from_bytes(self.data[at:at + self.width], "little")
                    self._offered_read = (n, word, self._response(address), int(last))
            self._signal("rvalid").value = int(self._offered_read is not None)
            values = self._offered_read or (self._rng.getrandbits(1), self._rng.getrandbits(8 * self.width), 3, 1)
            for name, value in zip(("rid", "rdata", "rresp", "rlast"), values, strict=True):
                self._signal(name).value = value
        if self._write_port:
            awaited = self.order != "data" or len(self._addresses) < self._whole
            self._signal("awready").value = int(awaited and self._go())
            awaited = self.order != "address" or len(self._addresses) > self._whole
            self._signal("wready").value = int(awaited and self._go())
            if self._offered_answer is None and self._answers and self._go() and not self.silent:
                self._offered_answer = self._answers.popleft()
            self._signal("bvalid").value = int(self._offered_answer is not None)
            self._signal("bresp").value = 3 if self._offered_answer is None else self._offered_answer
            self._signal("bid").value = 0

    def _observe(self):
        if self._read_port:
            if a := self._sample("ar", _ADDRESS):
                self._check("ar", a)
                n = a["id"]
                self.flying[n] += 1
                self.most_flying[n] = max(self.most_flying[n], self.flying[n])
                for beat in range(a["len"] + 1):
                    self._reads[n].append((self._now + self.latency, a["addr"] + beat * self.width, beat == a["len"]))
            if self._offered_read is not None:
                assert self._signal("rready").value
                self.flying[self._offered_read[0]] -= self._offered_read[3]
                self.beats_read += 1
                self._offered_read = None
        if self._write_port:
            if a := self._sample("aw", _ADDRESS):
                self._check("aw", a)
                assert a["id"] == 0
                self._addresses.append(a)
                self.unanswered += 1
                self.most_unanswered = max(self.most_unanswered, self.unanswered)
            if w := self._sample("w", _DATA):
                self._writes.append(w)
                self._whole += w["last"]
                self.beats_written += 1
            while self._addresses and self._whole:
                self._commit(self._addresses.popleft())
            if self._offered_answer is not None:
                assert self._signal("bready").value
                self._offered_answer = None
                self.unanswered -= 1

    def _commit(self, a):
        answer = 0
        for beat in range(a["len"] + 1):
            w, address = self._writes.popleft(), a["addr"] + beat * self.width
            assert w["last"] == (beat == a["len"]), (a, beat)
            answer = max(answer, self._response(address))
            for n, value in enumerate(w["data"].to_bytes(self.width, "little")):
                if w["strb"] >> n & 1:
                    self.data[(address + n) % len(self.data)] = value
        self._whole -= 1
        self._answers.append(answer)

    @property
    def idle(self):
        """Nothing is on its way."""
        return not (any(self._reads) or self._offered_read or self._addresses or self._writes or self._answers
                    or self._offered_answer is not None or any(self._held.values()))
