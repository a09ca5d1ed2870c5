"""Clusters in a configuration: what is refused, what one cluster has, the identity, and what the registers say."""

import zlib
from dataclasses import fields, replace

import pytest

from acceltran.hw.spec.config import DIVIDED, AcceleratorConfig
from acceltran.hw.spec.errors import ConfigError
from acceltran.hw.spec.registers import by_name, config_values, pack
from support.configs import CLUSTERS

TWO = CLUSTERS[2]


@pytest.mark.parametrize(("change", "message"), [
    *(({"clusters": value}, f"clusters = {value!r}: choose one of 1, 2, 4, 8, 16")
      for value in (0, 3, 32, True, 2.0, "2", None, [2])),
    *(({name: 2051}, f"{name} = 2051: is divided over 2 clusters; choose a multiple of that") for name in DIVIDED),
    *(({"grid_rows": value}, f"grid_rows = {value!r}: is divided over 2 clusters; choose a multiple of that")
      for value in (0, -2, True, 2.0, "2", None, [2])),
    ({"clusters": 8}, "grid_rows = 2: is divided over 8 clusters; choose a multiple of that"),
    # The share of a cluster is what its rule is for.
    ({"grid_rows": 66}, "in each of the 2 clusters, grid_rows = 33: choose a whole number from 1 to 32"),
    ({"softmax_units": 130}, "in each of the 2 clusters, softmax_units = 65: choose a whole number from 1 to 64"),
    ({"layernorm_units": 130}, "in each of the 2 clusters, layernorm_units = 65: choose a whole number from 1 to 64"),
    ({"activation_tiles": 20}, "in each of the 2 clusters, activation_tiles = 10: choose a whole number from 16 to 1048576"),
    ({"activation_banks": 6}, "in each of the 2 clusters, activation_banks = 3: choose one of 1, 2, 4"),
    ({"activation_banks": 2}, "in each of the 2 clusters, activation_banks = 1: needs at least max(grid_rows, grid_columns)"),
    ({"activation_tiles": 34}, "in each of the 2 clusters, activation_tiles = 17: must be a multiple of activation_banks = 2"),
    # What they share is not divided.
    ({"weight_banks": 1}, "weight_banks = 1: needs at least grid_columns = 2; raise it"),
    ({"weight_tiles": 17}, "weight_tiles = 17: must be a multiple of weight_banks = 2"),
    ({"grid_columns": 33}, "grid_columns = 33: choose a whole number from 1 to 32"),
    ({"fraction_bits": 3}, "integer_bits + fraction_bits = 7: words of 8 to 24 bits are built; change either"),
    ({"weight_bits": 13}, "weight_bits = 13: operand B is no wider than the 12 bits of a value; choose 4 to 12, or"),
    ({"b_memory": "ram"}, "b_memory = 'ram': takes one row of B per cycle; set lines_per_beat = 2 to 1, or b_memory to"),
])
def test_refusals_name_field_value_and_remedy(change, message):
    with pytest.raises(ConfigError) as caught:
        replace(TWO, **change)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_largest_shares():
    large = replace(TWO, grid_rows=64, activation_banks=128, activation_tiles=1 << 21, softmax_units=128, layernorm_units=128)
    assert large.cluster.grid_rows == 32 and large.cluster.activation_tiles == 1 << 20 and large.pes == 128


@pytest.mark.parametrize("config", CLUSTERS.values(), ids=lambda config: config.name)
def test_one_cluster(config):
    """It has its share of what is divided, and all else; several multipliers, one width."""
    one, count = config.cluster, config.clusters
    assert one.clusters == 1 and one.cluster is one
    for field in fields(config):
        whole, part = getattr(config, field.name), getattr(one, field.name)
        assert part * count == whole if field.name in DIVIDED else part == whole or field.name == "clusters", field.name
    assert (config.multipliers, config.pes) == (count * one.multipliers, count * one.pes)


def test_without_clusters_a_configuration_is_what_it_was():
    nano = AcceleratorConfig.load("nano")
    assert "clusters" not in nano.to_dict() and "clusters" not in nano.to_json()
    assert AcceleratorConfig.from_dict({**nano.to_dict(), "clusters": 1}) == nano
    assert config_values(nano)["CONFIG_IDENTITY"] == zlib.crc32(nano.to_json().encode()) == 0x28A7DD15


def test_a_file_says_how_many(tmp_path):
    assert TWO.to_dict()["clusters"] == 2 and AcceleratorConfig.from_dict(TWO.to_dict()) == TWO
    path = tmp_path / "wide.toml"
    path.write_text("clusters = 2\nsoftmax_units = 2\nlayernorm_units = 4\n")
    assert AcceleratorConfig.load(path) == AcceleratorConfig(name="wide", clusters=2, softmax_units=2, layernorm_units=4)
    path.write_text("cluster = 2\n")
    with pytest.raises(ConfigError, match="cluster.*clusters"):
        AcceleratorConfig.load(path)


@pytest.mark.parametrize("config", CLUSTERS.values(), ids=lambda config: config.name)
def test_registers_describe_a_cluster_and_how_many_there_are(config):
    values, one = config_values(config), config_values(config.cluster)
    assert values["CONFIG_CONTROL"] == pack(by_name("CONFIG_CONTROL"), prune_curves=8, instruction_queue=4,
                                            more_clusters=config.clusters - 1)
    different = {name for name in values if values[name] != one[name]}
    assert different == {"CONFIG_CONTROL", "CONFIG_IDENTITY"}
    assert values["CONFIG_GRID"] & 255 == config.grid_rows // config.clusters
