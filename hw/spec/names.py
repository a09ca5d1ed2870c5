"""Names that nobody knows."""

import difflib

__all__ = ["unknown_name"]


def unknown_name(kind, name, known):
    """What to say of a name that is not among the known ones: the nearest of them, or all.

    Parameters
    ----------
    kind : of what it is the name, such as "field"
    name : as it was given
    known : names that there are
    """
    near = difflib.get_close_matches(name, known, n=1)
    return f"unknown {kind} {name!r}: " + (
        f"did you mean {near[0]!r}?" if near else f"the {kind}s are {', '.join(sorted(known))}")
