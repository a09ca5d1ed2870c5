"""Random programs and their judge: the model agrees with known causes of every error, and with the RTL; a fault is found."""

import json
import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from acceltran.hw.accelerator import Accelerator
from acceltran.hw.control import control_unit, dispatcher, instruction_decoder, issue_queue
from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.isa import INSTRUCTION_BYTES
from acceltran.hw.verilog_export import to_verilog
from acceltran.sim.design import accelerator_verilog, build_system
from campaign import programs as kind_module
from campaign.attack import attack
from campaign.program_data import MEMORY_BITS, PROGRAMS, RESULTS, ProgramData
from campaign.programs import PROGRAM_CONFIGS, Programs
from campaign.random_programs import CURVES, encoded
from support.axi_monitor import monitor_sources
from support.configs import CONFIGS
from support.instruction_faults import Surroundings
from support.mutation import mutated
from support.program_model import Ending, ProgramModel

CONFIG = PROGRAM_CONFIGS[0]
SMALL = {"activation_tiles": 64, "weight_tiles": 32, "vector_lines": 32}
BASE, WHOLE, PAGE = 0x8000_0000, (0, (1 << 32) - 1), 4096
MEMORY, MATRIX, VECTOR, CONTROL = ErrorSource
WELL = Ending(ErrorCode.NONE)
DATA = ProgramData(CONFIG, 1)
WATCHDOG = 8000

TILE = {"opcode": "LOAD", "address": DATA.activations[0][0], "bytes": 4096, "buffer": 1, "slot": 0, "rows": 1, "columns": 2}
STORE = {"opcode": "STORE", "address": RESULTS.start, "rows": 1, "columns": 2}
GATHER = {"opcode": "GATHER", "address": DATA.table, "indices": DATA.indices, "row_bytes": DATA.row_bytes, "rows": 1,
          "columns": 2}
MATMUL = {"opcode": "MATMUL", "c_slot": 9, "c_pitch": 1, "batch": 1, "rows": 1, "inner": 1, "columns": 1}
SOFTMAX = {"opcode": "SOFTMAX", "o_slot": 4, "rows": 1, "columns": 1, "valid_columns": 3, "o_frac": 9}
NORM = {"opcode": "LAYERNORM", "o_slot": 4, "rows": 1, "columns": 1}
HALT = {"opcode": "HALT"}
END = 1 << MEMORY_BITS


def expected(*program, length=None, at=PROGRAMS.start, read=WHOLE, write=WHOLE):
    """How a program may end that begins with zeros in all buffers."""
    text, memory = b"".join(encoded(one) * one.get("times", 1) for one in program), bytearray(DATA.memory)
    memory[PROGRAMS.start: PROGRAMS.start + len(text)] = text[: len(PROGRAMS)]
    model = ProgramModel(CONFIG, bytes(memory), curves=[[0] * 9] * CONFIG.prune_curves, target=0, watchdog=WATCHDOG)
    around = Surroundings(base=BASE, first=BASE, count=END, read=read, write=write, latency=4)
    return model.run(at, len(text) // INSTRUCTION_BYTES if length is None else length, around).endings


KNOWN = {
    "ends well": ([TILE, STORE, HALT], {}, [WELL]),
    "opcode 0": ([TILE, {"raw": "00"}, HALT], {}, [Ending(ErrorCode.ILLEGAL_OPCODE, CONTROL, 1)]),
    "opcode 9": ([{"raw": "09"}, HALT], {}, [Ending(ErrorCode.ILLEGAL_OPCODE, CONTROL, 0)]),
    "function not built": ([MATMUL | {"function": 7}, HALT], {}, [Ending(ErrorCode.BAD_FIELD, CONTROL, 0)]),
    "loop order 24": ([MATMUL | {"order": 24}, HALT], {}, [Ending(ErrorCode.BAD_FIELD, CONTROL, 0)]),
    "curve beyond": ([SOFTMAX | {"curve": CONFIG.prune_curves + 1}, HALT], {}, [Ending(ErrorCode.BAD_FIELD, CONTROL, 0)]),
    "buffer 3": ([TILE | {"buffer": 3}, HALT], {}, [Ending(ErrorCode.BAD_FIELD, CONTROL, 0)]),
    "engine 3": ([{"opcode": "SYNC", "engine": 3}, HALT], {}, [Ending(ErrorCode.BAD_FIELD, CONTROL, 0)]),
    "program beyond memory": ([HALT], {"at": END}, [Ending(ErrorCode.FETCH_BUS, CONTROL, 0)]),
    "program outside the window": ([HALT], {"read": (BASE, BASE + PAGE - 1)}, [Ending(ErrorCode.FETCH_WINDOW, CONTROL, 0)]),
    "no HALT": ([TILE, STORE], {}, [Ending(ErrorCode.PROGRAM_END, CONTROL, 2)]),
    "no instruction": ([], {}, [Ending(ErrorCode.PROGRAM_END, CONTROL, 0)]),
    "waits for ever": ([TILE, MATMUL | {"wait_memory": 1}, STORE, HALT], {}, [Ending(ErrorCode.WATCHDOG, CONTROL, 1)]),
    "takes for ever": ([TILE | {"bytes": 1 << 19}, HALT], {}, [Ending(ErrorCode.WATCHDOG, CONTROL, 0)]),
    "tokens that fit": ([{"opcode": "SYNC", "signal": 2, "times": 4095}, HALT], {}, [WELL]),
    "a token too many": ([{"opcode": "SYNC", "engine": 2, "signal": 2, "times": 4095},
                          {"opcode": "SYNC", "engine": 2, "signal": 2}], {"length": 4096},
                         [Ending(ErrorCode.SEMAPHORE_OVERFLOW, VECTOR, 4095), Ending(ErrorCode.PROGRAM_END, CONTROL, 4096)]),
    "LOAD beyond memory": ([TILE | {"address": END}, HALT], {}, [Ending(ErrorCode.BUS_READ, MEMORY, 0)]),

    "indices beyond memory": ([TILE, GATHER | {"indices": END}, HALT], {}, [Ending(ErrorCode.BUS_READ, MEMORY, 1)]),
    "STORE beyond memory": ([TILE, STORE | {"address": END}, HALT], {}, [Ending(ErrorCode.BUS_WRITE, MEMORY, 1)]),
    "read window": ([TILE, HALT], {"read": (BASE + PROGRAMS.start, BASE + PROGRAMS.stop - 1)},
                    [Ending(ErrorCode.READ_WINDOW, MEMORY, 0)]),
    "write window": ([TILE, STORE, HALT], {"write": (BASE, BASE + PAGE - 1)}, [Ending(ErrorCode.WRITE_WINDOW, MEMORY, 1)]),
    "slot of a LOAD": ([TILE | {"slot": 64}, HALT], {}, [Ending(ErrorCode.SLOT_RANGE, MEMORY, 0)]),
    "line of a LOAD": ([TILE | {"buffer": 2, "slot": 31}, HALT], {}, [Ending(ErrorCode.SLOT_RANGE, MEMORY, 0)]),
    "slot of a STORE": ([STORE | {"slot": 63}, HALT], {}, [Ending(ErrorCode.SLOT_RANGE, MEMORY, 0)]),
    "slot of a product": ([MATMUL | {"c_slot": 64}, HALT], {}, [Ending(ErrorCode.SLOT_RANGE, MATRIX, 0)]),
    "slot of a residual": ([NORM | {"residual": 1, "r_slot": 64}, HALT], {}, [Ending(ErrorCode.SLOT_RANGE, VECTOR, 0)]),
    "packed tiles go on": ([TILE | {"bytes": 8}, HALT], {}, [Ending(ErrorCode.LOAD_SHORT, MEMORY, 0)]),
    "line of a bias": ([MATMUL | {"bias": 1, "bias_line": 32}, HALT], {}, [Ending(ErrorCode.LINE_RANGE, MATRIX, 0)]),
    "line of a gamma": ([NORM | {"gamma_line": 32}, HALT], {}, [Ending(ErrorCode.LINE_RANGE, VECTOR, 0)]),
    "no rows": ([MATMUL | {"rows": 0}, HALT], {}, [Ending(ErrorCode.ENGINE_FIELD, MATRIX, 0)]),
    "too many columns": ([SOFTMAX | {"valid_columns": 9}, HALT], {}, [Ending(ErrorCode.ENGINE_FIELD, VECTOR, 0)]),
    "a LOAD of nothing": ([TILE | {"columns": 0, "slot": 99}, HALT], {}, [WELL]),
    # Which of several faults may be reported.
    "two in one engine": ([TILE | {"slot": 64}, STORE | {"address": END}, HALT], {}, [Ending(ErrorCode.SLOT_RANGE, MEMORY, 0)]),
    "two in two engines": ([MATMUL | {"rows": 0}, SOFTMAX | {"columns": 0}, HALT], {},
                           [Ending(ErrorCode.ENGINE_FIELD, MATRIX, 0), Ending(ErrorCode.ENGINE_FIELD, VECTOR, 1)]),
    "one waits for the other": ([MATMUL | {"rows": 0, "signal": 4}, SOFTMAX | {"columns": 0, "wait_matrix": 1}, HALT], {},
                                [Ending(ErrorCode.ENGINE_FIELD, MATRIX, 0)]),
    "one of the decoder behind": ([MATMUL | {"rows": 0}, {"raw": "00"}], {},
                                  [Ending(ErrorCode.ENGINE_FIELD, MATRIX, 0), Ending(ErrorCode.ILLEGAL_OPCODE, CONTROL, 1)]),
    "one behind a full queue": ([*3 * [STORE | {"wait_vector": 1}], {"raw": "00"}], {},
                                [Ending(ErrorCode.WATCHDOG, CONTROL, 0)]),
    "one behind what waits": ([TILE | {"wait_vector": 1}, {"raw": "00"}], {}, [Ending(ErrorCode.ILLEGAL_OPCODE, CONTROL, 1)]),
}


def test_the_model_knows_every_cause():
    codes = set()
    for name, (program, options, wanted) in KNOWN.items():
        found = expected(*program, **options)
        assert found == set(wanted), name
        codes |= {ending.code for ending in found}
    assert codes == set(ErrorCode)


def test_batches_follow_from_their_seed():
    kind = Programs(cases=40)
    first, second = (json.dumps(list(kind.batches(seed, 2))) for seed in (3, 3))
    assert first == second and first != json.dumps(list(kind.batches(4, 2)))
    kinds = {case["kind"] for batch in json.loads(first) for case in batch["cases"]}
    assert kinds >= {"valid", "mutated", "wild", "garbage"}


class ModelAccelerator:
    """In place of a simulation: the model itself, whose outcomes `change` may spoil."""

    def __init__(self, batch, change):
        self._batch, self._change = batch, change

    def __call__(self, build, module, folder, plusargs):
        config, settings = kind_module.config_of(self._batch[0]), self._batch[0]["settings"]
        data, job = kind_module._data(config, settings["data"]), json.loads((folder / "job.json").read_text())
        memory = kind_module._placed(self._batch[0], config, data)[1]
        curves = [*settings["knots"], *([[0] * 9] * (config.prune_curves - CURVES))]
        model = ProgramModel(config, bytes(memory), curves=curves, target=settings["target"], watchdog=8000)
        seen, lines = [], []
        for number, run in enumerate(job["runs"]):
            windows = {name: (run[name][0], sum(run[name]) - 1) for name in ("read", "write")}
            around = Surroundings(base=run["base"], first=settings["base"], count=END, latency=settings["latency"], **windows)
            before = np.frombuffer(bytes(model.memory), np.uint8)
            ending = self._change(min(model.run(run["address"], run["length"], around).endings))
            if ending.code:
                model.memory[:] = before.tobytes()
                model.lose()
            if run["scrub"]:
                model.scrub()
            beat = config.bus_width // 8
            changed = np.flatnonzero((before != np.frombuffer(bytes(model.memory), np.uint8)).reshape(-1, beat).any(1))
            lines += [f"{number} {settings['base'] + at} ff {model.memory[at: at + beat][::-1].hex()}"
                      for at in (beat * changed).tolist()]
            seen.append({"ended": True, "begun": number, "done": number, "status": 8 if ending.code else 5, "code": ending.code,
                         "engine": ending.source, "instruction": ending.instruction})
        (folder / "memory.log").write_text("\n".join(lines))
        (folder / "result.json").write_text(json.dumps({"runs": seen, "cycles": 0}))


def played(monkeypatch, tmp_path, change, count=12):
    """What `attack` finds with the model in place of the RTL."""
    kind = Programs(configs=PROGRAM_CONFIGS[:1], cases=count, build=lambda config: None)
    held = [None]

    class Kept(Programs):
        def run(self, batch, folder):
            held[0] = batch
            return super().run(batch, folder)

    kind.__class__ = Kept
    monkeypatch.setattr(kind_module, "run_cocotb", ModelAccelerator(held, change))
    monkeypatch.setattr(kind_module, "write_image", lambda *_: None)
    (batch,) = kind.batches(1, 1)
    return attack(kind, batch, tmp_path / "logs")


def test_a_wrong_number_is_found_and_shrunk(monkeypatch, tmp_path):
    """As an engine would name it that tells the instruction behind."""
    def change(ending):
        wrong = ending.code is ErrorCode.WRITE_WINDOW
        return replace(ending, instruction=ending.instruction + 1) if wrong else ending

    found = played(monkeypatch, tmp_path, change)
    (case,) = found.smallest["cases"]
    assert found.failures and "WRITE_WINDOW in instruction" in found.reason
    store, halt = case["program"]
    assert store["opcode"] == "STORE" and set(store) <= {"opcode", "address", "rows", "columns"} and halt == HALT, case


def test_what_is_right_is_not_found(monkeypatch, tmp_path):
    found = played(monkeypatch, tmp_path, lambda ending: ending)
    assert not found.failures and found.counts["programs"] == 12
    assert sum(found.counts.get(name, 0) for name in ("judged exactly", "judged by a set", "unclear programs")) == 12


def monitored(config, folder):
    """The simulator of tests/sim/test_hostile_system.py."""
    folder.mkdir(exist_ok=True)
    return build_system(config, memory_bits=MEMORY_BITS, sources=monitor_sources(config, folder))


ONE_PE = replace(CONFIGS["one_pe"], **SMALL, address_bits=64)


def test_programs_on_the_rtl(tmp_path):
    kind = Programs(configs=(ONE_PE,), cases=60, build=partial(monitored, folder=tmp_path / "bind"))
    (batch,) = kind.batches(random.Random(7).randrange(100), 1)
    (tmp_path / "run").mkdir()
    tally = kind.run(batch, tmp_path / "run")
    assert not tally.failures, tally.failures
    counts = tally.counts
    assert counts["programs"] >= 60 and not counts["violations"] and not counts["hangs"]
    assert counts["well and determined"] > 10 and counts["bytes written"] > 1000
    assert sum(count for name, count in counts.items() if name.startswith("ended ")) == counts["programs"]


FAULTS = {
    "a report names the instruction that was complete before": (
        dispatcher, "IssueQueue", issue_queue, "Mux(flight.r_rdy, oldest.number, self.retired_number)", "self.retired_number",
        " in instruction "),
    "a curve that is not there is accepted": (
        control_unit, "InstructionDecoder", instruction_decoder, 'fields["curve"] <= self._curves', 'fields["curve"] <= 63',
        "BAD_FIELD"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_rtl_is_found_and_shrunk(name, monkeypatch, tmp_path):
    user, part, module, old, new, told = FAULTS[name]
    monkeypatch.setattr(user, part, getattr(mutated(module, old, new), part))
    right, wrong = accelerator_verilog(ONE_PE), to_verilog(Accelerator(config=ONE_PE), "accelerator")

    def build(config):
        return build_system(config, memory_bits=MEMORY_BITS, instrument=lambda verilog: verilog.replace(right, wrong))

    assert right != wrong
    kind = Programs(configs=(ONE_PE,), cases=150, build=build)
    (batch,) = kind.batches(1, 1)
    found = attack(kind, batch, tmp_path / "logs")
    assert found.failures and told in found.reason, found.reason
    (case,) = found.smallest["cases"]
    assert len(case["program"]) <= 2, case
