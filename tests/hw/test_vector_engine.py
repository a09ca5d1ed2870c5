"""VectorEngine against the golden softmax and layer-norm: both kinds at once, done in order, every port at its own pace."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cocotb.triggers import FallingEdge

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.error_codes import ENGINE_CODE, ErrorCode
from acceltran.hw.spec.isa import Opcode, encode
from acceltran.hw.spec.softmax import x_shifts
from acceltran.hw.vector.vector_engine import VectorEngine
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.layernorm import layernorm, layernorm_fields
from acceltran.sw.golden.softmax import softmax
from support.configs import CONFIGS, SMALL
from support.engine_bench import EngineBench

PLAIN = {"integer_bits": 4, "fraction_bits": 4, "functions": (), "max_inner": 256, "lines_per_beat": 2, "window": 2}
ENGINES = {
    "one": AcceleratorConfig(**SMALL | PLAIN, name="one", grid_rows=1, grid_columns=1, activation_banks=2, weight_bits=5,
                             wires="long"),
    "two": AcceleratorConfig(**SMALL | PLAIN, name="two", grid_rows=2, grid_columns=1, activation_banks=2, softmax_units=2,
                             layernorm_units=2, layernorm_slices=2),
}
EVERY_DAY = ("one",)
SLOW = {name: replace(CONFIGS[name], max_inner=256) for name in ("one_pe", "four_pes", "window_of_eight")}
SOURCES, AREAS, AREA = 192, 10, 32
"""Slots that operands are in; behind them, for as many instructions as may be in work, an area each."""


class Bench(EngineBench):
    """The engine with operands, and instructions for them."""

    def __init__(self, dut, seed):
        config = AcceleratorConfig.from_dict(parameters()["config"])
        slices = config.layernorm_units * config.layernorm_slices
        super().__init__(
            dut, config, seed, lines=[(f"line_request__{n}", f"line__{n}") for n in range(slices)],
            reads={f"read_{n}": ("activation", 1) for n in range(config.softmax_units + 2 * slices)},
            writes=[f"write__{n}" for n in range(config.softmax_units + slices)])
        self.fill("activation", SOURCES)
        top = (1 << config.width - 1) - 1
        for line in range(config.vector_lines):
            self.vectors[line] = ([self.rng.randint(-top - 1, top) for _ in range(config.tile)],
                                  [self.rng.getrandbits(config.scale_bits) if config.scale_bits else 0] * config.tile)
        self.expected = []

    def _places(self, number, *, rows=None, columns=None):
        rng = self.rng
        rows, columns = rows or rng.choice((1, 1, 2, 3)), columns or rng.choice((1, 2, 3))
        f = {"rows": rows, "columns": columns, "curve": rng.randrange(len(self.taus))}
        f |= {"o_slot": SOURCES + number % AREAS * AREA, "o_pitch": columns + rng.randrange(3)}
        f["x_pitch"] = rng.choice((0, columns, columns + 2, 17))
        f["x_slot"] = rng.randrange(SOURCES - (rows - 1) * f["x_pitch"] - columns + 1)
        return f

    def softmax(self, number, **fixed):
        """Fields of a SOFTMAX that is right in everything."""
        rng, width = self.rng, self.config.width
        f = self._places(number, **{name: value for name, value in fixed.items() if name in ("rows", "columns")})
        f |= {"valid_columns": rng.randint(1, f["columns"] * self.config.tile), "x_shift": rng.choice(x_shifts(width)),
              "o_frac": rng.choice((width - 2, width // 2, 0))}
        return f | fixed

    def layernorm(self, number, **fixed):
        """Fields of a LAYERNORM that is right in everything."""
        rng, config = self.rng, self.config
        f = self._places(number, **{name: value for name, value in fixed.items() if name in ("rows", "columns")})
        residual, frac = rng.randrange(2), config.width - 4
        f |= {"residual": residual, "r_pitch": rng.choice((0, f["columns"] + 1))}
        f["r_slot"] = rng.randrange(SOURCES - (f["rows"] - 1) * f["r_pitch"] - f["columns"] + 1)
        f |= {name: rng.randrange(config.vector_lines - f["columns"] + 1) for name in ("gamma_line", "beta_line")}
        f |= layernorm_fields(n=f["columns"] * config.tile, x_frac=frac, r_frac=frac + 1 if residual else None, x_max=8.0,
                              r_max=4.0 if residual else None, gamma_frac=frac + 1, beta_frac=frac + 2, o_frac=frac, eps=1e-5,
                              width=config.width)
        return f | fixed

    def add(self, opcode, f):
        """The instruction of such fields; what it gives is expected from then on."""
        results = {}
        for row in range(f["rows"]):
            x = self._row(f["x_slot"] + row * f["x_pitch"], f["columns"])
            tau = self.taus[f["curve"]]
            if opcode is Opcode.SOFTMAX:
                y = softmax(x, **{name: f[name] for name in ("valid_columns", "x_shift", "o_frac")}, tau=tau,
                            width=self.config.width, tile=self.config.tile)
            else:
                gamma, beta = (torch.tensor([v for n in range(f["columns"]) for v in self.vectors[f[name] + n][0]])
                               for name in ("gamma_line", "beta_line"))
                r = self._row(f["r_slot"] + row * f["r_pitch"], f["columns"]) if f["residual"] else None
                y = layernorm(x, gamma, beta, residual=r, tau=tau, width=self.config.width, **{name: f[name] for name in (
                    "x_shift", "r_shift", "reciprocal", "reciprocal_shift", "epsilon", "beta_shift", "shift")})
            for n, tile in enumerate(np.split(y.numpy(), f["columns"], axis=1)):
                results[f["o_slot"] + row * f["o_pitch"] + n] = tile
        self.expected.append(results)
        return self.word(opcode, f)

    def _row(self, slot, columns):
        return torch.from_numpy(np.concatenate([self.tiles["activation"][slot + n] for n in range(columns)], axis=1))

    def any(self, number):
        """A random instruction, expected."""
        opcode = self.rng.choice((Opcode.SOFTMAX, Opcode.LAYERNORM))
        return self.add(opcode, getattr(self, opcode.name.lower())(number))

    @staticmethod
    def word(opcode, f):
        return int.from_bytes(encode(opcode, **f), "little")

    def on_done(self, number):
        """Every tile of an instruction is there when it is done, whatever kind those before it were of."""
        for slot, tile in self.expected[number].items():
            assert slot in self.results, f"instruction {number} is done without slot {slot}"
            assert (self.results.pop(slot) == tile).all(), (number, slot)

    async def reset(self):
        self.expected = []
        await super().reset()


@simulated()
async def check_instructions(dut):
    """Of both kinds, back to back, at any pace."""
    bench = Bench(dut, 1)
    await bench.begin()
    for stall in (0, 0.3, 0.8):
        bench.stall = stall
        await bench.reset()
        await bench.run([bench.any(number) for number in range(16)])
        assert bench.error is None and not bench.results
        for _ in range(2):
            await FallingEdge(dut.clk)
        assert not dut.busy.value and not dut.unit_busy.value


@simulated()
async def check_kinds_overlap(dut):
    """A long layer-norm and a long softmax take less time together than one after the other, and are done in order."""
    bench, cycles = Bench(dut, 2), []
    await bench.begin()
    jobs = [(Opcode.LAYERNORM, bench.layernorm), (Opcode.SOFTMAX, bench.softmax)]
    for chosen in (jobs[:1], jobs[1:], jobs):
        await bench.reset()
        begun = bench.cycles
        await bench.run([bench.add(opcode, make(n, rows=3, columns=8)) for n, (opcode, make) in enumerate(chosen)])
        cycles.append(bench.cycles - begun)
        assert bench.error is None and not bench.results
    assert cycles[2] < 0.8 * (cycles[0] + cycles[1]), cycles


def faults(bench):
    """(opcode, changes to good fields, error code)"""
    config, end = bench.config, bench.config.activation_tiles
    for opcode in (Opcode.SOFTMAX, Opcode.LAYERNORM):
        yield opcode, {"rows": 0}, ErrorCode.ENGINE_FIELD
        yield opcode, {"columns": 0}, ErrorCode.ENGINE_FIELD
        for name in ("x", "o"):
            yield opcode, {f"{name}_slot": end}, ErrorCode.SLOT_RANGE
            yield opcode, {"columns": 2, f"{name}_slot": end - 3, f"{name}_pitch": 2, "rows": 2, "valid_columns": 9}, (
                ErrorCode.SLOT_RANGE)
    yield Opcode.SOFTMAX, {"valid_columns": 0}, ErrorCode.ENGINE_FIELD
    yield Opcode.SOFTMAX, {"columns": 2, "valid_columns": 2 * config.tile + 1}, ErrorCode.ENGINE_FIELD
    yield Opcode.LAYERNORM, {"residual": 1, "r_slot": end}, ErrorCode.SLOT_RANGE
    yield Opcode.LAYERNORM, {"columns": 2, "gamma_line": config.vector_lines - 1}, ErrorCode.LINE_RANGE
    yield Opcode.LAYERNORM, {"columns": 2, "beta_line": config.vector_lines - 1}, ErrorCode.LINE_RANGE


@simulated()
async def check_faults(dut):
    """Each is reported when all before it is done, also of the other kind, and not before."""
    bench = Bench(dut, 3)
    await bench.begin()
    for number, (opcode, change, code) in enumerate(faults(bench)):
        bench.stall = (0, 0.5)[number % 2]
        await bench.reset()
        before = number % 5
        good = [bench.any(n) for n in range(before)]
        bad = getattr(bench, opcode.name.lower())(before)
        bad |= {name: value for name, value in change.items() if name in bad}
        await bench.run([*good, bench.word(opcode, bad), bench.word(Opcode.SOFTMAX, bench.softmax(before + 1))])
        assert bench.error == (code - ENGINE_CODE, before), (opcode.name, change)


@simulated()
async def check_what_is_just_legal(dut):
    """The last slots and lines, a residual slot that nobody reads, all columns valid."""
    bench = Bench(dut, 4)
    config = bench.config
    end, last = config.activation_tiles, config.vector_lines - 2
    for n in (1, 2):
        bench.tiles["activation"][end - n] = bench.tiles["activation"][n]
    await bench.begin()
    two = {"rows": 1, "columns": 2}
    words = [
        bench.add(Opcode.SOFTMAX, bench.softmax(0, **two, x_slot=end - 2, valid_columns=2 * config.tile)),
        bench.add(Opcode.LAYERNORM, bench.layernorm(1, **two, x_slot=end - 2, gamma_line=last, beta_line=last)),
        bench.add(Opcode.SOFTMAX, bench.softmax(2, rows=1, columns=1, valid_columns=1)),
    ]
    plain = bench.layernorm(3, **two) | layernorm_fields(
        n=2 * config.tile, x_frac=config.width - 4, x_max=8.0, gamma_frac=config.width - 3, beta_frac=config.width - 2,
        o_frac=config.width - 4, eps=1e-5, width=config.width)
    words.append(bench.add(Opcode.LAYERNORM, plain | {"residual": 0, "r_slot": end}))
    await bench.run(words)
    assert bench.error is None and not bench.results


@pytest.mark.parametrize("name", [name if name in EVERY_DAY else pytest.param(name, marks=pytest.mark.slow)
                                  for name in ENGINES | SLOW])
def test_vector_engine(name):
    config = (ENGINES | SLOW)[name]
    simulate_component(__name__, VectorEngine(config=config), config=config.to_dict())
