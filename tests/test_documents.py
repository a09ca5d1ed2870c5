"""Documents, docstrings and help texts name only files, names, links, commands and fields that exist."""

import ast
import importlib
import re
import shlex
import tomllib
from dataclasses import fields
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
import typer

from acceltran.cli.bench.points import GROUPS
from acceltran.cli.evaluate.document import _STRENGTHS
from acceltran.cli.main import app
from acceltran.cli.options import DEFAULT_MODEL
from acceltran.cli.paper.figures import FIGURES
from acceltran.cli.train.train import VARIANTS
from acceltran.hw.spec.config import PRESETS, RULES, AcceleratorConfig
from acceltran.hw.spec.error_codes import ErrorCode
from acceltran.hw.spec.errors import ConfigError
from acceltran.hw.spec.isa import INSTRUCTIONS
from acceltran.hw.spec.registers import to_c_header
from acceltran.sw.compiler import compile_encoder
from acceltran.sw.compiler.disassemble import disassemble
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts

ROOT = Path(__file__).parents[1]
ROOMS = ("hw", "sw", "sim", "silicon", "cli")
FOLDERS = (*ROOMS, "tests", "docs", "models")
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"),
                    *(ROOT / "models").glob("*/README.md")])
SOURCES = sorted(path for folder in (*ROOMS, "tests") for path in (ROOT / folder).rglob("*.py"))
PACKAGES = tuple(f"{prefix}{name}" for prefix in ("", "acceltran.") for name in ROOMS)
CHOICES = {"--config": PRESETS, "--skip": ("none", "activation", "both"), "--variant": tuple(VARIANTS),
           "--only": (*GROUPS, *FIGURES),
           "--method": tuple(_STRENGTHS), "--memory": ("lpddr4", "ddr3", "hbm2", "hbm3")}
"""Values of options that take a plain text."""

_SUFFIXES = "py|md|toml|json|v|vh|h|lib|csv|svg|tsv|txt|bin|hex|log|xml|f|sv|vlt|gz|safetensors|sh"
_NAME = r"[\w.*-]+"


UsageError = typer.BadParameter.__base__


def relative(path):
    return str(path.relative_to(ROOT))


ids = {"ids": relative}


@cache
def texts(path):
    """(line, text) of every piece of prose: of a document the lines, of a source file its docstrings and help texts."""
    if path.suffix == ".md" or path.name == "Makefile":
        return [(number, line) for number, line in enumerate(path.read_text().splitlines(), 1)]
    tree, found = ast.parse(path.read_text()), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            found += [body[0].value] if ast.get_docstring(node, clean=False) else []
            found += [s.value for s in body[1:] if isinstance(s, ast.Expr)]
        elif isinstance(node, ast.keyword) and node.arg in ("help", "epilog"):
            found.append(node.value)
        elif isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "_EPILOG" for t in node.targets):
            found.append(node.value)
    return [(node.lineno + n, line) for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)
            for n, line in enumerate(node.value.splitlines())]


@cache
def blocks(path):
    """(line, language, text) of the fenced blocks of a document."""
    found, start = [], None
    for number, line in texts(path):
        if line.startswith("```"):
            if start is None:
                start, language, inside = number + 1, line[3:].strip(), []
            else:
                found.append((start, language, inside))
                start = None
        elif start is not None:
            inside.append(line)
    assert start is None, f"{relative(path)}: a fenced block does not end"
    return [(start, language, "\n".join(inside)) for start, language, inside in found]


@cache
def written():
    """All text of the sources, in which the names of the files that programs write occur."""
    return "\n".join(path.read_text() for folder in ROOMS for path in (ROOT / folder).rglob("*")
                     if path.suffix in (".py", ".v", ".toml"))


def test_there_is_something_to_read():
    assert len(DOCUMENTS) >= 15 and len(SOURCES) > 200
    assert sum(len(texts(path)) for path in SOURCES) > 3000 and sum(len(blocks(path)) for path in DOCUMENTS) > 15


def missing_paths(path):
    """Words like ``cli/main.py``, relative to the project, to its parts or to the document, that are no file or folder."""
    for number, line in texts(path):
        for word in re.findall(rf"(?<![\w/.-])(?:\.\./)*(?:{'|'.join(FOLDERS)})/[\w./*-]+(?![<\w./*-])", line):
            word = word.rstrip(".,-").split("::")[0]
            if not any(base.glob(word) if "*" in word else [base / word] * (base / word).exists()
                       for base in (ROOT, path.parent)):
                yield f"{relative(path)}:{number}: {word}"


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "Makefile"], **ids)
def test_v10_paths_in_documents_exist(path):
    assert not list(missing_paths(path))


def test_v10_paths_in_docstrings_and_help_exist():
    assert not list(chain.from_iterable(map(missing_paths, SOURCES)))


def names_a_file(name, path):
    """Whether a file of the project has this name, a program of it writes it, or an example of the document makes it."""
    if any(name == other.name for other in repository()):
        return True
    pattern = re.escape(name).replace(r"\*", r"[\w-]*").replace("_N", r"_(\w+|\{[^}]*\}|%0d|N)")
    if "*" in name and any(re.fullmatch(pattern, other.name) for other in repository()):
        return True
    examples = "\n".join(text for _, _, text in blocks(path)) if path.suffix == ".md" else ""
    return bool(re.search(rf"(?<![\w.]){pattern}", written() + examples)) or loosely(name)


def loosely(name):
    """Whether the parts of a numbered name, ``activation_lines_3.log``, are put together somewhere."""
    stem, _, suffix = name.rpartition(".")
    *parts, number = stem.split("_")
    return bool(parts and re.fullmatch(r"N|\d+", number)) and all(part in written() for part in (*parts, f".{suffix}"))


@cache
def repository():
    return [path for folder in (*FOLDERS, ".") for path in
            ((ROOT / folder).rglob("*") if folder != "." else ROOT.glob("*")) if "__pycache__" not in path.parts]


@pytest.mark.parametrize("path", DOCUMENTS, **ids)
def test_v10_bare_file_names_in_documents_exist(path):
    wrong = [f"{relative(path)}:{number}: {name}" for number, line in texts(path)
             for name in re.findall(rf"`({_NAME}\.(?:{_SUFFIXES}))`", line) if not names_a_file(name, path)]
    assert not wrong


def test_v10_bare_file_names_in_docstrings_exist():
    wrong = [f"{relative(path)}:{number}: {name}" for path in SOURCES for number, line in texts(path)
             for name in re.findall(rf"`({_NAME}\.(?:py|md|v|toml))`", line) if not names_a_file(name, path)]
    assert not wrong


def resolves(name):
    """Whether a dotted name like ``sw.golden.tiles.from_stream`` can be imported."""
    parts = name.removeprefix("acceltran.").split(".")
    for count in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(["acceltran", *parts[:count]]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(value, part) and part not in getattr(value, "__annotations__", {}):
                return False
            value = getattr(value, part, None)
        return True
    return False


@pytest.mark.parametrize("where", ["documents", "sources"])
def test_v10_dotted_names_exist(where):
    pattern = rf"(?<![\w./`])`?((?:{'|'.join(map(re.escape, PACKAGES))})(?:\.[A-Za-z_]\w*)+)"
    wrong = [f"{relative(path)}:{number}: {name}" for path in (DOCUMENTS if where == "documents" else SOURCES)
             for number, line in texts(path) for name in re.findall(pattern, line)
             if not re.search(r"\.(py|v|md)$", name) and not resolves(name)]
    assert not wrong


def slug(heading):
    return re.sub(r"[^\w\- ]", "", re.sub(r"`|\*", "", heading).strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, **ids)
def test_v10_links_resolve(path):
    text = "\n".join(line for _, line in texts(path))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        other = path.parent / file if file else path
        assert other.exists(), f"{relative(path)}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(), re.M)
            assert anchor in map(slug, headings), f"{relative(path)}: {target}"


def commands(path):
    """(line, words, whole) of every ``acceltran`` command line; what stands in a sentence need not be whole."""
    whole = True
    if path.name == "Makefile":
        lines = [(n, re.sub(r"\$\(if \$\(\w+\),(.*)\)$", r"\1", line.strip()).replace("$(ACCELTRAN)", "acceltran"), True)
                 for n, line in texts(path)]
        # Variables stand for a text that is given.
        lines = [(n, re.sub(r"\$\((\w+)\)", lambda m: "mini" if m[1] == "CONFIG" else "some", line), whole)
                 for n, line, whole in lines]
    elif path.suffix == ".md":
        lines = [(start + n, line, True) for start, language, text in blocks(path) if not language or language in ("sh", "bash")
                 for n, line in enumerate(text.splitlines())]
        lines += [(n, code, False) for n, line in texts(path) for code in re.findall(r"`([^`]+)`", line)]
    else:
        lines = [(n, re.split(r"\s{3,}", line.replace("Example:", "").strip())[0], True) for n, line in texts(path)
                 if re.match(r"\s*(Example: |acceltran )", line)]
    for number, line, whole in lines:
        for part in re.split(r"&&|;", line):
            if re.match(r"\s*acceltran [a-z]", part):
                yield number, shlex.split(part, comments=True)[1:], whole


def parse(words, whole=True):
    """Parse a command line as the program would; an ellipsis stands for what is left out.

    Raises
    ------
    UsageError : it is wrong
    """
    command, words = typer.main.get_command(app), list(words)
    while hasattr(command, "commands"):
        if not words and not whole:
            return
        if not words or words[0] not in command.commands:
            raise UsageError(f"no command {' '.join(words[:1])}")
        command = command.commands[words.pop(0)]
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    if not whole or "..." in words:
        for option in command.params:
            option.required = False
    words = [word for n, word in enumerate(words) if word != "..." or (n and words[n - 1] in options)]
    command.make_context(command.name, list(words))
    for name, word in zip(words, words[1:], strict=False):
        name = {"-c": "--config"}.get(name, name)
        if name in CHOICES and word not in CHOICES[name] and not word.endswith((".toml", "...")):
            raise UsageError(f"{name} {word}: choose of {', '.join(CHOICES[name])}")


def wrong_commands(path):
    for number, words, whole in commands(path):
        try:
            parse(words, whole)
        except UsageError as error:
            yield f"{relative(path)}:{number}: {' '.join(words)}: {error.format_message()}"


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "Makefile"], **ids)
def test_v10_commands_in_documents_parse(path):
    assert not list(wrong_commands(path))


def test_v10_commands_in_help_texts_parse():
    assert sum(1 for path in SOURCES for _ in commands(path)) > 20
    assert not list(chain.from_iterable(map(wrong_commands, SOURCES)))


@pytest.mark.parametrize("line", ["runn --text x", "run --txt x", "run --config mimi", "run --length many", "compile --text x",
                                  "bench matmul --m 1 --k 1 --n 1 --b-from cache", "run --skip some", "disassemble", "bench"])
def test_wrong_commands_are_seen(line):
    with pytest.raises(UsageError):
        parse(shlex.split(line))


def test_v10_other_programs_exist():
    """``make`` targets, and modules and tests that are run with Python."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    wrong = []
    for path in [*DOCUMENTS, *SOURCES]:
        lines = [(start + n, line) for start, _, text in (blocks(path) if path.suffix == ".md" else ())
                 for n, line in enumerate(text.splitlines()) if line.startswith("make ")]
        lines += [(n, code) for n, line in texts(path) for code in re.findall(r"[`(](make [^`)]+)[`)]", line)]
        wrong += [f"{relative(path)}:{n}: {line}" for n, line in lines
                  for target in re.findall(r"^make ([a-z-]+)(?![\w=])", line) if target not in targets]
        wrong += [f"{relative(path)}:{n}: {name}" for n, line in texts(path)
                  for name in re.findall(r"python -m (acceltran[\w.]*)", line) if not resolves(name)]
    assert len(targets) > 10 and not wrong


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if any(language == "python" for _, language, _ in blocks(path))],
                         **ids)
def test_v10_python_examples_import(path):
    for start, language, text in blocks(path):
        if language == "python":
            tree = ast.parse(text)
            imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
            assert imports, f"{relative(path)}:{start}"
            exec(compile(ast.Module(imports, []), f"{path}:{start}", "exec"), {})  # noqa: S102


def test_v10_names_of_the_c_header_exist():
    driver = "".join(path.read_text() for path in (ROOT / "sw/host/c").glob("*.h"))
    defined = set(re.findall(r"#define (\w+)|^    (ACCELTRAN_\w+),", driver + to_c_header(), re.M))
    defined = {name for names in defined for name in names}
    text = (ROOT / "docs/programming.md").read_text()
    used = set(re.findall(r"ACCELTRAN_[A-Z_]+\w*", text)) - {"ACCELTRAN_"}
    assert len(used) > 10 and not {name for name in used if name not in defined and f"{name}<" not in text}


def test_v10_the_error_table_is_that_of_the_hardware():
    text = (ROOT / "docs/programming.md").read_text()
    table = {}
    for codes, names in re.findall(r"^\| (0x[^|]*) \| ([A-Z_, ]+) \|", text, re.M):
        table |= dict(zip((int(c, 16) for c in codes.split(", ")), names.split(", "), strict=True))
    assert table == {int(code): code.name for code in ErrorCode if code}
    for instruction in INSTRUCTIONS:
        assert re.search(rf"^\| {instruction.opcode.name} \| "
                         rf"{'-|any' if instruction.engine is None else instruction.engine.name.lower()}", text, re.M)


def configuration_table():
    """{field: (allowed, default)} as docs/configuration.md has them."""
    text = (ROOT / "docs/configuration.md").read_text()
    section = text[text.index("## Fields"): text.index("### Derived values")]
    return {name: (allowed, default) for name, allowed, default in re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|",
                                                                            section, re.M)}


def test_v10_every_field_of_a_configuration_is_documented():
    assert set(configuration_table()) == {f.name for f in fields(AcceleratorConfig)}


def plain(text):
    return text.replace(",", "").replace("`", "").strip()


@pytest.mark.parametrize("name", RULES)
def test_v10_the_documented_values_are_those_of_the_rule(name):
    """A range: its ends and what lies beyond; a list: each of it and nothing else."""
    allowed, default = configuration_table()[name]
    rule, _ = RULES[name]
    if match := re.match(r"([\d,]+) to ([\d,]+)", allowed):
        low, high = (int(plain(x)) for x in match.groups())
        assert rule(low) and rule(high) and not rule(low - 1) and not rule(high + 1)
    elif allowed.startswith("`"):
        listed = [plain(x) for x in allowed.split(", ")]
        assert all(map(rule, listed)) and not rule("other")
        remedy = RULES[name][1].removeprefix("choose one of ").split(", ")
        assert listed == remedy
    else:
        numbers = [int(x) for x in re.findall(r"\d+", allowed.replace("...", ""))]
        if "..." in allowed:
            numbers = [1 << n for n in range(numbers[-1].bit_length())]
        assert [n for n in range(2 * max(numbers) + 2) if rule(n)] == numbers
    value = getattr(AcceleratorConfig(), name)
    assert plain(default) == ("W" if value is None else str(value))


def test_v10_the_table_of_presets_is_that_of_the_files():
    text = (ROOT / "docs/configuration.md").read_text()
    section = text[text.index("## Presets"): text.index("## A configuration of your own")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")]
    names = [plain(cell) for cell in rows[0][1:]]
    assert set(names) == set(PRESETS) - {"fpga"}
    seen = set()
    for head, *cells in rows[1:]:
        wanted = re.findall(r"`(\w+)`", head) or (["multipliers"] if head == "multipliers" else [])
        for name, cell in zip(names, cells, strict=True):
            config = AcceleratorConfig.load(name)
            if cell == "defaults":
                cell = " ".join(str(getattr(AcceleratorConfig(), field)) for field in wanted)
            if wanted:
                seen.update(wanted)
                values = " ".join(str(getattr(config, field)) for field in wanted)
                shown = re.findall(r"\w+", plain(re.sub(r", | x ", " ", cell)))
                assert shown == re.findall(r"\w+", values), head
    assert {"tile", "psum_tiles", "activation_tiles", "layernorm_slices", "functions"} <= seen


def test_v10_the_example_configuration_is_one():
    (example,) = (text for _, language, text in blocks(ROOT / "docs/configuration.md") if language == "toml")
    assert AcceleratorConfig.from_dict(tomllib.loads(example)).functions == ("relu",)


def test_v10_the_refusals_are_those_of_the_checks():
    """Each message of the document is what some configuration is refused with."""
    text = (ROOT / "docs/configuration.md").read_text()
    section = text[text.index("## Refusals"):]
    messages = section.split("```")[1].strip().splitlines()
    tried = ({"tile": 32}, {"integer_bits": 4, "fraction_bits": 3}, {"grid_columns": 4},
             {"b_memory": "ram", "lines_per_beat": 4}, {"activation_tiles": 1022},
             {"clusters": 2, "grid_rows": 7}, {"functions": ("swish",)},
             {"name": "my-chip"}, {"grid_colums": 4})
    refused = []
    for values in tried:
        with pytest.raises(ConfigError) as error:
            AcceleratorConfig.from_dict(values)
        refused.append(str(error.value))
    with pytest.raises(ConfigError) as error:
        AcceleratorConfig.load("nope")
    assert messages == [*refused, str(error.value)]


@pytest.mark.parametrize("document, heading, least", [
    ("docs/programming.md", "## Example", 11), ("docs/architecture.md", "## The way of one tile", 7),
])
def test_v10_the_example_program_is_what_the_commands_give(document, heading, least):
    """The commands of a document print the lines below them; what ends with ... is the beginning of one."""
    text = (ROOT / document).read_text()
    section = text[text.index(heading):]
    lines, shown = (block.strip("\n").splitlines() for block in section.split("```")[1:4:2])
    compiled = shlex.split(lines[0])
    assert compiled[:2] == ["acceltran", "compile"] and lines[1] == f"acceltran disassemble {compiled[-1]}"
    options = dict(zip(compiled[2:-1:2], compiled[3::2], strict=True))
    checkpoint, config = load_checkpoint(ROOT / DEFAULT_MODEL), AcceleratorConfig.load(options["--config"])
    ids, lengths = encode_texts(checkpoint, [options["--text"]])
    program = disassemble(compile_encoder(checkpoint, config, ids, lengths).raw).splitlines()
    assert re.search(r"(\d+) instructions", section)[1] == str(len(program))
    cut = [line.removesuffix(" ...") for line in shown if line.endswith(" ...") and line.strip() != "..."]
    assert all(any(line.startswith(start) for line in program) for start in cut)
    whole = [line for line in shown if not line.endswith(" ...")]
    assert len(shown) >= least and not set(whole) - set(program)
