"""Builds: what is in the cache is not built again, and Verilator's own code is compiled once for all models."""

from pathlib import Path

from acceltran.sim.verilator import build

COUNTER = """
module {name}(input wire clk, output reg [{high}:0] count);
    always @(posedge clk) count <= count + 1;
endmodule
"""

FAST = ("OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0")


def test_runtime_is_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELTRAN_BUILD", str(tmp_path))
    kept = tmp_path / "simulators"
    logs, models = [], []
    for name, high in (("first", 3), ("second", 7)):
        models.append(build(COUNTER.format(name=name, high=high), name, variables=FAST))
        logs.append((models[-1].folder / "build.log").read_text())
        assert Path(*models[-1].command).exists() and models[-1].seconds > 0
    runtime, = kept.glob("runtime-*")
    headers, = kept.glob("headers-*")
    assert "-c -o verilated.o" in (runtime / "build.log").read_text() and (headers / "runtime.h.gch").exists()
    for log in logs:
        assert "-c -o verilated" not in log and log.count(f"-include {headers}") == 1
    assert build(COUNTER.format(name="second", high=7), "second", variables=FAST).seconds == 0
    build(COUNTER.format(name="third", high=7), "third", variables=["OPT_FAST=-O1", *FAST[1:]])
    assert len(list(kept.glob("runtime-*"))) == 1 and len(list(kept.glob("headers-*"))) == 2
