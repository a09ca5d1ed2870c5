"""The page of an estimate."""

from ...silicon.quick_area import area_quantity
from ...silicon.quick_energy import energy_quantity
from ..report.costs import costs_section
from ..report.cycles import cycles_section
from ..report.estimate_header import estimate_header_section
from ..report.page import page
from ..report.phases import phases_section
from ..report.timeline import timeline_section

__all__ = ["estimate_page"]


def estimate_page(values, tracks, kinds):
    """The page as text.

    Parameters
    ----------
    values : of `values_of`
    tracks : as `sim.timeline.tracks` gives them
    kinds : {label: kind of tensor}
    """
    config = values["fields"]
    sections = [
        estimate_header_section(values),
        phases_section(values["phases"], cycles=values["cycles"]),
        cycles_section(values["counters"], bus_bytes=config["bus_width"] // 8,
                       multipliers=config["grid_rows"] * config["grid_columns"] * config["tile"] ** 2,
                       planned_cycles=values["planned_cycles"]),
        timeline_section(tracks, cycles=values["cycles"], kinds=kinds,
                         note="Nothing was simulated: engines and units are at work as the model of them says."),
    ]
    costs = [area_quantity(values["area"]), energy_quantity(values["energy"])]
    sections.append(costs_section(costs, note="Both are modelled from measured areas and energies in ASAP7, before layout."))
    return page(f"{values['model']} on {values['config']}, estimated", sections)
