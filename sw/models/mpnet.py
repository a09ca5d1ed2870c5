"""MPNet: RoBERTa without token types, whose scores have a bias by the distance of the tokens."""

from typing import ClassVar

from .config_fields import read_size
from .family import Family
from .roberta import Roberta

__all__ = ["MPNet"]

_PADDING = 1
"""Its classes take this for the number of the padding token, whatever config.json says."""


class MPNet(Roberta):
    """See `sw.models.relative_bias` for the bias."""

    prefix = "mpnet"
    defaults = {"vocab_size": 30527, "position_rows": 512}
    plain = Family.plain | {"relative_attention_num_buckets": (32, "the distances fall into 32 buckets")}
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"^encoder\.layer\.(\d+)\.attention\.attn\.q\.", r"encoder.layer.\1.attention.self.query."),
        (r"^encoder\.layer\.(\d+)\.attention\.attn\.k\.", r"encoder.layer.\1.attention.self.key."),
        (r"^encoder\.layer\.(\d+)\.attention\.attn\.v\.", r"encoder.layer.\1.attention.self.value."),
        (r"^encoder\.layer\.(\d+)\.attention\.attn\.o\.", r"encoder.layer.\1.attention.output.dense."),
        (r"^encoder\.layer\.(\d+)\.attention\.LayerNorm\.", r"encoder.layer.\1.attention.output.LayerNorm."),
        *Roberta.renames,
    )

    def further(self, path, fields, sizes):
        """See `Family`."""
        return {"type_vocab_size": 0, "first_position": _PADDING + 1, "padding_position": _PADDING,
                "relative_buckets": read_size(path, fields, "relative_attention_num_buckets", 32)}
