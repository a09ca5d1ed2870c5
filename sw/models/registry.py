"""The families of models that are known. To add one, write its file and name it here."""

from .albert import Albert
from .bert import Bert
from .distilbert import DistilBert
from .electra import Electra
from .errors import ModelError
from .mpnet import MPNet
from .roberta import Roberta

__all__ = ["FAMILIES", "family_of"]

FAMILIES = {family.model_type: family for family in (
    Bert("bert", "BERT"), DistilBert("distilbert", "DistilBERT"), Roberta("roberta", "RoBERTa"),
    Roberta("xlm-roberta", "XLM-RoBERTa"), Roberta("camembert", "CamemBERT"), Electra("electra", "ELECTRA"),
    Albert("albert", "ALBERT"), MPNet("mpnet", "MPNet"))}
"""By the ``model_type`` of config.json."""


def family_of(path, fields):
    """The family that config.json names; without a name it is the first.

    Raises
    ------
    ModelError : for an unknown one
    """
    model_type = fields.get("model_type", next(iter(FAMILIES)))
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ModelError(f"{path}: model_type is {model_type!r}, known are {', '.join(FAMILIES)}: use a model of one of these")
    return FAMILIES[model_type]
