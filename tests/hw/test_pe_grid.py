"""PEGrid: one product per PE from shared rows of A and columns of B, each tile out at the port of its anti-diagonal."""

import random
from collections import defaultdict
from dataclasses import asdict, replace

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.layout import pe_command, tile_write
from acceltran.hw.matrix.pe_grid import PEGrid, lost_multipliers
from acceltran.hw.pe.pe_format import PEFormat
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.widths import SLOT_BITS, TAG_BITS
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.configs import CONFIGS, SMALL
from support.pe_work import Work
from support.post_commands import PostCommand
from support.streams import collect, random_tile, send, start
from support.tile_writes import unpack_write, writes_of

PLAIN = {"integer_bits": 4, "fraction_bits": 4, "functions": (), "max_inner": 256, "lines_per_beat": 2, "window": 2}
GRIDS = {
    "square": AcceleratorConfig(**SMALL | PLAIN, name="square", grid_rows=2, grid_columns=2, activation_banks=2,
                                weight_banks=2),
    "column": AcceleratorConfig(**SMALL | PLAIN, name="column", grid_rows=2, grid_columns=1, psum_tiles=2, weight_bits=5,
                                activation_banks=2, wires="long"),
}
SLOW = {name: replace(CONFIGS[name], max_inner=256) for name in ("four_pes", "one_by_two", "window_of_eight")}


class Job:
    """The same steps for all PEs; tiles of A for each row, of B for each column, a command for each output tile of each PE."""

    def __init__(self, config, rng, tiles, densities=(0, 0.05, 0.3, 0.8, 1), discards=0.2):
        self.config, form = config, PEFormat.of(config)
        self.p = asdict(form)
        rows, columns, size = range(config.grid_rows), range(config.grid_columns), config.tile
        self.works = {(r, c): Work(self.p) for r in rows for c in columns}
        kept, held = (False, False), [None, None]
        for n in range(tiles):
            length, chunk = rng.choice((1, 1, 2, 3)), rng.randint(1, config.psum_tiles)
            for k in range(length):
                for place in range(chunk):
                    if not kept[0]:
                        held[0] = [random_tile(rng, size, form.width, rng.choice(densities)) for _ in rows]
                    if not kept[1]:
                        held[1] = [random_tile(rng, size, form.b_width, rng.choice(densities)) for _ in columns]
                        transpose = rng.random() < 0.4
                    last = k == length - 1
                    end = n == tiles - 1 and last and place == chunk - 1
                    kept = tuple(not end and rng.random() < 0.3 for _ in range(2))
                    for (r, c), work in self.works.items():
                        work.step(held[0][r], held[1][c], transpose=transpose, last=last, a_release=not kept[0],
                                  b_release=not kept[1], ahead=0 if last else place)
        self._command(rng, discards)

    def _command(self, rng, discards):
        layout = pe_command(self.p["tile"], self.p["width"], self.p["scale_bits"])
        self.commands, self.writes, slots = {}, defaultdict(list), rng.sample(range(1 << SLOT_BITS), 4096)
        for (r, c), work in self.works.items():
            work.align()
            words = self.commands[r, c] = []
            for sums in work.outputs:
                post = PostCommand(rng, self.p, int(np.abs(sums).max()).bit_length() + 1)
                post.slot, tag, discard = slots.pop(), rng.randrange(1 << TAG_BITS), rng.random() < discards
                word = layout.const({"post": post.values, "tag": tag, "discard": int(discard)}).as_value().value
                words.append(word & (1 << layout.size) - 1)
                if not discard:
                    self.writes[r, c] += [(tag, *write) for write in writes_of(post.result(sums), post.slot,
                                                                             self.p["lines_per_beat"])]

    @property
    def fired(self):
        return sum(work.fired for work in self.works.values())

    def words(self):
        """Payloads by port."""
        first = self.works[0, 0]
        columns = self.config.grid_columns
        return {
            "step": first.steps,
            **{f"a__{r}": [w for t in work.a for w in t] for (r, c), work in self.works.items() if c == 0},
            **{f"b__{c}": [w for t in work.b for w in t] for (r, c), work in self.works.items() if r == 0},
            **{f"command__{r * columns + c}": words for (r, c), words in self.commands.items()},
        }

    def check(self, number, words):
        """What came out of a port: the writes of its PEs, each PE's in order."""
        shift = tile_write(self.p["tile"], self.p["width"], self.p["lines_per_beat"]).size
        members = {at for at in self.works if sum(at) == number}
        by_slot = {write[2]: at for at in members for write in self.writes[at]}
        found = defaultdict(list)
        for word in words:
            lines, slot, mask = unpack_write(word & (1 << shift) - 1, self.p["tile"], self.p["width"], self.p["lines_per_beat"])
            assert slot in by_slot, f"port {number}: a write to a slot of another PE"
            found[by_slot[slot]].append((word >> shift, lines, slot, mask))
        assert all(found[at] == self.writes[at] for at in members), number


def ports(config):
    return ["step", *(f"a__{n}" for n in range(config.grid_rows)), *(f"b__{n}" for n in range(config.grid_columns)),
            *(f"command__{n}" for n in range(config.pes))]


async def begin(dut):
    config = AcceleratorConfig.from_dict(parameters()["config"])
    await start(dut, *ports(config))
    await FallingEdge(dut.clk)
    return config


class Counts:
    """All multipliers are accounted for in every cycle."""

    def __init__(self, dut, config):
        self.dut, self.config, self.fired = dut, config, 0
        self.lost = dict.fromkeys(("operands", "output", "imbalance", "idle"), 0)

    async def watch(self):
        layout = lost_multipliers(self.config.multipliers)
        await FallingEdge(self.dut.clk)
        while True:
            await ReadOnly()
            lost, fired = layout.from_bits(int(self.dut.lost.value)), int(self.dut.fired.value)
            assert fired + sum(lost[name] for name in self.lost) == self.config.multipliers
            self.fired += fired
            self.lost = {name: before + lost[name] for name, before in self.lost.items()}
            await FallingEdge(self.dut.clk)


async def run(dut, job, rng, pace):
    """All ports at once, each with a probability of its own to pause; `pace` gives it."""
    config, words = job.config, job.words()
    for _ in range(6):  # The counters come through registers.
        await FallingEdge(dut.clk)
    counts = Counts(dut, config)
    watch = cocotb.start_soon(counts.watch())
    tasks = [cocotb.start_soon(send(dut, port, words[port], rng, pace(port))) for port in words]
    takers = []
    for number in range(config.grid_rows + config.grid_columns - 1):
        count = sum(len(writes) for at, writes in job.writes.items() if sum(at) == number)
        takers.append(cocotb.start_soon(collect(dut, f"o__{number}", count, rng, pace("o"))))
    for number, taker in enumerate(takers):
        job.check(number, await taker)
    for task in tasks:
        await task
    for number in range(len(takers)):
        getattr(dut, f"o__{number}__ready").value = 1
    for _ in range(6 * config.tile):
        await FallingEdge(dut.clk)
        assert not any(getattr(dut, f"o__{number}__valid").value for number in range(len(takers)))
    for number in range(len(takers)):
        getattr(dut, f"o__{number}__ready").value = 0
    watch.cancel()
    assert counts.fired == job.fired and not dut.busy.value
    return counts


@simulated()
async def check_products(dut):
    config, rng = await begin(dut), random.Random(1)
    for idle in (0, 0.5):
        await run(dut, Job(config, rng, 5), rng, lambda port, idle=idle: idle)


@simulated()
async def check_one_slow_port(dut):
    """Whichever it is, what the other PEs do stays right."""
    config, rng = await begin(dut), random.Random(2)
    for slow in [*ports(config), "o"]:
        await run(dut, Job(config, rng, 2), rng, lambda port, slow=slow: 0.8 if port == slow else 0.1)


@simulated()
async def check_a_port_that_waits(dut):
    """Only those PEs stop that have to write there; each says for itself whether it is busy."""
    config, rng = await begin(dut), random.Random(3)
    job = Job(config, rng, 6, densities=(1,), discards=0)
    words = job.words()
    tasks = [cocotb.start_soon(send(dut, port, words[port])) for port in words if port != "step"]
    assert not dut.busy.value
    tasks.append(cocotb.start_soon(send(dut, "step", words["step"])))
    outputs = range(config.grid_rows + config.grid_columns - 1)
    for _ in range(40 * config.tile):
        await FallingEdge(dut.clk)
    assert int(dut.busy.value) == (1 << config.pes) - 1
    lost = lost_multipliers(config.multipliers).from_bits(int(dut.lost.value))
    assert lost.output > config.multipliers // 2 and not int(dut.fired.value)
    taken = {number: cocotb.start_soon(collect(dut, f"o__{number}", sum(
        len(writes) for at, writes in job.writes.items() if sum(at) == number))) for number in outputs}
    for number, taker in taken.items():
        job.check(number, await taker)
    for task in tasks:
        await task
    for _ in range(8 * config.tile):
        await FallingEdge(dut.clk)
    lost = lost_multipliers(config.multipliers).from_bits(int(dut.lost.value))
    assert lost.idle == config.multipliers and not dut.busy.value


@simulated()
async def check_a_row_without_operands(dut):
    """The PEs of the other row finish; those of this one say that they wait, and for what."""
    config, rng = await begin(dut), random.Random(5)
    job = Job(config, rng, 1, densities=(1,), discards=0)
    words = job.words()
    tasks = [cocotb.start_soon(send(dut, port, words[port])) for port in words if port != "a__1"]
    takers = [cocotb.start_soon(collect(dut, f"o__{number}", sum(
        len(writes) for at, writes in job.writes.items() if sum(at) == number)))
        for number in range(config.grid_rows + config.grid_columns - 1)]
    for _ in range(40 * config.tile):
        await FallingEdge(dut.clk)
    lost = lost_multipliers(config.multipliers).from_bits(int(dut.lost.value))
    assert int(dut.busy.value) == (1 << config.grid_columns) - 1 << config.grid_columns
    assert lost.operands == lost.idle == config.multipliers // 2
    tasks.append(cocotb.start_soon(send(dut, "a__1", words["a__1"])))
    for number, taker in enumerate(takers):
        job.check(number, await taker)
    for task in tasks:
        await task


@simulated()
async def check_dense(dut):
    """Dense tiles of equal length keep every multiplier at work but for the beginning and the end."""
    config, rng = await begin(dut), random.Random(4)
    job = Job(config, rng, 16, densities=(1,))
    counts = await run(dut, job, rng, lambda port: 0)
    assert sum(counts.lost[cause] for cause in ("operands", "output", "imbalance")) <= 0.15 * job.fired, counts.lost


@pytest.mark.parametrize("name", [*GRIDS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_pe_grid(name):
    config = (GRIDS | SLOW)[name]
    simulate_component(__name__, PEGrid(config=config), config=config.to_dict())
