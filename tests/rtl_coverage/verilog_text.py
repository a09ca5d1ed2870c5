"""The generated Verilog as text: which module a line is in, what a branch decides, what is assigned where."""

import re

__all__ = ["VerilogText"]

_NUMBERED = re.compile(r"(?<![\w$.\\])_\d+_(?![\w$])")
"""A net without a name, as Yosys writes it."""

_DEPTH = 3
"""Of the expressions that replace nets without a name in what is shown of a condition."""

_LONGEST = 240


class VerilogText:
    """Look-ups in the lines of an accelerator's Verilog.

    Parameters
    ----------
    verilog : text
    """

    def __init__(self, verilog):
        self._lines = verilog.splitlines()
        self._values, self._registers, self._targets, module = {}, {}, {}, ""
        target = ""
        for number, line in enumerate(self._lines, 1):
            if line.startswith("module "):
                module = line.split()[1].split("(")[0].lstrip("\\")
            elif found := re.fullmatch(r"  assign (\S+)(?: \[[\d:]+\])? = (.*);", line):
                self._values[module, found.group(1)] = found.group(2)
            elif found := re.fullmatch(r"    (\S+)(?: \[[\d:]+\])? <= (_\d+_);", line):
                self._registers[module, found.group(2)] = found.group(1)
            elif line.startswith("  always @*"):
                target = ""
            elif not target and (found := re.fullmatch(r"    (\S+?)(?: ?\[[\d:]+\])? = .*;", line)):
                target = found.group(1)
            self._targets[number] = module, target

    def describe(self, point):
        """What a line or branch is, in names that stay when nets without a name are numbered otherwise."""
        if not 0 < point.line <= len(self._lines):
            return point.name
        line = self._lines[point.line - 1].strip()
        module, target = self._targets[point.line]
        if point.name.startswith("cond_"):
            whole = re.match(r"assign (\S+)", line)
            target = whole.group(1) if whole else target
        shown = self._registers.get((module, target), target)
        text = line.partition(" = ")[2] if point.name.startswith("cond_") else line
        if point.name == "else":
            text = f"not {line}"
        return f"{shown.lstrip(chr(92))}: {point.name}: {self._expanded(module, text)}"[:_LONGEST]

    def condition(self, point):
        """The net that decides an ``if``, or None if it is an expression."""
        found = re.fullmatch(r"\s*if \((\S+?)\s*\) begin", self._lines[point.line - 1]) if 0 < point.line <= len(
            self._lines) else None
        return found.group(1).lstrip("\\") if found else None

    def _expanded(self, module, text):
        for _ in range(_DEPTH):
            wider = _NUMBERED.sub(lambda found: self._inside(module, found.group()), text)
            if wider == text or len(wider) > _LONGEST:
                break
            text = wider
        return text

    def _inside(self, module, net):
        value = self._values.get((module, net))
        return net if value is None else f"({value})"

    def is_empty_default(self, point):
        """Whether a point is a default that does nothing."""
        return 0 < point.line <= len(self._lines) and self._lines[point.line - 1].strip() == "default: ;"
