"""From a checkpoint to bytes: image, instructions, files, and what the program computes."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import INSTRUCTION_BYTES, LoopOrder, Opcode
from acceltran.sim.expectation import expectation
from acceltran.sw.compiler import CompileError, compile_encoder, load_program, save_programs
from acceltran.sw.compiler.expected import tensor_bytes, tensor_hash
from acceltran.sw.compiler.image import Image, pack_matrix, pack_table, pack_values
from acceltran.sw.compiler.saved import FORMAT, _checksum
from acceltran.sw.golden.tiles import lines_to_bytes, to_stream
from acceltran.sw.ir.execute import golden_run, results
from acceltran.sw.models.answers import answers_of
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_sentences, encode_texts
from support.machine import Machine
from support.models import make_checkpoint, random_texts

NANO = AcceleratorConfig.load("nano")
TEXTS = random_texts(4, 9, seed=5)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "plain": load_checkpoint(make_checkpoint(folder / "plain", ffn=76)),
        "relu": load_checkpoint(make_checkpoint(folder / "relu", act="relu", layers=1, labels=11, positions=16)),
        "tanh": load_checkpoint(make_checkpoint(folder / "tanh", act="tanh", layers=1, labels=0)),
        "encoder": load_checkpoint(make_checkpoint(folder / "encoder", layers=1, pooler=False)),
    }


def compiled(checkpoint, config, texts, length=None, **options):
    ids, lengths = encode_texts(checkpoint, texts, length)
    return compile_encoder(checkpoint, config, ids, lengths, calibration_texts=TEXTS, **options), ids, lengths


@pytest.mark.parametrize("width", [8, 10, 12, 18, 20, 24])
@pytest.mark.parametrize("size", [8, 16])
def test_packing_is_that_of_the_golden_functions(width, size):
    rng = np.random.default_rng(width)
    matrix = rng.integers(-(1 << (width - 1)), 1 << (width - 1), (3 * size, 4 * size))
    matrix *= rng.random(matrix.shape) < np.repeat(rng.choice([0, 0.03, 0.5, 1], (3, 4)), size, 0).repeat(size, 1)
    assert pack_matrix(matrix, size, width) == to_stream(matrix, size, width)
    assert pack_values(matrix, width).tobytes() == lines_to_bytes(matrix, width)
    raw, pitch = pack_table(matrix, width, 64)
    assert pitch % 64 == 0
    assert len(raw) == pitch * len(matrix)
    assert raw[pitch: pitch + matrix.shape[1] * width // 8] == lines_to_bytes(matrix[1], width)


def test_image_aligns_sections_and_pieces():
    image = Image()
    image.section("a")
    assert [image.add(b"xyz"), image.add(5), image.add(b"q")] == [0, 64, 128]
    image.section("b")
    assert image.add(b"w") == 4096
    image.replace(64, b"hello")
    assert image.sections == {"a": [0, 192], "b": [4096, 64]}
    assert image.size == 8192
    raw = image.to_bytes()
    assert (len(raw), raw[:4], raw[64:70], raw[4096:4098]) == (8192, b"xyz\0", b"hello\0", b"w\0")


def test_equal_pieces_that_nothing_changes_lie_in_the_image_once():
    image = Image()
    image.section("a")
    assert [image.share(b"xyz"), image.share(b"xy"), image.share(b"xyz"), image.add(b"xyz")] == [0, 64, 0, 128]
    assert image.sections == {"a": [0, 192]}


@pytest.mark.parametrize(("model", "change", "options", "count", "length"), [
    ("plain", {}, {}, 1, None),
    ("plain", {}, {"tau": 0.05, "weight_sparsity": 0.5, "base": 1 << 20}, 3, 24),
    ("plain", {"tile": 16, "lines_per_beat": 4, "bus_width": 512}, {"target_sparsity": 0.5}, 2, None),
    ("plain", {"integer_bits": 4, "fraction_bits": 4, "bus_width": 512}, {}, 2, 17),
    ("plain", {"grid_rows": 2, "grid_columns": 2, "weight_banks": 2}, {"order": LoopOrder.KJIB}, 1, None),
    ("plain", {"weight_tiles": 40, "vector_lines": 48}, {"layers": 1}, 2, None),
    ("relu", {"integer_bits": 4, "fraction_bits": 8, "functions": ("relu", "tanh")}, {}, 2, None),
    ("tanh", {"functions": ("tanh",)}, {"tau": 0.01}, 2, None),
    ("encoder", {"functions": ("gelu",)}, {}, 2, 8 + 3),
])
def test_program_computes_the_golden_tensors(models, model, change, options, count, length):
    config = replace(NANO, **change)
    program, ids, lengths = compiled(models[model], config, TEXTS[:count], length, **options)
    golden = golden_run(program, ids, lengths)
    machine = Machine(program, seed=count)
    machine.run()
    assert machine.seen.keys() == golden.keys() == program.tensors.keys()
    for name, values in golden.items():
        assert (machine.seen[name] == values).all(), name
    for name, floats in results(program.graph, golden).items():
        integers, read = program.result(name, machine.memory)
        assert (integers == golden[program.outputs[name]["tensor"]]).all()
        assert (read == floats).all()
        assert list(read.shape) == program.outputs[name]["shape"]


@pytest.mark.parametrize(("model", "options", "shapes"), [
    ("plain", {}, {"logits": [2, 2]}),
    ("relu", {}, {"logits": [2, 11]}),
    ("tanh", {}, {"layer0.output_norm": [2, 16, 32], "pooler": [2, 32]}),
    ("plain", {"layers": 1}, {"layer0.output_norm": [2, 16, 32]}),
    ("encoder", {}, {"layer0.output_norm": [2, 16, 32]}),
], ids=["classifier", "many-classes", "pooler", "first-layer", "encoder"])
def test_outputs(models, model, options, shapes):
    program, *_ = compiled(models[model], NANO, TEXTS[:2], **options)
    assert {name: output["shape"] for name, output in program.outputs.items()} == shapes


def test_instructions_keep_to_their_buffers_and_sections(models):
    program, *_ = compiled(models["plain"], NANO, TEXTS[:2], base=4096)
    config, end = program.config, len(program.image)
    spans = {Opcode.LOAD: ("vectors", "weights", "activations"), Opcode.GATHER: ("tables",), Opcode.STORE: ("outputs",)}
    for opcode, fields in program.instructions:
        if opcode in spans:
            address = fields["address"]
            assert address % (config.bus_width // 8) == 0
            assert any(start <= address < start + size for start, size in (program.sections[n] for n in spans[opcode]))
            assert address + fields.get("bytes", 0) <= end
        if opcode is Opcode.MATMUL:
            capacity = config.activation_tiles if fields["b_buffer"] else config.weight_tiles
            rows = fields["columns"] if fields["transpose"] else fields["inner"]
            assert fields["b_slot"] + (rows - 1) * fields["b_pitch"] < capacity
            for name in "ac":
                assert fields["rows"] == 1 or fields[f"{name}_pitch"] % config.activation_banks == 1
    assert [opcode for opcode, _ in program.instructions].count(Opcode.HALT) == 1
    assert program.instructions[-1][0] is Opcode.HALT
    assert all(start % 4096 == 0 for start, _ in program.sections.values())


def test_pitch_falls_back_to_odd_where_wide_banks_waste_too_much(models):
    config = replace(NANO, activation_banks=64, activation_tiles=128)
    program, ids, lengths = compiled(models["encoder"], config, TEXTS[:1])
    pieces = [piece for tensor in program.tensors.values() for piece in tensor["pieces"]]
    assert any(piece["rows"] > 1 and piece["pitch"] % 64 != 1 for piece in pieces)
    assert all(piece["rows"] == 1 or piece["pitch"] % 2 for piece in pieces)
    machine = Machine(program)
    machine.run()
    assert all((machine.seen[n] == v).all() for n, v in golden_run(program, ids, lengths).items())


def test_save_and_load(models, tmp_path):
    program, ids, lengths = compiled(models["plain"], NANO, TEXTS[:2], tau=0.02)
    save_programs([program], tmp_path / "p")
    save_programs([program], tmp_path / "p")
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["image.bin", "manifest.json", "model.h", "program.bin"]
    loaded = load_program(tmp_path / "p")
    assert replace(loaded, graph=program.graph) == program
    assert loaded.raw == program.raw == program.image[program.entry: program.entry + len(program.raw)]
    assert len(program.raw) == INSTRUCTION_BYTES * len(program.instructions)
    with pytest.raises(ValueError, match="compile it again"):
        golden_run(loaded, ids, lengths)


def expected_of(checkpoint, program, ids, lengths):
    golden = golden_run(program, ids, lengths)
    answers = answers_of(checkpoint, encode_sentences(checkpoint, TEXTS[:2]), tile=program.config.tile)
    return golden, expectation(program, golden, fidelity={"cosine": 1.0}, answers=answers, inputs={"texts": TEXTS[:2]})


def test_a_saved_program_says_what_it_must_give(models, tmp_path):
    """Outputs by their integers, four bytes each; other tensors by the SHA-256 of the same bytes."""
    program, ids, lengths = compiled(models["relu"], NANO, TEXTS[:2])
    golden, expected = expected_of(models["relu"], program, ids, lengths)
    program = replace(program, expected=expected)
    manifest = save_programs([program], tmp_path)
    loaded = load_program(tmp_path)
    assert replace(loaded, graph=program.graph) == program
    assert manifest["format"] == FORMAT and manifest["buckets"][0]["expected"]["inputs"] == {"texts": TEXTS[:2]}
    assert loaded.expected.hashes.keys() == program.tensors.keys() == golden.keys()
    for name, matrix in golden.items():
        raw = b"".join(int(value).to_bytes(4, "little", signed=True) for value in matrix.reshape(-1))
        assert loaded.expected.hashes[name] == hashlib.sha256(raw).hexdigest() == tensor_hash(matrix)
    output = program.outputs["logits"]
    wanted = golden[output["tensor"]][: output["rows"] * NANO.tile]
    assert (tmp_path / "results.bin").read_bytes() == tensor_bytes(wanted)
    assert (loaded.expected.integers("logits", wanted.shape[1]) == wanted).all()
    assert loaded.expected.answers.labels[10] == "class10" and loaded.expected.sentences == 2


def edited(folder, change):
    """A manifest with other fields, the checksum mended."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest["checksums"]["manifest.json"] = _checksum(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(("change", "message"), [
    (lambda m: m.update(format=FORMAT + 1), f"a program of format {FORMAT + 1}, and this version reads {FORMAT}"),
    (lambda m: m.pop("format"), "it names no format"),
    (lambda m: m.pop("target"), "has no field target"),
    (lambda m: m.update(colour=1), "has an unknown field colour"),
    (lambda m: m["buckets"][0]["expected"].pop("hashes"), r"does not fit this version \(expected: hashes\)"),
    (lambda m: m["buckets"][0]["expected"].update(taste=1), r"does not fit this version \(expected: taste\)"),
    (lambda m: m["config"].update(tile=7), "does not fit this version"),
    (lambda m: m["buckets"][0]["outputs"]["logits"].update(rows=9), "results.bin has"),
])
def test_programs_of_another_version_are_refused(models, tmp_path, change, message):
    program, ids, lengths = compiled(models["relu"], NANO, TEXTS[:2])
    save_programs([replace(program, expected=expected_of(models["relu"], program, ids, lengths)[1])], tmp_path)
    edited(tmp_path, change)
    with pytest.raises(CompileError, match=f"manifest.json: .*{message}.*: compile the program again") as error:
        load_program(tmp_path)
    assert "\n" not in str(error.value)


def test_mixed_up_programs_are_refused(models, tmp_path):
    """Of two programs with equal instructions and outputs of the same size."""
    for name, texts in (("a", TEXTS[:2]), ("b", TEXTS[2:4])):
        program, ids, lengths = compiled(models["relu"], NANO, texts)
        save_programs([replace(program, expected=expected_of(models["relu"], program, ids, lengths)[1])], tmp_path / name)
    for name in ("results.bin", "image.bin"):
        mine, other = ((tmp_path / folder / name).read_bytes() for folder in "ab")
        assert mine != other and len(mine) == len(other)
        (tmp_path / "a" / name).write_bytes(other)
        with pytest.raises(CompileError, match=f"{name}: does not belong to manifest.json"):
            load_program(tmp_path / "a")
        (tmp_path / "a" / name).write_bytes(mine)
    text = (tmp_path / "a" / "manifest.json").read_text()
    digit = next(iter(json.loads(text)["buckets"][0]["expected"]["hashes"].values()))
    (tmp_path / "a" / "manifest.json").write_text(text.replace(digit, digit[::-1]))
    with pytest.raises(CompileError, match="manifest.json: was changed since it was written"):
        load_program(tmp_path / "a")


@pytest.mark.parametrize(("name", "change", "message"), [
    ("image.bin", lambda raw: raw[:-1], "image.bin: does not belong"),
    ("program.bin", lambda raw: b"\1" + raw[1:], "program.bin: does not belong"),
    ("manifest.json", lambda raw: raw[:50], "not a manifest"),
    ("manifest.json", lambda raw: json.dumps({"entry": 0}).encode(), "not a manifest"),
    ("program.bin", None, "No such file"),
])
def test_damaged_files_are_refused(models, tmp_path, name, change, message):
    save_programs([compiled(models["encoder"], NANO, TEXTS[:1])[0]], tmp_path)
    path = tmp_path / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CompileError, match=message) as error:
        load_program(tmp_path)
    assert "\n" not in str(error.value)


def test_bad_sentences_are_refused(models):
    checkpoint = models["relu"]
    ids, lengths = encode_texts(checkpoint, TEXTS[:2])
    for bad_ids, bad_lengths, message in (
        (ids, [11, 12], "give 1 to 11"), (ids, [11, 0], "give 1 to 11"), (ids[:1], [11, 11], r"takes \[2"),
        (ids + 60, lengths, "outside the word table"), (torch.zeros(1, 17, dtype=torch.int64), [17], "has 17 tokens"),
    ):
        with pytest.raises(CompileError, match=message):
            compile_encoder(checkpoint, NANO, bad_ids, bad_lengths, calibration_texts=TEXTS)


def test_padding_beyond_the_positions_is_harmless(models):
    program, ids, lengths = compiled(models["relu"], replace(NANO, tile=16), TEXTS[:1], 16)
    assert program.graph.sequence == 16
    wide = torch.nn.functional.pad(ids, (0, 16))
    other = compile_encoder(models["relu"], replace(NANO, tile=16), wide, lengths, calibration_texts=TEXTS)
    values, others = golden_run(program, ids, lengths), golden_run(other, wide, lengths)
    assert (values["logits"] == others["logits"]).all()
