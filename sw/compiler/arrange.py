"""The order of a program and the places of everything: from what keeps most in flight to what needs least room."""

from dataclasses import dataclass

from ..ir.errors import CapacityError
from .allocate import Placement, live_tiles, piece_slots, place_activations, place_blocks
from .capacity import IN_ORDER, LARGEST_PROGRAM, ways
from .cost import Cost
from .lower import lower
from .planner import Room, plan_order, plan_times
from .schedule import insert_loads
from .steps import LoadStep

__all__ = ["Arranged", "arrange"]

_CHUNKS = 4
"""Groups of tile rows per sequence in a plan."""

_SHARES = (1.3, 1.15, 1.0, 0.85, 0.7, 0.0)
"""Shares of the activation buffer to which plans keep, one after the other, where one without limit has no room."""

_SPLIT_SHARES = (0.85, 0.7, 0.0)
"""The same for a split graph, whose order is close to the tightest."""


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """A program in order, with places.

    Parameters
    ----------
    steps : in program order, LOADs included
    preload : those of the preload
    blocks, pieces, placements : Block, Piece and Placement by owner
    end : planned cycles
    """

    steps: list
    preload: list
    blocks: dict
    pieces: dict
    placements: dict[str, Placement]
    end: float


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Steps of the program in order, and of its preload; (targets, end) where they are known; ways to pack, to be tried."""

    steps: list
    preload: list
    blocks: dict
    pieces: dict
    packs: tuple[bool, ...] = (False, True)
    times: tuple | None = None


def arrange(graph, config, *, clusters=1, order=None, overlap=True, resident=False, prefetch=False):
    """The plan of the whole graph without limit, if it fits; else the one that ends first of two in limited room: that of the
    whole graph and that of the fastest split that fits.

    Parameters
    ----------
    graph, order, overlap, resident, prefetch : see `compile_graph`
    config : AcceleratorConfig of one cluster
    clusters : how many there are

    Returns
    -------
    Arranged

    Raises
    ------
    CapacityError : no order fits
    """
    arranger = _Arranger(graph, Cost(graph, config, clusters), order, overlap, resident, prefetch)
    found = arranger.first(arranger.free()) if overlap else None
    if found is None:
        whole, *splits = ways(graph, config, resident, prefetch)
        fastest = (one for split in splits if (one := arranger.first(arranger.limited(split))))
        limited = [arranger.first(arranger.limited(whole)), next(fastest, None)]
        found = min((one for one in limited if one), key=lambda one: one.end, default=None)
    if found is None:
        raise CapacityError("no order of the instructions fits the buffers", {})
    return found


class _Arranger:
    def __init__(self, graph, cost, order, overlap, resident, prefetch):
        self.graph, self.config, self.order, self.overlap = graph, cost.config, order, overlap
        self.resident, self.prefetch = resident, prefetch
        self.cost = cost

    def first(self, plans):
        """The first that finds a place."""
        return next((arranged for plan in plans for pack in plan.packs if (arranged := self._placed(plan, pack))), None)

    def free(self):
        """The plan without limit of the whole graph."""
        plan = self._lowered(chunks=_CHUNKS, fine=True)
        if self._countable(plan) and self._may_fit(self._lowered(chunks=_CHUNKS, fine=True, stagger=1)):
            steps, *times = plan_order(plan.steps, self._loaded(plan), self.cost)
            yield _Plan(**vars(plan) | {"steps": steps, "times": tuple(times)})

    def limited(self, split):
        """Plans of a graph, whole or split, from the most room that they may take to the least."""
        most = _SHARES if split is None else _SPLIT_SHARES
        for stagger, shares in ((2, most), (1, most[-1:])) if self.overlap else ():
            plan = self._lowered(chunks=_CHUNKS, fine=True, stagger=stagger, split=split)
            sizes = piece_slots(plan.pieces)
            always = sum(sizes.pop(name) for name in {step.writes[0].owner for step in plan.preload})
            for share in shares if self._countable(plan) and self._may_fit(plan) else ():
                room = Room(int(share * self.config.activation_tiles) - always, self.config.weight_tiles // 2, sizes)
                steps, *times = plan_order(plan.steps, self._loaded(plan), self.cost, room)
                yield _Plan(**vars(plan) | {"steps": steps, "times": tuple(times)})
        whole = IN_ORDER if self.overlap else IN_ORDER[2:]
        for attempt in whole if split is None else whole[-1:]:
            plan = self._lowered(chunks=attempt["chunks"], stagger=attempt["stagger"], split=split)
            if self._countable(plan):
                yield _Plan(**vars(plan) | {"packs": (attempt["pack"],)})

    def _lowered(self, **options):
        plan = lower(self.graph, self.config, order=self.order, cost=self.cost, resident=self.resident, **options)
        preload, steps = plan.split_preload(self.resident, self.prefetch)
        return _Plan(steps=steps, preload=preload, blocks=plan.blocks, pieces=plan.pieces)

    def _loaded(self, plan):
        return {} if self.resident else plan.blocks

    def _may_fit(self, plan):
        """Whether the tiles in use at once fit if one step follows the other."""
        kept = {step.writes[0].owner for step in plan.preload}
        return live_tiles(plan.pieces, [*plan.preload, *plan.steps], kept) <= self.config.activation_tiles

    def _countable(self, plan):
        return len(plan.steps) + len(self._loaded(plan)) < LARGEST_PROGRAM

    def _placed(self, plan, pack):
        """Places for a plan; None where there are none."""
        config, kept = self.config, {step.writes[0].owner for step in plan.preload}
        placements = place_activations(plan.pieces, [*plan.preload, *plan.steps], config.activation_tiles, pack=pack, kept=kept)
        if placements is None:
            return None
        places: dict[str, tuple] = {}
        try:
            for home, capacity in (("weight", "weight_tiles"), ("vector", "vector_lines")):
                places |= place_blocks(plan.blocks, plan.steps, home, getattr(config, capacity), capacity,
                                       resident=self.resident)
        except CapacityError:
            return None
        targets, end = plan.times or plan_times(plan.steps, self._loaded(plan), self.cost)
        placements |= {owner: place for owner, (place, _) in places.items()}
        steps, preload = plan.steps, plan.preload
        if self.resident:
            preload = [*map(LoadStep.of, plan.blocks.values()), *preload]
        else:
            steps = insert_loads(steps, plan.blocks, places, targets)
        return Arranged(steps=steps, preload=preload, blocks=plan.blocks, pieces=plan.pieces, placements=placements, end=end)
