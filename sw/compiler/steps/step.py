"""What every step says of itself: one instruction before slots and addresses are known."""

from abc import ABC, abstractmethod
from typing import ClassVar

from ....hw.spec.isa import INSTRUCTIONS, Engine, Opcode

__all__ = ["Places", "Step"]

_ENGINES = {instruction.opcode: instruction.engine for instruction in INSTRUCTIONS if instruction.engine is not None}


class Step(ABC):
    """One instruction; the kinds are frozen dataclasses.

    Members
    -------
    opcode : of the instruction
    latency : cycles more until a step of another engine that waits for this one is at work
    section : of the memory image that holds what the step transfers, unless it is a block; None if that is nothing
    """

    opcode: ClassVar[Opcode]
    latency: ClassVar[int]
    section: str | None = None

    @property
    def engine(self) -> Engine:
        """The engine that runs it."""
        return _ENGINES[self.opcode]

    @property
    @abstractmethod
    def reads(self):
        """Regions that it reads."""

    @property
    @abstractmethod
    def writes(self):
        """Regions that it writes."""

    @property
    def tensor(self):
        """What it produces, by the name of the tensor or of the block, if anything."""
        return self.writes[0].tensor if self.writes else None

    @property
    @abstractmethod
    def counts(self):
        """The fields of the instruction that count tiles, by name."""

    @property
    def resource(self):
        """What it occupies: its engine; the vector engine runs its instructions side by side."""
        return self.opcode if self.engine is Engine.VECTOR else self.engine

    @property
    def parts(self):
        """In how many parts, one after the other, it is handed to the servers of its resource."""
        return 1

    def servers(self, config):
        """How many parts of steps its resource works on at once."""
        return 1

    @abstractmethod
    def busy(self, cost):
        """Cycles for which one part occupies its server, see `Cost`."""

    def contents(self, graph, config, indices):
        """What stands in its section of the memory image: bytes, or a number of empty bytes."""
        raise NotImplementedError

    @abstractmethod
    def fields(self, places):
        """The payload of the instruction.

        Parameters
        ----------
        places : Places
        """


class Places:
    """Where everything is: what the encodings of the steps ask for.

    Parameters
    ----------
    placements : Placement by owner, of all three buffers
    addresses : (address, bytes) of blocks by owner, and of steps that have a section
    tables : (address, bytes from row to row) of tables by name
    """

    def __init__(self, placements, addresses, tables):
        self._placements, self.addresses, self.tables = placements, addresses, tables

    def slot(self, region):
        """The slot, or line, at which a region starts."""
        place = self._placements[region.owner]
        return place.slot + region.row * place.pitch + region.column

    def tiles(self, region, prefix=""):
        """The fields slot and pitch of a region, with a prefix such as ``a_``."""
        return {f"{prefix}slot": self.slot(region), f"{prefix}pitch": self._placements[region.owner].pitch}
