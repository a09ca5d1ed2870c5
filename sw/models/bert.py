"""BERT: absolute positions, token types, a pooler."""

from .family import Family

__all__ = ["Bert"]


class Bert(Family):
    """The canonical one."""

    prefix = "bert"
    renames = (
        (r"^cls\.predictions\.transform\.dense\.", "lm_head.dense."),
        (r"^cls\.predictions\.transform\.LayerNorm\.", "lm_head.norm."),
        (r"^cls\.predictions\.bias$", "lm_head.decoder.bias"),
        (r"^cls\.predictions\.decoder\.bias$", "lm_head.bias"),
        (r"^cls\.predictions\.decoder\.weight$", "lm_head.decoder.weight"),
    )

    def heads(self, config):
        """See `Family`."""
        return {"text-classification": (self.pooler(config), self.logits(config)), **self.token_heads(config),
                **self.masked_head(config, function=config.hidden_act)}
