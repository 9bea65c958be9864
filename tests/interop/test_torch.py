"""PyTorch: modules out and in, our kernels inside of it, and state of its optimizers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from fastmlp import MLP, activations, from_torch, kernels

torch = pytest.importorskip("torch")
from fastmlp.interop import torch as bridge  # noqa: E402

nn, functional = torch.nn, torch.nn.functional
#: Largest difference of outputs and gradients, as a share of the largest value.
BOUND = {"float32": 2e-6, "float64": 1e-12}


def network(activation, output, dtype, rng, sizes=(5, 9, 7, 3)):
    net = MLP(sizes, activation, output, dtype=dtype, random_state=1)
    net.biases = [rng.normal(size=b.shape) for b in net.biases]
    return net


def difference(found, expected):
    found = found.detach().numpy() if hasattr(found, "detach") else found
    assert found.dtype == expected.dtype
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_out_and_in_and_gradients(activation, dtype, rng):
    place = kernels.ACTIVATIONS.index(activation) + (dtype == np.float64)
    net = network(activation, kernels.OUTPUTS[place % 4], dtype, rng)
    module = net.to_torch()
    x = torch.from_numpy(rng.normal(size=(20, 5)).astype(dtype)).requires_grad_()
    d_y = torch.from_numpy(rng.normal(size=(20, 3)).astype(dtype))
    y = module(x)
    assert difference(y, net.predict(x.detach().numpy())) <= BOUND[dtype.name]
    back = from_torch(module)
    assert back.architecture == net.architecture
    assert np.array_equal(back.parameters, net.parameters)
    # The same gradients by our kernels, inside of torch.
    theirs = torch.autograd.grad(
        y, [x, module[0].weight, module[-2 if len(module) % 2 == 0 else -1].bias], d_y
    )
    ours = bridge.Module(net)
    d_x, flat = torch.autograd.grad(ours(x), [x, ours.flat], d_y)
    weights, biases = net.architecture.views(flat.numpy())
    for found, expected in zip((d_x, weights[0].T, biases[-1]), theirs, strict=True):
        assert difference(found, expected.numpy()) <= 5 * BOUND[dtype.name]


def test_custom_activations(dtype, rng):
    custom = activations.custom(
        lambda z: np.where(z > 0, np.sin(z) * np.square(z), np.expm1(np.clip(z, -2, 3))), name="odd"
    )
    net = network(custom, "softmax", dtype, rng)
    x = rng.normal(size=(20, 5)).astype(dtype)
    with kernels.use_backend("reference"):
        expected = net.predict(x)
    assert difference(net.to_torch()(torch.from_numpy(x)), expected) <= BOUND[dtype.name]


def test_our_module_learns_with_optimizers_of_torch_and_of_ours(rng):
    x = torch.from_numpy(rng.normal(size=(64, 5)))
    y = torch.sin(x[:, :1])
    net = network("tanh", "identity", np.float64, rng, (5, 16, 1))
    twin = net.to_torch()
    module = bridge.Module(net)
    for parameters, model in ((module.parameters(), module), (twin.parameters(), twin)):
        optimizer = torch.optim.SGD(parameters, 0.1)
        for _ in range(20):
            optimizer.zero_grad()
            loss = functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
    assert np.allclose(net.weights[0], twin[0].weight.detach().numpy().T, rtol=1e-10)
    before = module(x).detach().numpy()
    net.fit(x.numpy(), y.numpy(), epochs=1)
    assert not np.array_equal(module(x).detach().numpy(), before)
    assert np.array_equal(module(x).detach().numpy(), net.predict(x.numpy()))


def test_copies_and_states_of_our_module(rng):
    x = torch.from_numpy(rng.normal(size=(4, 5)).astype(np.float32))
    module = bridge.Module(network("relu", "identity", np.float32, rng))
    other = copy.deepcopy(module)
    assert torch.equal(other(x), module(x))
    with torch.no_grad():
        other.flat.mul_(0)
    assert not other(x).any()
    assert not other.net.parameters.any()
    assert module(x).any()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), module(x))
    with pytest.raises(TypeError, match=r"rows must be torch\.float32"):
        module(x.double())
    with pytest.raises(TypeError, match="must stay float32"):
        module.double()(x)


# From modules


class Functions(nn.Module):
    """Layers as attributes, activations as functions."""

    def __init__(self, apply):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 2, bias=False)
        self.apply_it = apply

    def forward(self, x):
        return torch.softmax(self.second(self.apply_it(self.first(x))), dim=-1)


@pytest.mark.parametrize(
    ("apply", "name"),
    [
        (torch.relu, "relu"),
        (lambda z: z.tanh(), "tanh"),
        (lambda z: z * torch.sigmoid(z), "silu"),
        (lambda z: functional.gelu(z, approximate="tanh"), "gelu_tanh"),
        (lambda z: torch.where(z > 0, z, 0.01 * z), "leaky_relu"),
        (lambda z: functional.dropout(z.clamp(-1, 1), 0.5, False), "hardtanh"),
        (lambda z: z, "identity"),
    ],
)
def test_functions_between_layers(apply, name, rng):
    module = Functions(apply)
    net = from_torch(module)
    assert net.architecture.activations == (name,)
    assert net.architecture.output == "softmax"
    x = rng.normal(size=(9, 4)).astype(np.float32)
    assert difference(module(torch.from_numpy(x)), net.predict(x)) <= 1e-6


def test_nested_modules_with_dropout_and_flatten(rng):
    module = nn.Sequential(
        nn.Flatten(), nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.ELU()), nn.Linear(3, 1)
    )
    module.train()
    assert from_torch(module).architecture.activations == ("elu",)
    assert module.training
    assert from_torch(nn.Linear(3, 2).double()).dtype == np.float64
    assert from_torch(nn.Linear(3, 2).half(), np.float64).dtype == np.float64


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: nn.Sequential(nn.Conv1d(1, 1, 1)), "comes before the first linear layer"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)), "_1'"),
        (
            lambda: nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.2), nn.Linear(2, 1)),
            "no activation",
        ),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.Tanh()), "'tanh' after .* output layer"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=0)), "_1'"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=1), nn.Linear(2, 1)), "'softmax'"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.LogSoftmax(dim=1)), "_1'"),
        (lambda: Functions(lambda z: z if z.sum() > 0 else -z), "cannot trace"),
        (lambda: nn.Sequential(nn.ReLU()), "first linear layer|at least one"),
    ],
)
def test_what_is_no_chain_is_refused(module, message):
    with pytest.raises(ValueError, match=f"cannot be read as a network: .*({message})"):
        from_torch(module())


def test_what_is_no_module():
    with pytest.raises(TypeError, match=r"takes a torch\.nn\.Module, got list"):
        from_torch([1])


# State of optimizers


@pytest.mark.parametrize("kind", ["Adam", "AMSGrad", "SGD"])
def test_training_goes_on_across_the_border(kind, rng):
    x, y = rng.normal(size=(16, 5)), rng.normal(size=(16, 3))
    net = network("tanh", "identity", np.float64, rng)
    module = net.to_torch()
    make, rule = {
        "Adam": (lambda p: torch.optim.Adam(p, 0.01), kernels.UpdateRule("adam")),
        "AMSGrad": (
            lambda p: torch.optim.Adam(p, 0.01, amsgrad=True),
            kernels.UpdateRule("amsgrad"),
        ),
        "SGD": (
            lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
            kernels.UpdateRule("momentum", {"momentum": 0.9}),
        ),
    }[kind]
    optimizer = make(module.parameters())

    def torch_steps(n):
        for _ in range(n):
            optimizer.zero_grad()
            loss = 0.5 * (module(torch.from_numpy(x)) - torch.from_numpy(y)).square().sum(1).mean()
            loss.backward()
            optimizer.step()

    def our_steps(parameters, moments, step, n):
        trainer = kernels.trainer(
            net.architecture, np.float64, loss="squared_error", update_rule=rule, batch_size=16
        )
        trainer.load(parameters, moments, step)
        for _ in range(n):
            trainer.run_epoch(x, y, None, 0.01)
        trainer.store(parameters, moments)
        return parameters, moments, trainer.step

    found, step = bridge.moments(optimizer, module)
    assert not found.any()
    assert step == 0
    torch_steps(3)
    moments, step = bridge.moments(optimizer, module)
    parameters = from_torch(module).parameters.copy()
    parameters, moments, step = our_steps(parameters, moments, max(step, 3), 4)
    torch_steps(4)
    assert np.allclose(from_torch(module).parameters, parameters, rtol=1e-9, atol=1e-12)
    # And back: torch goes on with our state.
    assert np.allclose(bridge.moments(optimizer, module)[0], moments, rtol=1e-9, atol=1e-12)
    bridge.set_moments(optimizer, module, moments, step)
    torch_steps(2)
    parameters, *_ = our_steps(parameters, moments, step, 2)
    assert np.allclose(from_torch(module).parameters, parameters, rtol=1e-9, atol=1e-12)


def test_wrong_optimizers_and_states(rng):
    module = network("relu", "identity", np.float32, rng).to_torch()
    with pytest.raises(TypeError, match="Adam, AdamW or SGD, got Adagrad"):
        bridge.moments(torch.optim.Adagrad(module.parameters()), module)
    optimizer = torch.optim.Adam(module.parameters())
    with pytest.raises(ValueError, match=r"moments must have shape \(2, \d+\), got \(1, 3\)"):
        bridge.set_moments(optimizer, module, np.ones((1, 3)), 1)
    dampened = torch.optim.SGD(module.parameters(), momentum=0.9, dampening=0.1)
    with pytest.raises(ValueError, match="no dampening"):
        bridge.moments(dampened, module)


def test_batches_of_a_loader_are_trained_on(rng):
    x = rng.normal(size=(70, 3)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    rows = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    parameters = []
    for given in ((torch.utils.data.DataLoader(rows, batch_size=9),), (x, y)):
        net = MLP([3, 4, 1], output="sigmoid", random_state=0)
        net.fit(*given, shuffle=False, epochs=2)
        parameters.append(net.parameters)
    assert np.array_equal(*parameters)
