"""PyTorch: what :mod:`fastmlp.interop.torch` is made of.

``classes`` derives from torch's classes, and so is imported when torch is there and wanted;
``modules`` makes modules of networks, ``tracing`` networks of modules, ``optimizers`` carries the
state of optimizers over.
"""

from typing import Any

from .._libraries import Library

torch: Any = Library("torch", "fastmlp.interop.torch")
nn: Any = Library("torch.nn", "fastmlp.interop.torch")
