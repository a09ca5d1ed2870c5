"""The section at the top of the page of a run: what ran, where, how long, and whether all was equal."""

from .html import Html, join, tag
from .numbers import count, percent, plain
from .section import Section
from .table import facts, table

__all__ = ["header_section"]


def header_section(run):
    """The Section.

    Parameters
    ----------
    run : plain values, of which any but the first five may be missing or None: ``config`` (name), ``cycles``, ``sentences``,
        ``mismatches``, ``tensors_compared``; ``compared_by``, ``mismatched_tensors`` {name: count}, ``skipped_lines`` and
        ``failed`` as in the report of a run, ``warning``; ``model`` and ``options`` {what: text}, ``configuration`` as an
        AcceleratorConfig has it, ``clock_mhz``, ``versions``; ``batches``, each with sentences, cycles, utilisation, mismatches
    """
    body = [_verdict(run), facts(_numbers(run)), *_groups(run), _batches(run)]
    return Section(name="summary", title="Summary", body=join(*body))


def _verdict(run):
    hashes, names = run.get("compared_by") == "hashes", {}
    compared = f"{count(run['tensors_compared'])} tensors were compared."
    if run["mismatches"]:
        said = [(f"{'At least ' if hashes else ''}{count(run['mismatches'])} integers differ from those of the golden model. "
                 f"{compared}", "bad")]
        names = run.get("mismatched_tensors") or {}
    elif hashes:
        said = [(f"Every tensor has the hash that was saved, and every output is equal. {compared}", "good")]
    else:
        said = [(f"Every integer is equal to that of the golden model. {compared}", "good")]
    said += [(f"{_lines(one['lines'])} failed: {one['reason']}", "bad") for one in run.get("failed") or ()]
    if skipped := run.get("skipped_lines"):
        said.append((f"{_lines([one['line'] for one in skipped])} of the file left out.", "warned"))
    if run.get("warning"):
        said.append((run["warning"], "warned"))
    shown = [tag("p", text, class_=f"verdict {kind}") for text, kind in said]
    if names:
        shown.append(table(["tensor that differs", "integers"], [[name, count(value)] for name, value in names.items()]))
    return join(*shown)


def _lines(numbers):
    numbers = [number for number in numbers if number is not None]
    return f"{'Line' if len(numbers) == 1 else 'Lines'} {', '.join(map(str, sorted(numbers)))}" if numbers else "A batch"


def _numbers(run):
    clock = run.get("clock_mhz")
    yield "cycles", count(run["cycles"])
    if clock:
        yield f"at {clock:g} MHz", f"{plain(run['cycles'] / (1000 * clock))} ms"
    yield "sentences", count(run["sentences"])
    if run["sentences"] > 1:
        yield "cycles per sentence", count(run["cycles"] / run["sentences"])
    if len(run.get("batches") or ()) > 1:
        yield "batches", count(len(run["batches"]))


def _groups(run):
    groups = (("Model", run.get("model")), (f"Configuration {run['config']}", _fields(run.get("configuration"))),
              ("Options", run.get("options")), ("Versions", run.get("versions")))
    return [tag("details", tag("summary", tag("h3", title)), facts(values.items()), open=True)
            for title, values in groups if values]


def _fields(values):
    """What of a configuration says how large it is and how it works."""
    if not values:
        return {}
    rows, columns, tile = values["grid_rows"], values["grid_columns"], values["tile"]
    whole = values["integer_bits"] + values["fraction_bits"]
    return {
        "grid": f"{rows} x {columns} PEs", "tile": f"{tile} x {tile}", "multipliers": count(rows * columns * tile * tile),
        "word": f"{whole} bits, {values['fraction_bits']} of them fraction",
        "weights": f"{values['weight_bits']} bits" if values.get("weight_bits") else None,
        "skips": {"both": "zeros in both operands", "activation": "zeros in activations", "none": "nothing"}[values["skip"]],
        "window": values["window"] if values["skip"] == "both" else None,
        "output tiles per PE": values["psum_tiles"], "bus": f"{values['bus_width']} bits",
        "activation buffer": f"{count(values['activation_tiles'])} tiles in {values['activation_banks']} banks",
        "weight buffer": f"{count(values['weight_tiles'])} tiles in {values['weight_banks']} banks",
        "softmax units": values["softmax_units"], "layer-norm units": values["layernorm_units"],
    }


def _batches(run):
    batches = run.get("batches") or ()
    if len(batches) < 2:
        return Html()
    rows = [[number, count(one["sentences"]), count(one["cycles"]), percent(one["utilisation"]["multipliers"]),
             count(one["mismatches"])] for number, one in enumerate(batches, 1)]
    shown = table(["batch", "sentences", "cycles", "multipliers busy", "integers that differ"], rows, texts=0)
    return tag("details", tag("summary", tag("h3", "Batches")), shown, open=len(batches) <= 8 or None)
