"""What the driver refuses."""

__all__ = ["DeviceError"]


class DeviceError(RuntimeError):
    """An accelerator that is not the one a program is for, or that does not answer as it should; the message is one line."""

    def __init__(self, message):
        super().__init__(" ".join(str(message).split()))
