"""Area and peak rate of a whole accelerator, to set beside others."""

from ...hw.config import ConfigError

__all__ = ["summary"]


def summary(config, values):
    """Area and peak operations per second of `config`.

    Parameters
    ----------
    config : AcceleratorConfig
    values : what `command.synthesise` gives for its ``accelerator``, mapped to a library with a process at a clock

    Returns
    -------
    dict: logic_um2, sram_um2 (at memory_node_nm), operations_per_second (a multiplication with its addition is two, none
    skipped), operations_per_second_per_mm2 (of both areas)

    Raises
    ------
    ConfigError : the areas are gate equivalents, there is no clock, or it is another block
    """
    if values["top"] != "accelerator":
        raise ConfigError(f"top = {values['top']!r}: a summary is of the whole design; choose accelerator")
    if values["unit"] != "um2":
        raise ConfigError(f"liberty = {values['library']!r}: has areas in gate equivalents; give the --liberty of a process")
    if not values["clock_mhz"]:
        raise ConfigError("clock = None: operations per second need a clock; give --clock MHZ")
    memories = sum(memory["count"] * memory["area_um2"] for memory in values["memories"])
    operations = 2e6 * values["clock_mhz"] * config.multipliers
    return {
        "logic_um2": values["area"], "sram_um2": memories, "memory_node_nm": values["memory_node_nm"],
        "operations_per_second": operations,
        "operations_per_second_per_mm2": 1e6 * operations / (values["area"] + memories),
    }
