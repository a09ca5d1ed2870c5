"""The host's side of an accelerator: a driver over a small bus, for simulations, tests and boards alike."""

from .bus import Bus, perform, perform_async
from .errors import DeviceError
from .run import Outcome, Run

__all__ = ["Bus", "DeviceError", "Outcome", "Run", "perform", "perform_async"]
