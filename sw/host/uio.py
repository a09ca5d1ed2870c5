"""A bus over memory-mapped devices of Linux: registers and interrupt of a UIO device, main memory of a file that maps it."""

import ctypes
import mmap
import os
import select
import time
from pathlib import Path

from ...hw.spec.registers import ADDRESS_BITS, by_name
from .bus import Bus
from .errors import DeviceError

__all__ = ["UioBus", "buffer_place"]

_REGISTER_BYTES = 1 << ADDRESS_BITS


class UioBus(Bus):
    """Use it as a context manager, or close it.

    Parameters
    ----------
    registers : path of the UIO device whose first map is the accelerator's registers, such as ``/dev/uio0``
    memory : path of a file that maps main memory: ``/dev/mem``, or a buffer such as ``/dev/udmabuf0``. It is opened so that
        the CPU's caches take no part (O_SYNC)
    base : address of the memory that is used, as the accelerator sees it
    size : bytes of it
    offset : where `base` lies in the file; None: at `base`, as in ``/dev/mem``. In a buffer it is 0
    interrupt : path, or open descriptor, of the device of the interrupt; None: that of the registers

    Raises
    ------
    DeviceError : a device cannot be opened or mapped
    """

    def __init__(self, registers, memory, *, base, size, offset=None, interrupt=None):
        self.base, self.size = base, size
        self._maps, self._files = [], []
        try:
            device = self._open(registers, os.O_RDWR | os.O_SYNC)
            self._interrupt = (device if interrupt is None else interrupt if isinstance(interrupt, int) else
                               self._open(interrupt, os.O_RDWR))
            # Elements of a ctypes array are read and written as whole words, which registers need.
            words = ctypes.c_uint32 * (_REGISTER_BYTES // 4)
            self._registers = words.from_buffer(self._map(registers, device, _REGISTER_BYTES, 0))
            file = self._open(memory, os.O_RDWR | os.O_SYNC)
            self._memory = self._map(memory, file, size, base if offset is None else offset)
        except DeviceError:
            self.close()
            raise

    def _open(self, path, flags):
        try:
            file = os.open(path, flags)
        except OSError as error:
            raise DeviceError(f"{path}: {error.strerror}: check that the device is there, and that you may write to "
                              "it") from None
        self._files.append(file)
        return file

    def _map(self, path, file, size, offset):
        try:
            area = mmap.mmap(file, size, offset=offset)
        except (OSError, ValueError) as error:
            raise DeviceError(f"{path}: {size:,} bytes at {offset:#x} cannot be mapped ({error}): correct base, size or "
                              "offset") from None
        self._maps.append(area)
        return area

    def close(self):
        """Give the devices back; a descriptor of an interrupt stays with its owner."""
        # An area cannot be closed while words of it are in use.
        for name in ("_registers", "_memory"):
            self.__dict__.pop(name, None)
        while self._maps:
            self._maps.pop().close()
        while self._files:
            os.close(self._files.pop())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read_register(self, offset):
        """See `Bus`."""
        return self._registers[offset // 4]

    def write_register(self, offset, value):
        """See `Bus`."""
        self._registers[offset // 4] = value

    def _place(self, address, count):
        if not self.base <= address <= address + count <= self.base + self.size:
            raise DeviceError(f"{count:,} bytes at {address:#x} lie outside the {self.size:,} bytes of memory from "
                              f"{self.base:#x} on: load the program there, or map more")
        return slice(address - self.base, address - self.base + count)

    def read_memory(self, address, count):
        """See `Bus`."""
        return self._memory[self._place(address, count)]

    def write_memory(self, address, raw):
        """See `Bus`."""
        self._memory[self._place(address, len(raw))] = raw

    def wait(self, limit):
        """Sleep until the interrupt, at most `limit` seconds. UIO turns it off when it comes; a written 1 turns it on again."""
        deadline = time.monotonic() + limit
        while not self._pending():
            os.write(self._interrupt, (1).to_bytes(4, "little"))
            ready, _, _ = select.select([self._interrupt], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return self._pending()
            os.read(self._interrupt, 4)
        return True

    def _pending(self):
        return bool(self.read_register(by_name("IRQ_STATUS").offset) & self.read_register(by_name("IRQ_ENABLE").offset))


def buffer_place(folder):
    """(address, bytes) of a buffer of the u-dma-buf driver.

    Parameters
    ----------
    folder : such as ``/sys/class/u-dma-buf/udmabuf0``

    Raises
    ------
    DeviceError : there is none
    """
    try:
        return tuple(int((Path(folder) / name).read_text(), 0) for name in ("phys_addr", "size"))
    except (OSError, ValueError) as error:
        raise DeviceError(f"{folder}: is no buffer of u-dma-buf ({error}): load its driver") from None
