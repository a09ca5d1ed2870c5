"""What the options of a command say about the hardware."""

import dataclasses

from ..hw.spec.config import AcceleratorConfig
from ..hw.spec.errors import ConfigError
from ..hw.spec.isa import LoopOrder
from ..sw.ir.errors import CompileError

__all__ = ["load_config", "loop_order"]


def load_config(name, skip=None):
    """A configuration by name or path, with `skip` in place of its own if given."""
    config = AcceleratorConfig.load(name)
    if skip is None:
        return config
    try:
        return dataclasses.replace(config, skip=skip, name=f"{config.name}_{skip}")
    except ConfigError as error:
        raise ConfigError(f"--skip: {error}") from None


def loop_order(name):
    """The LoopOrder called `name`; None stays None."""
    if name is None:
        return None
    try:
        return LoopOrder[name.upper()]
    except KeyError:
        raise CompileError(f"order = {name!r}: choose a permutation of b, i, j, k, like bijk") from None
