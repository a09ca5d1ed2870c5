"""The cache: entries are made once, by whoever comes first, and again if they are not whole; two checkouts share them."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cocotb_tools.config
import pytest

from acceltran.sim import cache
from acceltran.sim.cache import KINDS, PACKAGES, cache_root, clear, digest, find, kept, sizes, trim

KIND = KINDS[0]
DAY = 86400


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELTRAN_BUILD", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Writes two files and counts."""

    def __init__(self, size=100):
        self.count, self.size = 0, size

    def __call__(self, folder):
        assert not list(folder.iterdir())
        self.count += 1
        (folder / "part").mkdir()
        (folder / "part" / "a").write_bytes(bytes(self.size))
        (folder / "b").write_text(str(self.count))


def test_the_root(monkeypatch, tmp_path):
    assert cache_root() == tmp_path / "cache"
    monkeypatch.delenv("ACCELTRAN_BUILD")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "acceltran"
    for relative in ("", "somewhere"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert cache_root() == tmp_path / "home" / ".cache" / "acceltran"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCELTRAN_BUILD", "here")
    assert cache_root() == tmp_path / "here"


def test_an_entry_is_made_once():
    make = Maker()
    assert find(KIND, "x-1") is None
    folder = kept(KIND, "x-1", make)
    assert kept(KIND, "x-1", make) == folder == find(KIND, "x-1") and make.count == 1
    assert kept(KIND, "x-2", make) != folder and make.count == 2


@pytest.mark.parametrize("harm", [
    lambda folder: (folder / "part" / "a").write_bytes(bytes(99)),
    lambda folder: (folder / "part" / "a").write_bytes(b"x" * 100),
    lambda folder: (folder / "b").unlink(), lambda folder: (folder / "c").write_text("more"),
    lambda folder: (folder / cache._SEAL).unlink(), lambda folder: (folder / cache._SEAL).write_text("{"),
], ids=["short", "changed", "missing", "more", "unsealed", "broken seal"])
def test_a_damaged_entry_is_made_again(harm):
    make = Maker()
    harm(kept(KIND, "x", make))
    assert find(KIND, "x") is None
    assert (kept(KIND, "x", make) / "b").read_text() == "2"
    assert kept(KIND, "x", make) and make.count == 2


def test_what_failed_is_left_to_be_looked_at_and_made_again(root):
    def fail(folder):
        (folder / "log").write_text("why")
        raise RuntimeError("no compiler")

    with pytest.raises(RuntimeError, match="no compiler"):
        kept(KIND, "x", fail)
    assert (root / KIND / "x" / "log").read_text() == "why"
    make = Maker()
    folder = kept(KIND, "x", make)
    assert make.count == 1 and not (folder / "log").exists()


def _make_slowly(queue, counts):
    def make(folder):
        (folder / "a").write_text("half")
        time.sleep(0.3)
        (folder / "a").write_text("whole")
        counts.put(os.getpid())

    queue.put((kept(KIND, "same", make) / "a").read_text())


def test_processes_that_need_the_same_at_once_make_it_once():
    context = multiprocessing.get_context("spawn")
    queue, counts = context.Queue(), context.Queue()
    processes = [context.Process(target=_make_slowly, args=(queue, counts)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert [queue.get() for _ in processes] == ["whole"] * 4
    assert counts.get() and counts.empty()


def _never_end(started):
    kept(KIND, "x", lambda folder: ((folder / "b").write_text("half"), started.set(), time.sleep(60)))


def test_a_process_that_is_killed_leaves_nothing_that_counts():
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    process = context.Process(target=_never_end, args=(started,))
    process.start()
    while not started.wait(0.1):
        assert process.is_alive()
    process.kill()
    process.join()
    make = Maker()
    assert (kept(KIND, "x", make) / "b").read_text() == "1"


def age(name, days):
    seal = cache_root() / KIND / name / cache._SEAL
    os.utime(seal, (time.time() - days * DAY,) * 2)


def test_old_entries_go():
    for name, days in (("new", 0), ("old", 29), ("oldest", 31), ("touched", 40)):
        kept(KIND, name, Maker())
        age(name, days)
    find(KIND, "touched")
    trim()
    assert {path.name for path in (cache_root() / KIND).iterdir()} == {"new", "old", "touched"}
    assert f"{KIND}-oldest" not in {path.name for path in (cache_root() / "locks").iterdir()}


def test_the_least_used_go_where_there_are_too_many():
    for name, days in (("a", 0), ("b", 5), ("c", 4), ("d", 3)):
        kept(KIND, name, Maker(size=1_000_000))
        age(name, days)
    trim(largest=2_500_000)
    assert {path.name for path in (cache_root() / KIND).iterdir()} == {"a", "d"}
    trim(largest=0)
    assert {path.name for path in (cache_root() / KIND).iterdir()} == {"a"}, "used within a day"


def test_entries_are_trimmed_now_and_then(root):
    kept(KIND, "old", Maker())
    age("old", 31)
    kept(KIND, "x", Maker())
    assert (root / KIND / "old").exists(), "looked after an hour ago at most"
    os.utime(root / "trimmed", (0, 0))
    kept(KIND, "y", Maker())
    assert not (root / KIND / "old").exists()


def test_clearing_leaves_other_files(root):
    kept(KIND, "x", Maker(size=5_000_000))
    (root / PACKAGES).mkdir()
    (root / "tests").mkdir()
    count, size = sizes()[KIND]
    assert count == 1 and 5_000_000 <= size < 5_100_000
    clear()
    assert [path.name for path in root.iterdir()] == ["tests"]
    assert set(sizes().values()) == {(0, 0)}


def test_a_digest_tells_values_apart():
    assert digest(["a", "b"], 1) == digest(["a", "b"], 1) != digest(["a"], "b", 1)
    assert digest({"x": 1, "y": 2}) == digest({"y": 2, "x": 1})


CHECKOUT = """
import json, sys
from pathlib import Path
from acceltran.sim import cache, cocotb_run, design, verilator
from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.spec.config import AcceleratorConfig

assert design.__file__.startswith(sys.argv[1]), design.__file__
tools, real = [], verilator.run_tool
verilator.run_tool = lambda command, *given: (tools.append(command[0]), real(command, *given))
counter = "module counter(input wire clk, output reg [3:0] count);\\n always @(posedge clk) count <= count + 1;\\nendmodule\\n"
fast = ["OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0"]
model = verilator.build(counter, "counter", sources=[SRAM_VERILOG], variables=fast)
cocotb_run.run_cocotb(model, "counting", Path(sys.argv[2]))

verilator.kept = lambda kind, name, make: cache.cache_root() / kind / name
config = AcceleratorConfig.load("nano")
system = design.build_system(config)
print(json.dumps({"tools": tools, "folders": [str(model.folder), str(system.folder)], "seconds": model.seconds}))
"""

COUNTING = """
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles


@cocotb.test(timeout_time=1, timeout_unit="us")
async def count(dut):
    Clock(dut.clk, 10, "ns").start()
    await ClockCycles(dut.clk, 20)
    assert dut.count.value.is_resolvable
"""


def test_two_checkouts_build_each_simulator_once(tmp_path):
    """In folders of their own; of the large system only the names are compared."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "counting.py").write_text(COUNTING)
    seen = []
    for name in ("one", "deeper/two"):
        checkout = tmp_path / name
        for package in ("hw", "sw", "sim"):
            origin = Path(cache.__file__).parents[1] / package
            shutil.copytree(origin, checkout / "acceltran" / package, ignore=shutil.ignore_patterns("__pycache__"))
        env = {key: value for key, value in os.environ.items() if key != "ACCELTRAN_BUILD"}
        env |= {"XDG_CACHE_HOME": str(tmp_path / "shared"), "HOME": str(checkout),
                "PYTHONPATH": os.pathsep.join([str(checkout), str(tmp_path / "tests")])}
        done = subprocess.run([sys.executable, "-c", CHECKOUT, checkout, checkout / "run"], env=env, cwd=checkout, text=True,
                              capture_output=True, check=False)
        assert not done.returncode, done.stderr
        seen.append(json.loads(done.stdout.splitlines()[-1]))
    first, second = seen
    assert first["tools"] == ["verilator", *["verilator", "make"] * 2, "make"] and first["seconds"] > 0
    assert second["tools"] == [] and second["seconds"] == 0
    assert first["folders"] == second["folders"]
    assert all(Path(folder).parents[1] == tmp_path / "shared" / "acceltran" for folder in first["folders"])
    program = (Path(first["folders"][0]) / "counter").read_bytes()
    assert str(tmp_path / "one").encode() not in program and str(cocotb_tools.config.libs_dir).encode() not in program
    assert not (tmp_path / "one" / "build").exists()
