"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ConfigOption", "DEFAULT_MODEL"]

DEFAULT_MODEL = Path("models/bert-tiny-reviews")
ConfigOption = Annotated[str, typer.Option("--config", "-c", help="nano, fpga, mini, int8, edge, server, or a TOML file.")]

