"""Every reader of files, and good files for it, which are changed at random.

``changed`` damages the bytes of a file, or what lies behind its packing: the text of a gzip file,
a member of an archive, one value of the JSON in a safetensors header, where most changes of single
bytes do not get at. ``read_damaged`` says what a reader made of it: it has to return, or raise one
clear ``ValueError``, within memory for the file and 100 MB.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastmlp
import numpy as np
from data_files import TABLE, idx, model_file
from fastmlp import (
    MLP,
    GroupedMLP,
    MLPEnsemble,
    data,
    datasets,
    from_onnx,
    load_model,
    schedules,
    stopping,
)

WORDS = [b"\0", b"\xff", b"\xff\xff\xff\xff", b"\n", b",", b'"', b"{", b"[", b"1e999", b"-1", b"NA"]
#: What stands in the place of a value of JSON.
VALUES: list[Any] = [
    *(None, True, -1, 0, 3, 2**31, 2**62, 10**30, 1e308, float("nan"), float("inf"), "", "tanh"),
    *([], [[]], {}, [1, [2]], [-1, 2], [2**40, 2**40], "os.system", {"tensor": "networks.0"}),
    *({"object": ["os", "system"], "fields": {}}, {"tuple": 3}, {"array": [1]}, {"dict": 1}),
    *({"array": [1], "shape": [10**12], "kind": "float64"}, {"array": [1], "shape": [-1]}),
]
#: Memory that a reader may take beyond the file's own.
MOST_BYTES = 100e6
GZIP, ARCHIVE = b"\x1f\x8b", b"PK\x03\x04"


def changed(content: bytes, rng: np.random.Generator) -> bytes:
    """A good file with a few changes."""
    if rng.random() < 0.5:
        if content.startswith(GZIP):
            inside = bytes_changed(gzip.decompress(content), rng)
            return gzip.compress(inside, compresslevel=1, mtime=0)
        if content.startswith(ARCHIVE):
            return archive_changed(content, rng)
        if content[8:9] == b"{":
            return header_changed(content, rng)
    return bytes_changed(content, rng)


def bytes_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Flipped bits, pieces cut, doubled and overwritten, words that mean something."""
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        kind, at = rng.integers(7), int(rng.integers(len(damaged) + 1))
        end = min(len(damaged), at + int(rng.integers(1, 12)))
        if kind == 0 and at < len(damaged):
            damaged[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del damaged[at:end]
        elif kind == 2:
            damaged[at:at] = WORDS[rng.integers(len(WORDS))]
        elif kind == 3:
            damaged[at:end] = rng.bytes(end - at)
        elif kind == 4:
            damaged[at:at] = damaged[at:end] * int(rng.integers(1, 4))
        elif kind == 5:
            damaged[at:end] = b"\xff" * (end - at)
        else:
            damaged = damaged[: max(1, at)]
    return bytes(damaged)


def archive_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """An archive one of whose members is changed before it is packed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        members = old.infolist()
        chosen = rng.integers(len(members))
        for number, member in enumerate(members):
            inside = old.read(member)
            inside = bytes_changed(inside, rng) if number == chosen else inside
            new.writestr(member.filename, inside, member.compress_type)
    return made.getvalue()


def header_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """A safetensors file with another value in its header, or in JSON that is text there."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    words = header.get("__metadata__", {})
    texts = [name for name, text in words.items() if text[:1] in ("{", "[")]
    if texts and rng.random() < 0.8:
        name = texts[rng.integers(len(texts))]
        words[name] = json.dumps(value_changed(json.loads(words[name]), rng))
    else:
        header = value_changed(header, rng)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def value_changed(entry: Any, rng: np.random.Generator) -> Any:
    """JSON with one value replaced, left out or doubled."""
    holder = entry
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return VALUES[rng.integers(len(VALUES))]
        key = keys[rng.integers(len(keys))]
        inner = holder[key]
        if not (isinstance(inner, (dict, list)) and inner and rng.random() < 0.8):
            break
        holder = inner
    what = rng.random()
    if what < 0.2:
        del holder[key]
    elif what < 0.3 and isinstance(holder, list):
        holder.insert(key, inner)
    else:
        holder[key] = VALUES[rng.integers(len(VALUES))]
    return entry


# Good files


def npz(compressed: bool) -> bytes:
    """A table in an archive."""
    file = io.BytesIO()
    arrays: dict[str, Any] = {"X": np.arange(12.0).reshape(6, 2), "y": np.array(list("ababab"))}
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(12.0).reshape(6, 2))
    return file.getvalue()


def _small(folder: Path, made: Any) -> bytes:
    path = folder / "made"
    made.save(path)
    return path.read_bytes()


X, Y = np.linspace(-1, 1, 24).reshape(12, 2), np.arange(12) % 3


def _trainer() -> Any:
    net = MLP([2, 3, 3], output="softmax", random_state=0)
    rate = schedules.ReduceOnPlateau(0.01)
    stop = [stopping.Plateau(), stopping.EarlyStopping("loss"), stopping.TimeLimit(1000)]
    return net.trainer(optimizer="adam", learning_rate=rate, stop=stop, batch_size=4)


def _checkpoint(folder: Path) -> bytes:
    trainer = _trainer()
    trainer.run(X, Y, epochs=2)
    return _small(folder, trainer)


def _resumed(path: Path) -> None:
    """A run goes on from the file, or was refused before anything changed."""
    trainer = _trainer()
    before = trainer.network.parameters.copy()
    try:
        trainer.load(path)
    except ValueError:
        assert np.array_equal(trainer.network.parameters, before), "changed by a refused file"
        raise
    trainer.run(X, Y, epochs=1)


def _ensemble(folder: Path) -> bytes:
    model = MLPEnsemble([2, 3, 3], 2, output="softmax", random_state=0)
    model.fit(X, Y, epochs=1)
    return _small(folder, model)


def _groups(folder: Path) -> bytes:
    model = GroupedMLP([2, 3, 1], random_state=0, shared_epochs=1, min_rows=2)
    model.fit(X, X[:, 0], np.repeat(list("abc"), 4), epochs=1)
    return _small(folder, model)


def _read_groups(path: Path) -> None:
    model = GroupedMLP.load(path)
    model.predict(X[:1], [model.labels[0]])


def _classifier(folder: Path) -> bytes:
    labels = np.array(list("abc"))[Y]
    return _small(
        folder, fastmlp.MLPClassifier((5, 4), "tanh", max_iter=1, random_state=0).fit(X, labels)
    )


def _regressor(folder: Path) -> bytes:
    model = fastmlp.MLPRegressor("huber", (3,), max_iter=2, early_stopping=True, random_state=0)
    return _small(folder, model.fit(X, X[:, 0]))


def _onnx(folder: Path) -> bytes:
    network = MLP([2, 5, 3], "mish", "softmax", dtype=np.float64, random_state=0)
    return bytes(network.to_onnx().SerializeToString())


def _read_model(path: Path) -> None:
    model = load_model(path)
    model.predict([{column.name: "1" for column in model.preprocessing.columns}])


def _read_npy(path: Path) -> None:
    source = data.npy(path, path)
    source[0]


NUMBERS = "a,b,y\n" + "".join(f"{i},{i % 7}.5,{2 * i}\n" for i in range(12))


def _read_blocks(path: Path) -> None:
    """Blocks of a text are read while a network learns from them."""
    source = data.csv(path, "y", task="regression", block_bytes=20)
    MLP([len(source.columns), 1], random_state=0).fit(source, epochs=1)


@dataclass(frozen=True)
class Reader:
    """A good file, what reads it, and which packages it needs."""

    make: Callable[[Path], bytes]
    read: Callable[[Path], Any]
    needs: tuple[str, ...] = ()

    @property
    def available(self) -> bool:
        return all(importlib.util.find_spec(package) for package in self.needs)


SAFE = ("safetensors",)
READERS = {
    "csv": Reader(lambda _: TABLE.encode(), lambda path: datasets.load_table(path, "price")),
    "csv.gz": Reader(
        lambda _: gzip.compress(TABLE.encode(), mtime=0),
        lambda path: datasets.load_table(path, "price", missing="impute", bad_rows="skip"),
    ),
    "blocks.csv": Reader(lambda _: NUMBERS.encode(), _read_blocks),
    "idx": Reader(lambda _: idx(np.arange(24).reshape(2, 3, 4)), datasets.read_idx),
    "idx.gz": Reader(
        lambda _: gzip.compress(idx(np.arange(24).reshape(2, 3, 4)), mtime=0), datasets.read_idx
    ),
    "npz": Reader(lambda _: npz(False), lambda path: datasets.load_table(path, "y")),
    "packed.npz": Reader(lambda _: npz(True), lambda path: datasets.load_table(path, "y")),
    "npy": Reader(lambda _: _npy(), _read_npy),
    "network": Reader(
        lambda folder: _small(folder, MLP([2, 3, 1])), lambda path: MLP.load(path).predict(X), SAFE
    ),
    "model": Reader(model_file, _read_model, SAFE),
    "classifier": Reader(
        _classifier, lambda path: fastmlp.MLPClassifier.load(path).predict(X), SAFE
    ),
    "regressor": Reader(_regressor, lambda path: fastmlp.MLPRegressor.load(path).predict(X), SAFE),
    "ensemble": Reader(_ensemble, lambda path: MLPEnsemble.load(path).predict(X), SAFE),
    "groups": Reader(_groups, _read_groups, SAFE),
    "checkpoint": Reader(_checkpoint, _resumed, SAFE),
    "onnx": Reader(_onnx, from_onnx, ("onnx",)),
}


def made(kind: str, folder: Path) -> bytes:
    """The good file of a reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return READERS[kind].make(folder)


def peak() -> float:
    """Bytes of memory that this process has had at most; 0 where nobody says."""
    if not sys.platform.startswith("linux"):
        return 0.0
    import resource

    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def read_damaged(kind: str, content: bytes, path: Path, seed: int) -> bool:
    """Read one damaged file; whether it was refused."""
    path.write_bytes(changed(content, np.random.default_rng([seed, zlib.crc32(kind.encode())])))
    before = peak()
    try:
        with warnings.catch_warnings():  # zipfile's of names, ours of categories
            warnings.simplefilter("ignore")
            READERS[kind].read(path)
        refused = False
    except ValueError as error:
        said, refused = str(error), True
        assert path.name in said, f"the error does not name the file: {said}"
        assert len(said) < 4000, f"an error of {len(said)} letters"
    assert peak() - before < MOST_BYTES, "more memory than the file and 100 MB"
    return refused
