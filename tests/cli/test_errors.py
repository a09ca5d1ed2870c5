"""Errors: one base class, whose exit code the command line ends with, and one line for what was given wrongly."""

import sys

import pytest

from acceltran.cli import main as cli
from acceltran.cli.late import MissingPackageError
from acceltran.hw.spec.errors import AcceltranError, ConfigError
from acceltran.silicon.errors import SynthesisError
from acceltran.sim.errors import SimulationError
from acceltran.sw.ir.errors import CapacityError, CompileError
from acceltran.sw.models.errors import ModelError

CODES = {ConfigError: 2, ModelError: 2, CompileError: 2, MissingPackageError: 2, SimulationError: 1, SynthesisError: 1}


@pytest.mark.parametrize("kind", CODES)
def test_the_error_tells_the_exit_code(kind, monkeypatch, capsys):
    def fail():
        raise kind("what, and the remedy")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == CODES[kind] == kind.exit_code and issubclass(kind, AcceltranError)
    assert capsys.readouterr() == ("", "error: what, and the remedy\n")


def test_they_stay_the_errors_of_python_that_they_were():
    assert all(issubclass(kind, ValueError) for kind in (ConfigError, ModelError, CompileError, CapacityError))
    assert all(issubclass(kind, RuntimeError) for kind in (SimulationError, SynthesisError))


def test_what_was_given_wrongly_is_one_line():
    assert str(ModelError("a\n  b")) == str(CompileError("a\n  b")) == "a b"
    assert str(CapacityError("no\nroom", {"tile": 16})) == "no room: raise tile to 16"
    assert str(SimulationError("failed:\nlast line")) == "failed:\nlast line"


def test_a_file_that_cannot_be_read_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["acceltran"])
    monkeypatch.setattr(cli, "app", lambda: open("/nowhere/file"))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2 and capsys.readouterr().err == "error: /nowhere/file: No such file or directory\n"
