"""MatrixEngine against the golden product: operands from buffers in Python, every port at its own pace, faults in any place."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from cocotb.triggers import FallingEdge

from acceltran.hw.matrix.matrix_engine import MatrixEngine
from acceltran.hw.pe.pe_format import PEFormat
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.error_codes import ENGINE_CODE, ErrorCode
from acceltran.hw.spec.isa import LoopOrder, Opcode, encode
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.fixed import saturate
from acceltran.sw.golden.matmul import matmul
from acceltran.sw.golden.post_process import post_process
from support.configs import CONFIGS, SMALL
from support.engine_bench import EngineBench
from support.post_commands import PostCommand
from support.streams import tile_beats

PLAIN = {"integer_bits": 4, "fraction_bits": 4, "functions": ("relu",), "max_inner": 256, "lines_per_beat": 2, "window": 2}
GRIDS = {
    "column": AcceleratorConfig(**SMALL | PLAIN, name="column", grid_rows=2, grid_columns=1, psum_tiles=2, weight_bits=5,
                                activation_banks=2, wires="long"),
    "row": AcceleratorConfig(**SMALL | PLAIN, name="row", grid_rows=1, grid_columns=2, activation_banks=2),
}
SLOW = {name: replace(CONFIGS[name], max_inner=256) for name in ("one_pe", "four_pes", "one_by_two", "window_of_eight")}
SOURCES, AREA = 256, 64
"""Slots that operands are in; behind them each product has an area for its result, in turn."""


class _SharedWeights:
    """What a `WeightBroadcast` gives: the tiles asked for, column by column."""

    def __init__(self, bench):
        self.bench, self.dut = bench, bench.dut
        self.columns = [[] for _ in range(bench.config.grid_columns)]
        self.offered = [False] * len(self.columns)

    def drive(self):
        bench, dut = self.bench, self.dut
        dut.b_weight_request__ready.value = int(bench.rng.random() >= bench.stall)
        for n, beats in enumerate(self.columns):
            self.offered[n] = self.offered[n] or bool(beats) and bench.rng.random() >= bench.stall
            getattr(dut, f"b_weight__{n}__valid").value = int(self.offered[n])
            if self.offered[n]:
                getattr(dut, f"b_weight__{n}__payload").value = beats[0]
        dut.b_weight_idle.value = int(not any(self.columns))

    def sample(self):
        bench, dut, config = self.bench, self.dut, self.bench.config
        for n, beats in enumerate(self.columns):
            if self.offered[n] and getattr(dut, f"b_weight__{n}__ready").value:
                beats.pop(0)
                self.offered[n] = False
        if dut.b_weight_request__valid.value and dut.b_weight_request__ready.value:
            word, lanes = int(dut.b_weight_request__payload.value), len(self.columns)
            empty = np.zeros((config.tile, config.tile), dtype=np.int64)
            for n, beats in enumerate(self.columns):
                active = word >> lanes * SLOT_BITS + n & 1
                slot = word >> n * SLOT_BITS & (1 << SLOT_BITS) - 1
                beats += tile_beats(bench.tiles["weight"].get(slot, empty) if active else empty, config.b_width,
                                    config.lines_per_beat, transpose=word >> lanes * (SLOT_BITS + 1), rng=bench.rng, held=True)


class Bench(EngineBench):
    """The engine with operands, and products of them."""

    def __init__(self, dut, seed):
        config = AcceleratorConfig.from_dict(parameters()["config"])
        weights = {} if parameters()["shared"] else {"b_weight_read": ("weight", config.grid_columns)}
        super().__init__(
            dut, config, seed, lines=[("line_request", "line")],
            reads={"a_read": ("activation", config.grid_rows), "b_activation_read": ("activation", config.grid_columns),
                   **weights},
            writes=[f"write__{n}" for n in range(config.grid_rows + config.grid_columns - 1)])
        if parameters()["shared"]:
            self.more = [_SharedWeights]
        self.p = asdict(PEFormat.of(config))
        self.fill("activation", SOURCES)
        self.fill("weight", config.weight_tiles)
        self.expected = []

    def fields(self, number, **fixed):
        """Of a MATMUL that is right in everything."""
        rng, config = self.rng, self.config
        f = {name: rng.choice((1, 1, 2, 3)) for name in ("batch", "rows", "inner", "columns")}
        f |= {"b_buffer": rng.randrange(2), "transpose": rng.randrange(2), "order": int(rng.choice(list(LoopOrder)))} | fixed
        f["a_pitch"], f["b_pitch"] = (2 * rng.randrange(4) + 1 for _ in range(2))
        f["c_pitch"] = f["columns"] + rng.randrange(2)
        f["c_batch"] = f["rows"] * f["c_pitch"]
        f["a_batch"], f["b_batch"] = (rng.choice((0, 1, 5)) for _ in range(2))
        f["c_slot"] = SOURCES + number % 4 * AREA
        b_tiles = SOURCES if f["b_buffer"] else config.weight_tiles
        a_last = (f["rows"] - 1) * f["a_pitch"] + f["inner"] - 1 + (f["batch"] - 1) * f["a_batch"]
        outer, inner = (f["columns"], f["inner"]) if f["transpose"] else (f["inner"], f["columns"])
        b_last = (outer - 1) * f["b_pitch"] + inner - 1 + (f["batch"] - 1) * f["b_batch"]
        f["a_slot"], f["b_slot"] = rng.randrange(SOURCES - a_last), rng.randrange(b_tiles - b_last)
        post = PostCommand(rng, self.p, self.p["width"] + self.p["b_width"] + 2)
        f |= {name: post.fields[name] for name in ("bias_shift", "shift", "function", "function_shift")}
        f |= {"bias": rng.randrange(2), "bias_line": 4 * number % (config.vector_lines - 2)}
        f["curve"] = rng.randrange(len(self.taus))
        return f | fixed

    def add(self, f):
        """The instruction of such fields; what it gives is expected from then on."""
        rng, config, size = self.rng, self.config, self.config.tile
        if f["bias"]:
            most = min((1 << config.scale_bits) - 1, config.accumulator_width - config.width - f["bias_shift"])
            low, top = -(1 << config.width - 1), (1 << config.width - 1) - 1
            for column in range(f["columns"]):
                self.vectors[f["bias_line"] + column] = ([rng.choice((low, top, rng.randint(low, top))) for _ in range(size)],
                                                         [rng.choice((0, most, rng.randint(0, most))) for _ in range(size)])
        tiles = {}
        for b in range(f["batch"]):
            for j in range(f["columns"]):
                right = torch.from_numpy(np.concatenate([self._b(f, b, k, j) for k in range(f["inner"])]))
                values, scales = self.vectors[f["bias_line"] + j] if f["bias"] else (None, [0] * size)
                for i in range(f["rows"]):
                    first = f["a_slot"] + b * f["a_batch"] + i * f["a_pitch"]
                    left = np.concatenate([self.tiles["activation"][first + k] for k in range(f["inner"])], axis=1)
                    tiles[f["c_slot"] + b * f["c_batch"] + i * f["c_pitch"] + j] = post_process(
                        matmul(torch.from_numpy(left), right), None if values is None else torch.tensor(values),
                        tau=self.taus[f["curve"]], width=config.width, functions=config.functions,
                        scales=torch.tensor(scales) if config.scale_bits else None,
                        **{name: f[name] for name in ("bias_shift", "shift", "function", "function_shift")}).numpy()
        self.expected.append(tiles)
        return self.word(f)

    def _b(self, f, b, k, j):
        """Tile (k, j) of B as it enters the product."""
        place = j * f["b_pitch"] + k if f["transpose"] else k * f["b_pitch"] + j
        tile = self.tiles["activation" if f["b_buffer"] else "weight"][f["b_slot"] + b * f["b_batch"] + place]
        tile = saturate(torch.from_numpy(tile), self.config.b_width).numpy() if f["b_buffer"] else tile
        return tile.T if f["transpose"] else tile

    @staticmethod
    def word(f):
        return int.from_bytes(encode(Opcode.MATMUL, **f), "little")

    def on_done(self, number):
        """Every tile of a product is there when it is done, and what else is there belongs to later ones."""
        for slot, tile in self.expected[number].items():
            assert slot in self.results, f"product {number} is done without slot {slot}"
            assert (self.results.pop(slot) == tile).all(), (number, slot)

    async def reset(self):
        self.expected = []
        await super().reset()


@simulated()
async def check_products(dut):
    """Back to back, in all loop orders, at any pace."""
    bench = Bench(dut, 1)
    await bench.begin()
    for stall, orders in ((0, list(LoopOrder)[:12]), (0.4, list(LoopOrder)[12:]), (0.8, list(LoopOrder)[::6])):
        bench.stall = stall
        await bench.reset()
        words = [bench.add(bench.fields(number, order=int(order))) for number, order in enumerate(orders)]
        await bench.run(words)
        assert bench.error is None and not bench.results
        await FallingEdge(dut.clk)
        assert not dut.busy.value and not dut.pe_busy.value


@simulated()
async def check_sources_of_b(dut):
    """B changes between the buffers at every product; nothing of one reaches a product of the other."""
    bench = Bench(dut, 2)
    bench.stall = 0.2
    await bench.begin()
    words = [bench.add(bench.fields(n, b_buffer=n % 2, batch=1, rows=1, columns=2, inner=1 + n % 3)) for n in range(14)]
    await bench.run(words)
    assert bench.error is None and not bench.results


def faults(bench):
    """(changes to good fields, error code)"""
    config, field = bench.config, ErrorCode.ENGINE_FIELD
    yield from (({name: 0}, field) for name in ("batch", "rows", "inner", "columns"))
    yield {"shift": -25}, field
    yield {"function_shift": -9}, field
    yield {"function_shift": 21}, field
    yield {"bias_shift": config.accumulator_width - config.width + 1}, field
    if config.grid_rows > 1:
        yield {"rows": 2, "a_pitch": 2}, field
    if config.grid_columns > 1:
        yield {"columns": 2, "transpose": 1, "b_pitch": 2}, field
    yield {"a_slot": config.activation_tiles - 1, "inner": 2}, ErrorCode.SLOT_RANGE
    yield {"b_buffer": 1, "b_slot": config.activation_tiles - 1, "inner": 3, "transpose": 1}, ErrorCode.SLOT_RANGE
    yield {"b_buffer": 0, "b_slot": config.weight_tiles - 1, "inner": 2, "b_pitch": 1, "transpose": 0}, ErrorCode.SLOT_RANGE
    yield {"c_slot": config.activation_tiles - 1, "rows": 2, "c_pitch": 1}, ErrorCode.SLOT_RANGE
    yield {"bias": 1, "columns": 2, "bias_line": config.vector_lines - 1}, ErrorCode.LINE_RANGE


@simulated()
async def check_faults(dut):
    """Each is reported when all before it is done, and not before."""
    bench = Bench(dut, 3)
    await bench.begin()
    for number, (change, code) in enumerate(faults(bench)):
        bench.stall = (0, 0.5)[number % 2]
        await bench.reset()
        before = number % 4
        good = [bench.add(bench.fields(n)) for n in range(before)]
        bad = bench.fields(before) | {"curve": 0} | change
        await bench.run([*good, bench.word(bad), bench.word(bench.fields(before + 1))])
        assert bench.error == (code - ENGINE_CODE, before), change


@simulated()
async def check_what_is_just_legal(dut):
    """The last slot and line, the ends of all shifts, an even pitch where one lane alone is used."""
    bench = Bench(dut, 4)
    config = bench.config
    for slot in range(config.activation_tiles - 2, config.activation_tiles):
        bench.tiles["activation"][slot] = bench.tiles["activation"][slot % 7]
    await bench.begin()
    one = dict.fromkeys(("batch", "rows", "inner", "columns"), 1)
    changes = [
        one | {"a_slot": config.activation_tiles - 1, "a_pitch": 2}, one | {"b_buffer": 0, "b_slot": config.weight_tiles - 1},
        one | {"b_buffer": 1, "b_slot": config.activation_tiles - 2, "b_pitch": 2, "transpose": 1},
        one | {"bias": 1, "bias_line": config.vector_lines - 1}, one | {"shift": -24}, one | {"shift": 63},
        one | {"bias": 1, "bias_shift": min(37, config.accumulator_width - config.width)},
        one | {"function_shift": -8}, one | {"function_shift": 20},
    ]
    await bench.run([bench.add(bench.fields(number) | change) for number, change in enumerate(changes)])
    assert bench.error is None and not bench.results


@pytest.mark.parametrize(("name", "shared"), [
    ("column", False), ("row", True), *(pytest.param(name, False, marks=pytest.mark.slow) for name in SLOW),
    pytest.param("four_pes", True, marks=pytest.mark.slow),
])
def test_matrix_engine(name, shared):
    config = (GRIDS | SLOW)[name]
    simulate_component(__name__, MatrixEngine(config=config, shared_weights=shared), config=config.to_dict(), shared=shared)
