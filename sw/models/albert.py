"""ALBERT: BERT whose layers share their weights, and whose embeddings are narrow."""

from .config_fields import read_size
from .family import BERTS_LAYERS, Family

__all__ = ["Albert"]


class Albert(Family):
    """Layer l has the weights of group ``l * num_hidden_groups // num_hidden_layers``."""

    prefix = "albert"
    defaults = {"vocab_size": 30000, "hidden_size": 4096, "num_hidden_layers": 12, "num_attention_heads": 64,
                "intermediate_size": 16384, "position_rows": 512, "hidden_act": "gelu_new"}
    plain = Family.plain | {"inner_group_num": (1, "a group of weights makes one layer")}
    renames = (
        (r"^encoder\.embedding_hidden_mapping_in\.", "embeddings_project."),
        (r"^encoder\.albert_layer_groups\.(\d+)\.albert_layers\.0\.attention\.(query|key|value)\.",
         r"encoder.layer.\1.attention.self.\2."),
        (r"^encoder\.albert_layer_groups\.(\d+)\.albert_layers\.0\.attention\.(dense|LayerNorm)\.",
         r"encoder.layer.\1.attention.output.\2."),
        (r"^encoder\.albert_layer_groups\.(\d+)\.albert_layers\.0\.ffn\.", r"encoder.layer.\1.intermediate.dense."),
        (r"^encoder\.albert_layer_groups\.(\d+)\.albert_layers\.0\.ffn_output\.", r"encoder.layer.\1.output.dense."),
        (r"^encoder\.albert_layer_groups\.(\d+)\.albert_layers\.0\.full_layer_layer_norm\.",
         r"encoder.layer.\1.output.LayerNorm."),
        (r"^pooler\.(weight|bias)$", r"pooler.dense.\1"),
        (r"^predictions\.dense\.", "lm_head.dense."),
        (r"^predictions\.LayerNorm\.", "lm_head.norm."),
        (r"^predictions\.bias$", "lm_head.decoder.bias"),
        (r"^predictions\.decoder\.bias$", "lm_head.bias"),
        (r"^predictions\.decoder\.weight$", "lm_head.decoder.weight"),
        BERTS_LAYERS,
    )

    def further(self, path, fields, sizes):
        """See `Family`."""
        layers, groups = sizes["num_hidden_layers"], read_size(path, fields, "num_hidden_groups", 1)
        return {"type_vocab_size": read_size(path, fields, "type_vocab_size", 2),
                "embedding_size": read_size(path, fields, "embedding_size", 128), "has_projection": True,
                "layer_groups": tuple(layer * groups // layers for layer in range(layers))}

    def heads(self, config):
        """See `Family`."""
        return {"text-classification": (self.pooler(config), self.logits(config)), **self.token_heads(config),
                **self.masked_head(config, config.embedding_width, config.hidden_act)}
