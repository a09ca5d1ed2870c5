"""What a PE and a lane are made for, as one object each."""

from dataclasses import dataclass

from ..layout import pe_command

__all__ = ["LaneFormat", "PEFormat"]


@dataclass(frozen=True, kw_only=True)
class LaneFormat:
    """The parameters of a lane and its parts.

    Parameters
    ----------
    tile, width, b_width : T, and the bits of a value of A and of B
    accumulator_width : bits of an output element, enough for every sum
    group_rows : rows of B that are written and given up together
    slots : tiles held of each operand
    psum_tiles : output tiles held
    skip : "none", every k; "activation", k with a non-zero activation; "both", pairs of non-zeros
    window : entries; one unless `skip` is "both"
    b_memory : "registers", lanes choose from one copy of B, or "ram", each keeps its own

    Raises
    ------
    ValueError : for another `skip`, or a window that does not go with it
    """

    tile: int
    width: int
    b_width: int
    accumulator_width: int
    group_rows: int
    slots: int
    psum_tiles: int
    skip: str
    window: int
    b_memory: str = "registers"

    def __post_init__(self):
        if self.skip not in ("none", "activation", "both"):
            raise ValueError(f"skip = {self.skip!r}: none, activation or both")
        if self.window < 1 or (self.skip != "both" and self.window != 1):
            raise ValueError(f"window = {self.window}: at least one, and one unless skip is both")

    @property
    def rows(self):
        """Rows of B in all slots."""
        return self.slots * self.tile

    @property
    def in_ram(self):
        """Whether each lane keeps a copy of B."""
        return self.b_memory == "ram"

    @property
    def entries(self):
        """Activations that enter the window per cycle."""
        return min(2, self.window)


@dataclass(frozen=True, kw_only=True)
class PEFormat:
    """The parameters of a PE.

    Parameters
    ----------
    tile, width, b_width, scale_bits, accumulator_width, lines_per_beat, skip, window, operand_slots, psum_tiles, b_memory,
        functions : see `AcceleratorConfig`; the window is one entry unless `skip` is "both"
    skid : whether finished rows and packed lines that are refused wait in skid buffers, so that no stall crosses the PE
    """

    tile: int
    width: int
    b_width: int
    scale_bits: int = 0
    accumulator_width: int
    lines_per_beat: int
    skip: str
    window: int
    operand_slots: int
    psum_tiles: int
    b_memory: str = "registers"
    functions: tuple[str, ...] = ()
    skid: bool = False

    @classmethod
    def of(cls, config):
        """The PEs of an `AcceleratorConfig`."""
        return cls(tile=config.tile, width=config.width, b_width=config.b_width, scale_bits=config.scale_bits,
                   accumulator_width=config.accumulator_width, lines_per_beat=config.lines_per_beat, skip=config.skip,
                   window=config.window, operand_slots=config.operand_slots, psum_tiles=config.psum_tiles,
                   b_memory=config.b_memory, functions=config.functions, skid=config.long_wires)

    @property
    def size(self):
        """The parameters of a tile stream."""
        return {"tile": self.tile, "width": self.width, "lines_per_beat": self.lines_per_beat}

    @property
    def b_size(self):
        """The parameters of the tile stream of B."""
        return self.size | {"width": self.b_width}

    @property
    def command(self):
        """The layout of a command."""
        return pe_command(self.tile, self.width, self.scale_bits)

    @property
    def lane(self):
        """The `LaneFormat` of its lanes."""
        return LaneFormat(tile=self.tile, width=self.width, b_width=self.b_width, accumulator_width=self.accumulator_width,
                          group_rows=self.lines_per_beat, slots=self.operand_slots, psum_tiles=self.psum_tiles, skip=self.skip,
                          window=self.window if self.skip == "both" else 1, b_memory=self.b_memory)
