"""Stop rules: when training is to end before its last epoch.

``fit(stop=stopping.EarlyStopping(patience=20))``, by name, ``stop="early_stopping"``, or several in
a list, of which the first that holds ends the run; ``history.stop_reason`` says which.

===================  ============================================  ===============================
``stop_reason``      training stopped because                      rule
===================  ============================================  ===============================
``epochs``           all epochs are done                           always
``non_finite_loss``  the loss became NaN or infinite               always
``callback``         a callback returned ``True``                  always
``interrupted``      an exception, such as Ctrl-C, ended it        always
``gradient_norm``    ``‖∇C‖ ≤ epsilon``                            :class:`GradientNorm`
``step_norm``        ``η ‖∇C‖ < theta``                            :class:`StepNorm`
``plateau``          the training loss has stopped falling         :class:`Plateau`
``early_stopping``   a validation score or loss did not improve    :class:`EarlyStopping`
``time_limit``       the time limit was reached                    :class:`TimeLimit`
``line_search``      no step along the search direction lowers     an optimizer with line search
                     the loss: it is at a minimum, up to rounding
===================  ============================================  ===============================

Rules hold constants only; a run watches by :meth:`StopRule.watch`. They look at a run after each
epoch. A value that is not a number never counts as an improvement.

``_rules.py`` holds the rules, ``_watches.py`` what each of them remembers of a run.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import _naming
from ._rules import EarlyStopping, GradientNorm, Plateau, StepNorm, StopRule, TimeLimit

__all__ = [
    "EarlyStopping",
    "GradientNorm",
    "Plateau",
    "StepNorm",
    "StopRule",
    "TimeLimit",
    "get",
]


def get(stop: str | StopRule | Iterable[str | StopRule] | None) -> list[StopRule]:
    """Return the rules that are named or given, one or several.

    Parameters
    ----------
    stop : str, StopRule, several of them, or None
        As ``fit(stop=…)`` takes them.

    Returns
    -------
    list of StopRule
        In the order given; empty for ``None``.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything that is no rule.

    Examples
    --------
    >>> from fastmlp import stopping
    >>> [type(rule).__name__ for rule in stopping.get(["plateau", stopping.TimeLimit(60)])]
    ['Plateau', 'TimeLimit']
    """
    if stop is None:
        return []
    if isinstance(stop, (str, StopRule)) or not isinstance(stop, Iterable):
        stop = [stop]
    rules: list[StopRule] = []
    for rule in stop:
        if isinstance(rule, StopRule):
            rules.append(rule)
        elif not isinstance(rule, str):
            raise TypeError(
                "a stop rule must be a name or an object such as "
                f"fastmlp.stopping.EarlyStopping(), got {rule!r}"
            )
        else:
            known = StopRule.registry
            rules.append(known[_naming.find("stop", rule, known, "fastmlp.stopping")]())
    return rules
