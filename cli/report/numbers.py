"""How numbers are written on a page."""

__all__ = ["count", "percent", "plain"]


def count(value):
    """A whole number, in groups of three digits."""
    return f"{round(value):,}"


def percent(part, whole=1):
    """A share in percent; a dash where there is nothing to take a share of."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def plain(value):
    """A measured value: a whole number in full, another with four digits; a dash for None."""
    if value is None:
        return "-"
    return count(value) if float(value).is_integer() or abs(value) >= 10_000 else f"{value:.4g}"
