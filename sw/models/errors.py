"""What the models refuse."""

from ...hw.spec.errors import InputError

__all__ = ["ModelError"]


class ModelError(InputError):
    """A model folder or a text that cannot be used. The message is one line: where, what was found, the remedy."""
