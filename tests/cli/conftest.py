"""A teacher for the tests of training, and the configuration of what it teaches."""

import dataclasses

import pytest

from acceltran.sw.models.checkpoint import load_checkpoint
from support.models import make_checkpoint


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("teacher"), hidden=48, positions=128))


@pytest.fixture(scope="session")
def config(teacher):
    return dataclasses.replace(teacher.config, hidden_size=32, id2label={0: "negative", 1: "positive"})
