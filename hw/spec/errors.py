"""What the programs of this project refuse, and with which exit code the command line then ends."""

__all__ = ["AcceltranError", "ConfigError", "InputError", "RunError"]


class AcceltranError(Exception):
    """Anything that a user is told in one message, without a traceback.

    Members
    -------
    exit_code : of the command line
    """

    exit_code = 2


class InputError(AcceltranError, ValueError):
    """Something that was given cannot be used. The message is one line: what, its value, the remedy."""

    def __init__(self, message):
        super().__init__(" ".join(str(message).split()))


class RunError(AcceltranError, RuntimeError):
    """A tool or a simulation failed; the message ends with the last lines of what it said."""

    exit_code = 1


class ConfigError(InputError):
    """A configuration that cannot be built, or an option that does not go with it; the message names the field."""
