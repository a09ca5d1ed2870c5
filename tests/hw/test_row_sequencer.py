"""Row sequencer: every row once, to units in turn, instructions overlapping and done in order, faults blamed on theirs."""

import random

import pytest
from amaranth.lib import data
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.spec.error_codes import ENGINE_CODE, ErrorCode
from acceltran.hw.spec.isa import Opcode, encode
from acceltran.hw.vector.layernorm_unit import layernorm_command
from acceltran.hw.vector.row_sequencer import RowSequencer
from acceltran.hw.vector.softmax_unit import softmax_command
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import start

WIDTH, TILE, UNITS, SLOTS, LINES = 8, 8, 3, 200, 40
KINDS = {"softmax": (Opcode.SOFTMAX, softmax_command(WIDTH)), "layernorm": (Opcode.LAYERNORM, layernorm_command(WIDTH))}


def random_fields(rng, opcode):
    """A legal instruction without header, and its threshold."""
    rows, columns = rng.randint(1, 5), rng.randint(1, 4)
    fields = {"rows": rows, "columns": columns, "curve": 0}
    for name in "xro" if opcode is Opcode.LAYERNORM else "xo":
        fields |= {f"{name}_pitch": rng.randint(0, 20), f"{name}_slot": rng.randint(0, SLOTS - 4 * 20 - 4)}
    if opcode is Opcode.SOFTMAX:
        return fields | {"valid_columns": rng.randint(1, columns * TILE), "x_shift": rng.getrandbits(5), "o_frac": 5}
    return fields | {"residual": rng.randrange(2), "x_shift": -2, "r_shift": 3, "reciprocal": rng.getrandbits(24),
                     "reciprocal_shift": 9, "epsilon": rng.getrandbits(56), "gamma_line": rng.randint(0, LINES - 4),
                     "beta_line": rng.randint(0, LINES - 4), "beta_shift": 4, "shift": 5}


class Bench:
    """Units that take a row at their own pace, several at a time, and finish them in order."""

    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.opcode, self.layout = KINDS[parameters()["kind"]]
        self.held = [[] for _ in range(UNITS)]
        self.rows, self.done, self.finished, self.most = [], 0, [], 0
        self.sent = self.fault = 0

    async def run(self, instructions, *, pace, cycles):
        """Offer the instructions; returns when all are done, or a fault stands, or after `cycles`."""
        dut, rng = self.dut, self.rng
        queue = list(instructions)
        for _ in range(cycles):
            offered = bool(queue) and rng.random() < pace
            dut.i__valid.value = int(offered)
            if offered:
                fields, tau = queue[0]
                word = int.from_bytes(encode(self.opcode, **fields), "little")
                dut.i__payload.value = word | tau << 512
            ready = [len(h) < 3 and rng.random() < pace for h in self.held]
            finish = [n for n, h in enumerate(self.held) if h and rng.random() < 0.15]
            for n in range(UNITS):
                getattr(dut, f"command__{n}__ready").value = int(ready[n])
            dut.finished.value = sum(1 << n for n in finish)
            await ReadOnly()
            self.fault = int(dut.fault.value)
            self.done += int(dut.done.value)
            assert self.done <= self.complete(), "an instruction is done before its rows"
            if offered and int(dut.i__ready.value):
                queue.pop(0)
                self.sent += 1
            for n in range(UNITS):
                if ready[n] and int(getattr(dut, f"command__{n}__valid").value):
                    command = data.Const(self.layout, int(getattr(dut, f"command__{n}__payload").value))
                    self.rows.append((n, command))
                    self.held[n].append(len(self.rows) - 1)
            for n in finish:
                self.finished.append(self.held[n].pop(0))
            self.most = max(self.most, self.sent - self.done)
            await FallingEdge(dut.clk)
            if self.fault & 1 or not queue and self.done == self.sent:
                return
        raise AssertionError("it does not end")

    def complete(self):
        """Instructions all of whose rows are finished, in order."""
        count, first = 0, 0
        for rows in self.wanted_rows:
            if not all(n in self.finished for n in range(first, first + rows)):
                break
            count, first = count + 1, first + rows
        return count


@simulated()
async def check_rows(dut):
    rng = random.Random(3)
    await start(dut, "i")
    bench, turn = Bench(dut, rng), 0
    for pace in (1.0, 0.3):
        instructions = [(random_fields(rng, bench.opcode), rng.getrandbits(WIDTH - 1)) for _ in range(40)]
        bench.rows, bench.finished, bench.sent, bench.done, bench.most = [], [], 0, 0, 0
        bench.wanted_rows = [fields["rows"] for fields, _ in instructions]
        await bench.run(instructions, pace=pace, cycles=20000)
        assert bench.most > 1, "instructions do not overlap"
        assert not bench.fault & 1
        expected = [(fields, tau, row) for fields, tau in instructions for row in range(fields["rows"])]
        assert len(bench.rows) == len(expected)
        for (unit, command), (fields, tau, row) in zip(bench.rows, expected, strict=True):
            assert unit == turn
            turn = (turn + 1) % UNITS
            for name in command.shape().members:
                want = tau if name == "tau" else fields[name]
                if name in ("x_slot", "r_slot", "o_slot"):
                    want += row * fields[f"{name[0]}_pitch"]
                assert command[name] == want, name


@simulated()
async def check_faults(dut):
    rng = random.Random(4)
    cases = [({"rows": 0}, "ENGINE_FIELD"), ({"columns": 0}, "ENGINE_FIELD"),
             ({"x_slot": SLOTS - 1, "columns": 2, "rows": 1}, "SLOT_RANGE"),
             ({"o_slot": 10, "o_pitch": 100, "rows": 4, "columns": 1}, "SLOT_RANGE")]
    cases += ([({"gamma_line": LINES - 1, "columns": 2}, "LINE_RANGE"), ({"beta_line": LINES, "columns": 1}, "LINE_RANGE"),
               ({"residual": 1, "r_slot": SLOTS}, "SLOT_RANGE")] if parameters()["kind"] == "layernorm" else
              [({"valid_columns": 0}, "ENGINE_FIELD"), ({"columns": 2, "valid_columns": 17}, "ENGINE_FIELD")])
    await start(dut, "i")
    for change, code in cases:
        dut.rst.value = 1
        await FallingEdge(dut.clk)
        dut.rst.value = 0
        bench = Bench(dut, rng)
        good = [(random_fields(rng, bench.opcode), 0) for _ in range(3)]
        fields = random_fields(rng, bench.opcode)
        fields["valid_columns"] = 1
        if bench.opcode is Opcode.LAYERNORM:
            del fields["valid_columns"]
        bad = (fields | change, 0)
        bench.wanted_rows = [f["rows"] for f, _ in good] + [99]
        await bench.run([*good, bad, *good], pace=0.8, cycles=5000)
        assert (bench.fault & 1, bench.fault >> 1) == (1, ErrorCode[code] - ENGINE_CODE), change
        assert bench.done == 3, "the fault is raised once those before it are done"
        assert bench.sent == 4


@pytest.mark.parametrize("kind", KINDS)
def test_row_sequencer(kind):
    opcode, command = KINDS[kind]
    simulate_component(__name__, RowSequencer(opcode=opcode, width=WIDTH, tile=TILE, units=UNITS, command=command,
                                    activation_tiles=SLOTS, vector_lines=LINES), kind=kind)
