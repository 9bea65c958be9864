"""Computation graphs and automatic differentiation of functions written in NumPy.

=================================== =============================================================
``grad(f)``, ``value_and_grad(f)``  functions that compute derivatives; ``grad(grad(f))`` too
``trace(f, *example)``              the :class:`Graph` of a function: print it, evaluate it,
                                    ``backward()``, ``to_dot()``, ``plot()``
``label(x, name)``                  a name for a node in print and pictures
``supported()``                     NumPy's functions that a traced function may use
=================================== =============================================================

>>> import numpy as np
>>> from fastmlp.autodiff import grad, trace
>>> loss = lambda w: np.sum((np.array([[1.0, 2.0], [3.0, 4.0]]) @ w - 1.0) ** 2)
>>> grad(loss)(np.array([0.5, 0.5]))
array([16., 22.])

Where a function has a kink its derivative is this subgradient:

===============================  =================================================================
``abs``, ``hypot`` at 0          0
``maximum``, ``minimum``         half to each of two equal operands
``max``, ``min``                 equal shares to all largest (smallest) elements
``clip``                         1 on the bounds, as inside
``sign``, ``floor``, ``ceil``,   0 everywhere
``rint``, ``trunc``
===============================  =================================================================

``np.where`` decides kinks in another way where that is wanted, and the branch that is not taken has
no say: ``np.where(x > 0, np.log(x), 0)`` has derivative 0 at 0. ``log(1 + exp(x))`` and
``1 / (1 + exp(-x))`` do not overflow in a graph.

How the files relate, in the order to read them: ``_operations`` is the table of values and
derivative rules; ``_node`` traces NumPy's calls into nodes, with NumPy's functions by
``_functions`` and simpler nodes by ``_simplify``; ``_backward`` is the reverse sweep, ``grad`` on
top of it; ``_graph`` is what ``trace`` returns, shown by ``_text`` and ``_draw``. ``_program``
turns a graph into the straight-line code that the kernels compile.
"""

from ._backward import grad, value_and_grad
from ._functions import supported
from ._graph import Graph, label, trace

__all__ = ["Graph", "grad", "label", "supported", "trace", "value_and_grad"]
