"""Programs, a model of their order, and engines in Python, for tests of the dispatcher and the control unit."""

from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.control.layouts import ENGINES
from acceltran.hw.spec.isa import INSTRUCTIONS, Engine, Opcode, encode

__all__ = ["Model", "engine", "make", "random_program"]

BY_ENGINE = {e: [i.opcode for i in INSTRUCTIONS if i.engine == e] for e in Engine}
FIELDS = {i.opcode: i.fields for i in INSTRUCTIONS}


def make(rng, engine, waits=(0, 0, 0), signal=0, sync=False, legal=None):
    """A random instruction as a dictionary; `legal` names the values that fields may have."""
    opcode = Opcode.SYNC if sync else rng.choice(BY_ENGINE[engine])
    header = dict(zip(("wait_memory", "wait_matrix", "wait_vector"), waits, strict=True), signal=signal, engine=engine)
    fields = {f.name: rng.randint(-(1 << f.bits - 1), (1 << f.bits - 1) - 1) if f.signed else rng.getrandbits(f.bits)
              for f in FIELDS[opcode]}
    fields |= {name: rng.choice(list(allowed)) for name, allowed in (legal or {}).items() if name in fields}
    return {"engine": engine, "waits": waits, "signal": signal, "sync": sync,
            "word": int.from_bytes(encode(opcode, **header, **fields), "little")}


def random_program(rng, length, sync_share, legal=None):
    """A program that runs in program order, hence in any order that the semaphores allow."""
    tokens, program = [[0] * 3 for _ in range(3)], []
    for _ in range(length):
        engine = rng.randrange(3)
        waits = [0] * 3
        for x in range(3):
            if rng.random() < 0.6:
                waits[x] = min(rng.choice((1, 1, 2, tokens[x][engine])), tokens[x][engine], 255)
                tokens[x][engine] -= waits[x]
        signal = rng.choice((0, 1, 2, 3, 4, 5, 6, 7))
        program.append(make(rng, engine, tuple(waits), signal, rng.random() < sync_share, legal))
        for y in range(3):
            tokens[engine][y] += signal >> y & 1
    return program


class Model:
    """Semaphores and order, as early as they allow; `done` and `accept` are what the engines see."""

    def __init__(self, program):
        self.order = [[(n, i) for n, i in enumerate(program) if i["engine"] == e] for e in range(3)]
        self.issued, self.retired = [0] * 3, [0] * 3
        self.tokens = [[0] * 3 for _ in range(3)]
        self._settle()

    def eligible(self, e):
        if self.issued[e] == len(self.order[e]):
            return False
        return all(self.tokens[x][e] >= w for x, w in enumerate(self.order[e][self.issued[e]][1]["waits"]))

    def _issue(self, e):
        for x, w in enumerate(self.order[e][self.issued[e]][1]["waits"]):
            self.tokens[x][e] -= w
        self.issued[e] += 1

    def _retire(self, e):
        for y in range(3):
            self.tokens[e][y] += self.order[e][self.retired[e]][1]["signal"] >> y & 1
        self.retired[e] += 1

    def _settle(self):
        """Let SYNCs pass."""
        moved = True
        while moved:
            moved = False
            for e in range(3):
                if self.eligible(e) and self.order[e][self.issued[e]][1]["sync"]:
                    self._issue(e)
                    moved = True
                if self.retired[e] < self.issued[e] and self.order[e][self.retired[e]][1]["sync"]:
                    self._retire(e)
                    moved = True

    def accept(self, e, word):
        assert self.eligible(e), f"engine {e} was offered an instruction before its tokens were there"
        number, item = self.order[e][self.issued[e]]
        assert not item["sync"] and item["word"] == word
        self._issue(e)
        self._settle()
        return number

    def done(self, e):
        self._retire(e)
        self._settle()

    def complete(self):
        return all(r == len(o) for r, o in zip(self.retired, self.order, strict=True))


async def engine(dut, name, model, rng, *, ready, latency, overlap):
    """An engine: up to `overlap` instructions at once, done in order."""
    e = ENGINES.index(name)
    port = {key: getattr(dut, f"{name}_{key}") for key in ("instruction__valid", "instruction__ready",
                                                          "instruction__payload", "done", "error")}
    held, offered = [], None
    port["done"].value = port["error"].value = 0
    while True:
        taking = len(held) < overlap and rng.random() < ready
        port["instruction__ready"].value = int(taking)
        held = [max(0, left - 1) for left in held]
        finish = bool(held) and held[0] == 0
        port["done"].value = int(finish)
        await ReadOnly()
        word = int(port["instruction__payload"].value) if int(port["instruction__valid"].value) else None
        assert offered is None or word == offered, "an offer was withdrawn or changed"
        offered = None if taking else word
        await FallingEdge(dut.clk)
        if taking and word is not None:
            model.accept(e, word)
            held.append(rng.randint(1, latency))
        if finish:
            held.pop(0)
            model.done(e)
