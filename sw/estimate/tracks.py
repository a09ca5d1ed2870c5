"""An estimate as a timeline."""

__all__ = ["periods"]


def periods(estimate, labels):
    """When engines and units were at work.

    Parameters
    ----------
    estimate : Estimate
    labels : text of each instruction, by its number

    Returns
    -------
    {"engines" or "units": {name: [(label, first cycle, end cycle)]}}
    """
    engines, units = {}, {"PE grid": []}
    for event in estimate.events:
        engines.setdefault(f"{event.engine} engine", []).append((labels[event.number], event.start, event.end))
        if event.product:
            units["PE grid"].append((labels[event.number], event.product.first, event.product.last))
    for name, start, end in estimate.units:
        units.setdefault(name, []).append(("busy", start, end))
    return {"engines": engines, "units": units}
