"""Weights in every form that a model folder has them in, and what is refused in one line that says why."""

import collections
import json
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from acceltran.sw.models.config_fields import read_fields
from acceltran.sw.models.files import file_inside, read_json, refuse_pointer
from acceltran.sw.models.weight_files import open_weights
from support import refusals

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 437955512\n"
TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def make_tensors(dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(shape, generator=generator).to(dtype)
            for name, shape in {"a.weight": (3, 4), "a.bias": (3,), "b.weight": (2, 3), "c": ()}.items()}


def save_safe(tensors, path):
    save_file(tensors, path, {"format": "pt"})


def save_legacy(tensors, path):
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def save_shards(folder, tensors, pattern, save=torch.save, **edits):
    """Two shards, the first of two tensors; `edits` replace the shards' names in the index."""
    names = list(tensors)
    where = {}
    for number, part in enumerate((names[:2], names[2:]), 1):
        shard = pattern.format(number)
        save({name: tensors[name] for name in part}, folder / shard)
        where |= dict.fromkeys(part, shard)
    stem, suffix = pattern.split("-")[0], pattern.rsplit(".")[-1]
    index = folder / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where | edits}))
    return index


def save_as(form, folder, tensors):
    if form == "safetensors":
        save_safe(tensors, folder / "model.safetensors")
    elif form == "bin":
        torch.save(collections.OrderedDict(tensors), folder / "pytorch_model.bin")
    elif form == "legacy bin":
        save_legacy(tensors, folder / "pytorch_model.bin")
    elif form == "safetensors shards":
        save_shards(folder, tensors, "model-{:05}-of-00002.safetensors", save_safe)
    elif form == "bin shards":
        save_shards(folder, tensors, "pytorch_model-{:05}-of-00002.bin")
    elif form == "legacy bin shards":
        save_shards(folder, tensors, "pytorch_model-{:05}-of-00002.bin", save_legacy)


FORMS = ("safetensors", "bin", "legacy bin", "safetensors shards", "bin shards", "legacy bin shards")


def read_all(folder):
    with open_weights(folder) as weights:
        return {name: weights.read(name) for name in weights.names}


def refused(call, *words):
    message = refusals.refused(call, *words)
    assert len(message) < 400
    return message


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_reads_every_form(tmp_path, form, dtype):
    tensors = make_tensors(dtype)
    save_as(form, tmp_path, tensors)
    with open_weights(tmp_path) as weights:
        assert sorted(weights.names) == sorted(tensors)
        assert weights.path.parent == tmp_path and weights.path.is_file() and not weights.notes
        for name, tensor in tensors.items():
            assert weights.shape(name) == tuple(tensor.shape)
            assert weights.where(name).is_file()
            read = weights.read(name)
            assert read.dtype == dtype and torch.equal(read, tensor)
        assert (weights.where("a.bias") == weights.where("c")) == ("shards" not in form)


def test_order_of_preference(tmp_path):
    for value, form in enumerate(("bin shards", "bin", "safetensors shards", "safetensors")):
        save_as(form, tmp_path, {name: torch.tensor(float(value)) for name in "abc"})
        assert read_all(tmp_path)["a"] == value


def test_tied_tensors_and_parameters(tmp_path):
    table = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    torch.save({"word": table, "decoder": table, "column": table[:, 1]}, tmp_path / "pytorch_model.bin")
    tensors = read_all(tmp_path)
    assert torch.equal(tensors["word"], tensors["decoder"]) and torch.equal(tensors["column"], torch.tensor([1.0, 4.0]))
    assert not any(tensor.requires_grad for tensor in tensors.values())


def test_bin_is_mapped_not_copied(tmp_path, monkeypatch):
    asked = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda path, **options: asked.append(options) or load(path, **options))
    for form in ("bin", "legacy bin"):
        save_as(form, tmp_path, make_tensors())
        read_all(tmp_path)
    assert [options["mmap"] for options in asked] == [True, False]
    assert all(options["weights_only"] is True for options in asked)


def test_archive_that_was_compressed_again(tmp_path):
    torch.save(make_tensors(), tmp_path / "plain")
    with (zipfile.ZipFile(tmp_path / "plain") as source,
          zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as target):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert all(torch.equal(tensor, make_tensors()[name]) for name, tensor in read_all(tmp_path).items())


@pytest.mark.parametrize("part", ["state_dict", "model", "model_state_dict"])
def test_trainers_checkpoint(tmp_path, part):
    torch.save({part: make_tensors(), "epoch": 3, "optimizer_states": [{"state": {0: torch.ones(2)}}]},
               tmp_path / "pytorch_model.bin")
    with open_weights(tmp_path) as weights:
        assert sorted(weights.names) == sorted(make_tensors())
        assert len(weights.notes) == 1 and part in weights.notes[0]


def test_ambiguous_trainers_checkpoint(tmp_path):
    torch.save({"state_dict": make_tensors(), "model": make_tensors()}, tmp_path / "pytorch_model.bin")
    refused(lambda: open_weights(tmp_path), "pytorch_model.bin: ", "both state_dict and model", "save its state_dict alone")
    torch.save({"state_dict": make_tensors(), "temperature": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    refused(lambda: open_weights(tmp_path), "both its top level and state_dict")


def test_no_weights(tmp_path):
    refused(lambda: open_weights(tmp_path), f"{tmp_path}: ", "model.safetensors, model.safetensors.index.json",
            "pytorch_model.bin nor pytorch_model.bin.index.json", "add the model's weights")


@pytest.mark.parametrize(("name", "kind", "remedy"), [
    ("tf_model.h5", "TensorFlow", "from_tf=True"), ("flax_model.msgpack", "Flax", "from_flax=True"),
    ("model.onnx", "ONNX", "fetch model.safetensors"), ("onnx/model.onnx", "ONNX", "fetch model.safetensors"),
    ("bert-q8_0.gguf", "GGUF", "fetch model.safetensors"), ("adapter_model.safetensors", "LoRA adapter", "merge_and_unload"),
    ("model.ckpt.index", "TensorFlow", "from_tf=True"),
    ("model-00001-of-00002.safetensors", "without its index", "fetch model.safetensors.index.json"),
    ("pytorch_model-00001-of-00002.bin", "without its index", "fetch pytorch_model.bin.index.json"),
    ("model.fp16.safetensors", "another name", "rename it to model.safetensors"),
    ("pytorch_model.fp16.bin", "another name", "rename it to pytorch_model.bin")])
def test_weights_in_forms_that_are_not_read(tmp_path, name, kind, remedy):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "training_args.bin").write_bytes(b"")
    refused(lambda: open_weights(tmp_path), f"{tmp_path}: ", name, kind, remedy)


def test_adapter_beside_the_weights(tmp_path):
    save_as("safetensors", tmp_path, make_tensors())
    (tmp_path / "adapter_config.json").write_text("{}")
    read_all(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    refused(lambda: open_weights(tmp_path), "adapter_config.json: ", "LoRA adapter", "merge_and_unload")


@pytest.mark.parametrize("form", ["safetensors", "bin", "legacy bin"])
def test_truncated_file(tmp_path, form):
    save_as(form, tmp_path, make_tensors())
    path = next(tmp_path.iterdir())
    whole = path.read_bytes()
    for size in (0, 1, 3, 7, 8, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(lambda: open_weights(tmp_path), f"{path}: ", "truncated", "corrupt", "fetch the file again")


@pytest.mark.parametrize("content", [b"<html>Not Found</html>", b"\xff" * 8 + b"{}", (10**9).to_bytes(8, "little") + b"{}",
                                     (3).to_bytes(8, "little") + b"{x}", b"PK\x03\x04 and so on"],
                         ids=["page", "huge header", "big header", "bad header", "bad archive"])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_file_of_another_kind(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(lambda: open_weights(tmp_path), f"{tmp_path / name}: ", "truncated", "corrupt", "fetch the file again")


def test_safetensors_of_another_layout(tmp_path):
    save_file(make_tensors(), tmp_path / "model.safetensors", {"format": "flax"})
    refused(lambda: open_weights(tmp_path), "model.safetensors: ", "as flax lays them out", "save the model from PyTorch")


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class RunsShell:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("maker", [Runs, RunsShell])
@pytest.mark.parametrize("save", [torch.save, save_legacy, lambda value, path: path.write_bytes(pickle.dumps(value))],
                         ids=["archive", "legacy", "plain pickle"])
def test_code_in_a_pickle_is_never_executed(tmp_path, save, maker):
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "pytorch_model.bin"
    code = maker(tmp_path / "ran")
    save({**make_tensors(), "x": code}, path)
    message = refused(lambda: open_weights(tmp_path / "model"), f"{path}: ")
    if save in (torch.save, save_legacy):
        assert "not only tensors, and was not executed" in message and "save its state_dict alone" in message
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(code))
    assert (tmp_path / "ran").exists()


def test_pickle_of_objects(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "pytorch_model.bin")
    refused(lambda: open_weights(tmp_path), "holds torch.nn.modules.linear.Linear, not only tensors", "save its state_dict")


@pytest.mark.filterwarnings("ignore")
def test_torchscript(tmp_path):
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "pytorch_model.bin")
    refused(lambda: open_weights(tmp_path), "is a TorchScript program", "save its state_dict")


@pytest.mark.parametrize(("value", "found"), [
    ([torch.ones(2)], "a list"), (torch.ones(2), "a Tensor"), ({}, "an empty dict"), ({"epoch": 3, "loss": 0.5}, "epoch, loss"),
    ({1: torch.ones(2)}, "only 1")])
def test_bin_without_tensors_by_name(tmp_path, value, found):
    torch.save(value, tmp_path / "pytorch_model.bin")
    refused(lambda: open_weights(tmp_path), "pytorch_model.bin: ", "tensors by name", found, "save its state_dict alone")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "kind"), [
    (lambda: torch.eye(3).to_sparse(), "sparse"), (lambda: torch.ones(3, device="meta"), "without values"),
    (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "quantised")],
    ids=["sparse", "meta", "quantised"])
def test_tensors_that_are_no_plain_arrays(tmp_path, make, kind):
    torch.save({"a": torch.ones(2), "b": make()}, tmp_path / "pytorch_model.bin")
    with open_weights(tmp_path) as weights:
        assert torch.equal(weights.read("a"), torch.ones(2))
        refused(lambda: weights.read("b"), "pytorch_model.bin: tensor b is", kind, "float32")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"])
def test_pointers(tmp_path, name):
    (tmp_path / name).write_text(POINTER)
    message = refused(lambda: open_weights(tmp_path))
    assert message == f"{tmp_path / name}: is a git-lfs pointer, not the file: run git lfs pull"


def test_shard_that_is_a_pointer_or_missing(tmp_path):
    index = save_shards(tmp_path, make_tensors(), "model-{:05}-of-00002.safetensors", save_safe)
    second = tmp_path / "model-00002-of-00002.safetensors"
    second.write_text(POINTER)
    refused(lambda: open_weights(tmp_path), f"{second}: is a git-lfs pointer")
    second.unlink()
    refused(lambda: open_weights(tmp_path), f"{second}: shard is missing", index.name, "fetch it")


@pytest.mark.parametrize(("pattern", "save"), [("model-{}.safetensors", save_safe), ("pytorch_model-{}.bin", torch.save)])
def test_index_against_its_shards(tmp_path, pattern, save):
    one, two = pattern.format(1), pattern.format(2)
    index = save_shards(tmp_path, make_tensors(), pattern, save, **{"a.bias": two})
    refused(lambda: open_weights(tmp_path), f"{index}: says that {two} holds tensor a.bias", "use the index and shards of one")
    save_shards(tmp_path, make_tensors(), pattern, save, extra=one)
    refused(lambda: open_weights(tmp_path), f"{index}: says that {one} holds tensor extra")
    save_shards(tmp_path, make_tensors(), pattern, save)
    save(make_tensors(), tmp_path / two)
    refused(lambda: open_weights(tmp_path), f"{index}: tensor a.weight is in both {one} and {two}", "remove")


def test_tensors_that_the_index_does_not_name_are_left_out(tmp_path):
    save_shards(tmp_path, make_tensors(), "model-{}.safetensors", save_safe)
    tensors = make_tensors()
    save_safe({"a.weight": tensors["a.weight"], "a.bias": tensors["a.bias"], "extra": torch.ones(1)},
              tmp_path / "model-1.safetensors")
    assert sorted(read_all(tmp_path)) == sorted(tensors)


def test_shards_in_a_folder_below(tmp_path):
    (tmp_path / "parts").mkdir()
    save_as("safetensors", tmp_path / "parts", make_tensors())
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(
        {"weight_map": dict.fromkeys(make_tensors(), "parts/model.safetensors")}))
    assert torch.equal(read_all(tmp_path)["a.bias"], make_tensors()["a.bias"])


@pytest.mark.parametrize("shard", ["../model-2.safetensors", "/etc/passwd", "parts/../../x.safetensors", "C:\\x.safetensors",
                                   "..\\x.safetensors", "\\\\host\\share\\x.safetensors"])
def test_shard_that_leaves_the_folder(tmp_path, shard):
    index = save_shards(tmp_path, make_tensors(), "model-{}.safetensors", save_safe, c=shard)
    refused(lambda: open_weights(tmp_path), f"{index}: places tensor c in", "outside of the folder", "put the shards into it")


@pytest.mark.parametrize(("content", "found"), [
    ("{", "not valid JSON"), ("[]", "holds a list"), ("{}", "no weight_map"), ('{"weight_map": {}}', "no weight_map"),
    ('{"weight_map": ["a"]}', "no weight_map"), ('{"weight_map": {"a": 1}}', "no weight_map"),
    ('{"weight_map": {"a": ""}}', "no weight_map"), ('{"weight_map": {"a": "x", "a": "y"}}', "a occurs twice")])
@pytest.mark.parametrize("name", ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
def test_index_of_a_bad_shape(tmp_path, name, content, found):
    (tmp_path / name).write_text(content)
    refused(lambda: open_weights(tmp_path), f"{tmp_path / name}: ", found)


def test_json_files(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == read_fields(path) == {"a": 1}
    path.write_text("[1]")
    assert read_json(path, list) == [1]
    refused(lambda: read_fields(path), f"{path}: holds a list, not an object of fields")
    path.write_text('{"a": 1}')
    refused(lambda: read_json(path, list), f"{path}: holds a dict, not a list")
    path.write_text(POINTER)
    refused(lambda: read_fields(path), f"{path}: is a git-lfs pointer, not the file: run git lfs pull")
    path.write_text("[" * 100_000)
    refused(lambda: read_json(path), f"{path}: not valid JSON")
    path.write_bytes(b'{"a": "\xff"}')
    refused(lambda: read_json(path), f"{path}: not valid JSON")


def test_files(tmp_path):
    (tmp_path / "text").write_text(POINTER[1:])
    refuse_pointer(tmp_path / "text")
    refused(lambda: refuse_pointer(tmp_path), f"{tmp_path}: cannot be read")
    assert file_inside(tmp_path, "a/b") == tmp_path / "a" / "b"
    assert file_inside(tmp_path, "../b") is None
