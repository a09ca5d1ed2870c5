"""What the registers of an accelerator said at the end of a program."""

from dataclasses import dataclass

from ...hw.spec.error_codes import ErrorCode, ErrorSource

__all__ = ["Outcome", "Run"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Status and error of the last program, by the names of the registers."""

    status: int
    irq_status: int
    error_code: int
    error_engine: int
    error_instruction: int

    @property
    def error(self):
        """Code, instruction and engine in words; None without an error."""
        if not self.error_code:
            return None
        source = ErrorSource(self.error_engine).name.lower()
        return f"{_code_name(self.error_code)} in instruction {self.error_instruction} ({source})"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A program that was started.

    Parameters
    ----------
    ended : whether it came to its end, or to an error, in the time that it was given
    outcome : Outcome
    counters : the performance counters by name
    """

    ended: bool
    outcome: Outcome
    counters: dict

    @property
    def well(self):
        """Whether it came to its end without an error."""
        return self.ended and not self.outcome.error_code


def _code_name(code):
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code:#04x}"
