"""What is refused of a model folder or a text."""

__all__ = ["ModelError"]


class ModelError(ValueError):
    """A model folder or a text that cannot be used. The message is one line: where, what was found, the remedy."""

    def __init__(self, message):
        super().__init__(" ".join(str(message).split()))
