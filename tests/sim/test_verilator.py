"""Builds: what is in the cache is not built again, and Verilator's own code is compiled once for all models."""

from pathlib import Path

from acceltran.sim.verilator import build

COUNTER = """
module {name}(input wire clk, output reg [{high}:0] count);
    always @(posedge clk) count <= count + 1;
endmodule
"""


def test_runtime_is_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELTRAN_BUILD", str(tmp_path))
    small = ["-CFLAGS", "-O0", "-MAKEFLAGS", "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"]
    logs, models = [], []
    for name, high in (("first", 3), ("second", 7)):
        models.append(build(COUNTER.format(name=name, high=high), name, arguments=small))
        logs.append((models[-1].folder / "build.log").read_text())
        assert Path(*models[-1].command).exists() and models[-1].seconds > 0
    assert [any("-c -o verilated.o" in line for line in log.splitlines()) for log in logs] == [True, False]
    assert [any("-c -o verilator.o" in line for line in log.splitlines()) for log in logs] == [True, True]
    assert build(COUNTER.format(name="second", high=7), "second", arguments=small).seconds == 0
    build(COUNTER.format(name="third", high=7), "third", arguments=[*small, "-O1"])
    assert len(list((tmp_path / "simulators").glob("runtime-*"))) == 2
