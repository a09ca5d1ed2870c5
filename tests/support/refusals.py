"""Refusals of models: one line that names what it is about."""

import pytest

from acceltran.sw.models.errors import ModelError

__all__ = ["refused"]


def refused(call, *words):
    """`call` raises a ModelError of one line that holds all `words`; the line."""
    with pytest.raises(ModelError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(str(word) in message for word in words), message
    return message
