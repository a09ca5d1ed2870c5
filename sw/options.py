"""Options that several commands share."""

import functools
import inspect
from pathlib import Path
from typing import Annotated

import typer

from .limits import Limits

__all__ = ["CalibrationOption", "ConfigOption", "DEFAULT_MODEL", "with_limits"]

DEFAULT_MODEL = Path("models/bert-tiny-reviews")
ConfigOption = Annotated[str, typer.Option("--config", "-c", help="nano, fpga, mini, int8, edge, server, or a TOML file.")]

CalibrationOption = Annotated[Path | None, typer.Option(
    "--calibration", help="Sentences like those to be run, one per line, by which binary points are chosen (default: built-in "
    "ones).")]

_LIMIT_OPTIONS = {
    "min_cosine": (Annotated[float, typer.Option(min=-1, max=1, help="Warn below this cosine between the outputs of a sentence "
                                                 "and the float model's.")], Limits.min_cosine),
    "max_saturated": (Annotated[float, typer.Option(min=0, max=1, help="Warn beyond this share of the values of a tensor that "
                                                    "meet an end of their word.")], Limits.max_saturated),
    "max_vanished": (Annotated[float, typer.Option(min=0, max=1, help="Warn beyond this share of the values of a tensor that "
                                                   "are rounded to nothing.")], Limits.max_vanished),
    "strict": (Annotated[bool, typer.Option("--strict", help="Exit code 1 where the command warns.")], Limits.strict),
}


def with_limits(command):
    """Give a command the options that say how far the integers may be from the float model.

    Parameters
    ----------
    command : function of keywords with ``limits``, which gets `Limits`
    """
    @functools.wraps(command)
    def run(**given):
        limits = Limits(**{name: given.pop(name) for name in _LIMIT_OPTIONS})
        return command(**given, limits=limits)

    signature = inspect.signature(command)
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, parameter in signature.parameters.items()
                  if name != "limits"]
    parameters += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
                   for name, (annotation, default) in _LIMIT_OPTIONS.items()]
    run.__signature__ = signature.replace(parameters=parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
