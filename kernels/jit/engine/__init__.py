"""A call or a training run put together from memory, kernels and passes.

``workspace`` is the memory and plan of a network and batch, ``functions`` says which kernels
compute its activations and losses, ``operands`` what a job is given. ``prepared_calls`` keeps
workspaces for calls on arrays of known shapes; ``elements`` runs elementwise kernels without one.
``entrances`` are the functions that look at the arrays of either: all that Numba compiles.
"""
