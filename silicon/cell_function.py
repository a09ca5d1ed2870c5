"""The functions of gates in a Liberty file."""

import itertools
import re

__all__ = ["truth_table"]

_TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*|[01])|([!&*|+^()]))")
_OPERATORS = ("|+", "&*", "^")
"""From the loosest to the tightest; ``!`` binds tighter than all of them."""
_APPLY = {"|+": lambda a, b: a | b, "&*": lambda a, b: a & b, "^": lambda a, b: a ^ b}


def truth_table(function):
    """Names of the inputs in order, and the results for all their values, those of the first input changing slowest.

    Parameters
    ----------
    function : names, 0 and 1, joined by ! & * | + ^ and parentheses

    Raises
    ------
    ValueError : it is written otherwise
    """
    tokens = _tokens(function)
    names = sorted({token for token in tokens if token[0].isalpha() or token[0] == "_"})
    return names, [_Reader(tokens, dict(zip(names, values, strict=True))).whole()
                   for values in itertools.product((0, 1), repeat=len(names))]


def _tokens(function):
    found, position = [], 0
    while function[position:].strip():
        token = _TOKEN.match(function, position)
        if token is None:
            raise ValueError(f"{function!r}: unknown sign {function[position:].strip()[0]!r}")
        found.append(token[1] or token[2])
        position = token.end()
    return found


class _Reader:
    """Reads one value out of the tokens of a function."""

    def __init__(self, tokens, values):
        self._left, self._values = list(reversed(tokens)), values | {"0": 0, "1": 1}

    def whole(self):
        """The value, of which nothing may be left over."""
        value = self._joined(0)
        if self._left:
            raise ValueError(f"{self._left[-1]!r} stands where an operator is due")
        return value

    def _joined(self, level):
        if level == len(_OPERATORS):
            return self._single()
        signs = _OPERATORS[level]
        value = self._joined(level + 1)
        while self._left and self._left[-1] in signs:
            self._left.pop()
            value = _APPLY[signs](value, self._joined(level + 1))
        return value

    def _single(self):
        token = self._left.pop() if self._left else "the end"
        if token == "!":
            return 1 - self._single()
        if token == "(":
            value = self._joined(0)
            if not self._left or self._left.pop() != ")":
                raise ValueError("a parenthesis does not end")
            return value
        if token not in self._values:
            raise ValueError(f"{token!r} stands where a name is due")
        return self._values[token]
