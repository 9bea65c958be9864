"""IDX files, the format of MNIST and Fashion-MNIST.

An IDX file is ``0 0 type n_dims``, then ``n_dims`` big-endian 32-bit lengths, then the values in
row-major order (Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits*).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from .._files import open_regular, shown
from .._files.unpacking import CHUNK, Damaged, read_exactly, unpacked
from .._typing import Array

UNSIGNED_BYTE = 0x08
#: Part → (images, labels); each may also be spelt with ".idx" for "-idx", and end in ".gz".
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

Part = tuple[Array, NDArray[np.int64]]


def load_idx(directory: str | Path, *, scale: bool = True) -> tuple[Part, Part]:
    """Load a folder with the four IDX files of MNIST, Fashion-MNIST or data of that form.

    Parameters
    ----------
    directory : path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same of ``t10k``,
        plain or gzip, also spelt ``train-images.idx3-ubyte``. Nothing is downloaded.
    scale : bool
        Return pixels as float32 in 0…1 (the byte divided by 255), ready for training; with
        ``False`` the bytes themselves as uint8, a quarter of the memory.

    Returns
    -------
    (X_train, y_train), (X_test, y_test)
        ``X`` has shape (n, height · width), one image a row; ``y`` has shape (n,), int64.

    Raises
    ------
    FileNotFoundError
        Where a file is missing, naming the files that were looked for.
    ValueError
        Where a file is no IDX file, is damaged, or does not fit the others.

    Examples
    --------
    >>> from pathlib import Path
    >>> from fastmlp.datasets import load_idx
    >>> for part, n in (("train", 2), ("t10k", 1)):
    ...     head = bytes([0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 2, 0, 0, 0, 2])
    ...     _ = Path(f"{part}-images-idx3-ubyte").write_bytes(head + bytes(range(4 * n)))
    ...     head = bytes([0, 0, 8, 1, 0, 0, 0, n])
    ...     _ = Path(f"{part}-labels-idx1-ubyte").write_bytes(head + bytes(range(n)))
    >>> (X_train, y_train), (X_test, y_test) = load_idx(".")
    >>> X_train.shape, y_train.tolist(), X_test.shape
    ((2, 4), [0, 1], (1, 4))
    """
    folder = Path(directory)
    paths = _find(folder)
    train, test = (_load_part(*paths[part], scale) for part in FILES)
    if train[0].shape[1] != test[0].shape[1]:
        raise ValueError(
            f"{folder}: training images have {train[0].shape[1]} pixels, test images "
            f"{test[0].shape[1]}"
        )
    return train, test


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, plain or gzip.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    uint8 array
        With the file's own shape: (n,) for labels, (n, height, width) for images.

    Raises
    ------
    ValueError
        For a wrong magic number, another data type, or a length that its header does not announce.

    Examples
    --------
    >>> from pathlib import Path
    >>> from fastmlp.datasets import read_idx
    >>> labels = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])
    >>> written = Path("labels.idx").write_bytes(labels)
    >>> read_idx("labels.idx").tolist()
    [7, 2, 1]
    """
    name = shown(path)
    with open_regular(path) as packed:
        file = unpacked(packed)
        try:
            shape = _idx_shape(name, bytes(read_exactly(file, 4)), file)
            announced = math.prod(shape)
            content = read_exactly(file, announced)
            excess = len(content) == announced and len(file.read(CHUNK))
        except Damaged as error:
            raise ValueError(f"{name} is a damaged or incomplete gzip file ({error})") from error
    if excess or len(content) != announced:
        more = "at least " if excess == CHUNK else ""
        raise ValueError(
            f"{name} announces {' × '.join(map(str, shape[:9]))} values, but holds "
            f"{more}{len(content) + excess}"
        )
    try:
        return np.frombuffer(content, np.uint8).reshape(shape)
    except ValueError as error:  # as many dimensions, or as large ones, as NumPy has none
        raise ValueError(f"{name}: {error}") from error


def _idx_shape(name: str, start: bytes, file: BinaryIO) -> tuple[int, ...]:
    """Lengths that a header announces."""
    if len(start) < 4 or start[:2] != b"\0\0" or start[3] == 0:
        raise ValueError(
            f"{name} is no IDX file: it should begin with the bytes 00 00 08 and a number of "
            f"dimensions, but begins with {start.hex(' ') or 'nothing'}"
        )
    if start[2] != UNSIGNED_BYTE:
        raise ValueError(
            f"{name} holds values of IDX type 0x{start[2]:02x}; only unsigned bytes (0x08) can "
            "be read"
        )
    n_dims = start[3]
    lengths = read_exactly(file, 4 * n_dims)
    if len(lengths) < 4 * n_dims:
        raise ValueError(f"{name} ends within its header of {n_dims} dimensions")
    return tuple(int(n) for n in np.frombuffer(lengths, ">u4"))


def spellings(stem: str) -> list[str]:
    """Names under which a file of the data is looked for."""
    plain = [stem, stem.replace("-idx", ".idx")]
    return [*plain, *(f"{name}.gz" for name in plain)]


def _find(folder: Path) -> dict[str, tuple[Path, Path]]:
    """The four files, or an error that says all that is missing at once."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}; it should hold the IDX files {_listed(FILES)} "
            "(fastmlp downloads nothing)"
        )
    found: dict[str, tuple[Path, Path]] = {}
    missing = []
    for part, stems in FILES.items():
        paths = []
        for stem in stems:
            present = [folder / name for name in spellings(stem) if (folder / name).is_file()]
            paths += present[:1]
            if not present:
                missing.append(stem)
        if len(paths) == 2:
            found[part] = paths[0], paths[1]
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)} (also looked for with .idx in place of -idx, "
            "and with .gz at the end; fastmlp downloads nothing)"
        )
    return found


def _listed(files: dict[str, tuple[str, str]]) -> str:
    return ", ".join(name for stems in files.values() for name in stems)


def _load_part(images_path: Path, labels_path: Path, scale: bool) -> Part:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3:
        raise ValueError(f"{images_path} should have 3 dimensions (images), has {images.ndim}")
    if labels.ndim != 1:
        raise ValueError(f"{labels_path} should have 1 dimension (labels), has {labels.ndim}")
    if len(images) != len(labels):
        raise ValueError(
            f"{images_path.name} has {len(images)} images, but {labels_path.name} "
            f"{len(labels)} labels"
        )
    rows: Array = images.reshape(len(images), math.prod(images.shape[1:]))
    if scale:
        rows = rows / np.float32(255)
    return rows, labels.astype(np.int64)
