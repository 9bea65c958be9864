"""Colours, and what all pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes

INK, GRID = "#333333", "#E3E3E3"
#: Colours of lines and classes, told apart also by people who see few colours (Okabe and Ito,
#: "Color universal design", 2008, in an order of ours).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C8C8C")
#: For classes beyond them, such as ten digits.
MORE_COLOURS = ("#5C3D1E", "#B6C800")
TRAINING, VALIDATION = COLOURS[0], COLOURS[1]


def __getattr__(name: str) -> Any:
    """``Axes`` of annotations, which are evaluated where matplotlib is there."""
    if name != "Axes":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from matplotlib.axes import Axes

    return Axes


def pyplot() -> Any:
    """matplotlib's pyplot.

    Raises
    ------
    ImportError
        Where it is not installed, naming the extra.
    """
    try:
        from matplotlib import pyplot as module
    except ImportError as error:
        raise ImportError("fastmlp.plot needs matplotlib: pip install 'fastmlp[plot]'") from error
    return module


def class_colours(n: int) -> list[Any]:
    """A colour for each of ``n`` classes."""
    if n <= len(COLOURS) + len(MORE_COLOURS):
        return [*COLOURS, *MORE_COLOURS][:n]
    return list(pyplot().get_cmap("turbo")(np.linspace(0.03, 0.97, n)))


def axes(ax: Axes | None, size: tuple[float, float] = (6.4, 4.6)) -> Axes:
    """The axes that are given, or those of a new figure of this size in inches."""
    if ax is not None:
        return ax
    new: Axes = pyplot().subplots(figsize=size, dpi=120, layout="constrained")[1]
    return new


def panels(columns: int, size: tuple[float, float]) -> list[Axes]:
    """Axes beside each other on a new figure."""
    _, found = pyplot().subplots(1, columns, figsize=size, dpi=120, layout="constrained")
    return [found] if columns == 1 else list(found)


def dress(ax: Axes, title: str = "", x: str = "", y: str = "", grid: bool = True) -> None:
    """Give axes their title, labels and quiet frame."""
    if title:
        entitle(ax, title)
    ax.set_xlabel(x, color=INK)
    ax.set_ylabel(y, color=INK)
    if grid:
        ax.grid(color=GRID, lw=0.8)
        ax.set_axisbelow(True)
    ax.tick_params(which="both", colors=INK, length=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GRID)


def entitle(ax: Axes, title: str) -> None:
    """Give axes their title."""
    ax.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold")


def dress_plane(
    ax: Axes, labels: tuple[str, str], x: tuple[float, float], y: tuple[float, float]
) -> None:
    """Give a picture that fills its axes their labels, limits and quiet frame."""
    dress(ax, x=labels[0], y=labels[1], grid=False)
    ax.set(xlim=x, ylim=y)


def whole_numbers(ax: Axes) -> None:
    """Ticks of the x axis at whole numbers only, such as epochs."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def colour_bar(ax: Axes, colours: Any, label: str = "", **options: Any) -> None:
    """A slim scale of colours beside the axes, without a frame."""
    bar = ax.figure.colorbar(colours, ax=ax, pad=0.02, aspect=30, **options)
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)  # type: ignore[operator,unused-ignore]
    bar.ax.tick_params(colors=INK, length=0)


def legend(ax: Axes, **options: Any) -> None:
    """A legend without a frame."""
    ax.legend(frameon=False, labelcolor=INK, **options)
