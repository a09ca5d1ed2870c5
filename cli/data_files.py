"""Read sentences, with labels or without, from the files that people have: csv, tsv, jsonl, plain text.

The csv and json modules of Python do the reading: they keep each cell as it is written, where a data-frame library
would make numbers, dates or missing values of sentences such as "NA".
"""

import csv
import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..hw.spec.files import write_text
from ..sw.models.errors import ModelError
from ..sw.models.sentence import Sentence
from .file_text import MOST_BROKEN, broken_bytes, decode

__all__ = ["Data", "Layout", "read_labelled", "read_sentences", "write_tsv"]

TEXT_NAMES = ("sentence", "text", "review", "content", "comment", "utterance", "question")
PAIR_NAMES = (
    ("sentence1", "sentence2"), ("text", "text_pair"), ("text1", "text2"), ("text_a", "text_b"), ("sentence_a", "sentence_b"),
    ("question1", "question2"), ("premise", "hypothesis"), ("question", "context"), ("question", "passage"),
    ("question", "sentence"), ("query", "passage"))
"""Columns that, where both are there, hold texts and what belongs to them."""

LABEL_NAMES = ("label", "labels", "class", "category", "sentiment", "target", "score", "rating", "intent")
DELIMITERS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".tab": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
_OWN_DELIMITER = {".tsv": "\t", ".tab": "\t", ".csv": ","}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the user says about a file; None is recognised.

    Parameters
    ----------
    text_column, label_column, pair_column : name, or number from 1
    delimiter : one character, or one of the names in `DELIMITERS`
    heading : whether the first row names the columns
    quotes : whether cells in double quotes are undone
    encoding : of the bytes, UTF-8 by default
    labels : "names" or "numbers": how labels tell their class
    """

    text_column: str | None = None
    label_column: str | None = None
    delimiter: str | None = None
    heading: bool | None = None
    quotes: bool | None = None
    encoding: str | None = None
    labels: str | None = None
    pair_column: str | None = None

    def __post_init__(self):
        if self.delimiter is not None and (len(self._delimiter()) != 1 or self._delimiter() in '"\r\n'):
            raise ModelError(f"delimiter = {self.delimiter!r}: give one character, or {', '.join(DELIMITERS.values())}")
        if self.labels not in (None, "names", "numbers"):
            raise ModelError(f"labels = {self.labels!r}: choose names or numbers")

    def _delimiter(self):
        return {name: char for char, name in DELIMITERS.items()}.get(self.delimiter, self.delimiter).replace("\\t", "\t")

    def candidates(self, suffix):
        """Delimiters to try, that of the file's name first."""
        if self.delimiter is not None:
            return [self._delimiter()]
        own = _OWN_DELIMITER.get(suffix)
        return [own] if own == "\t" else sorted(DELIMITERS, key=lambda char: char != own)


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a file held.

    Parameters
    ----------
    texts : sentences, in the order of the file
    pairs : what belongs to each sentence, such as the text that answers a question; None without
    lines : the line at which each begins, from 1
    labels : what the targets made of the labels, or None
    reading : how the file was read, plain values for JSON
    notes : remarks of the targets, a line each
    skipped : {line: reason} of what could not be read
    """

    texts: list[str]
    pairs: list[str] | None = None
    lines: list[int]
    labels: list | None = None
    reading: dict
    notes: list[str] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)

    @property
    def sentences(self):
        """The Sentence of each row."""
        return [Sentence(text, pair) for text, pair in zip(self.texts, self.pairs or [None] * len(self.texts), strict=True)]

    @property
    def rows(self):
        """(Line, Sentence) of each row in the order of the file; where it could not be read, the reason in its place."""
        rows = [*zip(self.lines, self.sentences, strict=True), *self.skipped.items()]
        return sorted(rows, key=lambda row: row[0]) if self.skipped else rows

    def describe(self):
        """What was recognised, in one line."""
        values = self.reading
        text = f"read {len(self.texts)} {'sentence' if len(self.texts) == 1 else 'sentences'} from "
        text += f"column {values['text_column']!r}" if values["text_column"] is not None else "the lines"
        if values.get("pair_column") is not None:
            text += f", pairs from column {values['pair_column']!r}"
        if values["label_column"] is not None:
            text += f", labels from column {values['label_column']!r}"
        if values["heading"] is False:
            text += ", no heading"
        return text + f" of {values['file']}"


@dataclass(frozen=True)
class _Table:
    """Rows of cells with the line of each, {line: reason} of others; `names` of the columns where the format has them."""

    rows: list
    lines: list
    names: list | None
    kind: str
    delimiter: str | None = None
    skipped: dict = field(default_factory=dict)


def read_sentences(path, layout=None, *, lenient=False, pairs=True):
    """The sentences of a file; in one that has no columns each line is one.

    Parameters
    ----------
    path : csv, tsv or jsonl by its name, anything else is plain text unless `layout` speaks of columns
    layout : Layout, or None
    lenient : leave out lines that cannot be read, as long as they are few; by default the first is refused
    pairs : whether a column of pairs is recognised by its name

    Returns
    -------
    Data

    Raises
    ------
    ModelError : one line that names the file, the place and the remedy
    """
    path, layout = Path(path), layout or Layout()
    columns = layout.text_column, layout.delimiter, layout.heading, layout.quotes, layout.pair_column
    if path.suffix.lower() not in _SUFFIXES and columns == (None,) * 5:
        text, encoding = decode(path, layout.encoding, lenient)
        found = [(line.strip(), number) for number, line in enumerate(io.StringIO(text, newline=None), 1) if line.strip()]
        broken = {line: reason for text, line in found if (reason := broken_bytes(text, encoding))}
        texts = [text for text, line in found if line not in broken]
        if not texts:
            raise ModelError(f"{path}: holds no sentence: give one in each line")
        return Data(texts=texts, lines=[line for _, line in found if line not in broken], skipped=broken,
                    reading=_reading(path, "text", encoding, None, None, None, None, None))
    return _read(path, layout, None, lenient, pairs)


def read_labelled(path, targets, layout=None):
    """The sentences of a file and their labels.

    Parameters
    ----------
    path : csv, tsv or jsonl, by its name or by what it holds
    targets : Targets of the model, which tell labels from other cells and read them
    layout : Layout, or None

    Returns
    -------
    Data

    Raises
    ------
    ModelError : one line that names the file, the place and the remedy
    """
    return _read(Path(path), layout or Layout(), targets)


def write_tsv(path, texts, labels):
    """Write what `read_labelled` reads: a heading, then sentence and label in each line."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([("sentence", "label"), *zip(texts, labels, strict=True)])
    write_text(path, text.getvalue(), encoding="utf-8", newline="")


def _read(path, layout, targets, lenient=False, pairs=True):
    text, encoding = decode(path, layout.encoding, lenient)
    suffix = path.suffix.lower()
    kind = _SUFFIXES.get(suffix)
    if kind == "jsonl" or kind is None and layout.delimiter is None and text.lstrip().startswith("{"):
        table = _read_jsonl(path, text, lenient)
    else:
        table = _read_delimited(path, text, layout, suffix, targets, lenient)
    columns = _Columns(path, table, layout, targets, pairs)
    found = list(zip(table.rows, table.lines, strict=True))[columns.heading:]
    if not found:
        raise ModelError(f"{path}: holds no sentence: give some below the heading")
    skipped = {line: f"{reason}: correct it" for line, reason in table.skipped.items()}
    rows, lines = [], []
    for row, line in found:
        reason = columns.fault(row, encoding)
        if reason and not lenient:
            raise ModelError(f"{path}, line {line}: {reason}")
        if reason:
            skipped[line] = reason
        else:
            rows.append(row)
            lines.append(line)
    if not rows:
        line, reason = next(iter(skipped.items()))
        raise ModelError(f"{path}: holds no sentence that can be used; line {line}: {reason}")
    reading = _reading(path, table.kind, encoding, DELIMITERS.get(table.delimiter, table.delimiter),
                       None if table.kind == "jsonl" else columns.heading, columns.name(columns.text),
                       None if targets is None else columns.name(columns.label),
                       None if columns.pair is None else columns.name(columns.pair))
    data = Data(texts=[row[columns.text] for row in rows], lines=lines, reading=reading, skipped=skipped,
                pairs=None if columns.pair is None else [row[columns.pair] or None for row in rows])
    if targets is None:
        return data
    labels, notes = targets.read([row[columns.label] for row in rows],
                                 [f"{path}, line {line}" for line in lines], layout.labels)
    return replace(data, labels=labels, notes=notes)


def _reading(path, kind, encoding, delimiter, heading, text_column, label_column, pair_column):
    return {"file": str(path), "format": kind, "encoding": encoding, "delimiter": delimiter, "heading": heading,
            "text_column": text_column, "label_column": label_column} | (
                {} if pair_column is None else {"pair_column": pair_column})


def _read_jsonl(path, text, lenient=False):
    names, rows, lines, broken = {}, [], [], {}
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            broken[number] = f"is no JSON ({error}): give one object in each line"
            continue
        if not isinstance(values, dict):
            broken[number] = (f"holds a JSON {type(values).__name__}, no object: give one object in each line, like "
                              "{\"text\": \"...\", \"label\": 1}")
            continue
        names |= dict.fromkeys(values)
        rows.append(values)
        lines.append(number)
    if broken and not (lenient and len(broken) <= MOST_BROKEN * (len(rows) + len(broken))):
        line, reason = next(iter(broken.items()))
        raise ModelError(f"{path}, line {line}: {reason}")
    if not rows:
        raise ModelError(f"{path}: holds no sentence: give one object in each line")
    return _Table([[row.get(name) for name in names] for row in rows], lines, list(names), "jsonl", skipped=broken)


def _read_delimited(path, text, layout, suffix, targets, lenient=False):
    """The table of the one delimiter that gives every row, or if `lenient` nearly every row, as many cells."""
    attempts = {char: _split(text, char, layout.quotes) for char in layout.candidates(suffix)}
    skipped = {}
    if lenient and not any(rows and not fault and len(rows[0][1]) > 1 for rows, fault in attempts.values()):
        for char in attempts:
            attempts[char], skipped[char] = _without_odd_rows(*attempts[char], char)
    least = 1 if targets is None else 2
    fitting = {char: rows for char, (rows, fault) in attempts.items() if rows and not fault and len(rows[0][1]) >= least}
    if fitting and least == 1:  # A single column fits every delimiter that does not occur, if none was meant.
        single = {} if any(char in text.lstrip().split("\n", 1)[0] for char in attempts) else dict(list(fitting.items())[:1])
        fitting = {char: rows for char, rows in fitting.items() if len(rows[0][1]) > 1} or single
    if len(fitting) > 1:
        known = {char: rows for char, rows in fitting.items() if _is_heading(rows[0][1], layout)}
        fitting = known if len(known) == 1 else {"\t": fitting["\t"]} if "\t" in fitting else fitting
    if not any(rows for rows, _ in attempts.values()) and not any(fault for _, fault in attempts.values()):
        raise ModelError(f"{path}: holds no sentence: give a heading and one sentence in each line")
    if len(fitting) > 1:
        names = " and ".join(DELIMITERS[char] for char in fitting)
        raise ModelError(f"{path}: {names} both give every row as many cells: add --delimiter with one of them")
    if not fitting:
        char = next(iter(attempts)) if len(attempts) == 1 or suffix in _OWN_DELIMITER else max(
            attempts, key=lambda c: text.split("\n", 1)[0].count(c))
        fault = attempts[char][1] or f"has no {DELIMITERS.get(char, repr(char))} between cells, so there is no column of labels"
        raise ModelError(f"{path}{', ' if fault.startswith('line') else ': '}{fault}: correct it, or add --delimiter"
                         f"{'' if layout.quotes is not None else ' or --no-quotes'}")
    (char, rows), = fitting.items()
    return _Table([cells for _, cells in rows], [line for line, _ in rows], None, "tsv" if char == "\t" else "csv", char,
                  skipped.get(char, {}))


def _without_odd_rows(rows, fault, char):
    """((rows, fault) of a delimiter without the rows that have another number of cells than the first, if they are few, {line:
    what is wrong} of those).
    """
    odd = {line: _odd_row(line, cells, rows, char) for line, cells in rows if len(cells) != len(rows[0][1])}
    if not odd or fault != next(iter(odd.values())) or len(rows[0][1]) < 2 or len(odd) > MOST_BROKEN * len(rows):
        return (rows, fault), {}
    kept = [(line, cells) for line, cells in rows if line not in odd]
    return (kept, None), {line: text.removeprefix(f"line {line}: ") for line, text in odd.items()}


def _odd_row(line, cells, rows, char):
    return f"line {line}: has {len(cells)} cells by {DELIMITERS.get(char, repr(char))}, the first row has {len(rows[0][1])}"


def _split(text, char, quotes):
    """([(line, cells)], fault): the rows, and what is wrong with the first that is unlike the others.

    A quote that never closes, or that closes in mid-cell, is no quoting: where cells are set apart by tabs, which
    sentences do not hold, quotes then are part of the text.
    """
    def parse(quoting):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=char, quoting=quoting, strict=True)
        rows, line = [], 1
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    rows.append((line, cells))
                line = reader.line_num + 1
        except csv.Error as error:
            return rows, f"line {line}: {error}"
        for line, cells in rows:
            if len(cells) != len(rows[0][1]):
                return rows, _odd_row(line, cells, rows, char)
        return rows, None if rows else ""

    if quotes is not None:
        return parse(csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE)
    rows, fault = parse(csv.QUOTE_MINIMAL)
    if fault and char == "\t":
        plain = parse(csv.QUOTE_NONE)
        return (rows, fault) if plain[1] else plain
    return rows, fault


def _is_heading(cells, layout):
    """Whether a row holds a name that a column of sentences or labels has, or that the user gave."""
    given = {name for name in (layout.text_column, layout.label_column, layout.pair_column) if name and not name.isdecimal()}
    names = {_folded(cell) for cell in cells}
    return bool(names & {*TEXT_NAMES, *LABEL_NAMES} or given & {*map(str, cells)} or any(names >= {*two} for two in PAIR_NAMES))


def _folded(cell):
    return cell.strip().lower() if isinstance(cell, str) else ""


class _Columns:
    """Which columns hold what, and whether the first row is a heading (0 or 1 rows)."""

    def __init__(self, path, table, layout, targets, pairs):
        self._path, self._layout, self._targets = path, layout, targets
        self._table = table
        self.heading = table.names is None and self._has_heading()
        self._names = table.names if table.names is not None else table.rows[0] if self.heading else None
        self._rows = table.rows[self.heading:]
        if self._names is not None:
            twice = next((name for name in self._names if self._names.count(name) > 1 and name), None)
            if twice is not None and twice in (layout.text_column, layout.label_column, *TEXT_NAMES, *LABEL_NAMES):
                raise ModelError(f"{path}: two columns are called {twice!r}: give their numbers with --text-column and "
                                 "--label-column")
        self.label = self.pair = None
        if targets is not None:
            self.label = self._find("label", LABEL_NAMES)
        self.text, self.pair = self._named_pair() if pairs else (None, None)
        if layout.pair_column is not None:
            self.pair = self._find("pair", ())
        if self.text is None:
            self.text = self._find("text", TEXT_NAMES)
            if self.pair is not None and self.pair in (self.text, self.label):
                raise ModelError(f"{path}: column {self.name(self.pair)!r} would be pair and "
                                 f"{'text' if self.pair == self.text else 'label'}: give --text-column and --pair-column")
        if self.text == self.label:
            raise ModelError(f"{path}: column {self.name(self.text)!r} would be text and label: give --text-column and "
                             "--label-column")

    def name(self, index):
        """The column's name, or its number."""
        return self._names[index] if self._names and self._names[index] else str(index + 1)

    def _named_pair(self):
        """The columns of texts and their pairs, if the user names neither and their names tell; else (None, None)."""
        layout, names = self._layout, [_folded(name) for name in self._names or ()]
        if layout.text_column is not None or layout.pair_column is not None:
            return None, None
        found = [two for two in PAIR_NAMES if names.count(two[0]) == names.count(two[1]) == 1]
        if len(found) > 1:
            first, second = (" and ".join(map(repr, two)) for two in found[:2])
            raise ModelError(f"{self._path}: columns {first}, or {second}, may be texts and pairs: add --text-column and "
                             "--pair-column")
        return tuple(map(names.index, found[0])) if found else (None, None)

    def fault(self, row, encoding):
        """What is wrong with the text of a row, or with its pair; None if nothing is."""
        return _fault(row[self.text], "text", encoding) or (
            None if self.pair is None else _fault(row[self.pair], "pair", encoding))

    def _has_heading(self):
        layout, rows = self._layout, self._table.rows
        if layout.heading is not None:
            return layout.heading
        if _is_heading(rows[0], layout):
            return True
        if self._targets and any(all(self._targets.accepts(row[n]) for row in rows) for n in range(len(rows[0]))):
            return False
        raise ModelError(f"{self._path}: its first row, {self._shown(rows[0])}, may be a heading or a sentence: add --heading "
                         "or --no-heading, and --text-column" + (" and --label-column" if self._targets else ""))

    def _find(self, what, known):
        given, count = getattr(self._layout, f"{what}_column"), len(self._table.rows[0])
        if given is not None:
            if self._names is not None and given in self._names:
                return self._names.index(given)
            if given.isdecimal() and 1 <= int(given) <= count:
                return int(given) - 1
            have = self._shown(self._names) if self._names else f"numbers 1 to {count} and no heading"
            raise ModelError(f"{self._path}: has no column {given!r} for --{what}-column: it has {have}")
        if self._names is not None:
            hits = [n for n, name in enumerate(self._names) if _folded(name) in known]
            if len(hits) == 1:
                return hits[0]
            if hits:
                raise ModelError(f"{self._path}: columns {self._shown(self._names[n] for n in hits)} may be the {what}: add "
                                 f"--{what}-column")
        fits = [n for n in range(count) if n not in (self.label, self.pair) and self._holds(what, n)]
        if len(fits) == 1:
            return fits[0]
        have = f"of {self._shown(self._names)}" if self._names else f"of {count}"
        found = "several may" if fits else "none does"
        raise ModelError(f"{self._path}: which column {have} holds the {what} is not certain ({found}): add --{what}-column "
                         "with its name or number")

    def _holds(self, what, column):
        cells = [row[column] for row in self._rows]
        if what == "label":
            return bool(cells) and all(map(self._targets.accepts, cells)) and not self._counts_up(column)
        # Numbers, names of classes and file names are no sentences: some cell has words.
        return all(isinstance(cell, str) for cell in cells) and any(len(cell.split()) > 1 for cell in cells)

    def _counts_up(self, column):
        """Whether it is an index."""
        cells = [row[column] for row in self._rows]
        if not all(isinstance(cell, int) or isinstance(cell, str) and cell.strip().isdecimal() for cell in cells):
            return False
        numbers = [int(cell) for cell in cells]
        return len(numbers) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    def _shown(self, cells):
        return ", ".join(repr(str(cell)[:30]) for cell in cells)


def _fault(cell, what, encoding):
    name = "sentence" if what == "text" else "pair"
    if not isinstance(cell, str):
        found = "nothing" if cell is None else f"the {type(cell).__name__} {json.dumps(cell)[:40]}"
        return f"has {found} where the {name} is: give a text, or another --{what}-column"
    if not cell.strip():
        return f"its {name} is empty: remove the line, or fill it in"
    return broken_bytes(cell, encoding)
