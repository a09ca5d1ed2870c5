"""What stops an instruction, and about how long it takes, from its fields, main memory and the tiles that it stores.

Of several faults of one instruction that one counts which it meets first. Where two are met at nearly the same time, as a
read runs ahead of the tiles that are made from it, both may be reported.
"""

from dataclasses import dataclass, field, replace
from itertools import islice

from acceltran.hw.spec.error_codes import ErrorCode
from acceltran.hw.spec.isa import INSTRUCTION_BYTES, Buffer, Engine, Function, LoopOrder, Opcode, decode
from acceltran.hw.spec.registers import PAGE_BITS
from acceltran.hw.spec.shifts import FUNCTION_SHIFTS, SHIFTS

__all__ = ["InstructionFaults", "Surroundings", "Verdict"]

_PAGE = 1 << PAGE_BITS
_ADDRESSED = 0xFFFF_FFFF
_CHUNK = 64
"""Bytes of indices that a GATHER asks for at once; two of these before any row."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What lies around a program. All addresses are those of the bus.

    Parameters
    ----------
    base, port_bases : what is added to addresses, of the first memory port and of each beside it
    first, count : bytes of main memory; elsewhere the bus answers with an error
    read, write : first and last byte of the windows
    latency, share : cycles from an address to its data, and the share of cycles in which a handshake may take place
    """

    base: int
    port_bases: tuple = ()
    first: int
    count: int
    read: tuple
    write: tuple
    latency: int
    share: float = 1.0

    def refusal(self, address, *, writes=False):
        """Why a beat at an address is not had: "window", "bus", or None."""
        low, high = self.write if writes else self.read
        if not low <= address <= high:
            return "window"
        return None if self.first <= address < self.first + self.count else "bus"


@dataclass(frozen=True)
class Verdict:
    """Of an instruction: the codes of which one stops it, whether it can be done all the same (where that depends on values
    that are unknown), and the cycles after which either is the case, at least and at most.
    """

    codes: frozenset = field(default_factory=frozenset)
    passes: bool = True
    least: int = 0
    most: int = 100


_FETCH = {"window": ErrorCode.FETCH_WINDOW, "bus": ErrorCode.FETCH_BUS}
_READ = {"window": ErrorCode.READ_WINDOW, "bus": ErrorCode.BUS_READ}
_WRITE = {"window": ErrorCode.WRITE_WINDOW, "bus": ErrorCode.BUS_WRITE}


class InstructionFaults:
    """Judges instructions of a configuration.

    Parameters
    ----------
    config : AcceleratorConfig
    limit : what takes more cycles than this is not looked at to its end
    """

    def __init__(self, config, limit):
        self._config, self._limit, self._beat = config, limit, config.bus_width // 8
        lines = max(config.line_bits, config.weight_line_bits) * config.lines_per_beat
        self._ahead = max(config.mask_bits, lines, config.vector_line_bits) + 3 * config.bus_width

    def fetched(self, around, address, number):
        """The code of the fetch of an instruction of the program at `address`, or None."""
        offset = (address // INSTRUCTION_BYTES + number) * INSTRUCTION_BYTES & _ADDRESSED
        refusal = around.refusal(around.base + offset)
        return _FETCH[refusal] if refusal else None

    def decoded(self, raw):
        """The code with which the decoder refuses an instruction of these bytes, or None.

        Only fields that an instruction has are looked at; HALT has the engine of a SYNC.
        """
        if raw[0] not in list(Opcode):
            return ErrorCode.ILLEGAL_OPCODE
        c, (opcode, f), legal = self._config, decode(raw), True
        if opcode in (Opcode.SYNC, Opcode.HALT):
            legal &= f["engine"] in list(Engine)
        if opcode is Opcode.MATMUL:
            built = [Function.NONE, *(Function[name.upper()] for name in c.functions)]
            legal &= f["function"] in built and f["order"] in list(LoopOrder)
        if "curve" in f:
            legal &= f["curve"] <= c.prune_curves
        if opcode is Opcode.LOAD:
            legal &= f["buffer"] in list(Buffer)
            legal &= c.memory_ports == 1 or f["buffer"] != Buffer.WEIGHT or f["rows"] <= 1
        if c.clusters > 1:
            named = f["clusters"]
            own = opcode in (Opcode.GATHER, Opcode.SOFTMAX, Opcode.LAYERNORM) or (
                opcode is Opcode.LOAD and f["buffer"] == Buffer.ACTIVATION) or opcode is Opcode.MATMUL and f["b_buffer"]
            if opcode is Opcode.STORE:
                legal &= named.bit_count() == 1 and named < 1 << c.clusters
            else:
                legal &= named == 0 or bool(own) and named < 1 << c.clusters
        return None if legal else ErrorCode.BAD_FIELD

    def judge(self, opcode, f, machine, around, unknown):
        """The Verdict on an instruction that begins now.

        Parameters
        ----------
        machine : Machine, of whose memory and masks the verdict may depend
        unknown : function from a Buffer, or None for main memory, and what is read of it (cluster and slots, or addresses from
            the beginning of `memory`) to whether its content is unknown
        """
        return getattr(self, f"_{opcode.name.lower()}")(f, machine, around, unknown)

    def _sync(self, f, machine, around, unknown):
        return Verdict()

    # Memory engine.

    def _read_cycles(self, around, beats, begin=60):
        """(least, most) cycles that so many beats take, with `begin` cycles before the first."""
        burst = self._config.burst_beats
        return beats, int(((beats // burst + 2) * (around.latency + burst + 8) + begin) / around.share ** 2)

    def _first_refused(self, around, at, beats, codes, *, writes=False):
        """(number of the beat, code) of the first of `beats` from address `at` that is not had, or None."""
        number = 0
        while number < beats and number <= self._limit:
            address = at + number * self._beat
            refusal = around.refusal(address, writes=writes)
            if refusal:
                return number, codes[refusal]
            number += (_PAGE - address % _PAGE) // self._beat
        return None

    def _load(self, f, machine, around, unknown):
        c = self._config
        if f["columns"] == 0 or f["rows"] == 0 and f["buffer"] != Buffer.VECTOR:
            return Verdict()
        offset = f["address"] // self._beat * self._beat
        beats = f["bytes"] // self._beat
        if f["buffer"] == Buffer.VECTOR:
            lines = ((f["slot"] + n, False) for n in range(f["columns"]))
            return self._stream(around, around.base + offset, beats, lines, c.vector_lines, c.vector_line_bits, None)
        capacity, bits = ((c.weight_tiles, c.weight_line_bits), (c.cluster.activation_tiles, c.line_bits))[f["buffer"]]

        def share(first, step):
            slots = (f["slot"] + row * f["pitch"] + column for row in range(f["rows"]) for column in range(f["columns"]))
            return ((slot, True) for slot in islice(slots, first, None, step))

        def masks(base):
            def ones(bit):
                at = base + offset + bit // 8 - around.first
                if unknown(None, range(at, at + c.mask_bits // 8)):
                    return None
                return int.from_bytes(machine.memory[at: at + c.mask_bits // 8], "little").bit_count()
            return ones

        bases = (around.base, *around.port_bases) if f["buffer"] == Buffer.WEIGHT else (around.base,)
        found = [self._stream(around, base + offset, beats, share(port, len(bases)), capacity, bits, masks(base))
                 for port, base in enumerate(bases) if f["rows"] * f["columns"] > port]
        stopped = [one for one in found if not one.passes]
        return Verdict(frozenset().union(*(one.codes for one in found)), not stopped,
                       max(one.least for one in found), max(one.most for one in found))

    def _stream(self, around, at, beats, places, capacity, line_bits, ones):
        """A LOAD of tiles with masks (`ones` tells how many bits of the one at a bit are set), or of lines."""
        c, total, position, slot_fault, short, vague = self._config, beats * self._config.bus_width, 0, False, False, False
        refused = self._first_refused(around, at, beats, _READ)
        spoiled = refused[0] * c.bus_width if refused else total
        for slot, tiles in places:
            if slot >= capacity:
                slot_fault = True
                break
            head = c.mask_bits if tiles else line_bits
            if position + head > spoiled:
                short = True
                break
            if position // c.bus_width > self._limit:
                break
            if tiles:
                set_bits = ones(position)
                if set_bits is None:
                    vague = True
                    break
                head += -(-set_bits // c.tile) * line_bits
                if position + head > spoiled:
                    short = True
                    break
            position += head
        if vague:
            codes = {ErrorCode.LOAD_SHORT, ErrorCode.SLOT_RANGE, *([refused[1]] if refused else [])}
            return Verdict(frozenset(codes), not refused, 0, self._read_cycles(around, beats)[1])
        if slot_fault:
            near = refused and spoiled < position + self._ahead
            codes = {ErrorCode.SLOT_RANGE, *([refused[1]] if near else [])}
            return Verdict(frozenset(codes), False, *self._read_cycles(around, position // c.bus_width))
        if refused:
            return Verdict(frozenset([refused[1]]), False, *self._read_cycles(around, refused[0]))
        if short:
            return Verdict(frozenset([ErrorCode.LOAD_SHORT]), False, *self._read_cycles(around, beats))
        least, most = self._read_cycles(around, beats)
        return Verdict(least=max(least, position // c.bus_width), most=most)

    def _gather(self, f, machine, around, unknown):
        c, beat = self._config, self._beat
        if f["rows"] == 0 or f["columns"] == 0:
            return Verdict()
        tokens, capacity = f["rows"] * c.tile, c.cluster.activation_tiles
        indices = f["indices"] // beat * beat
        index_beats = -(-tokens * 4 // beat)
        spoiled = self._first_refused(around, around.base + indices, min(index_beats, self._limit), _READ)
        if spoiled and spoiled[0] * beat < 2 * _CHUNK:
            return Verdict(frozenset([spoiled[1]]), False, *self._read_cycles(around, 4 * _CHUNK // beat))
        table, pitch = f["address"] // beat * beat, f["row_bytes"] // beat * beat
        row_beats = -(-f["columns"] * c.line_bits // c.bus_width)
        least_of_row, most_of_row = self._read_cycles(around, row_beats, 4)
        slot_fault = row_fault = None
        for token in range(tokens):
            if token * least_of_row > self._limit:
                break
            first = f["slot"] + token // c.tile * f["pitch"]
            if slot_fault is None and first + f["columns"] > capacity:
                slot_fault = token * row_beats * c.bus_width + max(0, capacity - first) * c.line_bits
            at = around.base + indices + 4 * token - around.first
            if slot_fault is None and unknown(None, range(at, at + 4)):
                codes = {ErrorCode.BUS_READ, ErrorCode.READ_WINDOW, ErrorCode.SLOT_RANGE}
                return Verdict(frozenset(codes), True, 0, (token + 1) * most_of_row + 200)
            inside = not spoiled or 4 * token < spoiled[0] * beat
            index = int.from_bytes(machine.memory[at: at + 4], "little") if inside else 0
            place = around.base + (table + index * pitch & _ADDRESSED)
            if row_fault is None and (refused := self._first_refused(around, place, row_beats, _READ)):
                row_fault = (token * row_beats + refused[0]) * c.bus_width, refused[1]
            if row_fault or slot_fault is not None and token * row_beats * c.bus_width > slot_fault + self._ahead:
                break
        codes = set()
        if slot_fault is not None and (not row_fault or slot_fault <= row_fault[0]):
            codes.add(ErrorCode.SLOT_RANGE)
        if row_fault and (slot_fault is None or row_fault[0] < slot_fault + self._ahead):
            codes.add(row_fault[1])
        reached = min([fault for fault in (slot_fault, row_fault and row_fault[0]) if fault is not None],
                      default=tokens * row_beats * c.bus_width) // (row_beats * c.bus_width)
        if spoiled:
            codes.add(spoiled[1])
        return Verdict(frozenset(codes), not codes, reached * least_of_row,
                       int((reached + 4) * (most_of_row + 2 * f["columns"]) + 300))

    def _store(self, f, machine, around, unknown):
        c, beat = self._config, self._beat
        if f["rows"] == 0 or f["columns"] == 0:
            return Verdict()
        cluster = max(0, f["clusters"].bit_length() - 1) if c.clusters > 1 else 0
        activation, bits, outside, vague, tiles = machine.activations[cluster], 0, False, False, 0
        for row in range(f["rows"]):
            for column in range(f["columns"]):
                slot = f["slot"] + row * f["pitch"] + column
                outside = slot >= len(activation.values)
                if outside or bits // c.bus_width > self._limit:
                    break
                unsure = unknown(Buffer.ACTIVATION, (cluster, [slot]))
                ones = c.mask_bits if unsure else int(activation.masks[slot].sum())
                vague, tiles, bits = vague or unsure, tiles + 1, bits + c.mask_bits + -(-ones // c.tile) * c.line_bits
            else:
                continue
            break
        at = around.base + f["address"] // beat * beat
        beats = bits // c.bus_width if outside else -(-bits // c.bus_width)
        if outside:  # What is there of the last burst waits for the rest of it.
            beats -= (at // beat + beats) % c.burst_beats
        refused = {why: self._first_refused(replace(around, **change), at, beats, _WRITE, writes=True) for why, change in (
            ("window", {"first": 0, "count": 1 << 80}), ("bus", {"write": (0, 1 << 80)}))}
        window, bus = refused["window"], refused["bus"]
        codes = {ErrorCode.SLOT_RANGE} if outside else set()
        if window:
            codes.add(ErrorCode.WRITE_WINDOW)
        if bus and (not window or bus[0] < window[0]):
            codes.add(ErrorCode.BUS_WRITE)
        least = min([one[0] for one in (window, bus) if one], default=beats)
        most = int((beats * 5 + tiles * (c.tile + 8) * 4 + 3 * around.latency + 200) / around.share ** 2)
        return Verdict(frozenset(codes), not outside and (not codes or vague), 0 if outside else least, most)

    # Engines that compute.

    def _matmul(self, f, machine, around, unknown):
        c = self._config.cluster
        if 0 in (f["rows"], f["columns"], f["inner"], f["batch"]) or f["shift"] < SHIFTS.start or (
                f["function_shift"] not in FUNCTION_SHIFTS) or f["bias_shift"] > c.accumulator_width - c.width or (
                c.grid_rows > 1 and f["rows"] > 1 and f["a_pitch"] % 2 == 0) or (
                c.grid_columns > 1 and f["columns"] > 1 and f["transpose"] and f["b_pitch"] % 2 == 0):
            return Verdict(frozenset([ErrorCode.ENGINE_FIELD]), False)
        stored = (f["columns"], f["inner"]) if f["transpose"] else (f["inner"], f["columns"])
        capacity = c.activation_tiles if f["b_buffer"] else c.weight_tiles
        areas = (("a", f["rows"], f["inner"], c.activation_tiles), ("b", *stored, capacity),
                 ("c", f["rows"], f["columns"], c.activation_tiles))
        codes = {ErrorCode.SLOT_RANGE for name, rows, columns, most in areas if
                 f[f"{name}_slot"] + (f["batch"] - 1) * f[f"{name}_batch"] + (rows - 1) * f[f"{name}_pitch"] + columns > most}
        if f["bias"] and f["bias_line"] + f["columns"] > c.vector_lines:
            codes.add(ErrorCode.LINE_RANGE)
        outputs = f["batch"] * -(-f["rows"] // c.grid_rows) * -(-f["columns"] // c.grid_columns)
        steps = outputs * f["inner"]
        soon = codes and (any(f[f"{name}_slot"] >= most for name, _, _, most in areas) or (
            f["bias"] and f["bias_line"] >= c.vector_lines))
        if soon:
            return Verdict(frozenset(codes), False)
        most = steps * 4 * c.tile + outputs * 6 * c.tile + 300
        return Verdict(frozenset(codes), not codes, 0 if codes else steps, most)

    def _softmax(self, f, machine, around, unknown):
        empty = f["valid_columns"] == 0 or f["valid_columns"] > f["columns"] * self._config.tile
        return self._rows(f, "xo", (), empty, self._config.cluster.softmax_units)

    def _layernorm(self, f, machine, around, unknown):
        names = "xro" if f["residual"] else "xo"
        return self._rows(f, names, ("gamma_line", "beta_line"), False, self._config.cluster.layernorm_units)

    def _rows(self, f, names, lines, empty, units):
        c = self._config.cluster
        if f["rows"] == 0 or f["columns"] == 0 or empty:
            return Verdict(frozenset([ErrorCode.ENGINE_FIELD]), False)
        if any(f[name] + f["columns"] > c.vector_lines for name in lines):
            return Verdict(frozenset([ErrorCode.LINE_RANGE]), False)
        good = f["rows"]
        for name in names:
            room = c.activation_tiles - f["columns"] - f[f"{name}_slot"]
            good = min(good, 0 if room < 0 else room // f[f"{name}_pitch"] + 1 if f[f"{name}_pitch"] else good)
        least, most = good * f["columns"] * c.tile // units, good * (f["columns"] * 10 * c.tile + 200) + 200
        codes = frozenset([ErrorCode.SLOT_RANGE] if good < f["rows"] else [])
        return Verdict(codes, not codes, least, most)

