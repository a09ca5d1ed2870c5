"""Any number of sentences on the RTL, window by window: as many programs as they need, several at once, one report."""

import itertools
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ..hw.spec.errors import RunError
from ..sw.compiler import CapacityError, CompileError, batch_fits, check_batch, largest_batch, outline_encoder, quantise_encoder
from ..sw.compiler.capacity import FITTED
from ..sw.models.errors import ModelError
from ..sw.models.sentences import encode_sentences
from ..sw.models.tokens import Tokens, masked_rows
from .design import build_system
from .expectation import COUNTED, zero_shares
from .inference import infer, report
from .system import largest_memory

__all__ = ["WINDOW", "Totals", "Window", "combine", "infer_batches"]

WINDOW = 256
"""Sentences that are sorted by length, and known at a time."""

_QUANTISED = ("tau", "target_sparsity", "site_taus", "weight_sparsity", "calibration_texts", "layers")
_ASKED = ("tau", "target_sparsity", "site_taus", "weight_sparsity", "layers")


@dataclass(frozen=True, kw_only=True)
class Window:
    """What became of some sentences that follow each other.

    Members
    -------
    lines : list
        The place of each, as it was given.
    sentences : list
        Sentence of each, None for one that could not be read.
    parts : list of (numbers, result)
        Of each batch that ran: which sentences of the window it held, in their order, and what `collect` made of its Inference.
    skipped : dict of int to str
        Reasons for the sentences that were left out, by their number in the window.
    failed : list of (numbers, reason)
        Of each batch that did not end well.
    cut : int
        How many sentences lost tokens.
    """

    lines: list
    sentences: list
    parts: list = field(default_factory=list)
    skipped: dict
    failed: list = field(default_factory=list)
    cut: int = 0


def infer_batches(config, checkpoint, rows, *, folder, collect=report, batch=None, jobs=1, window=WINDOW, single=None,
                  length=None, longest=None, lenient=False, model=None, stage=lambda name: None,
                  begin=lambda window, batches, more: None, done=lambda count: None, **options):
    """Run sentences in batches, each as `infer` does.

    Sentences of a window are sorted by length, so that those of one batch need little padding; results do not depend on how
    they are cut into windows and batches, nor on how many run at once.

    Parameters
    ----------
    config : AcceleratorConfig
    checkpoint : Checkpoint
    rows : (place, Sentence) each, from any iterator, of which a window at a time is held; the place, such as a line, is for
        messages and is handed on. Of what could not be read, the reason (str) stands in place of the Sentence
    folder : for logs; with several batches those of each are gone when its result is there
    collect : called in a thread with the Inference of each batch; what it returns is kept, the Inference is not
    batch : sentences of a batch; None for the most that fit, which shapes alone tell. A batch that cannot be placed after
        all is halved
    jobs : batches that are compiled and simulated at once
    window : sentences that are sorted at a time
    single : None, or the name of an option that needs one batch
    length, longest : see `infer`
    lenient : leave out sentences that cannot be used, and go on after a batch that fails, as long as something can be done; by
        default the first trouble ends all
    model : see `infer`
    stage : called with the name of each stage of the only batch as it begins
    begin : called with each Window, the number of its batches, and whether another follows, before they run
    done : called with the number of sentences of each batch that is done, from any thread
    options : see `infer`

    Yields
    ------
    Window, in order

    Raises
    ------
    CapacityError : a sentence does not fit, or not `batch` of them
    CompileError : several batches with `single`
    ModelError : no sentence can be used, see `encode_sentences`
    SimulationError : see `infer`, or no simulator can be built
    """
    stage("compiling")
    quantised = {name: options.pop(name) for name in _QUANTISED if name in options}
    fitted = {name: options[name] for name in FITTED if name in options} | {"memory": largest_memory(config)}
    outline = outline_encoder(checkpoint, config, **{name: quantised[name] for name in _ASKED if name in quantised})
    planner = _Planner(outline, config, batch, length, lenient, fitted)
    runner, rows = None, iter(rows)
    options |= {"length": length, "longest": longest, "folder": folder, "collect": collect}
    # What tokenises lazily would do so in the threads, where the tokenizer must not be used while it cuts.
    _ = checkpoint.prompt_tokens
    taken, following = list(itertools.islice(rows, window)), []
    if not taken:
        raise ModelError("no text given: give at least one")
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while taken:
                following = list(itertools.islice(rows, window))
                one, encoded, places = _encode(checkpoint, taken, length, longest, lenient)
                batches, unfit = planner.cut(encoded)
                one.skipped.update({places[number]: f"does not fit: {error}" for number, error in unfit.items()})
                if not (runner or batches or following):
                    raise next(iter(unfit.values()), None) or ModelError(_none_usable(one))
                if single and (len(batches) > 1 or following):
                    raise _too_many(single, batches, len(taken) + len(following) + sum(1 for _ in rows))
                alone = not runner and len(batches) == 1 and not following
                if not runner and batches:
                    encoder = quantise_encoder(checkpoint, config, **quantised)
                    runner = _Runner(config, checkpoint, encoder, lenient, model, done, stage, options)
                begin(one, len(batches), bool(following))
                runs = [pool.submit(runner.run, encoded, numbers, alone) for numbers in batches]
                for ended in (run.result() for run in runs):
                    one.parts.extend(([places[number] for number in numbers], value) for numbers, value in ended.parts)
                    one.failed.extend(([places[number] for number in numbers], why) for numbers, why in ended.failed)
                    one.skipped.update({places[number]: why for number, why in ended.skipped.items()})
                yield one
                del one, encoded, runs
                taken = following
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _encode(checkpoint, rows, length, longest, lenient):
    """A Window without results, the Batch of its sentences that can be used, and the number of each in the window."""
    places = [place for place, _ in rows]
    skipped = {number: one for number, (_, one) in enumerate(rows) if isinstance(one, str)}
    usable = [number for number in range(len(rows)) if number not in skipped]
    refused = {} if lenient else None
    encoded = encode_sentences(checkpoint, [rows[number][1] for number in usable], length, longest=longest,
                               refused=refused) if usable else None
    skipped |= {usable[number]: reason for number, reason in (refused or {}).items()}
    one = Window(lines=places, sentences=[None if isinstance(sentence, str) else sentence for _, sentence in rows],
                 skipped=skipped, cut=encoded.cut if encoded else 0)
    return one, encoded, [number for number in usable if number not in skipped]


def _none_usable(window):
    number, reason = next(iter(window.skipped.items()))
    place = window.lines[number]
    return f"no sentence can be used: {'text' if place is None else 'line'} {number + 1 if place is None else place}: {reason}"


def _too_many(single, batches, count):
    programs = len(batches) if count == sum(map(len, batches)) else "more than one"
    return CompileError(f"{single}: shows one program, and {count} sentences take {programs}: give {len(batches[0])} of them")


class _Planner:
    """Cuts windows into batches that fit, and remembers for each length how many do.

    Parameters
    ----------
    outline : QuantisedEncoder, see `outline_encoder`
    config, batch, length, lenient : see `infer_batches`
    fitted : options of `check_fit`
    """

    def __init__(self, outline, config, batch, length, lenient, fitted):
        self._outline, self._config, self._batch, self._length = outline, config, batch, length
        self._lenient, self._fitted, self._most = lenient, fitted, {}

    def cut(self, encoded):
        """Numbers of the sentences of each batch, those of the longest first; and errors of those that fit nowhere."""
        lengths = encoded.lengths if encoded else []
        rest, batches, unfit = sorted(range(len(lengths)), key=lambda number: -lengths[number]), [], {}
        while rest:
            count = min(self._batch or self._largest(encoded, rest), len(rest))
            try:
                while count and not self._fits(encoded, rest[:count]):
                    if self._batch:
                        break
                    count -= 1
                if self._batch or not count:
                    count = count or 1
                    self._check(encoded, rest[:count])
            except CapacityError as error:
                if not self._lenient or self._batch and count > 1 and self._fits(encoded, rest[:1]):
                    raise
                unfit[rest.pop(0)] = error
                continue
            batches.append(sorted(rest[:count]))
            rest = rest[count:]
        return batches, unfit

    def _shape(self, encoded, numbers):
        """Arguments of `check_batch` for some sentences."""
        lengths = [encoded.lengths[number] for number in numbers]
        return lengths, self._length or max(lengths), [encoded.tokens[number] for number in numbers]

    def _check(self, encoded, numbers):
        check_batch(self._outline, self._config, *self._shape(encoded, numbers), **self._fitted)

    def _fits(self, encoded, numbers):
        lengths, columns, tokens = self._shape(encoded, numbers)
        return batch_fits(self._outline, self._config, lengths, columns, tokens, **self._fitted)

    def _largest(self, encoded, rest):
        """How many fit of sentences as long as the first, and with as many masks and places of their own as any.

        More would run in parts, each of which brings the weights again: nothing is gained over another program.
        """
        tile = self._config.tile
        columns = self._length or encoded.lengths[rest[0]]
        places = any(encoded.tokens[number].places for number in rest)
        masked = max(len(masked_rows([encoded.tokens[number]], tile)[0]) for number in rest)
        shape = -(-columns // tile), places, masked
        most, tried = self._most.get(shape, (0, 0))
        if most == tried < len(rest):
            worst = Tokens(places=(0,) * columns if places else None,
                           masked=tuple(min(tile * row, columns - 1) for row in range(masked)))
            most = largest_batch(self._outline, self._config, [columns] * len(rest), columns, tokens=[worst] * len(rest),
                                 near=max(most, 1), whole=True, **self._fitted)
            self._most[shape] = most, len(rest)
        return most


@dataclass
class _Ended:
    parts: list = field(default_factory=list)
    skipped: dict = field(default_factory=dict)
    failed: list = field(default_factory=list)


class _Runner:
    """Runs one batch after the other, in any thread."""

    def __init__(self, config, checkpoint, encoder, lenient, model, done, stage, options):
        self._config, self._checkpoint, self._encoder, self._lenient = config, checkpoint, encoder, lenient
        self._done, self._stage, self._options = done, stage, dict(options)
        self._folder, self._collect = self._options.pop("folder"), self._options.pop("collect")
        waves = self._options.get("waves", False)
        self._model = _Simulators(model or partial(build_system, config, waves=waves)) if (
            model is None or callable(model)) else model

    def run(self, encoded, numbers, alone):
        """Run some sentences of a Batch, see `_Ended`; halves of them if they cannot be placed."""
        ended = _Ended()
        try:
            ended.parts.append((numbers, self._result(encoded, numbers, alone)))
        except CapacityError as error:
            if len(numbers) > 1:
                half = len(numbers) - len(numbers) // 2
                for part in (numbers[:half], numbers[half:]):
                    other = self.run(encoded, part, False)
                    ended.parts += other.parts
                    ended.failed += other.failed
                    ended.skipped |= other.skipped
                return ended
            if not self._lenient:
                raise
            ended.skipped[numbers[0]] = f"does not fit: {error}"
        except RunError as error:
            if not self._lenient or alone or getattr(self._model, "broken", False):
                raise
            ended.failed.append((numbers, str(error)))
        self._done(len(numbers))
        return ended

    def _result(self, encoded, numbers, alone):
        options = self._options | {"encoder": self._encoder, "model": self._model}
        part = encoded.part(numbers, options["length"])
        if alone:
            return self._collect(infer(self._config, self._checkpoint, part, folder=Path(self._folder), stage=self._stage,
                                       **options))
        with tempfile.TemporaryDirectory(dir=self._folder) as own:
            return self._collect(infer(self._config, self._checkpoint, part, folder=Path(own), **options))


class _Simulators:
    """Builds each simulator once, whichever thread needs it first."""

    def __init__(self, make):
        self._make, self._lock, self._built = make, threading.Lock(), {}
        self.broken = False

    def __call__(self, *, memory_bits):
        with self._lock:
            if memory_bits in self._built:
                return self._built[memory_bits]
            try:
                model = self._make(memory_bits=memory_bits)
            except RunError:
                self.broken = True
                raise
            self._built[memory_bits] = replace(model, seconds=0.0)
            return model


def combine(reports):
    """One report of several batches, as `report` gives it: sums, and shares of the sums; ``batches`` has those of each.

    Parameters
    ----------
    reports : of `report`, one or more
    """
    totals = Totals()
    for one in reports:
        totals.add(one)
    return totals.report([prediction for one in reports for prediction in one["predictions"]])


_SUMS = ("cycles", "ideal_cycles", "multiplications", "skipped", "dense_multiplications", "tensors_compared", "mismatches",
         "sentences", "repeated", "instructions", "build_seconds", "simulation_seconds")
_KNOWN = ("multiplications_expected", "planned_cycles")
_NAMED = ("lost_cycles", "mismatched_tensors", "counters")
_SHARES = ("utilisation", "stalled")
_OWN = ("config", "prediction", "predictions")
_LARGE = ("sentences", "tensors")


class Totals:
    """Sums over batches, of which no more is kept than their figures."""

    def __init__(self):
        self._first, self._batches = None, []
        self._sums, self._named = Counter(), {name: Counter() for name in (*_NAMED, *_SHARES)}
        self._unknown, self._zeros, self._simulated = set(), {}, 0.0

    def __bool__(self):
        return self._first is not None

    def add(self, one):
        """Add a report of a batch."""
        if self._first is None:
            self._first = {name: value for name, value in one.items() if name not in ("prediction", "predictions")}
        for name in _SUMS:
            self._sums[name] += one[name]
        for name in _KNOWN:
            if one[name] is None:
                self._unknown.add(name)
            else:
                self._sums[name] += one[name]
        for name in _NAMED:
            for key, value in one[name].items():
                self._named[name][key] += value
        for name in _SHARES:
            for key, value in one[name].items():
                self._named[name][key] += value * one["cycles"]
        for kind, entry in one["sparsity"].items():
            known = self._zeros.setdefault(kind, Counter())
            for name in COUNTED:
                known[name] += entry[name]
        self._simulated += one["cycles_per_second"] * one["simulation_seconds"]
        kept = {name: value for name, value in one.items() if name not in _OWN}
        kept["fidelity"] = {name: value for name, value in one["fidelity"].items() if name not in _LARGE}
        self._batches.append(kept)

    def report(self, predictions):
        """The report of all batches together, with the predictions of all sentences in their order."""
        labels = [prediction["label"] for prediction in predictions]
        cycles = self._sums["cycles"]
        return self._first | {name: self._sums[name] for name in _SUMS} | {
            "prediction": labels[0] if len(labels) == 1 else labels,
            "predictions": predictions,
            **{name: None if name in self._unknown else self._sums[name] for name in _KNOWN},
            **{name: dict(self._named[name]) for name in _NAMED},
            **{name: {key: value / cycles for key, value in self._named[name].items()} for name in _SHARES},
            "sparsity": {kind: zero_shares(dict(entry)) for kind, entry in self._zeros.items()},
            "cycles_per_second": self._simulated / self._sums["simulation_seconds"],
            "batches": self._batches,
        }
