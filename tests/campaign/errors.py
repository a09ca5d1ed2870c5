"""What the campaign refuses."""

from acceltran.hw.spec.errors import InputError

__all__ = ["CampaignError"]


class CampaignError(InputError):
    """A file, an option or a seed list that cannot be used: one line with what, its value and the remedy."""
