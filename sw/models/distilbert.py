"""DistilBERT: BERT without token types and pooler, under names of its own."""

from .family import BERTS_LAYERS, Family
from .tasks import Dense

__all__ = ["DistilBert"]


class DistilBert(Family):
    """Its configuration has names of its own, too."""

    prefix = "distilbert"
    fields = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
              "intermediate_size": "hidden_dim", "hidden_act": "activation"}
    defaults = {"hidden_size": 768, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 3072,
                "vocab_size": 30522, "position_rows": 512}
    renames = (
        (r"^transformer\.layer\.(\d+)\.attention\.q_lin\.", r"encoder.layer.\1.attention.self.query."),
        (r"^transformer\.layer\.(\d+)\.attention\.k_lin\.", r"encoder.layer.\1.attention.self.key."),
        (r"^transformer\.layer\.(\d+)\.attention\.v_lin\.", r"encoder.layer.\1.attention.self.value."),
        (r"^transformer\.layer\.(\d+)\.attention\.out_lin\.", r"encoder.layer.\1.attention.output.dense."),
        (r"^transformer\.layer\.(\d+)\.sa_layer_norm\.", r"encoder.layer.\1.attention.output.LayerNorm."),
        (r"^transformer\.layer\.(\d+)\.ffn\.lin1\.", r"encoder.layer.\1.intermediate.dense."),
        (r"^transformer\.layer\.(\d+)\.ffn\.lin2\.", r"encoder.layer.\1.output.dense."),
        (r"^transformer\.layer\.(\d+)\.output_layer_norm\.", r"encoder.layer.\1.output.LayerNorm."),
        (r"^vocab_transform\.", "lm_head.dense."),
        (r"^vocab_layer_norm\.", "lm_head.norm."),
        (r"^vocab_projector\.", "lm_head.decoder."),
        BERTS_LAYERS,
    )
    epsilon = 1e-12
    pooled = False

    def further(self, path, fields, sizes):
        """See `Family`."""
        return {"type_vocab_size": 0}

    def heads(self, config):
        """See `Family`."""
        dense = Dense(result="head.dense", weights="pre_classifier", columns=config.hidden_size, function="relu")
        return {"text-classification": (dense, self.logits(config)), **self.token_heads(config),
                **self.masked_head(config, function=config.hidden_act)}
