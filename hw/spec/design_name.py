"""One name for one design: that of a preset, with the fields that differ from it."""

from dataclasses import fields

from .config import PRESETS, AcceleratorConfig

__all__ = ["design_name", "differences", "nearest_preset"]

_MOST = 4
"""Differences beyond which a configuration goes by its own name."""


def design_name(config):
    """How tables and plots call a configuration.

    A preset by its name; what differs from one in a few fields by that and the fields, ``mini with skip = none``; anything else
    by its own name, unless that is a preset's.

    Parameters
    ----------
    config : AcceleratorConfig
    """
    values = {f.name: getattr(config, f.name) for f in fields(config) if f.name != "name"}
    preset, changed = nearest_preset(values)
    if len(changed) > _MOST and config.name not in PRESETS:
        return config.name
    return differences(preset, changed)


def nearest_preset(values):
    """The preset that differs in the fewest of `values`, and those that differ; of equal ones the first of the same word
    format.

    Parameters
    ----------
    values : fields of an AcceleratorConfig, not all of them need be there

    Returns
    -------
    name, {field: value}
    """
    found = []
    for preset in PRESETS:
        config = AcceleratorConfig.load(preset)
        found.append((preset, {name: value for name, value in values.items() if getattr(config, name) != value}))
    return min(found, key=lambda entry: (len(entry[1]), "fraction_bits" in entry[1]))


def differences(name, changed):
    """``name with field = value, field = value``."""
    def text(value):
        return "/".join(value) if isinstance(value, tuple) else "W" if value is None else value

    shown = ", ".join(f"{field} = {text(value)}" for field, value in changed.items())
    return f"{name} with {shown}" if shown else name
