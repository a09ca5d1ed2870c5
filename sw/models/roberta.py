"""RoBERTa, XLM-RoBERTa and CamemBERT: BERT whose positions follow the padding token's number, with another head."""

from typing import ClassVar

from .config_fields import read_size
from .family import Family
from .tasks import Dense

__all__ = ["Roberta"]


class Roberta(Family):
    """The first token of a sentence takes the position behind ``pad_token_id``, which padding keeps."""

    prefix = "roberta"
    defaults = {"layer_norm_eps": 1e-12, "position_rows": 512}
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"^lm_head\.layer_norm\.", "lm_head.norm."),
        (r"^lm_head\.bias$", "lm_head.decoder.bias"),
        (r"^lm_head\.decoder\.bias$", "lm_head.bias"),
    )

    def further(self, path, fields, sizes):
        """See `Family`."""
        padding = read_size(path, fields, "pad_token_id", 1, least=0)
        return {"type_vocab_size": read_size(path, fields, "type_vocab_size", 2), "first_position": padding + 1,
                "padding_position": padding}

    def heads(self, config):
        """See `Family`."""
        dense = Dense(result="head.dense", weights="classifier.dense", columns=config.hidden_size, function="tanh", bound=1.0)
        return {"text-classification": (dense, self.logits(config, "classifier.out_proj")), **self.token_heads(config),
                **self.masked_head(config)}
