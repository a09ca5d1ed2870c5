"""From an Amaranth component to Verilog text, through RTLIL and the native Yosys of the `pyosys` package."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from amaranth.back import rtlil

__all__ = ["to_verilog"]


def to_verilog(component, name):
    """Emit `component` and everything below it as Verilog, with the top module called `name`.

    Processes stay `case` statements (`proc -nomux`), which simulates and reads far better than multiplexer trees.
    """
    from pyosys import libyosys as ys

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.il", Path(folder) / "out.v"
        source.write_text(rtlil.convert(component, name=name, emit_src=False))
        design = ys.Design()
        with _silenced():
            for command in (f"read_rtlil {source}", "proc -nomux", f"write_verilog -noattr {target}"):
                ys.run_pass(command, design)
        return target.read_text()


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
