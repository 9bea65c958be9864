"""Schedules: how the learning rate changes while a network trains.

A schedule makes the rates of a run from the optimizer's learning rate ``η``. It holds constants
only, so one object may be used in any number of fits, and it is one small class that
states its formula: ``fit(optimizer=SGD(0.1), learning_rate=schedules.Cosine())``, or by name,
``learning_rate="cosine"``.

=====================  ======================================================================
class                  learning rate at time ``t``
=====================  ======================================================================
``Constant``           ``η``
``InverseScaling``     ``η / (t + 1)^power_t``
``InverseTime``        ``η / (1 + decay_rate t / decay_steps)``, with the defaults ``η / (1 + t)``
``Step``               ``η gamma^⌊t / step_size⌋``
``Exponential``        ``η decay_rate^(t / decay_steps)``
``Cosine``             half a cosine from ``η`` to ``alpha η``
``OneCycle``           from ``η / div_factor`` up to ``η`` and far down again
``Warmup``             a linear rise to ``η``, then another schedule
``ReduceOnPlateau``    ``η`` times ``factor`` for every plateau so far
``Factor``             ``η`` times what a function of ``t`` returns
``Rate``               what a function of ``t`` returns: how a plain function is taken
=====================  ======================================================================

Time ``t`` starts at 0 and counts finished epochs (``every="epoch"``), or updates of the weights
(``every="step"``). Schedules by the step cost nothing more: the engine takes all rates of an epoch
at once.

``_schedule.py`` says what a schedule is, ``_decays.py`` holds those of one formula, ``_shapes.py``
those with several parts.
"""

from ._decays import Constant, Cosine, Exponential, InverseScaling, InverseTime, Step
from ._schedule import Schedule
from ._shapes import Factor, Function, OneCycle, Rate, ReduceOnPlateau, Warmup, get

#: The schedule of a fit that asks for none.
CONSTANT = Constant()

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "Factor",
    "Function",
    "InverseScaling",
    "InverseTime",
    "OneCycle",
    "Rate",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "Warmup",
    "get",
]
