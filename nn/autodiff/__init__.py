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

The files, in the order to read them. The first three are the engine, the next five make it
convenient, and the others show graphs (``fastmlp._graphs.program`` compiles them):

=================  ==========================================================================
``_operations``    the table: every operation's value and its derivative rules, side by side
``_node``          traced arrays: how NumPy's calls become nodes, equal ones only once
``_backward``      the sweep from a result to its inputs; ``grad`` and ``value_and_grad``
``_functions``     NumPy's functions by operations of the table: a new function goes there
``_dispatch``      the tables of these functions, where a node looks them up
``_simplify``      simpler nodes with the same value, and forms that do not overflow
``_finite``        the operation that is to blame for a derivative that is not finite
``_trace``         ``trace``, from a function to its graph
``_graph``         the graph: evaluated again, differentiated
``_text``          a graph as text
``_draw``          pictures, with boxes where ``_layout`` puts them
=================  ==========================================================================
"""

from . import _functions as _functions  # fills the tables of _dispatch
from ._backward import grad, value_and_grad
from ._dispatch import supported
from ._graph import Graph
from ._trace import label, trace

__all__ = ["Graph", "grad", "label", "supported", "trace", "value_and_grad"]
