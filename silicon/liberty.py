"""Cell libraries: Liberty files, alone or several together, reduced to the cells that a mapping may use."""

import gzip
import hashlib
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from ..hw.spec.errors import ConfigError

__all__ = ["GATE_EQUIVALENTS", "Library", "groups", "read_library"]

GATE_EQUIVALENTS = Path(__file__).parent / "gate_equivalents.lib"
"""The library without a process: areas in gate equivalents, no delays."""

_LIBRARY = re.compile(r"\blibrary\s*\(\s*\"?([\w.\-]+)\"?\s*\)\s*\{")
_GROUP = re.compile(r"\b(\w+)\s*\(\s*\"?([^()]*?)\"?\s*\)\s*\{")
_LOAD_UNIT = re.compile(r"capacitive_load_unit\s*\(\s*\"?([\d.]+)\"?\s*,\s*\"?(ff|pf)", re.IGNORECASE)
_TIME_UNIT = re.compile(r"time_unit\s*:\s*\"?([\d.]+)(ns|ps)")
_POWER = {"internal_power", "leakage_power", "pg_pin", "receiver_capacitance", "output_current_rise", "output_current_fall",
          "ccsn_first_stage", "ccsn_last_stage"}
_POWER_TABLES = {"internal_power", "leakage_power"}
_UNUSABLE = re.compile(r"\b(latch|latch_bank|statetable|test_cell)\s*\(|\bclock_gating_integrated_cell\b|\bthree_state\b"
                       r"|\bdont_use\s*:\s*\"?true|\b(clear|preset)\s*:|\bclocked_on\s*:\s*\"?\s*\(?!")
_SPECIAL = re.compile(r"clk|dly|lpflow|probe|bufbuf|bufinv|^HB\d|^CKINV|^SDF", re.IGNORECASE)
"""Names of cells for clock trees, hold times, scan, power domains and probing, which not every library marks."""


@dataclass(frozen=True)
class Library:
    """What the mapping needs to know of a library.

    Members
    -------
    name : of the library, of the first if they are several
    text : Liberty of the usable cells, without power tables unless they were asked for
    areas : {cell: area}
    flip_flops : names of the flip-flops among them
    nand2 : area of the smallest NAND2
    timed : it has delays
    inverter, inverter_ff : name and input capacitance of an inverter of the second size
    buffer : (name, input pin, output pin) of a buffer of the third size; None without buffers
    time_ps, load_ff : its units of time and capacitance
    """

    name: str
    text: str
    areas: dict
    flip_flops: tuple
    nand2: float
    timed: bool
    inverter: str
    inverter_ff: float
    buffer: tuple | None
    time_ps: float
    load_ff: float

    @property
    def unit(self):
        """Of the areas."""
        return "GE" if self.name == GATE_EQUIVALENTS.stem else "um2"

    @property
    def digest(self):
        """Identity of the content."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_library(paths, *, power=False):
    """The library in the Liberty files `paths`, plain or gzip; with `power`, its text has the power tables.

    Raises
    ------
    ConfigError : a file is missing or no Liberty, or there is no flip-flop or no NAND2 among the cells
    """
    texts = [_read(Path(path)) for path in paths]
    name = _LIBRARY.search(texts[0])[1]
    header, kept, areas, flip_flops, nands, inverters, buffers = {}, [], {}, [], [], [], []
    for text in texts:
        for group, label, start, end in groups(text, _LIBRARY.search(text).end()):
            if group != "cell":
                header.setdefault((group, label), text[start:end])
            elif _usable(label, text[start:end]) and label not in areas:
                cell = _without(_POWER - (_POWER_TABLES if power else set()), text[start:end])
                kept.append(cell)
                areas[label] = _area(cell)
                if re.search(r"\bff\s*\(", cell):
                    flip_flops.append(label)
                elif _truth(cell, 2) == [1, 1, 1, 0]:
                    nands.append(areas[label])
                elif _truth(cell, 1) == [1, 0]:
                    inverters.append((areas[label], label, cell))
                elif _truth(cell, 1) == [0, 1]:
                    buffers.append((areas[label], label, *_pins(cell)))
    for kind, found in (("flip-flop", flip_flops), ("NAND2", nands), ("inverter", inverters)):
        if not found:
            raise ConfigError(f"liberty = {str(paths[0])!r}: no plain {kind} among its cells; give all files of the library")
    attributes = _attributes(texts[0])
    text = "\n".join([f"library ({name}) {{", attributes, *header.values(), *kept, "}", ""])
    _, inverter, cell = sorted(inverters)[:2][-1]
    load_ff, time_ps = _unit(_LOAD_UNIT, attributes, "pf"), _unit(_TIME_UNIT, attributes, "ns")
    capacitance = re.search(r"\bcapacitance\s*:\s*\"?([\d.eE+-]+)", cell)
    return Library(
        name=name, text=text, areas=areas, flip_flops=tuple(flip_flops), nand2=min(nands), timed="cell_rise" in text,
        inverter=inverter, inverter_ff=load_ff * float(capacitance[1]) if capacitance else 1.0, time_ps=time_ps,
        load_ff=load_ff, buffer=tuple(sorted(buffers)[:3][-1][1:]) if buffers else None,
    )


def _unit(pattern, attributes, thousand):
    """A unit of the library; `thousand` is what is a thousand times the one that is wanted."""
    found = pattern.search(attributes)
    return float(found[1]) * (1000 if found[2].lower() == thousand else 1) if found else 1.0


def _read(path):
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise ConfigError(f"liberty = {str(path)!r}: {reason}; give a .lib or .lib.gz file") from None
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).replace("\\\n", " ")
    if not _LIBRARY.search(text) or not re.search(r"\bcell\s*\(", text):
        raise ConfigError(f"liberty = {str(path)!r}: is no Liberty file; give a .lib or .lib.gz file with cells")
    return text


def groups(text, start):
    """(group, label, start, end) of the groups directly inside the one that is open at `start`."""
    position = start
    while (found := _GROUP.search(text, position)) and _end_of_group(text, position, found.start()):
        end = _closing(text, found.end())
        yield found[1], found[2], found.start(), end
        position = end


def _end_of_group(text, start, stop):
    return text.find("}", start, stop) < 0


def _closing(text, start):
    """Position after the brace that closes the group open at `start`."""
    depth = 1
    for brace in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return brace.end()
    raise ConfigError("liberty: a group does not end; give a complete Liberty file")


def _attributes(text):
    """The simple and complex attributes of the library itself."""
    position = start = _LIBRARY.search(text).end()
    parts = []
    for _, _, begin, end in groups(text, start):
        parts.append(text[position:begin])
        position = end
    return "\n".join(line for line in "".join(parts).splitlines() if line.strip())


def _without(groups, cell):
    parts, position = [], 0
    for found in _GROUP.finditer(cell):
        if found.start() >= position and found[1] in groups:
            parts.append(cell[position:found.start()])
            position = _closing(cell, found.end())
    return "".join([*parts, cell[position:]])


def _usable(name, cell):
    return (not _SPECIAL.search(name.split("__")[-1]) and not _UNUSABLE.search(cell) and "function" in cell
            and re.search(r"direction\s*:\s*\"?input", cell))


def _area(cell):
    found = re.search(r"\barea\s*:\s*\"?([\d.eE+-]+)", cell)
    return float(found[1]) if found else 0.0


def _pins(cell):
    """Input and output pin of a gate with one input."""
    pins = {re.search(r"\bdirection\s*:\s*\"?(\w+)", cell[start:end])[1]: name
            for kind, name, start, end in groups(cell, cell.index("{") + 1) if kind == "pin"}
    return pins["input"], pins["output"]


def _truth(cell, inputs):
    """Truth table of the only output of a gate with that many inputs; None of others."""
    functions = re.findall(r"\bfunction\s*:\s*\"([^\"]*)\"", cell)
    if len(functions) != 1 or not re.fullmatch(r"[\w\s!&|*+()^]+", functions[0]):
        return None
    pins = sorted(set(re.findall(r"[A-Za-z_]\w*", functions[0])))
    if len(pins) != inputs:
        return None
    expression = functions[0].translate(str.maketrans("!*+", "~&|")).strip()
    try:
        return [eval(expression, {"__builtins__": {}}, dict(zip(pins, values, strict=True))) & 1
                for values in itertools.product((0, 1), repeat=inputs)]
    except (SyntaxError, TypeError):
        return None
