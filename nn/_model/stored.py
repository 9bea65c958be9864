"""Preprocessing as text in the metadata of a model's file, which may come from a stranger.

Everything is compared with the network of the same file before anything is built of it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
from fastmlp.kernels import Architecture

from .._typing import Array
from ..datasets import Column
from ..datasets._dataset import pixel_columns
from ..datasets._text import DATE_FORMATS, NumberFormat, moment_of
from ..losses import GaussianNLL, Quantile
from .preprocessing import Preprocessing

VERSION = 1
_PARTS = ("offset", "scale", "target_offset", "target_scale")


def to_text(preprocessing: Preprocessing) -> str:
    """Write as JSON; pixels go by the image's shape."""
    columns = None
    if preprocessing.image_shape is None:
        columns = [_entries(column) for column in preprocessing.columns]
    return json.dumps(
        {
            "version": VERSION,
            "name": preprocessing.name,
            "task": preprocessing.task,
            "target_names": preprocessing.target_names,
            "target_columns": preprocessing.target_columns,
            "columns": columns,
            "image_shape": preprocessing.image_shape,
            **{name: np.asarray(getattr(preprocessing, name)).tolist() for name in _PARTS},
            **_of_loss(preprocessing.loss),
        }
    )


def _of_loss(loss: GaussianNLL | Quantile | None) -> dict[str, Any]:
    """What is written of a loss; nothing where each output is a target."""
    if loss is None:
        return {}
    if isinstance(loss, GaussianNLL):
        return {"loss": loss.name}
    return {"loss": {"quantiles": loss.quantile, "ordered": loss.ordered}}


def _loss(read: Any) -> GaussianNLL | Quantile | None:
    if read is None or read == GaussianNLL.name:
        return None if read is None else GaussianNLL()
    _expect(isinstance(read, dict) and set(read) == {"quantiles", "ordered"}, "a known loss")
    _expect(isinstance(read["quantiles"], list), "a list of quantiles")
    return Quantile(read["quantiles"], read["ordered"])


def from_text(text: str, architecture: Architecture) -> Preprocessing:
    """The reverse of :func:`to_text`, for a network of that architecture.

    Raises
    ------
    ValueError
        Where something is missing, of the wrong type, or does not fit the network.
    """
    try:
        read = json.loads(text)
        _expect(isinstance(read, dict), "an object of JSON")
        if "version" not in read:
            read = _of_0_1(read)
        _expect(read["version"] == VERSION, f"version {VERSION}")
        n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
        columns, shape = _columns(read, n_in)
        names = _texts(read, "target_names")
        task = read["task"]
        _expect(task in ("classification", "regression"), "a task")
        one_for_two = task == "classification" and (n_out, len(names)) == (1, 2)
        loss = _loss(read.get("loss"))
        _expect(loss is None or task == "regression", "a loss of real targets")
        each = 1 if loss is None else loss.outputs_a_target
        _expect(len(names) * each == n_out or one_for_two, f"names for {n_out} outputs")
        n_targets = 1 if task == "classification" else len(names)
        _expect(isinstance(read["name"], str), "a name")
        return Preprocessing(
            read["name"],
            task,
            names,
            columns,
            shape,
            offset=_numbers(read, "offset", n_in),
            scale=_numbers(read, "scale", n_in, divisor=True),
            target_offset=_numbers(read, "target_offset", n_targets),
            target_scale=_numbers(read, "target_scale", n_targets, divisor=True),
            target_columns=_texts(read, "target_columns"),
            loss=loss,
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        said = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"its preprocessing cannot be used: {said[:200]}") from error


def _of_0_1(read: dict[str, Any]) -> dict[str, Any]:
    """The entries of a file of fastmlp 0.1, which had pairs of names and categories."""
    columns, names = read["columns"], read["target_names"]
    if columns is not None:
        _expect(isinstance(columns, list), "a list of columns")
        _expect(all(isinstance(c, list) and len(c) == 2 for c in columns), "pairs of columns")
        columns = [{"name": name, "categories": categories} for name, categories in columns]
    targets = names if read["task"] == "regression" else []
    return {**read, "version": VERSION, "columns": columns, "target_columns": targets}


def _entries(column: Column) -> dict[str, Any]:
    """Attributes that differ from their defaults."""
    entries = {field.name: getattr(column, field.name) for field in dataclasses.fields(column)}
    defaults = {field.name: field.default for field in dataclasses.fields(column)}
    return {name: value for name, value in entries.items() if value != defaults[name]}


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"expected {what}")


def _texts(read: dict[str, Any], name: str) -> tuple[str, ...]:
    found = read[name]
    good = isinstance(found, list) and all(isinstance(text, str) for text in found)
    _expect(good, f"{name} to be a list of text")
    return tuple(found)


def _numbers(read: dict[str, Any], name: str, n: int, *, divisor: bool = False) -> Array:
    """One number, or ``n`` of them."""
    found = read[name]
    parts = found if isinstance(found, list) else [found]
    _expect(all(isinstance(part, (int, float)) for part in parts), f"{name} to be numbers")
    values = np.asarray(found, np.float64)
    good = values.shape in ((), (n,)) and bool(np.isfinite(values).all())
    _expect(good and not (divisor and (values == 0).any()), f"{name} to be {n} finite numbers")
    return values


def _columns(read: dict[str, Any], n_in: int) -> tuple[tuple[Column, ...], tuple[int, int] | None]:
    """Columns, or those of an image and its shape."""
    shape = read["image_shape"]
    if shape is not None:
        good = isinstance(shape, list) and len(shape) == 2
        good = good and all(type(length) is int and length > 0 for length in shape)
        _expect(good and math.prod(shape) == n_in, f"images of {n_in} pixels")
        return pixel_columns(shape[0], shape[1]), (shape[0], shape[1])
    _expect(isinstance(read["columns"], list), "a list of columns")
    columns = tuple(_column(entries) for entries in read["columns"])
    named = sum(column.n_features for column in columns)
    _expect(named == n_in, f"columns of {n_in} features, got {named}")
    return columns, None


def _column(entries: Any) -> Column:
    _expect(isinstance(entries, dict), "columns to be objects")
    found = dict(entries)
    if found.get("categories") is not None:
        found["categories"] = _texts(found, "categories")
    column = Column(**found)
    kinds: dict[str, type | tuple[type, ...]] = {
        "name": str,
        "other": bool,
        "fold": bool,
        "missing": str,
        "fill": (int, float),
    }
    for name, kind in kinds.items():
        _expect(isinstance(getattr(column, name), kind), f"a column's {name}")
    _expect(column.missing in ("refused", "filled", "marked"), "a way to treat missing values")
    _expect(column.date is None or column.date in DATE_FORMATS, "a format of dates")
    _expect(math.isfinite(column.fill), "finite numbers to fill in")
    if column.date is not None:
        moment_of(column.fill)
    NumberFormat(column.decimal, column.thousands)
    return column
