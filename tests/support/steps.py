"""Steps of no instruction, for tests of ordering and placement: an engine, what it reads and writes, and a fixed cost."""

from dataclasses import dataclass, field

from acceltran.hw.spec.isa import Engine
from acceltran.sw.compiler.steps import Region

__all__ = ["PlainStep"]


@dataclass
class PlainStep:
    engine: Engine
    reads: list[Region] = field(default_factory=list)
    writes: list[Region] = field(default_factory=list)
    cycles: int = 0
    parts: int = 1
    latency: int = 0

    @property
    def tensor(self):
        return self.writes[0].owner if self.writes else None

    @property
    def resource(self):
        return self.engine
