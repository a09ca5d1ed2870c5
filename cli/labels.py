"""What labels in a data file mean to a model: classes by name or number, or the value of a model with one output."""

import math

from ..sw.models.errors import ModelError

__all__ = ["Targets", "check_classifier"]

_SHOWN = 5


def check_classifier(checkpoint, what, *, classes=False):
    """Refuse a model that gives no logits, or, with `classes`, one value in place of classes.

    Parameters
    ----------
    checkpoint : Checkpoint
    what : what is to be done with it, for the message

    Raises
    ------
    ModelError : with the remedy
    """
    if not checkpoint.has_classifier:
        raise ModelError(f"{checkpoint.folder}: the model has no classifier, which {what} needs: give a model of "
                         f"text-classification, not one of {checkpoint.task.name}")
    if classes and checkpoint.config.num_labels == 1:
        raise ModelError(f"{checkpoint.folder}: the model has one output (num_labels is 1), a value, and {what} needs classes: "
                         "give a model with two labels or more")


class Targets:
    """Labels of a model's training task.

    A model with one output is taught values (`regression`). Otherwise a label is a class: by its name in id2label, as it
    is written there, by ``LABEL_n``, or by its number, which may be written 1 or 1.0. One file uses one of these ways.

    Parameters
    ----------
    config : EncoderConfig
    """

    def __init__(self, config):
        self.regression = config.num_labels == 1
        self._names = {n: config.id2label.get(n, f"LABEL_{n}") for n in range(config.num_labels)}
        self._by_name = {f"LABEL_{n}": n for n in self._names} | {name: n for n, name in self._names.items()}

    def accepts(self, cell):
        """Whether a cell may be a label."""
        if self.regression:
            return _number(cell) is not None
        return self._named(cell) is not None or self._numbered(cell) is not None

    def read(self, cells, places, by=None):
        """Labels as numbers of classes, or as values.

        Parameters
        ----------
        cells : of the column of labels
        places : file and line of each, for messages
        by : "names" or "numbers" of classes, None for whichever all cells are

        Returns
        -------
        labels : int each, or float for regression
        notes : remarks for the user, a line each

        Raises
        ------
        ModelError : for the first that the model cannot mean
        """
        for cell, place in zip(cells, places, strict=True):
            if cell is None or isinstance(cell, str) and not cell.strip():
                raise ModelError(f"{place}: has no label: remove the line, or fill it in")
        if self.regression:
            return [self._value(cell, place) for cell, place in zip(cells, places, strict=True)], []
        readers = {"names": self._named, "numbers": self._numbered}
        readings = [[reader(cell) for cell in cells] for kind, reader in readers.items() if by in (None, kind)]
        whole = [labels for labels in readings if None not in labels]
        if len(whole) == 2 and whole[0] != whole[1]:
            at = next(n for n, (a, b) in enumerate(zip(*whole, strict=True)) if a != b)
            raise ModelError(f"{places[at]}: label {_shown(cells[at])} is the name of class {whole[0][at]} and the number of "
                             f"another, {self._names[whole[1][at]]!r}: add --labels names or --labels numbers")
        if not whole:
            self._refuse(cells, places, max(readings, key=lambda labels: len(labels) - labels.count(None)))
        return whole[0], self._missing(whole[0])

    def _refuse(self, cells, places, labels):
        at = labels.index(None)
        known = ", ".join(repr(self._names[n]) for n in range(min(_SHOWN, len(self._names))))
        known += f" and {len(self._names) - _SHOWN} more" if len(self._names) > _SHOWN else ""
        mixed = self.accepts(cells[at])
        raise ModelError(f"{places[at]}: label {_shown(cells[at])} " + (
            "is written in another way than the others: use names or numbers in the whole file" if mixed else
            f"is no class of the model, whose classes are {known} (0 to {len(self._names) - 1}): correct it, or use the model "
            "and the data of one task, or another --label-column"))

    def _named(self, cell):
        return self._by_name.get(cell.strip()) if isinstance(cell, str) else None

    def _numbered(self, cell):
        value = _number(cell)
        return int(value) if value is not None and value.is_integer() and 0 <= value < len(self._names) else None

    def _value(self, cell, place):
        value = _number(cell)
        if value is None:
            raise ModelError(f"{place}: label {_shown(cell)} is no number, and the model has one output (num_labels is 1), a "
                             "value: use a model with classes, or another --label-column")
        return value

    def _missing(self, labels):
        names = [repr(name) for n, name in self._names.items() if n not in set(labels)]
        if not names:
            return []
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        return [f"no sentence is labelled {shown}, of the model's {len(self._names)} classes"]


def _number(cell):
    """A finite float, or None."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    try:
        value = float(cell)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and "_" not in str(cell) else None


def _shown(cell):
    return repr(cell if len(str(cell)) <= 40 else str(cell)[:40])
