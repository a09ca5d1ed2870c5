"""What the driver refuses."""

from ...hw.spec.errors import RunError

__all__ = ["DeviceError"]


class DeviceError(RunError):
    """An accelerator that is not the one a program is for, or that does not answer as it should; the message is one line."""

    def __init__(self, message):
        super().__init__(" ".join(str(message).split()))
