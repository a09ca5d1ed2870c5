"""The register map, defined once: the register file, the C header, the JSON and the document are made from it."""

import json
import zlib
from dataclasses import dataclass

from .activations import ACTIVATIONS
from .error_codes import ErrorCode, ErrorSource
from .isa import LoopOrder
from .version import VERSION
from .widths import MEMORY_PORTS, NUMBER_BITS

__all__ = ["ADDRESS_BITS", "COUNTERS", "CURVE_STRIDE", "FURTHER_PORTS", "IDENTIFIER", "KNOTS", "PAGE_BITS", "PORT_COUNTERS",
           "REGISTERS", "Register", "RegisterField", "by_name", "config_values", "counters_of", "pack", "to_c_header",
           "to_json", "to_markdown"]

ADDRESS_BITS = 12
IDENTIFIER = 0xACCE17A2
KNOTS = 9
CURVE_STRIDE = 16
"""Words from one threshold curve to the next in the register window."""

PAGE_BITS = 12
"""The base of memory and the windows come in pages of 4 KiB, which no burst crosses."""

_THRESHOLD_BITS = 23
"""Bits of a threshold with the longest words: W - 1."""

_SKIPS = ("none", "activation", "both")


@dataclass(frozen=True)
class RegisterField:
    """Bits ``offset .. offset + bits - 1`` of a register."""

    name: str
    offset: int
    bits: int
    doc: str


@dataclass(frozen=True)
class Register:
    """A register, or with `count` > 1 a window of equal 32-bit words.

    Parameters
    ----------
    access : "ro" read-only, "rw" read and write, "wo" write-only (reads zero), "w1c" writing 1 clears a bit, "w1s" writing 1
        sets a bit, which nothing but the reset pin clears
    width : bits in use at most; with `fields`, up to the last of them
    reset : what it reads after the reset pin; None where the configuration decides, or nothing does
    constant : the value is fixed when the accelerator is generated, see `config_values`
    lockable : once ACCESS_LOCK is set, writes are answered SLVERR and change nothing
    high_word : bits 63 to 32 of the register before it; built with 64-bit addresses only, and unmapped without
    port : built with more than so many memory ports, and unmapped without
    """

    name: str
    offset: int
    access: str
    doc: str
    fields: tuple[RegisterField, ...] = ()
    width: int = 32
    reset: int | None = 0
    count: int = 1
    constant: bool = False
    lockable: bool = False
    high_word: bool = False
    port: int = 0

    def __post_init__(self):
        if self.fields:
            object.__setattr__(self, "width", max(f.offset + f.bits for f in self.fields))

    @property
    def parts(self):
        """Its fields; a register without named ones is a single field `value`."""
        return self.fields or (RegisterField("value", 0, self.width, self.doc),)

    def built(self, config):
        """Whether an accelerator of `config` has it."""
        return (config.address_bits > 32 or not self.high_word) and self.port < config.memory_ports

    @property
    def reset_text(self):
        """The reset value in words."""
        if self.reset is None:
            return "configuration" if self.constant else "undefined"
        return f"0x{self.reset:x}"


def _fields(*entries):
    """Fields from (name, bits, doc), packed from bit 0; a name of None skips bits."""
    offset, result = 0, []
    for name, bits, doc in entries:
        if name is not None:
            result.append(RegisterField(name, offset, bits, doc))
        offset += bits
    return tuple(result)


COUNTERS = (
    ("cycles", "cycles of the run, from the start to its end"),
    ("multiplications", "multiplications done"),
    ("dense_multiplications", "multiplications that the same products take without skipping"),
    ("skipped_multiplications", "dense_multiplications less multiplications; exact once the run is over"),
    ("memory_busy", "cycles in which the memory engine was busy"),
    ("matrix_busy", "cycles in which the matrix engine was busy"),
    ("vector_busy", "cycles in which the vector engine was busy"),
    ("memory_stalled", "cycles in which the memory engine was stalled"),
    ("matrix_stalled", "cycles in which the matrix engine was stalled"),
    ("vector_stalled", "cycles in which the vector engine was stalled"),
    ("bytes_read", "bytes read from main memory"),
    ("bytes_written", "bytes written to main memory"),
    ("weight_tiles", "tiles loaded to the weight buffer"),
    ("activation_tiles", "tiles loaded to the activation buffer"),
    ("a_tile_loads", "A tiles read for the grid, before multicast"),
    ("b_tile_loads", "B tiles read for the grid, before multicast"),
    ("instructions", "instructions completed by the engines, SYNC included, HALT not"),
    ("word_reads", "words of lines read from the tile buffers"),
    ("word_writes", "words of lines written to the tile buffers"),
    ("lost_operands", "multiplier cycles lost in lanes that had a step, but no operand"),
    ("lost_output", "multiplier cycles lost in lanes of which a result waited to be read"),
    ("lost_imbalance", "multiplier cycles lost in other lanes with work, too little of it for all their multipliers"),
    ("lost_idle", "multiplier cycles of lanes without work; with multiplications and the other lost ones, every multiplier in "
     "every cycle of the run"),
)
"""64-bit performance counters, name and meaning, in the order of their registers."""

FURTHER_PORTS = tuple(range(1, max(MEMORY_PORTS)))
"""Numbers of the memory ports beside the first."""

PORT_COUNTERS = tuple((f"bytes_read_{port}", f"bytes read through m_axi_{port}, which bytes_read has in it too")
                      for port in FURTHER_PORTS)
"""Counters of the memory ports beside the first, behind the others."""


def counters_of(memory_ports):
    """The counters of an accelerator with so many memory ports."""
    return (*COUNTERS, *PORT_COUNTERS[: memory_ports - 1])

_EVENTS = _fields(("done", 1, "a run ended with HALT"), ("error", 1, "a run ended with an error"))

_CONTROL = (
    Register("ID", 0x000, "ro", "identifies an AccelTran", reset=IDENTIFIER, constant=True),
    Register("VERSION", 0x004, "ro", "version of the generator", _fields(
        ("patch", 8, "third number"), ("minor", 8, "second number"), ("major", 8, "first number")),
             reset=VERSION[0] << 16 | VERSION[1] << 8 | VERSION[2], constant=True),
    Register("CONTROL", 0x008, "wo", "commands; the bits clear themselves", _fields(
        ("start", 1, "start the program; ignored while running, resetting, or after an error"),
        ("reset", 1, "soft reset: abort, wait for the bus, return to idle; wins over start"),
        ("scrub", 1, "soft reset, and then zeroes every word of the buffers, the threshold curves and the counters; wins over "
         "reset"))),
    Register("STATUS", 0x00C, "ro", "state of the run controller", _fields(
        ("idle", 1, "a start is taken"),
        ("running", 1, "a program is running"),
        ("done", 1, "the last program reached HALT; cleared by start and reset"),
        ("error", 1, "the last program stopped with an error; cleared by reset"),
        ("resetting", 1, "a soft reset or a scrub is under way")), reset=1),
    Register("IRQ_STATUS", 0x010, "w1c", "pending interrupts; also cleared by reset", _EVENTS),
    Register("IRQ_ENABLE", 0x014, "rw", "interrupts that drive the irq pin", _EVENTS),
    Register("ERROR_CODE", 0x018, "ro", "the first error of the run, see the error codes; cleared by reset",
             width=5),
    Register("ERROR_INSTRUCTION", 0x01C, "ro", "number of the instruction of the error, from 0", width=NUMBER_BITS),
    Register("ERROR_ENGINE", 0x020, "ro", "where it was found: 0 memory, 1 matrix, 2 vector, 3 control unit", width=2),
    Register("PROGRAM_ADDRESS", 0x024, "rw", "byte address of the program from MEMORY_BASE on; the low 6 bits are taken as "
             "zero"),
    Register("PROGRAM_LENGTH", 0x028, "rw", "instructions in the program, HALT included", width=NUMBER_BITS),
    Register("WATCHDOG", 0x02C, "rw", "cycles without any completed instruction that stop a run; 0 turns it off",
             reset=0x0100_0000),
    Register("TARGET_SPARSITY", 0x030, "rw", "wanted sparsity in 1/256; more than 256 counts as 256", width=9),
)

_CONFIG = (
    Register("CONFIG_IDENTITY", 0x040, "ro", "CRC-32 of the configuration's JSON", reset=None, constant=True),
    Register("CONFIG_VALUE", 0x044, "ro", "words", _fields(
        ("tile", 8, "rows and columns of a tile"), ("integer_bits", 8, "integer bits of the default binary point"),
        ("fraction_bits", 8, "fraction bits"), ("lines_per_beat", 8, "lines in a beat of a tile stream")),
        reset=None, constant=True),
    Register("CONFIG_GRID", 0x048, "ro", "PEs", _fields(
        ("rows", 8, "rows of PEs in a cluster"), ("columns", 8, "columns of PEs"),
        ("operand_slots", 4, "tiles that a PE holds"), ("window", 4, "entries of a lane's window"),
        ("skip", 2, "0 none, 1 activation, 2 both"),
        ("psum_tiles", 3, "output tiles that a PE holds")), reset=None, constant=True),
    Register("CONFIG_ACTIVATION", 0x04C, "ro", "activation buffer of a cluster", _fields(
        ("tiles", 24, "slots"), ("banks", 8, "banks")), reset=None, constant=True),
    Register("CONFIG_WEIGHT", 0x050, "ro", "weight buffer", _fields(
        ("tiles", 24, "slots"), ("banks", 8, "banks")), reset=None, constant=True),
    Register("CONFIG_VECTOR", 0x054, "ro", "lines of the vector buffer", reset=None, constant=True),
    Register("CONFIG_BUS", 0x058, "ro", "AXI4 manager", _fields(
        ("width", 12, "data bits"), ("further_ports", 4, "managers m_axi_1 and so on, which only read"),
        ("burst_beats", 8, "longest burst"),
        ("outstanding_reads", 8, "read bursts in flight")), reset=None, constant=True),
    Register("CONFIG_UNITS", 0x05C, "ro", "vector engine of a cluster, and post-process", tuple(sorted((
        *_fields(("softmax_units", 8, "softmax units"), ("layernorm_units", 8, "layer-norm units"), (None, 3, ""),
                 ("layernorm_slices", 3, "tile columns that a layer-norm unit works on at once")),
        *(RegisterField(entry.name, entry.config_bit, 1, f"{entry.title} is built") for entry in ACTIVATIONS)),
        key=lambda field: field.offset)), reset=None, constant=True),
    Register("CONFIG_CONTROL", 0x060, "ro", "control unit", _fields(
        ("prune_curves", 8, "threshold curves"), ("instruction_queue", 8, "instructions queued per engine"),
        ("more_clusters", 4, "clusters beside the first")),
        reset=None, constant=True),
    Register("CONFIG_MAX_INNER", 0x064, "ro", "largest inner dimension of a product, in elements", reset=None, constant=True),
    Register("CONFIG_LOOP_ORDERS", 0x068, "ro", "bit n: loop order n is built", width=len(LoopOrder), reset=None,
             constant=True),
    Register("CONFIG_ADDRESS", 0x06C, "ro", "bits of an address of main memory: 32 or 64", width=7, reset=None, constant=True),
    Register("CONFIG_OPERAND_B", 0x070, "ro", "weights, and what else is operand B", _fields(
        ("weight_bits", 8, "bits of a value"), ("scale_bits", 8, "bits of the scale of a column; 0: there are none")),
        reset=None, constant=True),
)

def _address(name, offset, doc, *, limit=False, lockable=True, port=0):
    """A 64-bit address in whole pages, as a low and a high word."""
    ones = 0xFFFF_FFFF if limit else 0
    taken = "ones" if limit else "zeros"
    return (
        Register(name, offset, "rw", f"{doc}, bits 31 to 0; the low {PAGE_BITS} bits are taken as {taken}", reset=ones,
                 lockable=lockable, port=port),
        Register(f"{name}_HI", offset + 4, "rw", f"{doc}, bits 63 to 32", reset=ones, lockable=lockable, high_word=True,
                 port=port),
    )


_ACCESS = (
    *_address("MEMORY_BASE", 0x080, "added to every address of a program and of its instructions", lockable=False),
    *_address("READ_BASE", 0x088, "first byte that may be read from main memory"),
    *_address("READ_LIMIT", 0x090, "last byte that may be read from main memory", limit=True),
    *_address("WRITE_BASE", 0x098, "first byte that may be written to main memory"),
    *_address("WRITE_LIMIT", 0x0A0, "last byte that may be written to main memory", limit=True),
    Register("BUS_ATTRIBUTES", 0x0A8, "rw", "what goes with every burst", _fields(
        ("prot", 3, "AxPROT"), (None, 1, ""), ("cache", 4, "AxCACHE")), reset=0b0011 << 4, lockable=True),
    Register("ACCESS_LOCK", 0x0AC, "w1s", "keeps windows and attributes as they are, until the reset pin", _fields(
        ("locked", 1, "writes to the READ_, WRITE_ and BUS_ATTRIBUTES registers answer SLVERR"),)),
    *(register for port in FURTHER_PORTS for register in _address(
        f"PORT_BASE_{port}", 0x0A8 + 8 * port, f"added in place of MEMORY_BASE to addresses that m_axi_{port} reads",
        lockable=False, port=port)),
)

_COUNTER_BASE, _TAU_BASE, _CURVE_BASE = 0x100, 0x400, 0x800

_COUNTER_REGISTERS = tuple(
    Register(f"{name.upper()}_{half}", _COUNTER_BASE + 8 * n + 4 * high, "ro",
             f"{doc}, bits 63 to 32 at the last read of a LO register" if high else f"{doc}, bits 31 to 0",
             reset=None if high else 0, port=max(0, n + 1 - len(COUNTERS)))
    for n, (name, doc) in enumerate((*COUNTERS, *PORT_COUNTERS)) for high, half in enumerate(("LO", "HI"))
)

_WINDOWS = (
    Register("TAU", _TAU_BASE, "ro", "word c: threshold of curve c + 1 (instruction field `curve`) in the last run, W - 1 "
             "bits; the words beyond prune_curves are unmapped", width=_THRESHOLD_BITS, count=32),
    Register("CURVE", _CURVE_BASE, "rw", f"word {CURVE_STRIDE} c + n: knot n (0 to {KNOTS - 1}) of curve c, the "
             "threshold for a sparsity of n/8, W - 1 bits in units of the pruned tensor; the other words are unmapped. "
             "Do not write while a run starts. No reset clears it", width=_THRESHOLD_BITS, reset=None,
             count=32 * CURVE_STRIDE),
)

REGISTERS = (*_CONTROL, *_CONFIG, *_ACCESS, *_COUNTER_REGISTERS, *_WINDOWS)
"""Every register, in the order of the offsets."""


def by_name(name):
    """The register called `name`."""
    return next(r for r in REGISTERS if r.name == name)


def pack(register, **values):
    """A register's word from its field values; raises ValueError for an unknown or too large one."""
    word, known = 0, {f.name: f for f in register.parts}
    for name, value in values.items():
        if name not in known or not 0 <= value < 1 << known[name].bits:
            raise ValueError(f"{register.name}: {name} = {value} does not fit")
        word |= value << known[name].offset
    return word


def config_values(config, loop_orders=tuple(LoopOrder)):
    """Words of the constant registers of an accelerator, by register name."""
    cluster = config.cluster
    values = {
        "ID": {"value": IDENTIFIER},
        "VERSION": dict(zip(("major", "minor", "patch"), VERSION, strict=True)),
        "CONFIG_IDENTITY": {"value": zlib.crc32(config.to_json().encode())},
        "CONFIG_VALUE": {"tile": config.tile, "integer_bits": config.integer_bits,
                         "fraction_bits": config.fraction_bits, "lines_per_beat": config.lines_per_beat},
        "CONFIG_GRID": {"rows": cluster.grid_rows, "columns": config.grid_columns,
                        "operand_slots": config.operand_slots, "window": config.window,
                        "skip": _SKIPS.index(config.skip), "psum_tiles": config.psum_tiles},
        "CONFIG_ACTIVATION": {"tiles": cluster.activation_tiles, "banks": cluster.activation_banks},
        "CONFIG_WEIGHT": {"tiles": config.weight_tiles, "banks": config.weight_banks},
        "CONFIG_VECTOR": {"value": config.vector_lines},
        "CONFIG_BUS": {"width": config.bus_width, "further_ports": config.memory_ports - 1, "burst_beats": config.burst_beats,
                       "outstanding_reads": config.outstanding_reads},
        "CONFIG_UNITS": {"softmax_units": cluster.softmax_units, "layernorm_units": cluster.layernorm_units,
                         "layernorm_slices": config.layernorm_slices,
                         **{entry.name: int(entry.name in config.functions) for entry in ACTIVATIONS}},
        "CONFIG_CONTROL": {"prune_curves": config.prune_curves, "instruction_queue": config.instruction_queue,
                           "more_clusters": config.clusters - 1},
        "CONFIG_MAX_INNER": {"value": config.max_inner},
        "CONFIG_LOOP_ORDERS": {"value": sum(1 << order for order in set(loop_orders))},
        "CONFIG_ADDRESS": {"value": config.address_bits},
        "CONFIG_OPERAND_B": {"weight_bits": config.b_width, "scale_bits": config.scale_bits},
    }
    return {name: pack(by_name(name), **fields) for name, fields in values.items()}


def to_json():
    """The map as JSON text: registers with their fields, error codes and error sources."""
    return json.dumps({
        "address_bits": ADDRESS_BITS,
        "registers": [{
            "name": r.name, "offset": r.offset, "count": r.count, "width": r.width, "access": r.access,
            "reset": r.reset, "constant": r.constant, "lockable": r.lockable, "high_word": r.high_word, "doc": r.doc,
            "fields": [{"name": f.name, "offset": f.offset, "bits": f.bits, "doc": f.doc} for f in r.fields],
        } for r in REGISTERS],
        "error_codes": {c.name: int(c) for c in ErrorCode},
        "error_engines": {s.name: int(s) for s in ErrorSource},
    }, indent=2)


def to_c_header():
    """The map as a C header: offsets, and for each field its shift and its mask in place."""
    lines = ["/* AccelTran register map, generated: do not edit. */", "#ifndef ACCELTRAN_REGISTERS_H",
             "#define ACCELTRAN_REGISTERS_H", ""]
    for r in REGISTERS:
        lines.append(f"#define ACCELTRAN_{r.name} 0x{r.offset:03x}u /* {r.access}: {r.doc} */")
        if r.count > 1:
            lines.append(f"#define ACCELTRAN_{r.name}_COUNT {r.count}u")
        for f in r.fields:
            mask = ((1 << f.bits) - 1) << f.offset
            name = f"ACCELTRAN_{r.name}_{f.name.upper()}"
            lines += [f"#define {name}_SHIFT {f.offset}u", f"#define {name}_MASK 0x{mask:08x}u /* {f.doc} */"]
    lines.append("")
    lines += [f"#define ACCELTRAN_ERROR_CODE_{c.name} 0x{c:02x}u /* {c.doc} */" for c in ErrorCode]
    lines += [f"#define ACCELTRAN_ERROR_ENGINE_{s.name} {s}u" for s in ErrorSource]
    return "\n".join([*lines, "", "#endif", ""])


def to_markdown():
    """The map as a Markdown document."""
    text = [
        "# Registers", "",
        "AXI4-Lite, 32-bit data, byte offsets. Unmapped addresses, writes to read-only registers and writes that do",
        "not enable all four bytes answer SLVERR and change nothing. Bits above those listed read zero and are ignored",
        "when written. Reset values are those after the reset pin. Access: ro is read-only, rw is read and write, wo",
        "reads zero, w1c clears the bits that are written as 1, w1s sets them until the reset pin.",
        "", "| offset | register | access | reset | meaning |", "|---|---|---|---|---|",
    ]
    for r in REGISTERS:
        place = f"0x{r.offset:03x}" + (f" to 0x{r.offset + 4 * r.count - 4:03x}" if r.count > 1 else "")
        text.append(f"| {place} | `{r.name}` | {r.access} | {r.reset_text} | {r.doc} |")
    text += ["", "## Fields", "", "| register | bits | field | meaning |", "|---|---|---|---|"]
    for r in REGISTERS:
        for f in r.fields:
            text.append(f"| `{r.name}` | {f.offset + f.bits - 1}:{f.offset} | `{f.name}` | {f.doc} |")
    text += ["", "## Error codes", "", "| code | name | meaning |", "|---|---|---|"]
    text += [f"| 0x{c:02x} | `{c.name}` | {c.doc} |" for c in ErrorCode]
    return "\n".join([*text, ""])
