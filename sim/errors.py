"""How a simulation fails."""

from ..hw.spec.errors import RunError

__all__ = ["SimulationError"]


class SimulationError(RunError):
    """A simulator that could not be built or run; the message ends with the tool's last lines."""
