"""Toggles of a whole inference, counted in the simulated RTL."""

import pytest

from acceltran.cli.silicon.power_command import traced_inference
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.silicon.design import accelerator_modules
from acceltran.sw.models.checkpoint import load_checkpoint
from support.models import TWO_PES, make_checkpoint, random_texts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    folder = tmp_path_factory.mktemp("power")
    (folder / "small.toml").write_text(TWO_PES + "fraction_bits = 6\n")
    config = AcceleratorConfig.load(folder / "small.toml")
    checkpoint = load_checkpoint(make_checkpoint(folder / "model", hidden=16, heads=1, layers=1, ffn=16))
    return traced_inference(config, checkpoint, random_texts(1, 9), accelerator_modules(config))


def test_accesses_are_those_of_the_performance_counters(values):
    lines = []
    for bank, accesses in values["banks"].items():
        depth, _, width = map(int, bank.split("_")[2].split("x"))
        if width == 8 * 10 and depth > 64:  # Not masks, and not the vectors.
            lines.append(accesses)
    reads, writes = (sum(column) for column in zip(*lines, strict=True))
    assert (reads, writes) == (values["counters"]["word_reads"], values["counters"]["word_writes"])


def test_every_module_has_an_activity_that_can_be(values):
    assert all(0 <= one.driven <= 1 and 0 <= one.inputs <= 1 for one in values["activity"].values())
    mac, = (one for module, one in values["activity"].items() if module.startswith("mac_"))
    assert mac.instances == 2 * 64 and mac.driven > 0
