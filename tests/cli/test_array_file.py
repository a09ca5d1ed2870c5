"""Arrays that are written are read: joined from windows of other sizes, with zeros behind shorter sentences."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from acceltran.cli.array_file import ArrayFile, check_suffix
from acceltran.hw.spec.errors import ConfigError


@pytest.fixture(params=(".npz", ".safetensors"))
def written(request, tmp_path):
    """Write windows of (lines, arrays of each sentence); what is then read."""
    def write(*windows):
        path = tmp_path / f"a{request.param}"
        with ArrayFile(path) as arrays:
            for lines, found in windows:
                arrays.add(lines, found)
            arrays.write()
        assert [one.name for one in tmp_path.iterdir()] == [path.name]
        return dict(np.load(path)) if path.suffix == ".npz" else load_file(path)
    return write


def ids(count):
    return np.arange(1, count + 1)


def test_states_of_two_windows(written):
    states = [np.full((count, 4), count, np.float32) for count in (2, 3, 5)]
    one = [{"token_ids": ids(len(state)), "hidden_states": state} for state in states]
    found = written(([1, 2], one[:2]), ([7], one[2:]), ([], []))
    assert found["lines"].tolist() == [1, 2, 7] and found["lengths"].tolist() == [2, 3, 5]
    assert found["hidden_states"].shape == (3, 5, 4) and found["hidden_states"].dtype == np.float32
    assert found["hidden_states"][:, :, 0].tolist() == [[2, 2, 0, 0, 0], [3, 3, 3, 0, 0], [5] * 5]
    assert found["token_ids"].tolist() == [[1, 2, 0, 0, 0], [1, 2, 3, 0, 0], [1, 2, 3, 4, 5]]


def test_masks_name_their_sentence(written):
    def sentence(*positions):
        return {"token_ids": ids(6), "logits": np.full((len(positions), 9), positions[0], np.float32),
                "mask_positions": np.array(positions)}

    found = written(([1, 2], [sentence(1), sentence(2, 4)]), ([3], [sentence(3)]))
    assert found["mask_sentences"].tolist() == [0, 1, 1, 2] and found["mask_positions"].tolist() == [1, 2, 4, 3]
    assert found["logits"][:, 0].tolist() == [1, 2, 2, 3] and found["logits"].shape == (4, 9)


def test_other_suffixes_are_refused(tmp_path):
    for name in ("a.csv", "a"):
        with pytest.raises(ConfigError, match="npz or .safetensors"):
            check_suffix(tmp_path / name)
    check_suffix(None)
