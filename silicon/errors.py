"""How synthesis, timing or placement fails."""

from ..hw.spec.errors import RunError

__all__ = ["SynthesisError"]


class SynthesisError(RunError):
    """A tool failed on a module; the message ends with its last lines."""
