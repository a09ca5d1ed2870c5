"""What `acceltran generate` does."""

from rich.status import Status
from rich.table import Table

from ..hw.generate import generate
from ..hw.spec.config import AcceleratorConfig
from ..hw.spec.errors import ConfigError
from ..hw.spec.files import write_json
from .console import check_outputs, console, progress
from .late import Late

__all__ = ["generate_command"]

testbench_files = Late("generate --testbench", "testbench:testbench_files", "model")


def generate_command(*, config, output, json_path, observe, testbench, **inputs):
    """Options are those of the command, see its help."""
    _check_testbench_options(testbench, **inputs)
    config = AcceleratorConfig.load(config)
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output = {str(output)!r}: is a file; choose an empty or new folder")
    check_outputs(json_path)
    more = testbench_files.load() if testbench else lambda *_, **__: {}
    with Status(f"generating {config.name}", console=progress):
        manifest = generate(config, output, more(config, output, **inputs), observe=observe)
    if json_path:
        write_json(json_path, manifest)
    table = Table("file", "lines", title=f"{config.name}: {config.multipliers} multipliers, in {output}")
    for name, entry in manifest["files"].items():
        table.add_row(name, str(entry["lines"]))
    console.print(table)


def _check_testbench_options(testbench, *, model, texts, length, resident):
    """Refuse options that would have no effect."""
    given = {"--model": model is not None, "--text": bool(texts), "--length": length is not None, "--resident": resident}
    for name in (name for name, present in given.items() if present):
        if not testbench:
            raise ConfigError(f"{name}: is for the testbench; add --testbench")
        if model is None and name in ("--text", "--length"):
            raise ConfigError(f"{name}: is for a model, and the testbench's own encoder brings its sentences; add --model DIR")
    if model is not None and not texts:
        raise ConfigError("--model: has no sentence to run; add --text \"...\"")
