"""One file per instruction that the compiler makes: its operands, its cost, its encoding."""

from .gather import GatherStep
from .layernorm import LayerNormStep
from .load import LoadStep
from .matmul import MatMulStep
from .region import Block, Region
from .softmax import SoftmaxStep
from .step import Places, Step
from .store import StoreStep

__all__ = ["Block", "GatherStep", "LayerNormStep", "LoadStep", "MatMulStep", "Places", "Region", "SoftmaxStep", "Step",
           "StoreStep"]
