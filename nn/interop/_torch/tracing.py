"""Networks made of modules of PyTorch, whatever form they have."""

from __future__ import annotations

import copy
from typing import Any

from ..._typing import Array
from .._chain import Layer, recognise, to_network
from . import nn, torch


def from_module(module: Any, dtype: Any = None) -> Any:
    """A network from a module of PyTorch.

    Parameters
    ----------
    module : torch.nn.Module
        A chain of ``Linear`` layers, with elementwise activations between, as modules or functions;
        ``Dropout``, ``Identity`` and ``Flatten`` are passed over. ``forward`` may be anything that
        ``torch.fx`` can trace.
    dtype : numpy.float32 or numpy.float64, optional
        By default that of the weights.

    Returns
    -------
    MLP
        With copies of the parameters.

    Raises
    ------
    ValueError
        For anything else, with the name of the layer.
    TypeError
        For what is no module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"from_torch takes a torch.nn.Module, got {type(module).__name__}")
    if isinstance(module, nn.Linear):
        module = nn.Sequential(module)
    module = copy.deepcopy(module).cpu().eval()
    try:
        graph = torch.fx.symbolic_trace(module).graph
    except Exception as error:  # whatever a forward may raise for a proxy
        raise ValueError(
            f"{type(module).__name__} cannot be read as a network: torch.fx cannot trace its "
            f"forward ({error})"
        ) from error
    try:
        return to_network(_layers(module, list(graph.nodes)), dtype)
    except ValueError as error:
        raise ValueError(f"{type(module).__name__} cannot be read as a network: {error}") from error


def _layers(module: Any, nodes: list[Any]) -> list[Layer]:
    parts = dict(module.named_modules())
    inputs = [node for node in nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise ValueError(f"forward must have one input, got {len(inputs)}")
    layers: list[Layer] = []
    start = inputs[0]
    between: list[Any] = []
    for node in nodes:
        if node.op in ("placeholder", "get_attr"):
            continue
        linear = node.op == "call_module" and isinstance(parts[node.target], nn.Linear)
        if node.op == "output" or linear:
            end = node.args[0]
            _close(layers, parts, module, start, between, end)
            if node.op == "output":
                break
            layer = parts[node.target]
            weights = _array(layer.weight).T
            bias = None if layer.bias is None else _array(layer.bias)
            layers.append(Layer(weights, bias, where=f"layer {node.target!r}"))
            start, between = node, []
        else:
            between.append(node)
    return layers


def _array(tensor: Any) -> Array:
    values = tensor.detach()
    if values.dtype not in (torch.float32, torch.float64):
        values = values.float()
    array: Array = values.numpy().copy()
    return array


def _close(
    layers: list[Layer], parts: Any, module: Any, start: Any, between: list[Any], end: Any
) -> None:
    """Find what lies between two linear layers, or after the last."""
    computing = [node for node in between if not _passes(node, parts)]
    shown = ", ".join(f"{node.name!r}" for node in computing[:6])
    if not layers:
        if computing:
            raise ValueError(f"{shown} comes before the first linear layer")
        return
    if not computing:
        if end not in (start, *between):
            raise ValueError(f"{end} is not what the layer before computes")
        return
    softmax = [node for node in computing if _is_softmax(node, parts)]
    if softmax:
        if len(computing) > 1:
            raise ValueError(f"{shown} is not understood beside a softmax")
        layers[-1].activation = "softmax"
        return

    def values(z: Array) -> Array:
        env: dict[Any, Any] = {start: torch.from_numpy(z).double().reshape(-1, 1)}
        interpreter = torch.fx.Interpreter(module, graph=start.graph)
        interpreter.env = env
        try:
            for node in start.graph.nodes:
                if node.op == "get_attr" or node in between:
                    env[node] = interpreter.run_node(node)
            result = env[end]
        except KeyError as error:
            raise ValueError(f"{shown} needs more than the layer before computes") from error
        except Exception as error:
            raise ValueError(f"{shown} cannot be evaluated: {error}") from error
        found: Array = torch.as_tensor(result).double().detach().numpy().reshape(z.shape)
        return found

    name = recognise(values)
    if name is None:
        raise ValueError(f"{shown}: no activation of this package has these values")
    layers[-1].activation = name


def _passes(node: Any, parts: Any) -> bool:
    kinds = (nn.Dropout, nn.AlphaDropout, nn.Identity, nn.Flatten)
    if node.op == "call_module":
        return isinstance(parts[node.target], kinds)
    return node.op == "call_function" and node.target in (
        nn.functional.dropout,
        torch.flatten,
        torch.nn.functional.alpha_dropout,
    )


def _is_softmax(node: Any, parts: Any) -> bool:
    """A softmax over the last axis; over another it is no activation."""
    if node.op == "call_module" and isinstance(parts[node.target], nn.Softmax):
        return parts[node.target].dim in (1, -1, None)
    functions = (torch.softmax, nn.functional.softmax)
    if (node.op == "call_function" and node.target in functions) or (
        node.op == "call_method" and node.target == "softmax"
    ):
        dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        return dim in (1, -1)
    return False
