"""Binary points of results and biases beside those of the products that they belong to, and the bits of the accumulator."""

from dataclasses import replace

import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import CompileError, quantise_encoder
from acceltran.sw.models import quantise
from acceltran.sw.models.calibrate import calibrate
from acceltran.sw.models.checkpoint import load_checkpoint
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")
TEXTS = random_texts(2, 10, seed=3)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), layers=1))


def with_bias(checkpoint, value):
    name = "encoder.layer.0.output.dense.bias"
    bias = checkpoint.tensors[name].clone()
    bias[2] = value
    return replace(checkpoint, tensors=checkpoint.tensors | {name: bias})


def aligned(encoder):
    """Bits of the bias at the binary point of its products."""
    product = encoder.fracs["layer0.hidden"] + encoder.constants["layer0.output.weight"][1]
    return encoder.hardware.width + product - encoder.constants["layer0.output.bias"][1]


def test_a_bias_leaves_a_bit_of_the_accumulator_to_the_products(checkpoint):
    hardware = replace(NANO, max_inner=256)
    first = aligned(quantise_encoder(with_bias(checkpoint, 2.0**8), hardware, calibration_texts=TEXTS))
    most = 8 + hardware.accumulator_width - 1 - first
    encoder = quantise_encoder(with_bias(checkpoint, 2.0**most), hardware, calibration_texts=TEXTS)
    assert aligned(encoder) == hardware.accumulator_width - 1
    with pytest.raises(CompileError, match=f"takes {hardware.accumulator_width} bits of an accumulator"):
        quantise_encoder(with_bias(checkpoint, 2.0 ** (most + 1)), hardware, calibration_texts=TEXTS)


def test_a_context_has_no_more_fraction_bits_than_its_products(checkpoint, monkeypatch):
    """However small what calibration saw."""
    attention, = checkpoint.parts().attentions

    def seen(*arguments, **options):
        found = calibrate(*arguments, **options)
        found.maxima.update({attention.context: 1e-9, attention.value: 100.0})
        return found

    monkeypatch.setattr(quantise, "calibrate", seen)
    monkeypatch.setattr(quantise, "best_point", lambda first, error: first)
    narrow = replace(NANO, integer_bits=4, fraction_bits=4)
    fracs = quantise_encoder(checkpoint, narrow, calibration_texts=TEXTS).fracs
    assert fracs[attention.context] == fracs[attention.probabilities] + fracs[attention.value] == 6 + fracs[attention.value]
