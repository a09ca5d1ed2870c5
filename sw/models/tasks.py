"""What can be asked of an encoder, and what stands behind its layers to answer it."""

from dataclasses import dataclass

from .errors import ModelError

__all__ = ["Dense", "Head", "Normalise", "POOLINGS", "POOLING_MODES", "TASKS", "Task", "named_task", "task_of_architecture"]

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""Ways to make one vector of hidden states, in the order in which several of them are concatenated."""

POOLINGS = (*POOLING_MODES, "pooler")
"""Ways to make one vector of a text."""

VOCABULARY_PART = 2048
"""Columns of a product with a whole vocabulary that are computed, stored and given a binary point of their own at a time."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One of `TASKS`.

    Parameters
    ----------
    name : for users
    rows : tokens that the head reads: "first" of each sentence, "all", or the "masked" ones
    suffix : how the names of transformers' classes for it end
    """

    name: str
    rows: str
    suffix: str


TASKS = {task.name: task for task in (
    Task(name="text-classification", rows="first", suffix="ForSequenceClassification"),
    Task(name="token-classification", rows="all", suffix="ForTokenClassification"),
    Task(name="question-answering", rows="all", suffix="ForQuestionAnswering"),
    Task(name="fill-mask", rows="masked", suffix="ForMaskedLM"),
    Task(name="sentence-embedding", rows="first", suffix=""),
    Task(name="hidden-states", rows="first", suffix="Model"),
)}
"""By name."""


def task_of_architecture(name):
    """The Task that a class of transformers is made for, None for another."""
    if name.endswith("ForPreTraining"):
        return TASKS["fill-mask"]
    return next((task for task in TASKS.values() if task.suffix and name.endswith(task.suffix)), None)


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A product with weights in a head.

    Parameters
    ----------
    result : name of the activation
    weights : the canonical name, to which ``.weight`` and ``.bias`` belong
    columns : of the result
    function : what is applied
    bound : see `Projection`
    parts : the columns are computed, stored and given binary points in parts of `VOCABULARY_PART`
    """

    result: str
    weights: str
    columns: int
    function: str = "none"
    bound: float | None = None
    parts: bool = False

    @property
    def kind(self):
        """See `Tensor`."""
        return self.result if self.result in ("pooler", "logits") else "head"

    def pieces(self):
        """(Result, first column, columns) of each part."""
        if not self.parts:
            return [(self.result, 0, self.columns)]
        return [(f"{self.result}.{number}", first, min(VOCABULARY_PART, self.columns - first))
                for number, first in enumerate(range(0, self.columns, VOCABULARY_PART))]


@dataclass(frozen=True, kw_only=True)
class Normalise:
    """A layer-norm in a head: `result` and `weights` as in `Dense`."""

    result: str
    weights: str


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands behind the layers.

    Parameters
    ----------
    task : Task
    steps : Dense and Normalise, each of which reads the result of the one before; none where the last hidden state is the
        answer
    title : what statistics call it
    """

    task: Task
    steps: tuple[Dense | Normalise, ...] = ()
    title: str = "head"

    def needs(self, tensor):
        """Whether a tensor, by its canonical name, belongs to a step."""
        return tensor.rpartition(".")[0] in [step.weights for step in self.steps]


def named_task(name):
    """The Task of a name that a user gave.

    Raises
    ------
    ModelError : for another
    """
    if name not in TASKS:
        raise ModelError(f"task = {name!r}: known are {', '.join(TASKS)}: give one of these")
    return TASKS[name]
