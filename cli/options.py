"""Options that several commands share, each written once, in groups that `takes` gives to a command."""

import enum
import functools
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..hw.spec.config import PRESETS
from ..hw.spec.errors import InputError
from ..sw.models.limits import Limits
from ..sw.models.tasks import POOLINGS, TASKS
from ..sw.models.weight_sparsity import as_weight_sparsity
from .data_files import Layout

__all__ = [
    "CACHE", "CALIBRATION", "DEFAULT_MODEL", "DYNATRAN", "EXCLUSIONS", "JOBS", "LABELLED", "LAYERS", "LAYOUT", "LIBERTY",
    "LIMITS", "MAPPING", "MODEL", "OPERANDS", "OWN", "Options", "ORDER", "PRUNING", "SENTENCES", "SKIP", "TASK", "TRACE",
    "TRUNCATE", "WEIGHTS", "config", "document", "json", "takes", "weights_option",
]

DEFAULT_MODEL = Path("models/bert-tiny-reviews")
OWN = object()
"""Where the options of a command itself stand among its groups."""


@dataclass(frozen=True)
class Options:
    """A group of options.

    Parameters
    ----------
    options : {name: (annotation, default)}
    keyword, make : what the command gets in place of them: `make` of them all, by name, as `keyword`
    """

    options: dict
    keyword: str | None = None
    make: object = None

    def __or__(self, other):
        return Options(self.options | other.options)


def takes(*groups):
    """A decorator that gives a command the options of groups, in their order.

    Parameters
    ----------
    groups : Options, and `OWN` where those in the signature of the command stand; they come first without it

    Returns
    -------
    a decorator for a function of keywords, which gets the options of the groups as further ones; what it returns is the exit
    code
    """
    groups = groups if OWN in groups else (OWN, *groups)
    shared = [group for group in groups if group is not OWN]

    def decorate(command):
        @functools.wraps(command)
        def run(**given):
            for group in shared:
                if group.keyword:
                    given[group.keyword] = group.make(**{name: given.pop(name) for name in group.options})
            raise typer.Exit(command(**given) or 0)

        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
               for parameter in inspect.signature(command).parameters.values()
               if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
        parameters = [parameter for group in groups for parameter in (own if group is OWN else [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
            for name, (annotation, default) in group.options.items()])]
        run.__signature__ = inspect.Signature(parameters)
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def config(default="mini"):
    """The configuration of the accelerator."""
    return Options({"config": (Annotated[str, typer.Option(
        "--config", "-c", help=f"Preset ({', '.join(PRESETS)}) or a TOML file of your own.")], default)})


def json(what="the report"):
    """A JSON file to write."""
    return Options({"json_path": (Annotated[Path | None, typer.Option("--json", help=f"Write {what} as JSON.")], None)})


def document(default=None):
    """A document to update."""
    return Options({"output": (Annotated[Path | None, typer.Option(
        "--output", "-o", help="Document in which to replace the tables between markers.")], default)})


SKIP = Options({"skip": (Annotated[str | None, typer.Option(
    help="Multiplications to skip: none, activation or both (default: as the configuration says).")], None)})

MODEL = Options({"model": (Annotated[Path, typer.Option(
    help="Hugging Face BERT folder: config.json, model.safetensors, tokenizer.json.")], DEFAULT_MODEL)})

_Task = enum.StrEnum("_Task", {name: name for name in TASKS})
_Pooling = enum.StrEnum("_Pooling", {name: name for name in POOLINGS})

TASK = Options({
    "task": (Annotated[_Task | None, typer.Option(
        help="What to ask of the model (default: what its folder is made for).")], None),
    "pooling": (Annotated[_Pooling | None, typer.Option(
        help="How a sentence embedding is made of the hidden states (default: as the folder says, or the mean).")], None),
})
"""What a model is used for."""

LAYERS = Options({"layers": (Annotated[int | None, typer.Option(min=1, help="Run only the first layers.")], None)})

SENTENCES = Options({
    "texts": (Annotated[list[str] | None, typer.Option("--text", help="A sentence; give the option several times for "
                                                                      "several.")], None),
    "text_pairs": (Annotated[list[str] | None, typer.Option(
        "--text-pair", help="What belongs to a --text: the second sentence of a pair, or the text that answers a question. "
        "Give one for each --text, in their order, or one for all.")], None),
    "file": (Annotated[Path | None, typer.Option(
        help="File of sentences: one per line, or a column of a csv, tsv or jsonl file.")], None),
})

TRUNCATE = Options({"truncate": (Annotated[bool, typer.Option(
    "--truncate", help="Cut a --text that is too long instead of refusing it. Long sentences of a file always are.")], False)})

DYNATRAN = Options({
    "tau": (Annotated[float | None, typer.Option(min=0, help="DynaTran: set every activation below this magnitude to "
                                                             "zero.")], None),
    "target_sparsity": (Annotated[float | None, typer.Option(
        min=0, max=1, help="DynaTran: share of the activations that should become zero.")], None),
})

SITES = Options({"sites": (Annotated[Path | None, typer.Option(
    help="DynaTran: file of acceltran calibrate with thresholds for each site. --target-sparsity then chooses the operating "
    "point (default: the one that was calibrated).")], None)})


def weights_option(what, most=0.99):
    """An option that takes a share of the weights up to `most`, or N:M; `what` is its help."""
    def parse(text):
        try:
            return as_weight_sparsity(text, most=most)
        except InputError as error:
            raise typer.BadParameter(str(error)) from None

    return typer.Option("--weight-sparsity", parser=parse, metavar="SHARE|N:M", help=what)


WEIGHTS = Options({"weight_sparsity": (Annotated[float, weights_option(
    "Weights of the encoder layers to set to zero, the smallest first: a share of each matrix, such as 0.5, or N:M, such as "
    "2:4, which keeps the N largest of every M weights that follow each other along the inner dimension of a product. 2:4 has "
    "as many zeros as 0.5, but spreads them evenly, so that the multipliers of a lane wait less for each other.")], 0.0)})

PRUNING = DYNATRAN | SITES | WEIGHTS

OPERANDS = Options({
    "act_sparsity": (Annotated[float, typer.Option(min=0, max=1, help="Probability that an element of A is zero.")], 0.0),
    "weight_sparsity": (Annotated[float, weights_option(
        "Probability that an element of B is zero, or N:M, such as 2:4: of every M elements of a column that follow each "
        "other, N drawn ones are not zero.", most=1.0)], 0.0),
})

ORDER = Options({
    "order": (Annotated[str | None, typer.Option(
        help="Loop order of every product: bijk, kijb, ... (default: the best for each).")], None),
    "overlap": (Annotated[bool, typer.Option(help="Let instructions overlap, or let each wait for the one before.")], True),
    "resident": (Annotated[bool, typer.Option(
        help="Load the weights by a program of their own, which runs first and whose cycles are not counted.")], False),
    "prefetch": (Annotated[bool, typer.Option("--prefetch", help="With --resident: each run fetches the embeddings of the next "
        "one while it computes.")], False),
})

TRACE = Options({"trace": (Annotated[Path | None, typer.Option(
    help="Write a timeline for Perfetto or chrome://tracing.")], None)})

CALIBRATION = Options({"calibration": (Annotated[Path | None, typer.Option(
    "--calibration", help="File of sentences like those to be run, one per line, to choose binary points by (default: "
    "built-in sentences).")], None)})

LIBERTY = Options({"liberty": (Annotated[list[Path] | None, typer.Option(
    help="Cell library, .lib or .lib.gz. Several files, or a quoted pattern, are taken as one library.")], None)})

MAPPING = Options({
    "memories": (Annotated[Path | None, typer.Option(help="CSV table of SRAM macros (default: those of CACTI for 22 and "
                                                          "45 nm).")], None),
    "memory_node": (Annotated[int | None, typer.Option(
        help="Process node of the macros, in nm (default: the smallest of the table).")], None),
    "jobs": (Annotated[int | None, typer.Option(min=1, help="Modules to map at the same time (default: one per core).")], None),
})

CACHE = Options({"cache": (Annotated[Path | None, typer.Option(
    help="Folder in which fetched packages are kept (default: see acceltran cache).")], None)})

EXCLUSIONS = Options({"exclusions": (Annotated[Path, typer.Option(
    help="File of fingerprints of the sentences that must not be trained on.")], Path("models/sst2-dev-exclusions.txt"))})

LIMITS = Options({
    "min_cosine": (Annotated[float, typer.Option(min=-1, max=1, help="Warn if the cosine between the outputs of a sentence and "
                                                 "those of the float model is below this.")], Limits.min_cosine),
    "max_saturated": (Annotated[float, typer.Option(min=0, max=1, help="Warn if more than this share of the values of a tensor "
                                                    "saturates, that is, is cut off at an end of its "
                                                    "range.")], Limits.max_saturated),
    "max_vanished": (Annotated[float, typer.Option(min=0, max=1, help="Warn if more than this share of the values of a tensor "
                                                   "vanishes, that is, is rounded to zero.")], Limits.max_vanished),
    "strict": (Annotated[bool, typer.Option("--strict", help="End with exit code 1 if there was a warning.")], Limits.strict),
}, "limits", Limits)
"""How far the integers may be from the float model: the command gets `Limits`."""

JOBS = Options({"jobs": (Annotated[int, typer.Option(
    "--jobs", "-j", min=1, help="Simulators at once. Each needs a core, and memory for one batch.")], 1)})

_LAYOUT = {
    "text_column": (Annotated[str | None, typer.Option(help="Column of the sentences, by name, or by number from 1 (default: "
                                                       "the only one that can be it).")], None),
    "pair_column": (Annotated[str | None, typer.Option(help="Column of what belongs to each sentence, such as the text that "
                                                       "answers a question (default: known by names such as sentence1 and "
                                                       "sentence2, premise and hypothesis, question and context).")], None),
    "delimiter": (Annotated[str | None, typer.Option(
        help="What separates cells: tab, comma, semicolon, bar, or a character.")], None),
    "heading": (Annotated[bool | None, typer.Option("--heading/--no-heading", show_default=False,
                                                    help="Whether the first row names the columns.")], None),
    "quotes": (Annotated[bool | None, typer.Option("--quotes/--no-quotes", show_default=False,
                                                   help="Whether to remove double quotes around a cell, or to take them "
                                                        "as text.")], None),
    "encoding": (Annotated[str | None, typer.Option(help="Encoding of the file: latin-1, cp1252, utf-16, ... (default: "
                                                         "utf-8).")], None),
}

LAYOUT = Options(_LAYOUT, "layout", Layout)
"""How a data file is laid out: the command gets a `Layout`."""

LABELLED = Options(_LAYOUT | {
    "label_column": (Annotated[str | None, typer.Option(
        help="Column of the labels, by name, or by number from 1.")], None),
    "labels": (Annotated[str | None, typer.Option(help="What the labels are, if they could be both: names (of id2label) or "
                                                  "numbers.")], None),
}, "layout", Layout)
"""The same for a file of sentences with labels."""
