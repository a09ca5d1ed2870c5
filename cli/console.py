"""What commands say, and where: results on standard output, progress and remarks on standard error."""

import contextlib
import threading

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.status import Status
from rich.table import Table

from ..hw.spec.errors import ConfigError

__all__ = ["BatchProgress", "announce", "check_outputs", "console", "plain_table", "print_fidelity", "progress", "progress_bar",
           "stages", "tell", "told_cut", "warn"]

_WORST = 5
"""Tensors in the table of those that lose values."""

console = Console(soft_wrap=True, highlight=False)
progress = Console(stderr=True, soft_wrap=True, highlight=False)


def check_outputs(*paths):
    """Refuse files that could not be written, before the work begins; None is no file.

    Raises
    ------
    ConfigError : the folder does not exist, or the path is a folder itself
    """
    for path in filter(None, paths):
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"output = {str(path)!r}: its folder does not exist; make it first")
        if path.is_dir():
            raise ConfigError(f"output = {str(path)!r}: is a folder; name a file")


def announce(data, *, cut=0, total=None, longest=None):
    """Say on standard error what was read from a file.

    Parameters
    ----------
    data : Data
    cut : how many of its sentences were too long, of `total` (default: all) that are used
    longest : tokens that they were cut to
    """
    told = [told_cut(cut, total or len(data.texts), longest)] if cut else []
    tell(data.describe(), *data.notes, *told)


def tell(*lines):
    """Say something on standard error."""
    for line in lines:
        progress.print(escape(line))


def told_cut(cut, total, longest):
    """A line about sentences that were too long."""
    return f"{cut} of {total} texts {'was' if cut == 1 else 'were'} cut to {longest} tokens"


@contextlib.contextmanager
def stages(title):
    """Show on standard error what is being done: a spinner on a terminal, else a line per stage.

    Compiling is not announced in a log: it is quick, and bad input, found there, is to be a single line.
    """
    if not progress.is_terminal:
        yield lambda name: name.endswith("compiling") or progress.print(f"{title}: {name} ...")
        return
    with Status(f"{title} ...", console=progress) as status:
        yield lambda name: status.update(f"{title}: {name} ...")


class BatchProgress(contextlib.ExitStack):
    """Shows on standard error how far sentences are that run in batches.

    Of a single batch the stages are shown, see `stages`. Of several, on a terminal a bar, else a line for each.

    Parameters
    ----------
    title : what stands in front
    total : sentences
    """

    def __init__(self, title, total):
        super().__init__()
        self._title, self._total, self._batches, self._ended, self._sentences = title, total, None, 0, 0
        self._lock, self._several, self._bar, self._single = threading.Lock(), False, None, contextlib.ExitStack()
        self.stage = self.enter_context(self._single).enter_context(stages(title))

    def begin(self, skipped, batches, more):
        """A window begins: how many of its sentences are left out, and as for `infer_batches`."""
        with self._lock:
            self._sentences += skipped
            if not self._several and (batches > 1 or more):
                self._single.close()
                self._batches = None if more else batches
                if progress.is_terminal:
                    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
                    self._bar = self.enter_context(Progress(*columns, console=progress, transient=True))
                    self._task = self._bar.add_task(f"{self._title}: sentences", total=self._total)
                else:
                    tell(f"{self._title}: running batches of sentences ...")
                self._several = True
            if self._bar:
                self._bar.advance(self._task, skipped)

    def done(self, count):
        """A batch is done: how many sentences it had."""
        if not self._several:
            return
        with self._lock:
            self._ended, self._sentences = self._ended + 1, self._sentences + count
            if self._bar:
                self._bar.advance(self._task, count)
                return
            of = f" of {max(self._batches, self._ended)}" if self._batches else ""
            tell(f"{self._title}: batch {self._ended}{of}: {count} {'sentence' if count == 1 else 'sentences'}, "
                 f"{self._sentences} of {self._total} done")

    @contextlib.contextmanager
    def paused(self):
        """While something is printed on standard output, which may be the same terminal."""
        if self._bar:
            self._bar.stop()
        yield
        if self._bar:
            self._bar.start()


@contextlib.contextmanager
def progress_bar(name, total):
    """A progress bar over `total` steps; gives the function to call after each."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=progress) as bar:
        task = bar.add_task(name, total=total)
        yield lambda: bar.advance(task)


def plain_table(first, *others, title):
    """A table without frame, numbers to the right."""
    table = Table(first, title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in others:
        table.add_column(name, justify="left" if name == "worst path" else "right", overflow="fold")
    return table


def print_fidelity(values):
    """How far the integers are from the float model, and which tensors lose most values."""
    count = len(values["sentences"])
    worst = f", at least, over {count} sentences" if count > 1 else ""
    labels = "" if values["equal_labels"] is None else f", {values['equal_labels']} of {count} answers equal"
    console.print(f"against the float model: cosine {values['cosine']:.8f} ({values['output']}{worst}), largest error "
                  f"{values['max_error']:.2g}{labels}; of {values['values']:,} values, weights included, "
                  f"{values['saturated']:,} saturate, {values['vanished']:,} vanish")
    losing = [(name, one) for name, one in values["tensors"].items() if one["saturated"] or one["vanished"]]
    if not losing:
        return
    table = Table("tensor", "saturated %", "vanished %", "largest", "fits up to",
                  title=f"{len(losing)} tensors lose values, the worst of them")
    losing.sort(key=lambda item: -(item[1]["saturated"] + item[1]["vanished"]) / item[1]["values"])
    for name, one in losing[:_WORST]:
        table.add_row(name, *(f"{100 * one[part] / one['values']:.3f}" for part in ("saturated", "vanished")),
                      f"{one['largest']:.3g}", "" if one["reach"] is None else f"{one['reach']:.3g}")
    console.print(table)


def warn(values):
    """Print the warning of a fidelity, if there is one, on standard error; whether it is a failure."""
    if values["warning"]:
        progress.print(f"warning: {values['warning']}", markup=False)
    return bool(values["warning"]) and values["limits"]["strict"]
