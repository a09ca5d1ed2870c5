"""Options that several commands share."""

import functools
import inspect
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ConfigOption", "DEFAULT_MODEL", "with_layout"]

DEFAULT_MODEL = Path("models/bert-tiny-reviews")
ConfigOption = Annotated[str, typer.Option("--config", "-c", help="nano, fpga, mini, int8, edge, server, or a TOML file.")]

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


def with_layout(*, labels):
    """Give a command the options that say how a data file is laid out.

    Parameters
    ----------
    labels : with those of labels

    Returns
    -------
    a decorator for a function with a keyword ``layout``, which gets a `Layout`
    """
    options = _TEXT_OPTIONS | (_LABEL_OPTIONS if labels else {})

    def decorate(command):
        @functools.wraps(command)
        def run(**given):
            from .data_files import Layout

            stated = {name: given.pop(name) for name in options}
            return command(**given, layout=Layout(**stated))

        signature = inspect.signature(command)
        own = [parameter for name, parameter in signature.parameters.items() if name != "layout"]
        added = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)
                 for name, annotation in options.items()]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__signature__ = signature.replace(parameters=[*own, *added])
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *added)}
        return run

    return decorate
