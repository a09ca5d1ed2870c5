"""`acceltran cache` shows what is kept, and clears it."""

import sys

import pytest

from acceltran.cli import main as cli
from acceltran.sim.cache import kept


def test_shown_and_cleared(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ACCELTRAN_BUILD", str(tmp_path))
    kept("simulators", "x", lambda folder: (folder / "x").write_bytes(bytes(3_000_000)))
    for arguments, row in ((["cache"], ["simulators", "1", "3.0"]), (["cache", "--clear"], ["simulators", "0", "0.0"])):
        monkeypatch.setattr(sys, "argv", ["acceltran", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out = capsys.readouterr().out
        assert not stop.value.code and str(tmp_path) in out.replace("\n", "")
        assert row in [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines()]
    assert not list(tmp_path.iterdir())
