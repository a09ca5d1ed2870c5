"""Options that several commands share."""

import functools
import inspect
from pathlib import Path
from typing import Annotated

import typer

from ..sw.models.limits import Limits

__all__ = ["CalibrationOption", "ConfigOption", "DEFAULT_MODEL", "with_layout", "with_limits"]

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

_TEXT_OPTIONS = {
    "text_column": Annotated[str | None, typer.Option(help="Column of the sentences: name, or number from 1 (default: the one "
                                                      "that is surely it).")],
    "delimiter": Annotated[str | None, typer.Option(help="Between cells: tab, comma, semicolon, bar, or a character.")],
    "heading": Annotated[bool | None, typer.Option("--heading/--no-heading", show_default=False,
                                                   help="Whether the first row names the columns.")],
    "quotes": Annotated[bool | None, typer.Option("--quotes/--no-quotes", show_default=False,
                                                  help="Whether double quotes around a cell are no part of it.")],
    "encoding": Annotated[str | None, typer.Option(help="Of the file: latin-1, cp1252, utf-16, ... (default: utf-8).")],
}
_LABEL_OPTIONS = {
    "label_column": Annotated[str | None, typer.Option(help="Column of the labels: name, or number from 1.")],
    "labels": Annotated[str | None, typer.Option(help="How labels tell their class, where both may be: names (of id2label), "
                                                 "numbers.")],
}


def _with_options(options, keyword, make):
    """A decorator that gives a command of keywords options of its own.

    Parameters
    ----------
    options : {name: (annotation, default)}
    keyword : of the command, which gets what `make` makes of their values
    make : function of keywords, the options by name
    """
    def decorate(command):
        @functools.wraps(command)
        def run(**given):
            stated = {name: given.pop(name) for name in options}
            return command(**given, **{keyword: make(**stated)})

        signature = inspect.signature(command)
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
                      for name, parameter in signature.parameters.items() if name != keyword]
        parameters += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
                       for name, (annotation, default) in options.items()]
        run.__signature__ = signature.replace(parameters=parameters)
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def with_layout(*, labels):
    """Give a command the options that say how a data file is laid out.

    Parameters
    ----------
    labels : with those of labels

    Returns
    -------
    a decorator for a function with a keyword ``layout``, which gets a `Layout`
    """
    def layout(**stated):
        from .data_files import Layout

        return Layout(**stated)

    options = _TEXT_OPTIONS | (_LABEL_OPTIONS if labels else {})
    return _with_options({name: (annotation, None) for name, annotation in options.items()}, "layout", layout)


def with_limits(command):
    """Give a command the options that say how far the integers may be from the float model.

    Parameters
    ----------
    command : function of keywords with ``limits``, which gets `Limits`
    """
    return _with_options(_LIMIT_OPTIONS, "limits", Limits)(command)
