"""Data to train on: the embedded digits, IDX image files, CSV and NPZ tables.

==========================  =====================================================================
:func:`load_digits`         1797 handwritten digits of 8 × 8 pixels, part of the package
:func:`load_idx`            MNIST and Fashion-MNIST from a folder of IDX files; nothing is
                            downloaded
:func:`load_table`          a CSV or NPZ file with one or several target columns
:func:`load_features`       the features of such a file alone, encoded like an earlier table
:func:`train_test_split`    rows dealt to two parts, seeded and on request stratified;
                            :func:`train_validation_test_split` deals three
==========================  =====================================================================

A table is a :class:`Dataset`. ``_dataset.py`` defines it, ``_csv.py`` reads text into columns,
``_encoding.py`` turns columns into numbers, ``_tables.py`` puts the two together; ``_digits.py``,
``_idx.py`` and ``_split.py`` hold the others.
"""

from ._dataset import Column, Dataset
from ._digits import load_digits
from ._idx import load_idx, read_idx
from ._split import train_test_split, train_validation_test_split
from ._tables import load_features, load_table

__all__ = [
    "Column",
    "Dataset",
    "load_digits",
    "load_features",
    "load_idx",
    "load_table",
    "read_idx",
    "train_test_split",
    "train_validation_test_split",
]
