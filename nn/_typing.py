"""Types of annotations, as the kernels have them."""

from __future__ import annotations

from fastmlp.kernels import Array

__all__ = ["Array"]
