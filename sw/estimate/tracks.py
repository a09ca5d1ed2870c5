"""An estimate as a timeline."""

__all__ = ["periods"]


def periods(program, estimate):
    """When engines and units were at work.

    Parameters
    ----------
    program : Program
    estimate : its Estimate

    Returns
    -------
    {"engines" or "units": {name: [(label, first cycle, end cycle)]}}
    """
    labels = {number: opcode.name for number, (opcode, _) in enumerate(program.instructions)} | program.made
    engines, units = {}, {"PE grid": []}
    for event in estimate.events:
        engines.setdefault(f"{event.engine} engine", []).append((labels[event.number], event.start, event.end))
        if event.product:
            units["PE grid"].append((labels[event.number], event.product.first, event.product.last))
    for name, start, end in estimate.units:
        units.setdefault(name, []).append(("busy", start, end))
    return {"engines": engines, "units": units}
