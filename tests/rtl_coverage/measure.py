"""Shares of what is covered, of a configuration and of each of its modules."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from .database import CoverageError

__all__ = ["BARS", "Figures", "Hole", "Share", "check_used", "measure"]

BARS = {"line": 0.98, "branch": 0.92, "toggle": 0.95, "user": 1.0}
"""Least shares of what can be covered."""

CONSTANT = "keeps one value: Yosys propagates constants to it"
DECIDED = "its condition keeps one value: Yosys propagates constants to it"
EMPTY = "the empty default that the generator gives every case statement"


@dataclass
class Share:
    """What is covered of what can be, and what was left out."""

    covered: int = 0
    total: int = 0
    excluded: int = 0

    @property
    def share(self):
        return self.covered / self.total if self.total else 1.0

    def add(self, other):
        self.covered += other.covered
        self.total += other.total
        self.excluded += other.excluded


@dataclass(frozen=True)
class Hole:
    """What can be covered and is not."""

    kind: str
    module: str
    line: int
    name: str


@dataclass
class Figures:
    """Of one configuration.

    Members
    -------
    total : Share by kind; modules : the same by module
    holes : every Hole; bins : (cover point, hits, reason or None)
    reasons : how many points each reason leaves out
    """

    config: str
    total: dict = field(default_factory=lambda: defaultdict(Share))
    modules: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(Share)))
    holes: list = field(default_factory=list)
    bins: list = field(default_factory=list)
    reasons: Counter = field(default_factory=Counter)

    @property
    def missed(self):
        """Bars that are not met, by kind."""
        return {kind: bar for kind, bar in BARS.items() if self.total[kind].share < bar}


def measure(config, counts, *, text, fixed, exclusions, used):
    """Figures of a configuration.

    Parameters
    ----------
    config : its name
    counts : by Point
    text : VerilogText of the accelerator
    fixed : bits that never change, by module, see `constants`
    exclusions : list of Exclusion
    used : set of their numbers, to which those are added that match something
    """
    figures = Figures(config)
    rules = [(number, rule) for number, rule in enumerate(exclusions) if rule.is_for(config)]
    by_module = defaultdict(list)

    def reason_of(kind, module, name):
        if (kind, module) not in chosen:
            chosen[kind, module] = [(number, rule) for number, rule in rules if rule.is_about(kind, module)]
        for number, rule in chosen[kind, module]:
            if rule.names(name):
                used.add(number)
                return rule.reason
        return None

    chosen = {}
    for point, count in counts.items():
        if point.kind == "user":
            figures.bins.append((point.name, count, None if count else reason_of("user", point.module, point.name)))
        else:
            by_module[point.module].append((point, count))
    for module, points in by_module.items():
        _measure_module(figures, module, points, text, fixed.get(module, set()), reason_of)
    user = figures.total["user"]
    for _, count, reason in figures.bins:
        user.add(Share(int(count > 0), int(reason is None), int(reason is not None)))
    for shares in figures.modules.values():
        for kind, share in shares.items():
            figures.total[kind].add(share)
    return figures


def _measure_module(figures, module, points, text, fixed, reason_of):
    shares, ran, can_run, names = figures.modules[module], set(), set(), {}
    for point, count in points:
        if point.kind == "toggle":
            signal = point.name.rpartition(":")[0]
            reason = None if count else CONSTANT if signal in fixed else reason_of("toggle", module, signal)
            name = point.name
        else:
            name = text.describe(point)
            reason = None if count else _decided(point, text, fixed) or reason_of(point.kind, module, name)
            numbers = point.numbers
            names |= dict.fromkeys(numbers, (point.line, name))
            if count:
                ran |= numbers
            if reason is None:
                can_run |= numbers
            if point.kind == "line":
                if reason is not None:
                    figures.reasons[reason] += 1
                continue
        if reason is not None:
            figures.reasons[reason] += 1
        elif not count:
            figures.holes.append(Hole(point.kind, module, point.line, name))
        shares[point.kind].add(Share(int(count > 0), int(reason is None), int(reason is not None)))
    every = set(names)
    shares["line"].add(Share(len(ran), len(ran | can_run), len(every - ran - can_run)))
    missing = defaultdict(list)
    for number in sorted(can_run - ran):
        missing[names[number]].append(number)
    figures.holes += [Hole("line", module, numbers[0], name) for (_, name), numbers in missing.items()]


def _decided(point, text, fixed):
    if (net := text.condition(point)) is not None and net in fixed:
        return DECIDED
    return EMPTY if text.is_empty_default(point) else None


def check_used(exclusions, used, configs):
    """That every rule for the measured configurations matched something.

    Raises
    ------
    CoverageError : one leaves nothing out any more
    """
    for number, rule in enumerate(exclusions):
        if number not in used and (set(rule.configs) <= set(configs) if rule.configs else True):
            raise CoverageError(f"exclusion {number + 1} ({rule.kind} {rule.module} {rule.name}): matches nothing that is not "
                                "covered any more; take it out of the list")
