"""From an Amaranth component to Verilog text, through RTLIL and the native Yosys of the `pyosys` package."""

import contextlib
import gc
import os
import re
import sys
import tempfile
from pathlib import Path

from amaranth.back import rtlil
from pyosys import libyosys as ys

from .explicit_widths import make_widths_explicit
from .shared_module import ModuleLibrary

__all__ = ["to_verilog", "uncollected", "without_fields"]


def to_verilog(component, name, *, fields=False):
    """Emit `component` and everything below it as Verilog, with the top module called `name`.

    Components that were instantiated through `shared_module.instantiate` become one module each. Processes stay `case`
    statements (`proc -nomux`), which simulates and reads far better than multiplexer trees. With `fields` there is a wire
    for each field of each structure, which nothing reads: for waves.
    """
    library = ModuleLibrary()
    library.pending.append((name, component))
    with tempfile.TemporaryDirectory() as folder:
        design = ys.Design()
        with _silenced(), uncollected(), contextlib.nullcontext() if fields else without_fields():
            for number, (module, part) in enumerate(library.drain()):
                source = Path(folder) / f"{number}.il"
                source.write_text(rtlil.convert(part, name=module, platform=library, emit_src=False))
                ys.run_pass(f"read_rtlil {source}", design)
            target = Path(folder) / "out.v"
            ys.run_pass("delete */s:0", design)  # Fields of no width, such as the number of the only partial sum.
            # Nothing depends on what a register or memory holds at power-up, tables included: those stay case statements.
            ys.run_pass("delete t:$meminit*", design)
            ys.run_pass("proc -nomux -norom", design)
            ys.run_pass("setattr -unset init w:*", design)
            make_widths_explicit(design)
            ys.run_pass(f"write_verilog -noattr {target}", design)
        return _with_defaults(_without_wake_up(target.read_text()))


def _without_wake_up(text):
    """Drop the register by whose initial value Yosys has combinational processes evaluated at time zero.

    Under SystemVerilog's rules an initial value in a declaration is no event, and without it none is needed: every process
    reads a register or a port, which changes when reset or driven for the first time.
    """
    name = r"\\\$auto\$verilog_backend\.cc:\d+:dump_module(?:\$\d+)? "
    text = re.sub(rf"^ *reg {name} = 0;\n", "", text, flags=re.MULTILINE)
    return re.sub(rf"^ *if \({name}\) begin end\n", "", text, flags=re.MULTILINE)


def _with_defaults(text):
    """Give every case statement a default, which does nothing: what is to hold otherwise is assigned before it."""
    lines, complete = [], []
    for line in text.splitlines(keepends=True):
        word = line.lstrip()
        if word.startswith(("case (", "casez (")):
            complete.append(False)
        elif word.startswith("default:"):
            complete[-1] = True
        elif word.startswith("endcase") and not complete.pop():
            indent = line[: len(line) - len(word)]
            lines.append(f"{indent}  default: ;\n")
        lines.append(line)
    return "".join(lines)


@contextlib.contextmanager
def without_fields():
    """Keep Amaranth from emitting a wire per field, nine of ten lines in a large grid; it has no option for that."""
    emit = rtlil.ModuleEmitter.emit_signal_fields
    rtlil.ModuleEmitter.emit_signal_fields = lambda emitter: None
    try:
        yield
    finally:
        rtlil.ModuleEmitter.emit_signal_fields = emit


@contextlib.contextmanager
def uncollected():
    """Hold the garbage collector: it would walk through millions of living objects again and again, half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _silenced():
    """Send the log that Yosys writes to file descriptor 1 nowhere."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
