"""What a program depends on besides how many tokens a sentence has."""

from dataclasses import dataclass

import torch

__all__ = ["Tokens", "default_places", "masked_rows", "place_rows"]


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Of one sentence.

    Parameters
    ----------
    places : row of the table of positions and token types for each token, see `place_rows`; None: the tokens follow each other
        and are all of the first type
    masked : numbers of the tokens that are to be predicted, where the model does that
    """

    places: tuple[int, ...] | None = None
    masked: tuple[int, ...] = ()

    def cut(self, count):
        """Those of the sentence's first `count` tokens; if something was to be predicted, something is."""
        return Tokens(places=self.places and self.places[:count],
                      masked=tuple(n for n in self.masked if n < count) or self.masked and (0,))


def masked_rows(tokens, tile):
    """Where the masked tokens of a batch lie, if the tile rows that hold some are put one below the other.

    Parameters
    ----------
    tokens : Tokens of each sentence
    tile : rows of a tile

    Returns
    -------
    rows : (sentence, number of its first token) of each tile row
    places : (sentence, number of the token, row there) of each masked token
    """
    chosen = [(number, token) for number, one in enumerate(tokens) for token in one.masked]
    rows = list(dict.fromkeys((number, token - token % tile) for number, token in chosen))
    return rows, [(number, token, rows.index((number, token - token % tile)) * tile + token % tile) for number, token in chosen]


def place_rows(config, ids, types):
    """Row of the table of positions and token types for each token of a sentence.

    The table has all positions with the first type, then all with the second. With `padding_position`, padding tokens stay at
    that position, and only the others count (as ``create_position_ids_from_input_ids`` of transformers does it).

    Parameters
    ----------
    config : EncoderConfig
    ids, types : of the tokens

    Returns
    -------
    tuple of int, or None where they are those of `default_places`
    """
    ids, types = torch.as_tensor(ids), torch.as_tensor(types)
    positions = config.first_position + torch.arange(len(ids))
    if config.padding_position is not None:
        real = ids != config.padding_position
        positions = torch.where(real, config.padding_position + real.cumsum(0), config.padding_position)
    places = positions + (types * config.position_rows if config.type_vocab_size else 0)
    return None if places.equal(default_places(config, len(ids))) else tuple(places.tolist())


def default_places(config, count):
    """Rows for tokens that follow each other, all of the first type; behind the last position there is none."""
    return (config.first_position + torch.arange(count)).clamp(max=config.position_rows - 1)
