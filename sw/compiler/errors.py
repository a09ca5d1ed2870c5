"""What the compiler refuses."""

__all__ = ["CompileError"]


class CompileError(ValueError):
    """A model, a request and a configuration that do not fit together.

    The message is one line: what, how large it is, how much there is, and the configuration field that would fix it.
    """

    def __init__(self, message):
        super().__init__(" ".join(str(message).split()))
