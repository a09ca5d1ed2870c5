"""The surroundings of a control unit in tests: a host on AXI4-Lite, a memory that answers fetches, three engines."""

import random

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from acceltran.hw.control.layouts import ENGINES, INSTRUCTION_BITS
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import Opcode, encode
from acceltran.hw.spec.registers import by_name, pack
from acceltran.sim.unit import parameters
from acceltran.sw.host import driver, perform_async
from acceltran.sw.host.driver import IDLE, RESET, START

from .engines import Model, engine, random_program
from .streams import start

__all__ = ["DONE", "ERROR", "HALT", "IDLE", "RESET", "RESETTING", "RUNNING", "SCRUB", "START", "Bench", "Host"]

HALT = {"word": int.from_bytes(encode(Opcode.HALT), "little")}
RUNNING, DONE, ERROR, RESETTING = 2, 4, 8, 16
SCRUB = pack(by_name("CONTROL"), scrub=1)


class Host:
    """The register file over AXI4-Lite, with random pauses; also a bus for the driver."""

    def __init__(self, dut, rng, pause=0.2):
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "csr_"), dut.clk, dut.rst)
        for channel in (self.master.write_if.aw_channel, self.master.write_if.w_channel,
                        self.master.write_if.b_channel, self.master.read_if.ar_channel,
                        self.master.read_if.r_channel):
            channel.set_pause_generator(iter(lambda: rng.random() < pause, None))

    async def read(self, name, word=0, resp=AxiResp.OKAY):
        offset = by_name(name).offset if isinstance(name, str) else name
        answer = await self.master.read(offset + 4 * word, 4)
        assert answer.resp == resp, (name, word)
        return int.from_bytes(answer.data, "little")

    async def write(self, name, value, word=0, resp=AxiResp.OKAY):
        offset = by_name(name).offset if isinstance(name, str) else name
        answer = await self.master.write(offset + 4 * word, value.to_bytes(4, "little"))
        assert answer.resp == resp, (name, word)

    async def counter(self, name):
        return await perform_async(self, driver.read_counter(name))

    async def read_register(self, offset):
        return await self.read(offset)

    async def write_register(self, offset, value):
        await self.write(offset, value)


class Bench:
    """A device with its memory side; engines are added for each run."""

    def __init__(self, dut, seed):
        self.dut, self.rng = dut, random.Random(seed)
        self.config = AcceleratorConfig.from_dict(parameters()["config"])
        self.base, self.program, self.bad, self.silent_from = 0, [], set(), None
        self.fetched, self.offers, self.tasks, self.bus_busy = [], 0, [], False
        self.legal = {"function": range(4), "order": range(24), "curve": range(self.config.prune_curves + 1),
                      "buffer": range(3) if self.config.memory_ports == 1 else (1, 2)}

    async def open(self):
        dut = self.dut
        dut.memory_idle.value = 1
        dut.scrubbed.value = 0
        dut.events.value = dut.matrix_curve.value = dut.vector_curve.value = dut.fetch_request__ready.value = 0
        for name in ENGINES:
            for port in ("done", "error", "busy", "stalled", "instruction__ready"):
                getattr(dut, f"{name}_{port}").value = 0
        await start(dut, "fetch")
        self.host = Host(dut, self.rng)
        cocotb.start_soon(self._memory())
        cocotb.start_soon(self._watch_offers())
        return self

    async def _memory(self):
        """Answers fetches in order; on `flush` drops what waits, after a while, and is idle."""
        dut, rng, waiting, leaving = self.dut, self.rng, [], 0
        while True:
            flushing = int(dut.flush.value)
            taking = not flushing and rng.random() < 0.7
            dut.fetch_request__ready.value = int(taking)
            waiting = [(max(0, left - 1), address) for left, address in waiting]
            answering = bool(waiting) and waiting[0][0] == 0
            if answering:
                number = (waiting[0][1] - self.base) // 64
                answering = self.silent_from is None or number < self.silent_from
            dut.fetch__valid.value = int(answering)
            if answering:
                word = self.program[number]["word"] if number < len(self.program) else rng.getrandbits(512)
                dut.fetch__payload.value = word | int(number in self.bad) << INSTRUCTION_BITS
            await ReadOnly()
            assert not answering or int(dut.fetch__ready.value)
            requested = taking and int(dut.fetch_request__valid.value)
            address = int(dut.fetch_request__payload.value)
            await FallingEdge(dut.clk)
            if answering:
                waiting.pop(0)
            if requested:
                self.fetched.append(address)
                waiting.append((rng.randint(1, 12), address))
                leaving = rng.randint(0, 40)
            if int(dut.flush.value):
                leaving = max(0, leaving - 1)
                if not leaving:
                    waiting = []
            dut.memory_idle.value = int(not waiting and not self.bus_busy)

    async def _watch_offers(self):
        """Count the instructions that engines are newly offered."""
        before = [0] * len(ENGINES)
        while True:
            await FallingEdge(self.dut.clk)
            now = [int(getattr(self.dut, f"{name}_instruction__valid").value) for name in ENGINES]
            self.offers += sum(n and not b for n, b in zip(now, before, strict=True))
            before = now

    def engines(self, model, **behaviour):
        self.stop_engines()
        self.tasks = [cocotb.start_soon(engine(self.dut, name, model, self.rng, **(
            {"ready": 0.6, "latency": 10, "overlap": 3} | behaviour))) for name in ENGINES]

    def stop_engines(self):
        for task in self.tasks:
            task.cancel()
        for name in ENGINES:
            getattr(self.dut, f"{name}_done").value = getattr(self.dut, f"{name}_error").value = 0
        self.tasks = []

    async def load(self, program, *, length=None, bad=(), silent_from=None):
        self.base = 64 * self.rng.randrange(1 << 20)
        self.program, self.bad, self.silent_from, self.fetched = program, set(bad), silent_from, []
        await self.host.write("PROGRAM_ADDRESS", self.base)
        await self.host.write("PROGRAM_LENGTH", len(program) if length is None else length)

    async def interrupt(self, limit=20000):
        for _ in range(limit):
            if int(self.dut.irq.value):
                return
            await FallingEdge(self.dut.clk)
        raise AssertionError("no interrupt")

    async def cycles(self, count):
        for _ in range(count):
            await FallingEdge(self.dut.clk)

    async def run(self, program, **behaviour):
        """A whole run that must end well."""
        model = Model([i for i in program if i is not HALT])
        self.engines(model, **behaviour)
        await perform_async(self.host, driver.enable_interrupts())
        await self.host.write("CONTROL", START)
        await self.interrupt()
        assert model.complete()
        assert await self.host.read("STATUS") == IDLE | DONE
        assert await self.host.read("IRQ_STATUS") == 1
        await self.host.write("IRQ_STATUS", 1)
        assert not int(self.dut.irq.value) and await self.host.read("IRQ_STATUS") == 0

    async def good_run(self, length=40):
        program = [*random_program(self.rng, length, 0.2, self.legal), HALT]
        await self.load(program)
        await self.run(program)

    async def expect_error(self, code, source, number):
        await self.interrupt()
        offers = self.offers
        assert await self.host.read("STATUS") == ERROR
        seen = await perform_async(self.host, driver.outcome())
        assert (seen.error_code, seen.error_engine, seen.error_instruction, seen.irq_status) == (code, source, number, 2)
        await self.host.write("CONTROL", START)
        await self.cycles(100)
        assert await self.host.read("STATUS") == ERROR and self.offers == offers

    async def soft_reset(self):
        self.stop_engines()
        await self.host.write("CONTROL", RESET)
        await self.until_idle()
        assert await self.host.read("ERROR_CODE") == 0 and await self.host.read("IRQ_STATUS") == 0
        assert not int(self.dut.irq.value)

    async def until_idle(self):
        while (status := await self.host.read("STATUS")) == RESETTING or status == RESETTING | ERROR:
            pass
        assert status == IDLE
