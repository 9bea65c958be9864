"""Data to train on: the embedded digits, IDX image files, CSV and NPZ tables.

==========================  =====================================================================
:func:`load_digits`         1797 handwritten digits of 8 × 8 pixels, part of the package
:func:`load_idx`            MNIST and Fashion-MNIST from a folder of IDX files; nothing is
                            downloaded
:func:`load_table`          a CSV, NPZ, Parquet or Excel file with one or several target columns
:func:`load_features`       the features of such a file alone, encoded like an earlier table
:func:`train_test_split`    rows dealt to two parts, seeded and on request stratified;
                            :func:`train_validation_test_split` deals three
==========================  =====================================================================

A table is a :class:`Dataset`; a :class:`TextFormat` says how a text file is written where it does
not say so itself. The way of a file: ``_csv.py`` (or ``_frames.py``, for the files of other
packages) reads it into columns of text, ``_description.py`` decides what each column is, with what
``_text.py`` knows of numbers, dates and missing values, ``_encoding.py`` turns columns into
features and ``_labels.py`` targets into classes or values; ``_tables.py`` puts these together, and
``_npz.py`` reads arrays. ``_dataset.py`` defines the result; ``_digits.py``, ``_idx.py`` and
``_split.py`` hold the others.
"""

from ._csv import TextFormat
from ._dataset import Column, Dataset
from ._digits import load_digits
from ._idx import load_idx, read_idx
from ._split import train_test_split, train_validation_test_split
from ._tables import load_features, load_table

__all__ = [
    "Column",
    "Dataset",
    "TextFormat",
    "load_digits",
    "load_features",
    "load_idx",
    "load_table",
    "read_idx",
    "train_test_split",
    "train_validation_test_split",
]
