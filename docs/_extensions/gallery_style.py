"""What all pictures of the gallery share: sizes, quiet axes, colours for colour-blind people."""

from __future__ import annotations

from typing import Any

from cycler import cycler
from fastmlp.plot import _style


def reset(gallery_conf: dict[str, Any], name: str) -> None:
    """Set matplotlib's defaults before each example."""
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=_style.COLOURS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 12,
            "axes.titleweight": "bold",
            "axes.labelsize": 12,
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "figure.figsize": (7.2, 4.6),
            "font.size": 11,
            "image.cmap": "viridis",
            "legend.frameon": False,
            "lines.linewidth": 2,
        }
    )
