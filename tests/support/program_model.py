"""How programs may end, and what they leave in main memory: judged by what the documents promise, in Python.

The rule, from docs/programming.md: the first error of a run stops it; an engine reports one only when every instruction before
it in its engine is complete; engines are ordered by tokens alone; the decoder goes on until a queue is full. So of several
faulty instructions exactly those may be reported that are reached if none of the others completes. An instruction is named by
its number. Where nothing is faulty and something waits for ever, the watchdog names the oldest instruction that is not
complete.
"""

from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from acceltran.hw.control.layouts import SEMAPHORE_BITS
from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.isa import INSTRUCTION_BYTES, Buffer, Engine, Opcode, decode
from acceltran.hw.spec.layernorm import BETA_LEADS, GAMMA_LEADS, LEFT_MAX, LayerNormFormat
from acceltran.hw.spec.softmax import x_shifts
from acceltran.sw.golden.layernorm import layernorm_fields

from .instruction_faults import InstructionFaults
from .machine import Machine, engine_of
from .program_hazards import Footprints, Hazards

__all__ = ["Ending", "Expected", "ProgramModel", "UnclearError"]

_ADDRESSED = 0xFFFF_FFFF
_IN_FLIGHT = 8
"""Instructions in flight in an engine, at most."""

_MOST = 60_000
"""Instructions, after which a program is no longer followed."""


class UnclearError(Exception):
    """A program that the model does not judge: something in it takes about as long as the watchdog waits."""


@dataclass(frozen=True, order=True)
class Ending:
    """With code NONE for HALT; then the source and the instruction mean nothing."""

    code: ErrorCode
    source: int = 0
    instruction: int = 0

    def __str__(self):
        if self.code is ErrorCode.NONE:
            return "HALT"
        return f"{self.code.name} in instruction {self.instruction} ({ErrorSource(self.source).name.lower()})"


@dataclass
class Expected:
    """How a program may end.

    Members
    -------
    endings : set of Ending
    determined : whether they, and main memory, follow from the program alone: it has no races, and reads nothing unknown
    writes : (first, end) of what STOREs may write, in bytes of `ProgramModel.memory`
    unknown : the same of bytes that may hold anything, where the program ends well
    """

    endings: set = field(default_factory=set)
    determined: bool = True
    writes: list = field(default_factory=list)
    unknown: list = field(default_factory=list)


class ProgramModel:
    """An accelerator that runs one program after the other.

    Parameters
    ----------
    config : AcceleratorConfig
    image : main memory
    curves, target : thresholds
    watchdog : its limit in cycles
    port_bases : distance of the base of each memory port beside the first from that of main memory

    Members
    -------
    memory : bytearray
    """

    def __init__(self, config, image, *, curves, target, watchdog, port_bases=()):
        program = SimpleNamespace(config=config, image=image, curves=curves, target=target,
                                  port_bases=lambda base: [base + port for port in port_bases])
        self._config, self._watchdog = config, watchdog
        self._machine = Machine(program, exact=False)
        self._machine.clear()
        self._faults, self._footprints = InstructionFaults(config, 3 * watchdog), Footprints(config)
        self._unknown = 0

    @property
    def memory(self):
        return self._machine.memory

    def scrub(self):
        """Buffers are zero."""
        self._machine.clear()
        self._unknown = 0

    def lose(self):
        """A soft reset, or an error: what the buffers hold is unknown."""
        self._unknown = (1 << self._footprints.size) - 1

    def run(self, address, length, around, *, interleave=False):
        """The Expected of a program, which then has run to its end, if it ends well.

        Parameters
        ----------
        address, length : registers
        around : Surroundings
        interleave : run it again tile by tile, if it is determined and ends well

        Raises
        ------
        UnclearError : see there
        AssertionError : run again, it left something else in main memory
        """
        machine = self._machine
        machine.origin = around.base - around.first
        machine.bases = [0, *(port - around.base for port in around.port_bases)]
        before, unknown = self._state(), self._unknown
        run = _Run(self, address, length, around)
        expected = run.follow()
        if run.hazards.found:
            self._restore(before)
            self._unknown = (1 << self._footprints.size) - 1
            run = _Run(self, address, length, around, loose=True)
            expected = run.follow()
            self._unknown = (1 << self._footprints.size) - 1
        elif interleave and expected.determined and not run.left_out and expected.endings == {Ending(ErrorCode.NONE)}:
            after, left = self._state(), self._unknown
            self._restore(before)
            self._unknown = unknown
            machine.run_from(machine.origin + address // INSTRUCTION_BYTES * INSTRUCTION_BYTES, [])
            assert machine.memory == after[0], "in another order, the program leaves something else in main memory"
            self._restore(after)
            self._unknown = left
        return expected

    def _buffers(self):
        machine = self._machine
        tiles = [array for buffer in (machine.weight, *machine.activations)
                 for array in (buffer.values, buffer.masks, buffer.fill)]
        return [*tiles, machine.vector.values, machine.vector.scales]

    def _state(self):
        return bytearray(self._machine.memory), [array.copy() for array in self._buffers()]

    def _restore(self, state):
        self._machine.memory[:] = state[0]
        for array, values in zip(self._buffers(), state[1], strict=True):
            array[:] = values


class _Run:
    """One program of a `ProgramModel`, followed as far as it gets if what is faulty never completes."""

    def __init__(self, model, address, length, around, loose=False):
        self._model, self._address, self._length, self._around, self._loose = model, address, length, around, loose
        self._machine, self._config, self._faults = model._machine, model._config, model._faults
        self.hazards, self._expected, self._verdicts = Hazards(), Expected(determined=not loose), {}
        self._maybe, self.left_out = set(), False

    def follow(self):
        expected = self._expected
        found, ended, oldest, blocked = self._progress(_IN_FLIGHT)
        sure = found
        if blocked:
            # Less may be in flight behind what does not complete: then the decoder does not get as far.
            sure, *_ = self._progress(1)
        expected.endings = found | self._maybe
        if ended:
            expected.endings.add(Ending(ErrorCode.NONE))
        elif not sure:
            expected.endings.add(Ending(ErrorCode.WATCHDOG, ErrorSource.CONTROL, oldest))
        expected.determined &= not self._maybe
        if ended and any(first < self._end() and self._begin() < end for first, end in expected.writes):
            expected.determined = False
        return expected

    def _begin(self):
        return self._around.base - self._around.first + self._address // INSTRUCTION_BYTES * INSTRUCTION_BYTES

    def _end(self):
        return self._begin() + self._length * INSTRUCTION_BYTES

    def _progress(self, in_flight):
        """(errors that are reached, whether HALT is, the oldest instruction that is not complete, whether an engine stands)."""
        queues, flying = {engine: deque() for engine in Engine}, dict.fromkeys(Engine, 0)
        tokens, found, stuck = {(p, c): 0 for p in Engine for c in Engine}, set(), {}
        number, pending, halted, moved = 0, None, False, True
        while moved:
            moved = False
            if pending and len(queues[pending[1]]) < self._config.instruction_queue:
                queues[pending[1]].append(pending)
                pending, moved = None, True
            if pending is None and not halted:
                ending, pending = self._decode(number)
                halted, moved = pending is None, True
                if ending:
                    found.add(ending)
                number += pending is not None
                if number > _MOST:
                    raise UnclearError(f"more than {_MOST} instructions")
            for engine, queue in queues.items():
                while queue and flying[engine] < in_flight and all(
                        tokens[p, engine] >= queue[0][3][f"wait_{p.name.lower()}"] for p in Engine):
                    one, _, opcode, fields = queue.popleft()
                    moved = True
                    for p in Engine:
                        tokens[p, engine] -= fields[f"wait_{p.name.lower()}"]
                    if engine in stuck:
                        flying[engine] += 1
                        continue
                    codes, passes = self._perform(one, engine, opcode, fields)
                    over = passes and any(fields["signal"] >> c & 1 and tokens[engine, c] == (1 << SEMAPHORE_BITS) - 1
                                          for c in Engine)
                    if passes and codes:
                        self._maybe |= {Ending(code, engine, one) for code in codes}
                    if passes and not over:
                        for c in Engine:
                            tokens[engine, c] += fields["signal"] >> c & 1
                        continue
                    stuck[engine], flying[engine] = one, 1
                    found |= {Ending(code, engine, one) for code in ([ErrorCode.SEMAPHORE_OVERFLOW] if over else codes)}
        waiting = [*stuck.values(), *(one[0] for queue in queues.values() for one in queue), *([pending[0]] if pending else [])]
        return found, halted and not waiting and not found, min(waiting, default=number), bool(stuck)

    def _decode(self, number):
        """(how the program ends here, None) or (None, the instruction: number, engine, opcode, fields)."""
        around = self._around
        if number == self._length:
            return Ending(ErrorCode.PROGRAM_END, ErrorSource.CONTROL, number), None
        code = self._faults.fetched(around, self._address, number)
        if code is None:
            offset = (self._address // INSTRUCTION_BYTES + number) * INSTRUCTION_BYTES & _ADDRESSED
            at = around.base + offset - around.first
            raw = bytes(self._machine.memory[at: at + INSTRUCTION_BYTES])
            code = self._faults.decoded(raw)
        if code is not None:
            return Ending(code, ErrorSource.CONTROL, number), None
        opcode, fields = decode(raw)
        return None, None if opcode is Opcode.HALT else (number, engine_of(opcode, fields), opcode, fields)

    def _perform(self, number, engine, opcode, fields):
        """(codes of which one stops the instruction, whether it completes); in the latter case, it did."""
        if number not in self._verdicts:
            self._verdicts[number] = self._judge(engine, opcode, fields)
        return self._verdicts[number]

    def _judge(self, engine, opcode, fields):
        limit, machine = self._model._watchdog, self._machine
        verdict = self._faults.judge(opcode, fields, machine, self._around, self._is_unknown)
        if opcode is Opcode.STORE:
            self._note_store(fields)
        if verdict.most > limit // 2:
            if verdict.least <= 2 * limit:
                raise UnclearError(f"{opcode.name} takes {verdict.least} to {verdict.most} cycles")
            return frozenset(), False
        if verdict.passes:
            self._complete(engine, opcode, fields, bool(verdict.codes))
        return verdict.codes, verdict.passes

    def _skipped(self, opcode, fields):
        """Whether it has no tiles; others than those of the memory engine do not get here."""
        vector = opcode is Opcode.LOAD and fields["buffer"] == Buffer.VECTOR
        return opcode is Opcode.SYNC or fields["columns"] == 0 or fields["rows"] == 0 and not vector

    def _complete(self, engine, opcode, fields, vague):
        machine, model = self._machine, self._model
        if self._skipped(opcode, fields):
            self.hazards.add(engine, opcode, fields, 0, 0, False)
            return
        reads, writes, again = model._footprints.of(opcode, fields, machine.clusters(opcode, fields))
        self.hazards.add(engine, opcode, fields, reads, writes, again)
        if vague or reads & model._unknown or self._from_unknown(opcode, fields) or not self._defined(opcode, fields):
            model._unknown |= writes
            self.left_out = True
            if opcode is Opcode.STORE:
                self._expected.unknown.append(self._expected.writes[-1])
                self._expected.determined = False
            return
        if not self._loose:
            model._unknown &= ~writes
        machine.perform(opcode, fields)
        if opcode is Opcode.STORE and self._loose:
            self._expected.unknown.append(self._expected.writes[-1])

    def _note_store(self, fields):
        c = self._config
        tile = (c.mask_bits + c.tile * c.line_bits) // 8
        first = self._machine.address(fields["address"])
        count = min(fields["rows"] * fields["columns"], 1 << 16) * tile
        self._expected.writes.append((first, first + -(-count * 8 // c.bus_width) * c.bus_width // 8))

    def _from_unknown(self, opcode, fields):
        """Whether it reads bytes of main memory that may hold anything."""
        if opcode not in (Opcode.LOAD, Opcode.GATHER):
            return False
        if self._loose and self._expected.writes:
            return True
        if not self._expected.unknown:
            return False
        if opcode is Opcode.GATHER:
            return True
        return any(self._is_unknown(None, range(at, at + fields["bytes"])) for at in (
            base + self._machine.address(fields["address"]) for base in self._machine.bases))

    def _is_unknown(self, buffer, what):
        if buffer == Buffer.ACTIVATION:
            cluster, slots = what
            return bool(self._model._unknown & self._model._footprints.bits(buffer, slots, [cluster]))
        ranges = self._expected.writes if self._loose else self._expected.unknown
        return any(first < what.stop and what.start < end for first, end in ranges)

    def _defined(self, opcode, f):
        """Whether the numbers are among those that the hardware promises to compute right."""
        c = self._config
        if opcode is Opcode.MATMUL:
            return f["inner"] * c.tile <= c.max_inner and self._sum_fits(f)
        if opcode is Opcode.SOFTMAX:
            return f["x_shift"] in x_shifts(c.width) and f["o_frac"] <= c.width - 2
        if opcode is not Opcode.LAYERNORM:
            return True
        count, form, shifts = f["columns"] * c.tile, LayerNormFormat(c.width), range(-LEFT_MAX, 32 - LEFT_MAX)
        if count > c.max_inner or f["shift"] - form.fraction not in GAMMA_LEADS or (
                f["shift"] - f["beta_shift"] not in BETA_LEADS):
            return False
        usual = layernorm_fields(n=count, x_frac=0, x_max=1.0, gamma_frac=0, beta_frac=0, o_frac=0, eps=0.0, width=c.width)
        return f["x_shift"] in shifts and (not f["residual"] or f["r_shift"] in shifts) and (
            all(f[name] == usual[name] for name in ("reciprocal", "reciprocal_shift"))
            and f["epsilon"] <= count << 2 * (form.sum_width + form.mean_guard) - 4)

    def _sum_fits(self, f):
        c, machine = self._config, self._machine
        sums = f["inner"] * c.tile << c.width + c.b_width - 2
        if f["bias"]:
            lines = f["bias_line"] + np.arange(f["columns"])
            largest = int(np.abs(machine.vector.values[lines]).max())
            sums = (largest << f["bias_shift"] + int(machine.vector.scales[lines].max())) + sums
        return sums < 1 << c.accumulator_width - 1
