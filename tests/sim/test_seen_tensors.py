"""Tensors are rebuilt from what each instruction left, whatever happens to its place before the whole tensor is there."""

from types import SimpleNamespace

import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import Opcode
from acceltran.sim.clock import edge_of
from acceltran.sim.inference import seen_tensors
from acceltran.sim.system import Interval

CONFIG = AcceleratorConfig.load("nano")


def write_tile(logs, cycle, slot, value):
    """A dense tile of one value in a slot, as the log of the SRAMs has it."""
    tile, banks = CONFIG.tile, CONFIG.activation_banks
    bank, place = slot % banks, slot // banks
    line = sum(value << (CONFIG.width * n) for n in range(tile)).to_bytes(CONFIG.line_bits // 8, "big").hex()
    for row in range(tile):
        logs["lines", bank].append(f"{edge_of(cycle)} {place * tile + row} 1 {line}")
    logs["masks", bank].append(f"{edge_of(cycle)} {place} 1 {'ff' * (CONFIG.mask_bits // 8)}")


def test_rows_whose_place_is_taken_before_the_last_ones_are_written(tmp_path):
    logs = {(kind, bank): [] for kind in ("lines", "masks") for bank in range(CONFIG.activation_banks)}
    write_tile(logs, 10, 0, 5)   # The first row of the tensor, complete at 12,
    write_tile(logs, 20, 0, 99)  # whose place another tensor takes
    write_tile(logs, 30, 1, 7)   # before its second row is there.
    for (kind, bank), lines in logs.items():
        (tmp_path / f"activation_{kind}_{bank}.system.dut.log").write_text("\n".join([*lines, ""]))
    gather = {"pitch": 1, "rows": 1, "columns": 1}
    piece = {"steps": [0, 1], "slot": 0, "pitch": 1, "row": 0, "column": 0, "rows": 2, "columns": 1, "cluster": 0}
    program = SimpleNamespace(
        config=CONFIG, instructions=[(Opcode.GATHER, {"slot": 0, **gather}), (Opcode.GATHER, {"slot": 1, **gather})],
        tensors={"word": {"rows": 2, "columns": 1, "pieces": [piece]}})
    run = SimpleNamespace(folder=tmp_path, started=0, intervals=(
        Interval("memory", 0, 5, 12), Interval("memory", 1, 6, 32)))
    ((name, seen),) = seen_tensors(program, run)
    assert name == "word"
    assert torch.equal(seen, torch.tensor([[5] * 8] * 8 + [[7] * 8] * 8))
