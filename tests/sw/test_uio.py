"""The bus over memory-mapped devices, on ordinary files: registers, main memory, and a socket for the interrupt."""

import mmap
import os
import socket
import threading
from dataclasses import replace

import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.registers import by_name, config_values, pack
from acceltran.sw.compiler import compile_buckets, quantise_encoder
from acceltran.sw.host import DeviceError, driver, perform
from acceltran.sw.host.uio import UioBus, buffer_place
from acceltran.sw.ir.execute import execute
from acceltran.sw.models.tiny_encoder import random_texts, tiny_encoder
from support.machine import Machine

BASE = 0x4000_0000
_WAIT = 3600.0
"""Seconds that the driver may wait for an interrupt: more than any machine needs, so that no result hangs on its speed."""


class Devices:
    """Files that stand for a UIO device and its memory, and the driver's bus to them; `line` is the interrupt's other end."""

    def __init__(self, folder, config, size=1 << 20):
        self.folder, self.size = folder, size
        (folder / "registers").write_bytes(bytes(4096))
        (folder / "memory").write_bytes(bytes(size))
        self.line, self.ours = socket.socketpair()
        self.bus = UioBus(folder / "registers", folder / "memory", base=BASE, size=size, offset=0, interrupt=self.ours.fileno())
        with open(folder / "registers", "r+b") as file:
            self.registers = mmap.mmap(file.fileno(), 4096)
        for name, value in config_values(config).items():
            self.set(name, value)
        self.set("STATUS", driver.IDLE)

    def set(self, name, value):
        offset = by_name(name).offset
        self.registers[offset: offset + 4] = value.to_bytes(4, "little")

    def get(self, name):
        offset = by_name(name).offset
        return int.from_bytes(self.registers[offset: offset + 4], "little")

    def close(self):
        self.bus.close()
        self.registers.close()
        self.line.close()
        self.ours.close()


@pytest.fixture
def devices(tmp_path):
    made = Devices(tmp_path, AcceleratorConfig.load("nano"))
    yield made
    made.close()


def test_accesses_reach_the_files(devices):
    bus, folder = devices.bus, devices.folder
    perform(bus, driver.check_identity(AcceleratorConfig.load("nano")))
    bus.write_register(by_name("WATCHDOG").offset, 0xFFFF_FFFE)
    assert devices.get("WATCHDOG") == 0xFFFF_FFFE
    bus.write_memory(BASE + 64, b"hello")
    assert (folder / "memory").read_bytes()[64:70] == b"hello\0"
    assert bus.read_memory(BASE + 62, 8) == b"\0\0hello\0"
    for address, count in ((BASE - 1, 1), (BASE + devices.size - 3, 4), (BASE + devices.size, 1)):
        with pytest.raises(DeviceError, match="outside the 1,048,576 bytes"):
            bus.read_memory(address, count)
        with pytest.raises(DeviceError, match="outside"):
            bus.write_memory(address, bytes(count))


def test_a_wait_ends_with_the_interrupt_or_in_time(devices):
    """A wake-up for another reason does not end it: the interrupt is turned on again."""
    assert not devices.bus.wait(0.01)
    assert devices.line.recv(64) == (1).to_bytes(4, "little")
    devices.set("IRQ_ENABLE", 3)

    def board():
        for number in (1, 2):
            assert devices.line.recv(4) == (1).to_bytes(4, "little")
            if number == 2:
                devices.set("IRQ_STATUS", 1)
            devices.line.send(number.to_bytes(4, "little"))

    thread = threading.Thread(target=board)
    thread.start()
    assert devices.bus.wait(_WAIT)
    thread.join()
    assert devices.bus.wait(_WAIT), "one that is pending already"
    devices.line.setblocking(False)
    with pytest.raises(BlockingIOError):
        devices.line.recv(4)


def test_a_program_runs_over_files(devices, tmp_path):
    config = replace(AcceleratorConfig.load("nano"), weight_tiles=512, vector_lines=512)
    checkpoint, _ = tiny_encoder(config, heads=2, words=(4,))
    encoder = quantise_encoder(checkpoint, config, calibration_texts=random_texts(2, 5, 32))
    program = compile_buckets(encoder, config, {8: [2, 9, 3]}, resident=True)[0]
    devices.set("CONFIG_IDENTITY", config_values(config)["CONFIG_IDENTITY"])
    machine, base = Machine(program), BASE + 4096

    def board():
        for _ in range(2):
            devices.line.recv(4)
            assert devices.get("CONTROL") == driver.START and devices.get("MEMORY_BASE") == base
            with open(devices.folder / "memory", "r+b") as file, mmap.mmap(file.fileno(), devices.size) as memory:
                machine.memory = bytearray(memory[4096: 4096 + len(program.image)])
                machine.run_from(devices.get("PROGRAM_ADDRESS"), [])
                memory[4096: 4096 + len(program.image)] = bytes(machine.memory)
            devices.set("CONTROL", 0)
            devices.set("STATUS", pack(by_name("STATUS"), idle=1, done=1))
            devices.set("IRQ_ENABLE", 3)
            devices.set("IRQ_STATUS", 1)
            devices.line.send(bytes(4))

    thread = threading.Thread(target=board)
    ids = [2, 11, 12, 13, 3]
    # A file does not clear what is written as 1, so the interrupt would seem to be pending: it is looked at only when it came.
    devices.bus._pending = lambda: devices.get("CONTROL") == 0
    thread.start()
    perform(devices.bus, driver.load_program(program, base=base, limit=_WAIT))
    perform(devices.bus, driver.set_sentences(program, [ids], base=base))
    assert perform(devices.bus, driver.run_program(program, limit=_WAIT)).well
    thread.join()
    golden = execute(encoder.build_graph([5], 8, full=True), [ids])
    for name, place in program.outputs.items():
        integers, _ = perform(devices.bus, driver.read_output(program, name, base=base))
        assert (integers == golden[place["tensor"]][: len(integers)]).all()


def test_devices_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "registers").write_bytes(bytes(4096))
    (tmp_path / "memory").write_bytes(bytes(4096))
    before = len(os.listdir("/proc/self/fd"))
    for registers, memory, size, message in (
        ("nothing", "memory", 4096, "nothing: No such file or directory: check"),
        ("registers", "nothing", 4096, "nothing: No such file"),
        ("registers", "memory", 8192, "memory: 8,192 bytes at 0x0 cannot be mapped"),
        ("memory", "memory", 0, "cannot be mapped"),
    ):
        with pytest.raises(DeviceError, match=message) as error:
            UioBus(tmp_path / registers, tmp_path / memory, base=0, size=size or 1 << 40)
        assert "\n" not in str(error.value)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_place_of_a_buffer(tmp_path):
    (tmp_path / "phys_addr").write_text("0x0000000070400000\n")
    (tmp_path / "size").write_text("1048576\n")
    assert buffer_place(tmp_path) == (0x7040_0000, 1 << 20)
    (tmp_path / "size").unlink()
    with pytest.raises(DeviceError, match="is no buffer of u-dma-buf"):
        buffer_place(tmp_path)
