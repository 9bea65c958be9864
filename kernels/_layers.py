"""The equations of backpropagation for one layer, on the live backend."""

from __future__ import annotations

from . import _chooser
from ._custom_activation import CustomActivation
from ._specs import Loss
from ._typing import Array


def dense_forward(
    x: Array,
    weights: Array,
    bias: Array,
    activation: str | CustomActivation = "identity",
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Forward pass of one layer, ``σ(x W + b)``.

    Parameters
    ----------
    x : (n, n_in) array
        Rows of the layer's input.
    weights : (n_in, n_out) array
        ``W``.
    bias : (n_out,) array
        ``b``.
    activation : str
        One of ``ACTIVATIONS`` or ``OUTPUTS``.
    out : (n, n_out) array, optional
        Where to write the result; it must not overlap an input.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    (n, n_out) array
        Outputs ``a`` of the layer; ``out`` where it was given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> x, W, b = np.array([[1.0, 2.0]]), np.array([[1.0, -1.0], [1.0, 0.0]]), np.zeros(2)
    >>> kernels.dense_forward(x, W, b, "relu")
    array([[3., 0.]])
    """
    return _chooser.active().dense_forward(
        x, weights, bias, activation, out=out, n_threads=n_threads
    )


def activate(
    z: Array,
    activation: str | CustomActivation,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Apply an activation to scores, ``σ(z)``.

    Parameters
    ----------
    z : (n, n_out) array
        Scores, before the activation.
    activation : str
        One of ``ACTIVATIONS`` or ``OUTPUTS``; ``"softmax"`` goes over each row.
    out : (n, n_out) array, optional
        Where to write the result; it must not overlap an input.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    (n, n_out) array
        Outputs ``a``; ``out`` where it was given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> kernels.activate(np.array([[-1.0, 2.0]]), "relu")
    array([[0., 2.]])
    """
    return _chooser.active().activate(z, activation, out=out, n_threads=n_threads)


def activation_backward(
    delta: Array,
    activations: Array,
    activation: str | CustomActivation,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Hadamard product of an error with the derivative, ``delta ⊙ σ'(z)``.

    Parameters
    ----------
    delta : (n, n_out) array
        ``∂C/∂a``, the error behind the activation.
    activations : (n, n_out) array
        The activation's output ``σ(z)``, from which σ' is computed; for the activations of
        ``NEED_SCORES`` the scores ``z`` themselves.
    activation : str
        One of ``ACTIVATIONS``.
    out : (n, n_out) array, optional
        Where to write the result; it must not overlap an input.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    (n, n_out) array
        ``∂C/∂z``, the error before the activation; ``out`` where it was given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> a = kernels.activate(np.array([[-1.0, 2.0]]), "relu")
    >>> kernels.activation_backward(np.ones((1, 2)), a, "relu")
    array([[0., 1.]])
    """
    return _chooser.active().activation_backward(
        delta, activations, activation, out=out, n_threads=n_threads
    )


def output_delta(
    scores: Array,
    target: Array,
    loss: str | Loss,
    output: str,
    *,
    sample_weight: Array | None = None,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Error of the output layer, ``δ^L = ∂C/∂z`` of each row (not divided by the rows).

    Parameters
    ----------
    scores : (n, n_out) array
        ``z^L``, before the output activation.
    target : (n, n_out) array or (n,) array of int
        Values, or class labels ``0 … n_out - 1``.
    loss : str or Loss
        One of ``LOSSES``; ``LOSS_OUTPUTS`` says for which outputs each is defined. Formulas are in
        :mod:`fastmlp.kernels.reference.losses`.
    output : str
        Output activation.
    sample_weight : (n,) array, optional
        Factor of each row.
    out : (n, n_out) array, optional
        Where to write the result; it must not overlap an input.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    (n, n_out) array
        ``a - y`` for the pairs (cross-entropy, softmax), (binary cross-entropy, sigmoid) and
        (squared error, identity); else ``∇_a C ⊙ σ'(z)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> scores = np.array([[2.0, 2.0]])
    >>> kernels.output_delta(scores, np.array([1]), "cross_entropy", "softmax")
    array([[ 0.5, -0.5]])
    """
    return _chooser.active().output_delta(
        scores,
        target,
        loss,
        output,
        sample_weight=sample_weight,
        out=out,
        n_threads=n_threads,
    )


def loss_value(
    scores: Array,
    target: Array,
    loss: str | Loss,
    output: str,
    *,
    sample_weight: Array | None = None,
    n_threads: int | None = None,
) -> float:
    """Mean loss over the rows, computed from the scores.

    Parameters
    ----------
    scores : (n, n_out) array
        ``z^L``, before the output activation.
    target : (n, n_out) array or (n,) array of int
        Values, or class labels ``0 … n_out - 1``.
    loss : str or Loss
        One of ``LOSSES``: ``"squared_error"``, for example, is ``½ ‖a - y‖²``, and
        ``"cross_entropy"`` ``Σ y (log Σ exp z - z)``. All formulas are in
        :mod:`fastmlp.kernels.reference.losses`.
    output : str
        Output activation.
    sample_weight : (n,) array, optional
        The result is ``Σ w C / Σ w``, and zero where all weights are.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    float
        Weighted mean over the rows; 0 for no rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> scores = np.array([[2.0, 2.0]])
    >>> round(kernels.loss_value(scores, np.array([1]), "cross_entropy", "softmax"), 4)
    0.6931
    """
    return _chooser.active().loss_value(
        scores, target, loss, output, sample_weight=sample_weight, n_threads=n_threads
    )


def delta_backward(
    delta: Array,
    weights: Array,
    activations: Array,
    activation: str | CustomActivation,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Error of a hidden layer, ``(δ^(l+1) (W^(l+1))ᵀ) ⊙ σ'(z^l)``.

    Parameters
    ----------
    delta : (n, n_out) array
        Error of the layer above.
    weights : (n_in, n_out) array
        Weights of the layer above.
    activations : (n, n_in) array
        Output ``a^l`` of this layer; its scores ``z^l`` for the activations of ``NEED_SCORES``.
    activation : str
        Activation of this layer, one of ``ACTIVATIONS``.
    out : (n, n_in) array, optional
        Where to write the result; it must not overlap an input.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    (n, n_in) array
        Error ``δ^l`` of this layer; ``out`` where it was given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> delta, W, a = np.array([[1.0]]), np.array([[3.0], [4.0]]), np.array([[0.0, 0.5]])
    >>> kernels.delta_backward(delta, W, a, "relu")
    array([[0., 4.]])
    """
    return _chooser.active().delta_backward(
        delta, weights, activations, activation, out=out, n_threads=n_threads
    )


def weight_gradient(
    x: Array, delta: Array, *, out: Array | None = None, n_threads: int | None = None
) -> Array:
    """Gradient of a weight matrix, the mean outer product ``xᵀ δ / n`` (zero for no rows).

    Parameters
    ----------
    x : (n, n_in) array
        Input of the layer.
    delta : (n, n_out) array
        Error of the layer.
    out : (n_in, n_out) array, optional
        Where to write the result; it must not overlap an input.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    (n_in, n_out) array
        ``∇W``; ``out`` where it was given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> a, delta = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [1.0]])
    >>> kernels.weight_gradient(a, delta)
    array([[2.],
           [3.]])
    """
    return _chooser.active().weight_gradient(x, delta, out=out, n_threads=n_threads)


def bias_gradient(delta: Array, *, out: Array | None = None, n_threads: int | None = None) -> Array:
    """Gradient of a bias, the mean ``Σ δ / n`` over rows (zero for no rows).

    Parameters
    ----------
    delta : (n, n_out) array
        Error of the layer.
    out : (n_out,) array, optional
        Where to write the result; it must not overlap an input.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    (n_out,) array
        ``∇b``; ``out`` where it was given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> kernels.bias_gradient(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([2., 3.])
    """
    return _chooser.active().bias_gradient(delta, out=out, n_threads=n_threads)
