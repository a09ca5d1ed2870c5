"""A self-checking testbench in plain Verilog that every generated accelerator comes with: is it alive, and the right one."""

import re
from pathlib import Path

from ..spec.error_codes import ErrorCode
from ..spec.isa import INSTRUCTION_BYTES, Opcode, encode
from ..spec.registers import ADDRESS_BITS, PAGE_BITS, by_name, config_values, pack
from .ports import INTERRUPT, MANAGER, SUBORDINATE, ports, readers

__all__ = ["SMOKE_TESTBENCH", "to_smoke_testbench"]

SMOKE_TESTBENCH = "smoke_testbench.v"

_TEMPLATE = Path(__file__).parents[1] / "verilog" / SMOKE_TESTBENCH
_PROGRAM = 1 << PAGE_BITS
"""Where the program lies: not at zero, so that an address that is lost is seen."""

_MEMORY_ANSWERS = ("arready", "rvalid", "rdata", "rresp", "rlast")
_ALL_ONES = 0xFFFF_FFFF


def to_smoke_testbench(config):
    """The Verilog of module ``smoke_testbench``.

    Parameters
    ----------
    config : AcceleratorConfig
    """
    shown = [port for port in ports(config) if not port.observation]
    host = [port.name for port in shown if port.driven and port.interface == SUBORDINATE]
    # What the memory drives in no continuous assignment is a register: the id of a read, and the write channels at rest.
    # Ports that only read weights are at rest altogether.
    others = readers(config)
    memory = [port.name for port in shown if port.driven and (
        port.interface == MANAGER and port.signal not in _MEMORY_ANSWERS or port.interface in others)]
    addresses = {port.bits for port in shown if port.interface == MANAGER and port.signal == "araddr"}
    inner, bits = " " * 8, config.bus_width
    raw = encode(Opcode.HALT)
    words = [int.from_bytes(raw[n:n + bits // 8], "little") for n in range(0, INSTRUCTION_BYTES, bits // 8)]
    status, control, events = by_name("STATUS"), by_name("CONTROL"), by_name("IRQ_STATUS")
    values = {
        "NAME": config.name,
        "DATA": str(bits),
        "WORDS": str(len(words)),
        "ADDRESS": str(addresses.pop()),
        "PROGRAM": _hex(_PROGRAM),
        "REGISTER_BITS": str(ADDRESS_BITS),
        "DECLARATIONS": "\n".join(f"    {'reg' if port.name in (*host, *memory) else 'wire'} [{port.bits - 1}:0] {port.name};"
                                  for port in shown if port.interface != INTERRUPT) + f"\n    wire {INTERRUPT};",
        "CONNECTIONS": ",\n".join(f"{inner}.{port.name}({port.name})" for port in shown),
        "PROGRAM_WORDS": "\n".join(f"{inner}words[{n}] = {_hex(word, bits)};" for n, word in enumerate(words)),
        "QUIET": "".join(f" || {name}_arvalid !== 1'b0" for name in others),
        "UNASKED": "a write, or a read of weights," if others else "a write",
        "IDLE": "\n".join(f"{inner}{name} = 0;" for name in (*host, *memory)),
        "CONSTANTS": "\n".join(
            f'{inner}expect_register({_hex(by_name(name).offset, ADDRESS_BITS)}, {_hex(_ALL_ONES)}, {_hex(value)}, "{name}");'
            for name, value in config_values(config).items()),
        "EVENTS": _hex(pack(events, done=1, error=1)),
        "START": _hex(pack(control, start=1)),
        "RESET": _hex(pack(control, reset=1)),
        "STATUS_MASK": _hex(pack(status, running=1, done=1, error=1, resetting=1)),
        "STATUS_DONE": _hex(pack(status, done=1)),
        "STATUS_ERROR": _hex(pack(status, error=1)),
        "STATUS_RESETTING": _hex(pack(status, resetting=1)),
        "STATUS_IDLE": _hex(pack(status, idle=1)),
        "NO_ERROR": _hex(ErrorCode.NONE),
        "FETCH_BUS": _hex(ErrorCode.FETCH_BUS),
        **{name: _hex(by_name(name).offset, ADDRESS_BITS) for name in (
            "PROGRAM_ADDRESS", "PROGRAM_LENGTH", "IRQ_ENABLE", "IRQ_STATUS", "CONTROL", "STATUS", "ERROR_CODE")},
    }
    return re.sub(r"/\*(\w+)\*/", lambda found: values[found[1]], _TEMPLATE.read_text())


def _hex(value, bits=32):
    return f"{bits}'h{value:0{-(-bits // 4)}x}"
