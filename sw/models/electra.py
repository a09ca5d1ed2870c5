"""ELECTRA: BERT whose embeddings may be narrower than its layers, without a pooler."""

from .config_fields import read_size
from .family import Family
from .tasks import Dense

__all__ = ["Electra"]


class Electra(Family):
    """Discriminators and generators."""

    prefix = "electra"
    defaults = {"vocab_size": 30522, "hidden_size": 256, "num_hidden_layers": 12, "num_attention_heads": 4,
                "intermediate_size": 1024, "position_rows": 512}
    renames = (
        (r"^generator_predictions\.dense\.", "lm_head.dense."),
        (r"^generator_predictions\.LayerNorm\.", "lm_head.norm."),
        (r"^generator_lm_head\.", "lm_head.decoder."),
    )
    pooled = False
    foreign = (*Family.foreign, "ForPreTraining")

    def further(self, path, fields, sizes):
        """See `Family`."""
        width = read_size(path, fields, "embedding_size", 128)
        return {"type_vocab_size": read_size(path, fields, "type_vocab_size", 2), "embedding_size": width,
                "has_projection": width != sizes["hidden_size"]}

    def heads(self, config):
        """See `Family`."""
        dense = Dense(result="head.dense", weights="classifier.dense", columns=config.hidden_size, function="gelu")
        return {"text-classification": (dense, self.logits(config, "classifier.out_proj")), **self.token_heads(config),
                **self.masked_head(config, config.embedding_width)}
