"""The methods of networks and estimators that lead to other libraries and to files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self


class NetworkExports:
    """What :class:`fastmlp.MLP` has for other libraries."""

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        opset: int | None = None,
        output: str | Sequence[str] = "predict",
    ) -> Any:
        """Make an ONNX model of the network, in its dtype, for any number of rows.

        Parameters
        ----------
        path : path, optional
            Where to write it.
        opset : int, optional
            Version of ONNX's operators, 9 at least; by default 17, which all runtimes know.
        output : str or sequence of str, default "predict"
            Which methods' results it gives, under their names: ``"predict"``, ``"scores"``,
            ``"log_probabilities"``, ``"predict_classes"``, ``"predict_labels"``. Its input is
            ``X``.

        Returns
        -------
        onnx.ModelProto
            With weights inside.

        Raises
        ------
        ImportError
            Where onnx is not installed.
        ValueError
            For a custom activation without an expression, or an unknown output or version.

        Notes
        -----
        In float64 the graph holds only operators that onnxruntime computes in float64.
        """
        from ._onnx import export

        return export.network(self, path, opset=opset, output=output)

    def to_c(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        type: str | None = None,
        name: str | None = None,
        calibration: Any = None,
        self_test: Any = None,
        training: bool | str = False,
    ) -> Any:
        """Make a C99 header that predicts one row, without dependencies or allocation.

        It defines ``NAME_predict(const T *x, T *y)``, which may be called by any number of
        threads, and the macros ``NAME_N_IN``, ``NAME_N_OUT`` and ``NAME_SCRATCH``. Weights are
        hexadecimal floats: no digit is lost. The C code is linked with ``-lm``.

        Parameters
        ----------
        path : path, optional
            Where to write it.
        type : {"float32", "float64", "int8"}, optional
            By default the network's dtype. Of int8, inputs and outputs are floats.
        name : str, optional
            With which all names begin; by default the file's name, or ``net``.
        calibration : X or (X, y), for int8
            Rows as they will come: the scale of each layer is the largest value on them. With
            their classes the loss of accuracy is measured, too.
        self_test : X, optional
            Rows whose predictions are stored; ``NAME_self_test()`` returns the largest difference
            from them, as a share of the largest value.
        training : bool or {"sgd", "adam"}, default False
            Add ``NAME_training_init``, ``NAME_training_train(state, x, y, n, learning_rate)``, one
            step on the mean loss of n rows (``True`` is SGD), and ``NAME_training_now``, which
            predicts with what has been learnt. The loss is that of :meth:`fit` by default.

        Returns
        -------
        Header
            Its ``text``, and for int8 the ``loss`` on the calibration rows.

        Raises
        ------
        ValueError
            For wrong options, or a custom activation without an expression.

        Notes
        -----
        Sums go over the inputs in their order and begin with the bias, products are fused with
        sums, and activations have the formulas of the compiled backend: compiled by GCC or clang,
        a header gives the bits of :meth:`predict`, with any options but those below. On x86-64 it
        asks the processor for AVX2 and FMA if the compiler has not been told of them; 64-bit Arm
        has its own, and a Cortex-M with a floating-point unit fuses, too. Where no instruction
        does, float takes the way over double, double C's ``fma``, which is slow.

        ``-DFASTMLP_UNFUSED`` takes plain products there. ``-DFASTMLP_PLAIN_C``, and any other
        compiler, has plain loops and ``math.h``. Scores then differ by the rounding errors of
        their sums, some units in the last place of the largest term, and an output of
        exponentials by as many times the magnitude of its score. Training and int8 have no fused
        products.
        """
        from ._c import header

        return header.network(
            self,
            path,
            type=type,
            name=name,
            calibration=calibration,
            self_test=self_test,
            training=training,
        )

    def to_torch(self) -> Any:
        """Make a ``torch.nn.Sequential`` with copies of the network's weights.

        See :class:`fastmlp.interop.torch.Module` for this very network inside of torch.

        Returns
        -------
        torch.nn.Sequential
            On the CPU, in the network's dtype.

        Raises
        ------
        ImportError
            Where torch is not installed.
        """
        from . import torch

        return torch.to_module(self)

    def to_jax(self) -> tuple[Any, list[dict[str, Any]]]:
        """Return ``(f, parameters)``, with ``f(parameters, x)`` in JAX's own operations.

        ``parameters`` is a list of ``{"kernel": (n_in, n_out), "bias": (n_out,)}``, copies of the
        network's. See :func:`fastmlp.interop.jax.function` for our kernels inside of JAX.

        Returns
        -------
        tuple of a function and a list of dict
            What to compute, and from what.

        Raises
        ------
        ImportError
            Where jax is not installed.
        ValueError
            For a float64 network where JAX has only float32.
        """
        from . import jax

        return jax.to_function(self)

    def to_keras(self) -> Any:
        """Make a ``keras.Sequential`` of ``Dense`` layers with copies of the network's weights.

        Returns
        -------
        keras.Sequential
            In the network's dtype.

        Raises
        ------
        ImportError
            Where Keras is not installed.
        """
        from . import keras

        return keras.to_model(self)


class EstimatorExports:
    """What estimators have for other libraries and for files."""

    def to_onnx(
        self, path: str | os.PathLike[str] | None = None, *, opset: int | None = None
    ) -> Any:
        """Make an ONNX model of the fitted estimator, in the dtype of its parameters.

        Its input is ``X``. A classifier gives ``label`` and ``probabilities`` (``scores`` where the
        loss is one of margins), a regressor ``variable``, ``(n, n_outputs)``: the outputs of its
        network, several for each target where the loss has them. Classes are numbers, truth values
        or text; classes of any other type become their text.

        Parameters
        ----------
        path : path, optional
            Where to write it.
        opset : int, optional
            Version of ONNX's operators, 9 at least; by default 17.

        Returns
        -------
        onnx.ModelProto
            With weights inside.

        Raises
        ------
        ImportError
            Where onnx is not installed.
        ValueError
            Before ``fit``, or for a custom activation without an expression.

        Notes
        -----
        Pipelines convert by ``skl2onnx``: see :func:`fastmlp.interop.skl2onnx.register`.
        """
        from ._onnx import export

        return export.estimator(self, path, opset=opset)

    def to_sklearn(self) -> Any:
        """The scikit-learn estimator with equal parameters and fitted attributes.

        See :func:`fastmlp.from_sklearn` for the other direction.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            With copies.

        Raises
        ------
        ImportError
            Where scikit-learn is not installed.
        ValueError
            Where scikit-learn could not predict the same: it does not know the activation or the
            loss. Parameters of fastmlp that matter only while training are left out.
        """
        from ..estimators._sklearn import to_sklearn

        return to_sklearn.convert(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters, classes, weights and curves to a safetensors file, without pickle.

        :meth:`load` reads it, and ``MLP.load`` the network in it. The optimizer's state is not in
        it: ``partial_fit`` and warm starts begin with a fresh one.

        Parameters
        ----------
        path : str or path
            File to write.

        Raises
        ------
        ImportError
            Where safetensors is not installed (``pip install 'fastmlp[io]'``).
        ValueError
            Before ``fit``, or where a parameter is neither data nor an object of this package.
        """
        from ..estimators import _storage

        _storage.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an estimator that :meth:`save` has written.

        Parameters
        ----------
        path : str or path
            File to read.

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ValueError
            Where the file is damaged or holds another estimator. Nothing in it is executed.
        """
        from ..estimators import _storage

        found: Self = _storage.load(cls, path)
        return found
