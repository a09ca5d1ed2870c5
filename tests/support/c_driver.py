"""The C driver as a library of the host, with an accelerator in Python behind its port."""

import ctypes
import re
import subprocess
from ctypes import CFUNCTYPE, POINTER, Structure, c_bool, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

from acceltran.hw.spec.registers import by_name
from acceltran.sw.host.c_headers import C_DRIVER

__all__ = ["ERRORS", "FLAGS", "Bucket", "CDriver", "Device", "Fault", "Output", "Port", "Stripe", "build_library"]

FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
_HEADER = (C_DRIVER / "acceltran.h").read_text()
ERRORS = re.findall(r"^    ACCELTRAN_(\w+),?", _HEADER[_HEADER.index("typedef enum"): _HEADER.index("acceltran_error;")], re.M)
"""Names of the errors by their numbers."""

_READ, _WRITE = CFUNCTYPE(c_uint32, c_void_p, c_uint32), CFUNCTYPE(None, c_void_p, c_uint32, c_uint32)
_BARRIER, _CACHE = CFUNCTYPE(None, c_void_p), CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)
_WAIT = CFUNCTYPE(c_bool, c_void_p, c_uint32)


class Port(Structure):
    _fields_ = [("context", c_void_p), ("read32", _READ), ("write32", _WRITE), ("barrier", _BARRIER), ("cache_clean", _CACHE),
                ("cache_invalidate", _CACHE), ("wait", _WAIT)]


class Device(Structure):
    _fields_ = [("port", POINTER(Port)), ("version", c_uint32), ("identity", c_uint32), ("address_bits", c_uint32),
                ("further_ports", c_uint32),
                ("image", c_void_p), ("bus_address", c_uint64), ("tile", c_uint32), ("width", c_uint32), ("bucket", c_uint32),
                ("preloaded", c_uint32)]


class Bucket(Structure):
    _fields_ = [("tokens", c_uint32), ("sentences", c_uint32), ("words", c_uint32), ("outputs", c_uint32), ("fixed", c_bool)]


class Stripe(Structure):
    _fields_ = [("offset", c_uint32), ("bytes", c_uint32)]


class Output(Structure):
    _fields_ = [("name", c_char_p), *((name, c_uint32) for name in (
        "offset", "bytes", "tile_rows", "tile_columns", "groups", "valid_rows", "valid_columns")), ("frac", c_int32)]


class Fault(Structure):
    _fields_ = [("code", c_uint32), ("instruction", c_uint32), ("engine", c_uint32)]


def build_library(folder):
    """The driver, compiled for this machine."""
    path = folder / "libacceltran.so"
    subprocess.run(["gcc", *FLAGS, "-O1", "-shared", "-fPIC", C_DRIVER / "acceltran.c", "-o", path], check=True)
    library = ctypes.CDLL(str(path))
    for name in ("error", "fault", "engine"):
        getattr(library, f"acceltran_{name}_text").restype = c_char_p
    library.acceltran_read_counter.restype = c_uint64
    return library


class CDriver:
    """Calls of the driver by name; an error is given as its name.

    Parameters
    ----------
    library : of `build_library`
    bus : ModelBus, whose registers are behind the port
    interrupt : whether there is one; without, the driver polls

    Members
    -------
    events : of caches, barriers and waits, in order
    """

    def __init__(self, library, bus, *, interrupt=True):
        self.library, self.bus, self.events = library, bus, []

        def wait(context, timeout):
            self.events.append(("wait", timeout))
            return bool(bus.get("IRQ_STATUS") & bus.get("IRQ_ENABLE"))

        def note(kind):
            return _CACHE(lambda context, address, size: self.events.append((kind, address, size)))

        self.port = Port(
            None, _READ(lambda context, offset: bus.read_register(offset)), _WRITE(self._write),
            _BARRIER(lambda context: self.events.append(("barrier",))), note("clean"), note("invalidate"),
            _WAIT(wait) if interrupt else _WAIT())
        self.device = Device()

    def _write(self, context, offset, value):
        if offset == by_name("CONTROL").offset:
            self.events.append(("control", value))
        self.bus.write_register(offset, value)

    def probe(self):
        return ERRORS[self.library.acceltran_probe(ctypes.byref(self.device), ctypes.byref(self.port))]

    def call(self, name, *given):
        """A function that gives an error; None, bytes and lists of numbers become pointers."""
        arguments = [(c_uint32 * max(1, len(one)))(*one) if isinstance(one, list) else one for one in given]
        return ERRORS[getattr(self.library, f"acceltran_{name}")(ctypes.byref(self.device), *arguments)]

    def output(self, name):
        """An Output, and its integers."""
        output = Output()
        error = self.call("find_output", name.encode(), ctypes.byref(output))
        if error != "OK":
            return error, None
        count = output.groups * output.valid_rows * output.valid_columns
        values = (c_int32 * count)()
        error = self.call("read_output", ctypes.byref(output), values, c_size_t(count))
        return (error, None) if error != "OK" else (output, list(values))
