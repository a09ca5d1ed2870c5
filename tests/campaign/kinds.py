"""The kinds of attack, by name. To add one, write its module and name it here."""

from .encoders import Encoders
from .errors import CampaignError
from .hostile import Hostile
from .moments import Moments
from .programs import Programs

__all__ = ["KINDS", "chosen_kinds"]

KINDS = {kind.name: kind for kind in (Encoders(), Moments(), Hostile(), Programs())}


def chosen_kinds(names, kinds):
    """The kinds of those names, all for none.

    Raises
    ------
    CampaignError : there is no such kind
    """
    for name in names:
        if name not in kinds:
            raise CampaignError(f"--kind {name}: known are {', '.join(kinds)}")
    return {name: kinds[name] for name in names or kinds}
