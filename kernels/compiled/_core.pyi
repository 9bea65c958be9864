# The extension has the reference's functions and classes, signature by signature (a test compares).
from typing import Any

from ..reference import LaneTrainer as LaneTrainer
from ..reference import Network as Network
from ..reference import ShardTrainer as ShardTrainer
from ..reference import Trainer as _Trainer
from ..reference import activate as activate
from ..reference import activation_backward as activation_backward
from ..reference import bias_gradient as bias_gradient
from ..reference import delta_backward as delta_backward
from ..reference import dense_forward as dense_forward
from ..reference import gauss_newton as gauss_newton
from ..reference import lanes as lanes
from ..reference import loss_value as loss_value
from ..reference import output_delta as output_delta
from ..reference import plain_samples as plain_samples
from ..reference import solve_positive as solve_positive
from ..reference import solves_systems as solves_systems
from ..reference import update as update
from ..reference import weight_gradient as weight_gradient

class Trainer(_Trainer):
    @property
    def threads_in_use(self) -> int: ...

def isa() -> str: ...
def look_at_twister(bit_generator: Any) -> bool: ...
def shuffled(bit_generators: Any, orders: Any, count: int) -> Any: ...
def _vector_function(name: str, x: Any) -> Any: ...
def _contract(kind: str, name: Any) -> Any: ...
def _cpuid_caches() -> tuple[int, int, int]: ...
def _use_caches(sizes: tuple[int, int, int]) -> None: ...
