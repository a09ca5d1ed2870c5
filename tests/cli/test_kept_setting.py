"""Settings that find their model read and quantised give what others give."""

import dataclasses

import pytest

from acceltran.cli.estimate.point import estimate_setting
from acceltran.cli.estimate.setting import Setting
from acceltran.cli.sweep import kept_setting
from acceltran.cli.sweep.kept_setting import FIELDS, KeptSetting, kept_by
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.models.quantise import quantise_encoder
from acceltran.sw.models.random_model import random_model

SHARED = {"model": "random:bert-tiny", "config": "nano", "tokens": 8}


class Recording(AcceleratorConfig):
    """A configuration that remembers which fields were read."""

    read = set()  # noqa: RUF012

    def __getattribute__(self, name):
        if name in AcceleratorConfig.__dataclass_fields__:
            Recording.read.add(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("request_", [{"tau": 0.05}, {"target_sparsity": 0.5, "weight_sparsity": 0.5}])
@pytest.mark.parametrize("preset", ["mini", "mini_w8"])
def test_the_integers_depend_on_no_other_field(preset, request_):
    plain = AcceleratorConfig.load(preset)
    config = Recording(**{field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)})
    Recording.read.clear()
    quantise_encoder(random_model("bert-tiny"), config, **request_)
    assert {"tile", "fraction_bits"} <= Recording.read <= set(FIELDS)


def test_what_is_kept_changes_nothing(monkeypatch):
    made = []
    monkeypatch.setattr(kept_setting, "quantise_encoder", lambda *a, **k: made.append(1) or quantise_encoder(*a, **k))
    larger = {"bus_width": 256, "grid_columns": 2, "weight_banks": 2, "weight_tiles": 8192}
    for values, count in (({}, 1), ({"batch": 2, "fields": larger}, 1), ({"weight_sparsity": 0.5}, 2),
                          ({"weight_sparsity": 0.5, "tokens": 16}, 2), ({"fields": {"fraction_bits": 5}}, 3)):
        kept, plain = (estimate_setting(kind.from_dict(SHARED | values)) for kind in (KeptSetting, Setting))
        del kept["seconds"], plain["seconds"]
        assert kept == plain and len(made) == count


def test_points_with_the_same_integers_are_of_one_group():
    first, *same = (kept_by(Setting.from_dict(SHARED | values)) for values in (
        {}, {"tokens": 16}, {"fields": {"bus_width": 64}}))
    assert set(same) == {first}
    others = {kept_by(Setting.from_dict(SHARED | values)) for values in (
        {"tau": 0.1}, {"weight_sparsity": 0.5}, {"fields": {"fraction_bits": 5}}, {"config": "mini"},
        {"model": "random:bert-mini"}, {"fields": {"grid_columns": 32}})}
    assert len(others) == 6 and first not in others
