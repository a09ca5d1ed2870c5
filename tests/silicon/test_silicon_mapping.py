"""Mapped netlists compute what their source does."""

import subprocess
import sys

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Mux, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from acceltran.silicon.area import measure
from acceltran.silicon.errors import SynthesisError
from acceltran.silicon.liberty import GATE_EQUIVALENTS, read_library
from acceltran.silicon.mapper import map_modules
from acceltran.silicon.modules import merge_modules

EQUIVALENCE = """
import sys
from pyosys import libyosys as ys
source, netlist, liberty, top = sys.argv[1:]
gold, gate = ys.Design(), ys.Design()
for command in (f"read_rtlil {source}", "proc", "flatten", f"rename {top} gold", "opt", "memory", "opt", "setattr -unset init",
                f"write_rtlil {source}.gold"):
    ys.run_pass(command, gold)
for command in (f"read_liberty {liberty}", f"read_verilog {netlist}", f"hierarchy -top {top}", "flatten",
                f"rename {top} gate", "opt_clean -purge", f"read_rtlil {source}.gold", "equiv_make gold gate equiv",
                "hierarchy -top equiv", "async2sync", "equiv_simple -undef", "equiv_induct -undef", "equiv_status -assert"):
    ys.run_pass(command, gate)
"""


class Datapath(wiring.Component):
    """A product with a sign, a choice and a register that holds."""

    def __init__(self):
        super().__init__({"a": In(signed(6)), "b": In(signed(5)), "add": In(1), "hold": In(1), "o": Out(signed(12))})

    def elaborate(self, platform):
        m = Module()
        with m.If(~self.hold):
            m.d.sync += self.o.eq(Mux(self.add, self.o + self.a * self.b, self.a - self.b))
        return m


class Store(wiring.Component):
    """A memory of `depth` words of `width` bits."""

    def __init__(self, depth, width):
        self._depth, self._width = depth, width
        address = range(depth)
        super().__init__({"write": In(address), "value": In(width), "enable": In(1), "read": In(address), "o": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self._width, depth=self._depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [write.addr.eq(self.write), write.data.eq(self.value), write.en.eq(self.enable),
                     read.addr.eq(self.read), self.o.eq(read.data)]
        return m


@pytest.fixture
def library():
    return read_library([GATE_EQUIVALENTS])


def mapped(component, library):
    modules = merge_modules(rtlil.convert(component, name="top"), "top", None)
    return modules, map_modules(modules, library)


@pytest.fixture(autouse=True)
def own_build_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELTRAN_BUILD", str(tmp_path))


def equivalent(module, netlist, library, folder):
    (folder / "source.il").write_text(module.text)
    (folder / "cells.lib").write_text(library.text)
    command = [sys.executable, "-c", EQUIVALENCE, folder / "source.il", netlist, folder / "cells.lib", module.name]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_netlist_is_proved_equal_to_its_source(library, tmp_path):
    modules, result = mapped(Datapath(), library)
    (name, module), = modules.items()
    run = equivalent(module, result[name].netlist, library, tmp_path)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-500:]
    wrong = tmp_path / "wrong.v"
    wrong.write_text(result[name].netlist.read_text().replace("GE_XOR2", "GE_XNOR2", 1))
    assert equivalent(module, wrong, library, tmp_path).returncode != 0


def test_flip_flops_keep_their_names(library):
    modules, result = mapped(Datapath(), library)
    netlist = next(iter(result.values())).netlist.read_text()
    assert all(f"GE_DFF \\o[{bit}]$" in netlist for bit in range(12))


@pytest.mark.parametrize(("depth", "width", "bits"), [(128, 8, 0), (16, 128, 0), (256, 8, 2048)])
def test_only_large_memories_are_macros(depth, width, bits, library):
    modules, result = mapped(Store(depth, width), library)
    whole = list(measure(modules, result, library).values())[-1]
    assert whole.memory_bits == bits
    if bits:
        assert dict(whole.macros) == {(256, 8, 1, 1): 1} and whole.flip_flops < 16
    else:
        assert whole.flip_flops >= depth * width


def test_areas_and_counts_add_up(library):
    from support.small_modules import Top

    modules, result = mapped(Top(), library)
    found = measure(modules, result, library)
    whole = list(found.values())[-1]
    assert whole.area == pytest.approx(sum(one.own_area * one.count for one in found.values()))
    assert whole.flip_flops == 6 * 8
    assert max(one.count for one in found.values()) == 5


def test_a_second_run_maps_nothing(library, monkeypatch):
    first = mapped(Datapath(), library)[1]
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("mapped again"))
    assert mapped(Datapath(), library)[1] == first


def test_a_failure_of_yosys_is_reported(library):
    modules = merge_modules(rtlil.convert(Datapath(), name="top"), "top", None)
    name, module = modules.popitem()
    object.__setattr__(module, "text", module.text.replace("cell $dff", "cell $nonsense"))
    with pytest.raises(SynthesisError, match=f"{name}: Yosys failed: .*nonsense"):
        map_modules({name: module}, library)
