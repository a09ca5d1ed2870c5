"""The `acceltran` command."""

import sys
from typing import Annotated

import typer

from ..hw.spec.errors import AcceltranError
from ..hw.spec.version import version_text
from .groups import accuracy, bench, cache, estimate, explore, generate, paper, run, silicon, soc, sweep, train

__all__ = ["app", "main"]

_EPILOG = """
Examples, from a checkout of the project:

  acceltran generate --config mini -o build/mini          Verilog, manifest, documents, C header

  acceltran run --text "a warm , funny film"              BERT-Tiny on the simulated RTL

  acceltran run --config my.toml --tau 0.05 --json r.json   a configuration of your own, pruned at run time

Exit codes: 0 all is well, 1 the RTL and the golden model differ, a run failed or --strict found a limit passed, 2 bad input,
also where only some lines of a file were left out.
"""

app = typer.Typer(
    help="Generate, run and measure AccelTran, a synthesizable accelerator for transformer encoders.",
    epilog=_EPILOG, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)
for _group in (generate, run, estimate, sweep, soc, explore, accuracy, paper, train, silicon, cache):
    app.add_typer(_group.app)
app.add_typer(bench.app, name="bench")


def _tell_version(wanted):
    if wanted:
        print(f"acceltran {version_text()}")
        raise typer.Exit


@app.callback()
def options(version: Annotated[bool, typer.Option(
        "--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")] = False):
    """Options of `acceltran` itself."""


def main():
    """Entry point: an error is one line, and tells the exit code."""
    try:
        app()
    except AcceltranError as error:
        _stop(error.exit_code, error)
    except OSError as error:
        _stop(2, f"{error.filename}: {error.strerror}" if error.filename else error)


def _stop(code, error):
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
