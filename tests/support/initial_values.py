"""Verilog without initial values, as synthesis for a chip sees it, and with any. ``python initial_values.py FILE`` strips it.

Every `initial` block goes, and every initial value in a declaration.
"""

import random
import re
import sys
from pathlib import Path

__all__ = ["with_random", "without"]

_BLOCK = re.compile(r"^(\s*)initial\b(?:\s+begin\b.*?^\1end\b[^\n]*\n|[^\n;]*;[^\n]*\n)", re.MULTILINE | re.DOTALL)
_DECLARATION = re.compile(r"^(\s*(?:output\s+)?reg\b[^;=\n]*?) ?=\s*[^;\n]*;", re.MULTILINE)
_REGISTER = re.compile(r"^(  (?:output )?reg (?:signed )?(?:\[(\d+):0\] )?(\\\S+ |\w+));", re.MULTILINE)


def without(text):
    """The text without any initial value."""
    return _DECLARATION.sub(r"\1;", _BLOCK.sub("", text))


def with_random(text, seed, declared):
    """The text with random bits in every register: in its declaration, or by an `initial` of its own.

    The former is no event under SystemVerilog's rules: an ``always @*`` of registers that start with what they are reset to
    would not wake up.
    """
    rng = random.Random(seed)

    def give(match):
        bits = int(match[2] or 0) + 1
        value = f"{bits}'h{rng.getrandbits(bits):x}"
        return f"{match[1]} = {value};" if declared else f"{match[0]} initial {match[3]} <= {value};"

    return _REGISTER.sub(give, text)


if __name__ == "__main__":
    print(without(Path(sys.argv[1]).read_text()), end="")
