"""What the compiler refuses."""

from ...hw.spec.errors import InputError

__all__ = ["CapacityError", "CompileError"]


class CompileError(InputError):
    """A model, a request and a configuration that do not fit together.

    The message is one line: what, how large it is, how much there is, and the configuration field that would fix it.
    """


class CapacityError(CompileError):
    """A program that is too large for the configuration; a smaller batch may fit.

    Parameters
    ----------
    what : is short, and by how much
    fields : {configuration field: value} with which it would fit; there may be none
    others : other remedies, each a clause
    """

    def __init__(self, what, fields, others=()):
        self.what, self.fields = what, fields
        raised = " and ".join(f"{name} to {value}" for name, value in fields.items())
        remedies = [*([f"raise {raised}"] if raised else []), *others]
        remedies = remedies or ["give fewer or shorter sentences", "use a smaller model"]
        super().__init__(f"{what}: {', or '.join(remedies)}")
