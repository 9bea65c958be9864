"""Classes of ours derived from torch's. Importing this file needs torch."""

from __future__ import annotations

from typing import Any

from fastmlp.kernels import CustomActivation

from .._libraries import need
from .._steps import steps_of

torch = need("torch", "fastmlp.interop.torch")
#: Under names, because a type checker takes no attribute of a value for a class.
_TorchModule: Any = torch.nn.Module
_TorchFunction: Any = torch.autograd.Function

#: Where pickles look for these classes.
PUBLIC = "fastmlp.interop.torch"

#: Operations that torch names or composes otherwise.
_FUNCTIONS: dict[str, Any] = {
    "rint": lambda x: torch.round(x),
    "power": lambda x, y: torch.pow(x, y),
    "clip": lambda x, low, high: torch.minimum(torch.maximum(x, low), high),
}


def _function(operation: str) -> Any:
    return _FUNCTIONS.get(operation) or getattr(torch, operation)


class Expression(_TorchModule):  # type: ignore[misc]
    """An activation that torch has no module for, step by step from its expression.

    Parameters
    ----------
    activation : str or CustomActivation
        What it computes.
    """

    __module__ = PUBLIC

    def __init__(self, activation: str | CustomActivation) -> None:
        super().__init__()
        self.steps = steps_of(activation, "PyTorch")

    def forward(self, z: Any) -> Any:
        """``σ(z)``.

        Parameters
        ----------
        z : torch.Tensor
            Pre-activations, of any shape.

        Returns
        -------
        torch.Tensor
            ``σ(z)``.
        """
        values = [z]
        for step in self.steps.steps:
            if step.operation == "constant":
                values.append(torch.as_tensor(step.values[0], dtype=z.dtype, device=z.device))
            else:
                operands = [values[i] for i in step.operands]
                values.append(_function(step.operation)(*operands))
        return torch.broadcast_to(values[self.steps.outputs[0]], z.shape)


class Exp(_TorchModule):  # type: ignore[misc]
    __module__ = PUBLIC

    def forward(self, z: Any) -> Any:
        return torch.exp(z)


class _Function(_TorchFunction):  # type: ignore[misc]
    """``Y = f(X; parameters)`` with the network's own derivative."""

    @staticmethod
    def forward(ctx: Any, x: Any, parameters: Any, net: Any) -> Any:
        ctx.net = net
        ctx.save_for_backward(x, parameters)
        return torch.from_numpy(net.predict(x.detach().numpy()))

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator,unused-ignore]
    def backward(ctx: Any, d_y: Any) -> Any:
        x, _ = ctx.saved_tensors
        d_x, gradient = ctx.net.vjp(x.detach().numpy(), d_y.contiguous().numpy(), parameters=True)
        return torch.from_numpy(d_x), torch.from_numpy(gradient), None


class Module(_TorchModule):  # type: ignore[misc]
    """A network of this package as a module of torch, on the CPU.

    Outputs come from the network's kernels, and gradients by inputs and parameters too.
    Parameters are one vector, ``flat``, which shares its memory with ``net.parameters``: steps
    of torch's optimizers and of ``net.fit`` act on the same numbers.

    Parameters
    ----------
    net : MLP
        What it shares its parameters with.

    Examples
    --------
    >>> import torch                                            # doctest: +SKIP
    >>> module = Module(MLP([4, 8, 1]))                         # doctest: +SKIP
    >>> optimizer = torch.optim.Adam(module.parameters())       # doctest: +SKIP
    """

    __module__ = PUBLIC

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        self.flat = torch.nn.Parameter(torch.from_numpy(net.parameters))

    def forward(self, x: Any) -> Any:
        """Values of the output layer, ``(n, n_out)``.

        Parameters
        ----------
        x : (n, n_in) torch.Tensor
            Rows, of the network's dtype.

        Returns
        -------
        (n, n_out) torch.Tensor
            With gradients.
        """
        self._share()
        if x.dtype != self.flat.dtype:
            raise TypeError(f"rows must be {self.flat.dtype} like the network, got {x.dtype}")
        return _Function.apply(x, self.flat, self.net)

    def _share(self) -> None:
        """Make the parameters one memory again, after a copy: torch's count."""
        flat, own = self.flat, self.net.parameters
        if flat.device.type != "cpu":
            raise ValueError(
                f"the network computes on the CPU, its parameters are on {flat.device}"
            )
        if flat.data_ptr() == own.ctypes.data:
            return
        if flat.dtype != torch.from_numpy(own).dtype:
            raise TypeError(
                f"parameters must stay {own.dtype} like the network, got {flat.dtype}; make "
                "the network in the dtype that is wanted"
            )
        own[...] = flat.detach().numpy()
        flat.data = torch.from_numpy(own)
