"""Area and peak rate of a whole accelerator, to set beside others."""

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
    """
    memories = sum(memory["count"] * memory["area_um2"] for memory in values["memories"])
    operations = 2e6 * values["clock_mhz"] * config.multipliers
    return {
        "logic_um2": values["area"], "sram_um2": memories, "memory_node_nm": values["memory_node_nm"],
        "operations_per_second": operations,
        "operations_per_second_per_mm2": 1e6 * operations / (values["area"] + memories),
    }
