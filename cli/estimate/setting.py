"""What is estimated, or run: a model, its sentences, their pruning, a configuration."""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.errors import InputError
from ...hw.spec.names import unknown_name
from ...sw.models.checkpoint import load_checkpoint
from ...sw.models.full_texts import full_texts
from ...sw.models.random_model import PREFIX, random_model
from ...sw.models.sentences import encode_sentences
from ...sw.models.weight_sparsity import as_weight_sparsity
from ..hardware import loop_order
from ..inputs import site_options
from ..options import DEFAULT_MODEL

__all__ = ["Setting"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Plain values, as they stand in a TOML or JSON file.

    Parameters
    ----------
    config : preset or file of a configuration
    fields : of the configuration that differ from it, by name
    model, layers : folder, or "random:" and the name of one of `random_model.SHAPES`; of its layers only the first ones
    texts : sentences; none for `batch` sentences of exactly `tokens` tokens
    tokens, batch : see `texts`; with texts, `tokens` is the length that they are padded and cut to
    tau, target_sparsity, weight_sparsity, sites : pruning as in `acceltran run`; `sites` is a file, or "model" for the
        ``sites.json`` in the model's folder
    order, resident, prefetch, overlap : as in `acceltran run`
    latency, bytes_per_cycle : of main memory: cycles from an address to its first data, and what it brings through each memory
        port; None: as much as the bus
    values : zeros of activations are those that the golden model computes; otherwise they are drawn by their expected share

    Raises
    ------
    InputError : a value that cannot be
    """

    config: str = "mini"
    fields: dict = field(default_factory=dict, hash=False)
    model: str = str(DEFAULT_MODEL)
    layers: int | None = None
    texts: tuple[str, ...] = ()
    tokens: int | None = None
    batch: int = 1
    tau: float | None = None
    target_sparsity: float | None = None
    weight_sparsity: float | str = 0.0
    sites: str | None = None
    order: str | None = None
    resident: bool = False
    prefetch: bool = False
    overlap: bool = True
    latency: int = 40
    bytes_per_cycle: float | None = None
    values: bool = True

    def __post_init__(self):
        if not self.texts and self.tokens is None:
            raise InputError("tokens: neither texts nor a number of tokens; give either")
        if self.tokens is not None and self.tokens < 2:
            raise InputError(f"tokens = {self.tokens}: give at least 2")
        if self.batch < 1:
            raise InputError(f"batch = {self.batch}: give at least 1")
        if self.texts and self.batch != 1:
            raise InputError(f"batch = {self.batch}: with texts, the batch is all of them; leave it out")
        if not 1 <= self.latency <= 100_000:
            raise InputError(f"latency = {self.latency}: choose 1 to 100,000 cycles")
        if self.bytes_per_cycle is not None and self.bytes_per_cycle <= 0:
            raise InputError(f"bytes_per_cycle = {self.bytes_per_cycle}: give more than 0, or leave it "
                             "out for what the bus takes")

    @classmethod
    def from_dict(cls, values):
        """Build from plain values, refusing unknown names with the closest known one."""
        known = {one.name for one in fields(cls)}
        for name in values:
            if name not in known:
                raise InputError(unknown_name("setting", name, known))
        values = dict(values)
        if isinstance(values.get("texts"), list):
            values["texts"] = tuple(values["texts"])
        return cls(**values)

    def to_dict(self):
        """Plain values, those that are not the default."""
        default = {one.name: getattr(_DEFAULT, one.name) for one in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self).items() if value != default[name] or name in ("config", "model")}

    @property
    def model_name(self):
        """The name of the model, for a heading."""
        return self.model if self.model.startswith(PREFIX) else Path(self.model).resolve().name

    def hardware(self):
        """The AcceleratorConfig."""
        config = AcceleratorConfig.load(self.config)
        if not self.fields:
            return config
        return AcceleratorConfig.from_dict(config.to_dict() | {"name": f"{config.name}_changed"} | self.fields)

    def checkpoint(self):
        """The Checkpoint."""
        if self.model.startswith(PREFIX):
            return random_model(self.model.removeprefix(PREFIX))
        return load_checkpoint(Path(self.model))

    def sentences(self, checkpoint):
        """The Batch of its sentences."""
        texts = list(self.texts) or full_texts(checkpoint, self.batch, self.tokens)
        return encode_sentences(checkpoint, texts, self.tokens, longest=self.tokens)

    @property
    def sites_file(self):
        """The file of thresholds per site, or None."""
        if not self.sites:
            return None
        return Path(self.model) / "sites.json" if self.sites == "model" else Path(self.sites)

    def options(self, checkpoint):
        """Options of `compile_encoder`."""
        return {"tau": self.tau, "weight_sparsity": as_weight_sparsity(self.weight_sparsity), "resident": self.resident,
                "prefetch": self.prefetch, "overlap": self.overlap, "layers": self.layers, "order": loop_order(self.order),
                **site_options(self.sites_file, self.target_sparsity, checkpoint)}

    def but(self, **changes):
        """The same with other values."""
        return replace(self, **changes)


_DEFAULT = Setting(tokens=2)
