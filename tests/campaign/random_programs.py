"""Random programs: valid ones, whose instructions wait for each other; the same with faults; and garbage."""

from types import SimpleNamespace

import numpy as np

from acceltran.hw.spec.activations import ACTIVATIONS
from acceltran.hw.spec.isa import INSTRUCTION_BYTES, Buffer, Engine, Opcode, decode, encode, fields_of
from acceltran.hw.spec.registers import PAGE_BITS
from acceltran.hw.spec.softmax import x_shifts
from acceltran.sw.compiler.schedule import semaphores
from acceltran.sw.golden.layernorm import layernorm_fields
from support.machine import engine_of
from support.program_hazards import Footprints

from .program_data import MEMORY_BITS, RESULTS

__all__ = ["CURVES", "RandomPrograms", "as_text", "encoded"]

CURVES = 2
"""Threshold curves that programs use; all further ones prune nothing."""

_PAGE = 1 << PAGE_BITS
_ADDRESSES = ("address", "indices")
_TRIES = 40
_PLAIN = {"more": 0, "at": None, "base": 0, "read": None, "write": None, "scrub": False}
_WAITS = tuple(f"wait_{engine.name.lower()}" for engine in Engine)


def encoded(instruction):
    """The 64 bytes of an instruction as `as_text` has it."""
    if "raw" in instruction:
        return bytes.fromhex(instruction["raw"]).ljust(INSTRUCTION_BYTES, b"\0")
    opcode = Opcode[instruction["opcode"]]
    fields = {field.name: 0 for field in fields_of(opcode) if field.name != "opcode"}
    return encode(opcode, **fields | {name: value for name, value in instruction.items() if name not in ("opcode", "times")})


def as_text(raw):
    """An instruction as plain values: its fields that are not zero, or its bytes where these say more than fields do."""
    if raw[0] in list(Opcode):
        opcode, fields = decode(raw)
        named = {"opcode": opcode.name} | {name: value for name, value in fields.items() if value and name != "opcode"}
        if encoded(named) == raw:
            return named
    return {"raw": raw.rstrip(b"\0").hex()}


class RandomPrograms:
    """Programs for a configuration and the data that `ProgramData` put into main memory.

    Parameters
    ----------
    config : AcceleratorConfig
    data : ProgramData
    rng : random.Random
    """

    def __init__(self, config, data, rng):
        self._config, self._data, self._rng, self._footprints = config, data, rng, Footprints(config)
        self._makers = (self._load, self._load, self._weights, self._lines, self._gather, self._matmul, self._matmul,
                        self._matmul, self._softmax, self._layernorm, self._store, self._sync)

    def case(self):
        """A program and its run, as plain values; see `Programs`."""
        rng = self._rng
        kind = rng.choices(("valid", "mutated", "wild", "garbage", "special"), (40, 36, 12, 8, 4))[0]
        case = _PLAIN | {"kind": kind, "base": rng.choice((0, 0, 0, 1, 9)) * _PAGE, "scrub": rng.random() < 0.08}
        if kind == "garbage":
            words = [self._garbage() for _ in range(rng.randrange(1, 5))]
        elif kind == "special":
            return case | self._special()
        else:
            words = self._valid() if kind != "wild" else [self._wild() for _ in range(rng.randrange(1, 9))] + [_halt()]
            if kind == "mutated":
                for _ in range(rng.choice((1, 1, 1, 2, 3))):
                    words = self._mutated(words)
        if rng.random() < 0.1:
            case["more"] = rng.choice((1, 3, 40)) if rng.random() < 0.5 else -rng.randrange(1, len(words) + 1)
        if kind != "valid" and rng.random() < 0.03:
            case["at"] = rng.choice(((1 << MEMORY_BITS) - 128, 1 << MEMORY_BITS, 0xFFFF_FF80))
        if rng.random() < 0.35:
            first = rng.choice((0, 0, 16, 16, 16, 16, 16, 80, rng.randrange(176)))
            last = max(first + 1, rng.choice((256, 256, 176, 112, 96, 82, 81, rng.randrange(first + 1, 257))))
            case["read"] = [first * _PAGE, (last - first) * _PAGE]
        if rng.random() < 0.35:
            first, last = rng.choice(((176, 256), (176, 216), (200, 256), (rng.randrange(200), rng.randrange(200, 257))))
            case["write"] = [first * _PAGE, (last - first) * _PAGE]
        return case | {"program": [as_text(word if isinstance(word, bytes) else _encode(*word)) for word in words]}

    # Valid programs.

    def _valid(self):
        """(opcode, fields) of instructions that wait for each other where they must, with HALT."""
        self._areas, self._lines_there, self._weights_there = [], 0, 0
        steps = [self._load(), self._load(), *(maker() for maker in (self._weights, self._lines) if self._rng.random() < 0.8)]
        for _ in range(self._rng.randrange(1, 9)):
            steps.append(self._rng.choice(self._makers)())
        steps += [self._store() for _ in range(self._rng.randrange(1, 4))]
        steps = [step for step in steps if step]
        described = []
        for opcode, fields in steps:
            reads, writes, _ = self._touched(opcode, fields)
            regions = [[SimpleNamespace(home="all", slots=_positions(word))] if word else [] for word in (reads, writes)]
            described.append(SimpleNamespace(engine=engine_of(opcode, fields), reads=regions[0], writes=regions[1]))
        marks = semaphores(described, lambda region: region.slots, {"all": self._footprints.size})
        return [*((opcode, fields | mark.header()) for (opcode, fields), mark in zip(steps, marks, strict=True)), _halt()]

    def _touched(self, opcode, fields):
        clusters = [n for n in range(16) if fields.get("clusters", 0) >> n & 1] or range(self._config.clusters)
        return self._footprints.of(opcode, _full(opcode, fields), clusters)

    def _place(self, rows, columns, capacity=None):
        """A free choice of slot and odd pitch."""
        rng, capacity = self._rng, capacity or self._config.cluster.activation_tiles
        pitch = columns if rows == 1 else (columns | 1) + 2 * rng.randrange(2)
        return {"slot": rng.randrange(capacity - (rows - 1) * pitch - columns + 1), "pitch": pitch}

    def _keep(self, area, rows, columns, clusters):
        self._areas.append({**area, "rows": rows, "columns": columns, "clusters": clusters})

    def _some(self):
        """An area with values, the latest more often, and the clusters that have it."""
        area = self._areas[-1 - min(self._rng.randrange(len(self._areas)), self._rng.randrange(len(self._areas)))]
        return area, area["clusters"]

    def _clusters(self):
        return self._rng.randrange(1 << self._config.clusters) if self._config.clusters > 1 else 0

    def _load(self):
        rng, data = self._rng, self._data
        rows, columns, clusters = rng.randrange(1, 4), rng.randrange(1, 5), self._clusters()
        place, (address, ends) = self._place(rows, columns), rng.choice(data.activations)
        beat = self._config.bus_width // 8
        count = -(-ends[rows * columns] // beat) * beat + (rng.choice((64, 640)) if rng.random() < 0.1 else 0)
        self._keep(place, rows, columns, clusters)
        return Opcode.LOAD, {"address": address, "bytes": count, "buffer": int(Buffer.ACTIVATION), "rows": rows,
                             "columns": columns, "clusters": clusters, **place}

    def _weights(self):
        c, (address, ends), ports = self._config, self._rng.choice(self._data.weights), self._config.memory_ports
        columns = self._rng.randrange(4, 13)
        beat, share = c.bus_width // 8, -(-columns // ports)
        self._weights_there = max(self._weights_there, columns)
        return Opcode.LOAD, {"address": address, "bytes": -(-ends[share] // beat) * beat, "buffer": int(Buffer.WEIGHT),
                             "rows": 1, "columns": columns}

    def _lines(self):
        c, lines = self._config, self._rng.randrange(4, 17)
        beat = c.bus_width // 8
        self._lines_there = max(self._lines_there, lines)
        return Opcode.LOAD, {"address": self._data.vectors, "bytes": -(-lines * c.vector_line_bits // 8 // beat) * beat,
                             "buffer": int(Buffer.VECTOR), "slot": 0, "columns": lines, "rows": self._rng.randrange(2)}

    def _gather(self):
        rng, data, tile = self._rng, self._data, self._config.tile
        rows, columns, clusters = rng.randrange(1, 3), rng.randrange(1, 4), self._clusters()
        place = self._place(rows, columns)
        self._keep(place, rows, columns, clusters)
        return Opcode.GATHER, {"address": data.table, "indices": data.indices + 64 * rng.randrange(0, 16 * tile // 8),
                               "row_bytes": data.row_bytes, "rows": rows, "columns": columns, "clusters": clusters, **place}

    def _matmul(self):
        """None where there are no operands for it."""
        rng, c = self._rng, self._config
        (a, clusters), inside = self._some(), rng.random() < 0.5
        inner, transpose = a["columns"], rng.randrange(2)
        b = next((area for area in reversed(self._areas) if area is not a and area["clusters"] == clusters), None)
        if inside and b:
            inner = min(inner, b["columns"] if transpose else b["rows"])
            columns, b_slot, b_pitch = b["rows"] if transpose else b["columns"], b["slot"], b["pitch"]
        else:
            if not self._weights_there or clusters:
                return None
            inside, columns, b_slot = False, rng.randrange(1, 4), rng.randrange(2)
            stored = (columns, inner) if transpose else (inner, columns)
            b_pitch = stored[1] | 1 if transpose else stored[1]
            if b_slot + (stored[0] - 1) * b_pitch + stored[1] > self._weights_there:
                return None
        fields = {"a_slot": a["slot"], "a_pitch": a["pitch"], "b_buffer": int(inside), "transpose": transpose, "b_slot": b_slot,
                  "b_pitch": b_pitch, "batch": 1, "rows": a["rows"], "inner": inner, "columns": columns,
                  "order": rng.randrange(24), "shift": rng.randrange(c.b_width - 4, c.b_width + 8), "clusters": clusters,
                  "curve": rng.choice((0, 0, 1, 2))}
        if self._lines_there >= columns and rng.random() < 0.6:
            fields |= {"bias": 1, "bias_line": rng.randrange(self._lines_there - columns + 1), "bias_shift": rng.randrange(4)}
        if rng.random() < 0.5 and c.functions:
            name = rng.choice(c.functions)
            fields |= {"function": next(entry.code for entry in ACTIVATIONS if entry.name == name),
                       "function_shift": rng.randrange(-2, 8)}
        fields["batch"] = rng.choice((1, 1, 1, 2)) if a["rows"] < 3 else 1
        return self._with_place(Opcode.MATMUL, fields, "c", a["rows"], columns, fields["batch"])

    def _with_place(self, opcode, fields, name, rows, columns, batch=1):
        """The instruction with a place for its results that it reads nothing of."""
        for _ in range(_TRIES):
            place = self._place(rows * batch, columns)
            whole = fields | {f"{name}_slot": place["slot"], f"{name}_pitch": place["pitch"]}
            if batch > 1:
                whole["c_batch"] = rows * place["pitch"]
            if not self._touched(opcode, whole)[2]:
                self._keep(place, rows * batch, columns, fields["clusters"])
                return opcode, whole
        return None

    def _softmax(self):
        rng, c = self._rng, self._config
        x, clusters = self._some()
        fields = {"x_slot": x["slot"], "x_pitch": x["pitch"], "rows": x["rows"], "columns": x["columns"],
                  "valid_columns": rng.randrange(1, x["columns"] * c.tile + 1), "x_shift": rng.choice(x_shifts(c.width)),
                  "o_frac": rng.randrange(c.width // 2, c.width - 1), "curve": rng.choice((0, 0, 1)), "clusters": clusters}
        return self._with_place(Opcode.SOFTMAX, fields, "o", x["rows"], x["columns"])

    def _layernorm(self):
        rng, c = self._rng, self._config
        x, clusters = self._some()
        if self._lines_there < x["columns"]:
            return None
        r = next((area for area in self._areas if area["clusters"] == clusters and area["rows"] >= x["rows"]
                  and area["columns"] >= x["columns"]), None)
        x_frac, o_frac, whole = rng.randrange(c.width // 2, c.width), c.width // 2, 1 << c.width - 1
        r_frac = x_frac - rng.randrange(4) if r and rng.random() < 0.6 else None
        fields = layernorm_fields(
            n=x["columns"] * c.tile, x_frac=x_frac, r_frac=r_frac, x_max=whole * 2.0**-x_frac,
            r_max=None if r_frac is None else whole * 2.0**-r_frac, gamma_frac=o_frac + rng.randrange(-2, 4),
            beta_frac=o_frac + rng.randrange(5), o_frac=o_frac, eps=1e-5, width=c.width)
        fields |= {"x_slot": x["slot"], "x_pitch": x["pitch"], "rows": x["rows"], "columns": x["columns"], "clusters": clusters,
                   "curve": rng.choice((0, 0, 2)), **{name: rng.randrange(self._lines_there - x["columns"] + 1)
                                                      for name in ("gamma_line", "beta_line")}}
        if r_frac is not None:
            fields |= {"residual": 1, "r_slot": r["slot"], "r_pitch": r["pitch"]}
        return self._with_place(Opcode.LAYERNORM, fields, "o", x["rows"], x["columns"])

    def _store(self):
        area, clusters = self._some()
        if self._config.clusters > 1:
            clusters = self._rng.choice([1 << n for n in range(self._config.clusters) if not clusters or clusters >> n & 1])
        address = self._rng.randrange(RESULTS.start, RESULTS.stop - 8 * _PAGE, 64)
        return Opcode.STORE, area | {"clusters": clusters, "address": address}

    def _sync(self):
        return Opcode.SYNC, {"engine": self._rng.randrange(3)}

    # Others.

    def _mutated(self, words):
        """The program with one thing changed."""
        rng, words, at = self._rng, list(words), self._rng.randrange(len(words))
        way = rng.choice((*3 * ("field",), *2 * ("edge",), *4 * ("token",), "drop", "double", "swap", "bits", "opcode"))
        opcode, fields = words[at] if not isinstance(words[at], bytes) else (None, None)
        if way == "drop" and len(words) > 1:
            del words[at]
        elif way == "double":
            words.insert(at, words[at])
        elif way == "swap":
            other = rng.randrange(len(words))
            words[at], words[other] = words[other], words[at]
        elif opcode is None or way in ("bits", "opcode"):
            raw = bytearray(words[at] if opcode is None else _encode(opcode, fields))
            if way == "opcode":
                raw[0] = rng.choice((0, 2, 3, 4, 5, 6, 7, 8, 9, 255))
            else:
                raw[rng.randrange(1, 40)] ^= 1 << rng.randrange(8)
            words[at] = bytes(raw)
        elif way == "token":
            name = rng.choice((*_WAITS, "signal"))
            words[at] = opcode, fields | {name: rng.choice((0, 1, 1, 2, 7)) if name == "signal" else rng.choice((0, 0, 1, 2))}
        elif way == "edge" and "address" in fields:
            name = rng.choice([name for name in (*_ADDRESSES, "bytes") if name in fields])
            words[at] = opcode, fields | {name: self._edge(name, fields[name])}
        else:
            field = rng.choice([field for field in fields_of(opcode) if field.name not in ("opcode", "reserved", *_WAITS)])
            words[at] = opcode, fields | {field.name: self._value(field, fields.get(field.name, 0))}
        return words

    def _edge(self, name, value):
        rng, end = self._rng, 1 << MEMORY_BITS
        if name == "bytes":
            return max(0, rng.choice((value - 64, value + 64, value - 8, value // 2 & ~63, 0, value + 4096, 1 << 18)))
        place = rng.choice((end, RESULTS.start, RESULTS.stop, 80 * _PAGE, 176 * _PAGE)) + 64 * rng.randrange(-20, 8)
        return rng.choice((place, place, rng.getrandbits(32) & ~63, 0xFFFF_FFC0, value ^ 8))

    def _value(self, field, value):
        """Another value of a field: near the old one, at an end of its range, or anywhere in it."""
        rng, low, high = self._rng, 0, (1 << field.bits) - 1
        if field.signed:
            low, high = -(1 << field.bits - 1), (1 << field.bits - 1) - 1
        return min(high, max(low, rng.choice((value + 1, value - 1, value + 2, 2 * value, 0, low, high, rng.randint(low, high),
                                              rng.randint(low, high) >> rng.randrange(field.bits)))))

    def _wild(self):
        """An instruction with fields of its own that have little to do with each other."""
        rng, c = self._rng, self._config
        opcode = rng.choice([opcode for opcode in Opcode if opcode is not Opcode.HALT])
        fields = {"signal": rng.choice((0, 0, 1, 2, 4, 7))}
        if rng.random() < 0.2:
            fields[rng.choice(_WAITS)] = 1
        if c.clusters > 1:
            fields["clusters"] = rng.choice((0, 0, 1, 2, 3, 4)) if opcode is not Opcode.STORE else rng.choice((1, 2, 2, 3))
        for field in fields_of(opcode):
            name, most = field.name, min(3, (1 << field.bits - field.signed) - 1)
            if name in fields or name in ("opcode", "reserved", *_WAITS):
                continue
            value = rng.randrange(most + 1)
            if name.endswith("slot"):
                value = rng.choice((0, rng.randrange(c.weight_tiles), c.cluster.activation_tiles - 4))
            elif name in ("rows", "columns", "inner", "batch"):
                value = rng.randrange(1, 4)
            elif name == "valid_columns":
                value = rng.randrange(1, 3 * c.tile)
            elif name in _ADDRESSES:
                value = rng.choice((self._data.indices, self._data.table, rng.choice(self._data.activations)[0],
                                    rng.randrange(RESULTS.start, RESULTS.stop, 64), self._edge(name, 0)))
            elif name == "bytes":
                value = rng.choice((64, 256, 640, 4096, 8192))
            elif name == "row_bytes":
                value = rng.choice((0, 64, 256, 4096))
            elif rng.random() < 0.04:
                value = self._value(field, value)
            fields[name] = value
        return opcode, fields

    def _garbage(self):
        rng = self._rng
        raw = bytearray(rng.randbytes(INSTRUCTION_BYTES))
        if rng.random() < 0.7:
            raw[0] = rng.choice(list(Opcode))
            raw[1:4] = bytes(3)
        return bytes(raw)

    def overflow(self):
        """Tokens that nobody takes, so many that they do not fit, or just fit."""
        rng = self._rng
        program = [{"opcode": "SYNC", "engine": rng.randrange(3), "signal": 1 << rng.randrange(3),
                    "times": rng.choice((4095, 4096, 4100))}, {"opcode": "HALT"}]
        return _PLAIN | {"kind": "special", "program": program}

    def _special(self):
        """A program without instructions, one that waits for ever, and one with a LOAD that takes too long."""
        rng, way = self._rng, self._rng.randrange(3)
        if way == 0:
            return {"program": [{"opcode": "HALT"}], "more": -1}
        if way == 1:
            return {"program": [{"opcode": "SYNC", "engine": rng.randrange(3), rng.choice(_WAITS): 255}, {"opcode": "HALT"}]}
        words = self._valid()
        words.insert(rng.randrange(len(words)), (Opcode.LOAD, {
            "address": self._data.activations[0][0], "bytes": 1 << 19, "buffer": 1, "pitch": 1, "rows": 1, "columns": 1}))
        return {"program": [as_text(_encode(*word)) for word in words]}


def _halt():
    return Opcode.HALT, {}


def _full(opcode, fields):
    return {field.name: 0 for field in fields_of(opcode)} | fields


def _encode(opcode, fields):
    return encode(opcode, **{name: value for name, value in _full(opcode, fields).items() if name != "opcode"})


def _positions(word):
    """Numbers of the bits that are set."""
    raw = np.frombuffer(word.to_bytes(-(-word.bit_length() // 8), "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(raw, bitorder="little"))
