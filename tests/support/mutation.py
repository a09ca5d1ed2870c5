"""Faults planted on purpose: a module of the project with one text replaced, beside the one that is right."""

import inspect
from types import ModuleType

__all__ = ["mutated", "with_names"]


def mutated(module, old, new):
    """`module` again, with the text `old` of its source replaced by `new`; the module itself stays as it is.

    Raises
    ------
    ValueError : `old` does not occur exactly once
    """
    source = inspect.getsource(module)
    if source.count(old) != 1:
        raise ValueError(f"{module.__name__}: {source.count(old)} times {old!r}, it must occur once")
    return _executed(module, source.replace(old, new))


def with_names(module, **names):
    """`module` again, with other values for some of its global names, such as the faulty part of a component."""
    unknown = [name for name in names if not hasattr(module, name)]
    if unknown:
        raise ValueError(f"{module.__name__} has no {', '.join(unknown)}")
    changed = _executed(module, inspect.getsource(module))
    vars(changed).update(names)
    return changed


def _executed(module, source):
    changed = ModuleType(module.__name__)
    changed.__package__, changed.__file__ = module.__package__, module.__file__
    exec(compile(source, module.__file__, "exec"), vars(changed))
    return changed
