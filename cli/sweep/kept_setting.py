"""Settings of which a process keeps what the last one read and quantised."""

import functools
from dataclasses import replace

from ...hw.spec.errors import ConfigError
from ...sw.models.quantise import quantise_encoder
from ..estimate.setting import Setting

__all__ = ["FIELDS", "KeptSetting", "forget", "kept_by"]

FIELDS = ("tile", "integer_bits", "fraction_bits", "weight_bits", "functions", "max_inner", "prune_curves")
"""Fields of a configuration on which the integers of a model depend."""


class KeptSetting(Setting):
    """A Setting that gives the same as any other, in less time where it needs the same model as the one before it.

    One model is kept, and one quantised: those of large models fill the memory of a process.
    """

    def checkpoint(self):
        """The Checkpoint."""
        return _checkpoint(self.model)

    def options(self, checkpoint):
        """Options of `compile_encoder`."""
        return super().options(checkpoint) | {"quantise": _quantised}


def kept_by(setting):
    """What two settings must have in common for the second one to find everything kept, as text."""
    try:
        hardware = setting.hardware()
        fields = [getattr(hardware, name) for name in FIELDS]
    except ConfigError:
        fields = None
    return repr((setting.model, fields, setting.tau, setting.target_sparsity, setting.weight_sparsity, setting.sites,
                 setting.layers))


def forget():
    """Keep nothing: files may have changed."""
    _checkpoint.cache_clear()
    _last.clear()


@functools.lru_cache(maxsize=1)
def _checkpoint(model):
    return Setting(model=model, tokens=2).checkpoint()


_last = {}
"""The QuantisedEncoder, by what it was made from; only one."""


def _quantised(checkpoint, hardware, **options):
    key = repr(([getattr(hardware, name) for name in FIELDS], options))
    known, encoder = _last.get(key, (None, None))
    if known is not checkpoint:
        encoder = quantise_encoder(checkpoint, hardware, **options)
        _last.clear()
        _last[key] = checkpoint, encoder
    return replace(encoder, hardware=hardware)
