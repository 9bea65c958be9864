"""Sources of text tables: CSV files of any size, read piece by piece."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from .._files import open_regular, shown
from .._inputs import numbers
from ..datasets import TextFormat, load_table
from ..datasets._encoding import Findings
from ..datasets._tables import NAME_OF_STREAM
from ..datasets._targets import read_labelled
from ._source import MEMORY, Source
from ._tables import _files

#: Bytes of text in a block; rows of numbers become half of it.
BLOCK = 8 * 2**20


class Lines:
    """Text files in pieces of whole lines.

    Parameters
    ----------
    files : list of Path
    form : TextFormat
    size : int
        Bytes of a piece, about.
    """

    def __init__(self, files: list[Path], form: TextFormat, size: int) -> None:
        self.form = form
        #: File, first byte, end, and number of lines before of each piece.
        self._pieces: list[tuple[Path, int, int, int]] = []
        self._head: dict[Path, bytes] = {}
        for file in files:
            if str(file).lower().endswith(".gz"):
                raise ValueError(f"{shown(file)}: unpack it, packed text is read from the front")
            self._index(file, size)
        self.name = shown(files[0]) if len(files) == 1 else f"{len(files)} text files"

    def _index(self, file: Path, size: int) -> None:
        """Note where pieces of whole lines begin: quoted lines may go on in the next."""
        with open_regular(file) as lines:
            head = lines.readline() if self.form.header else b""
            self._head[file] = head
            start, number, at, open_quote = len(head), int(bool(head)), len(head), False
            before = number
            for line in lines:
                at += len(line)
                number += 1
                open_quote ^= bool(line.count(b'"') % 2)
                if at - start >= size and not open_quote:
                    self._pieces.append((file, start, at, before))
                    start, before = at, number
            if at > start:
                self._pieces.append((file, start, at, before))
        if not any(piece[0] == file for piece in self._pieces):
            raise ValueError(f"{shown(file)} has a header but no rows")

    def __len__(self) -> int:
        return len(self._pieces)

    def read(self, i: int) -> io.BytesIO:
        """The text of a piece under the header of its file."""
        file, start, end, _ = self._pieces[i]
        with open_regular(file) as opened:
            opened.seek(start)
            text = opened.read(end - start)
        if len(text) < end - start:
            raise ValueError(f"{shown(file)} has become shorter: {start + len(text)} bytes")
        return io.BytesIO(self._head[file] + text)

    def place(self, i: int) -> str:
        """Where a piece lies, for people."""
        file, _, _, before = self._pieces[i]
        return f"the lines after line {before} of {shown(file)}"

    def named(self, i: int, words: str) -> str:
        """What was said of the text of a piece, with the lines of its file."""
        file, _, _, before = self._pieces[i]
        more = before - bool(self._head[file])
        return re.sub(
            rf"{NAME_OF_STREAM}(, line )?(\d+)?",
            lambda m: shown(file) + (f", line {int(m[2]) + more}" if m[2] else ""),
            words,
        )


class Text(Source):
    """A CSV file in pieces of whole lines, each read as the first was.

    Parameters
    ----------
    lines : Lines
    target : str or sequence of str
    classes : sequence of str, optional
    **options
        Others of :func:`fastmlp.datasets.load_table`, for the first block.
    """

    def __init__(
        self,
        lines: Lines,
        target: str | Sequence[str],
        classes: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        self._lines = lines
        try:
            first = load_table(lines.read(0), target, form=lines.form, **options)
        except ValueError as error:
            raise ValueError(f"{lines.name}: {error}") from None
        #: How the columns of a file become features, as decided on the first block.
        self.columns = first.columns
        self.targets, self.task = first.targets, first.task
        #: What was found about columns.
        self.notes = first.notes
        #: Names of the classes by number; of the targets for real values.
        self.target_names = first.target_names
        if classes is not None:
            if self.task != "classification":
                raise ValueError("classes are for targets that are classes; see task")
            self.target_names = tuple(str(name) for name in classes)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, i: int) -> Any:
        classes = self.target_names if self.task == "classification" else None
        text, form = self._lines.read(i), self._lines.form
        try:
            return read_labelled(text, self.columns, self.targets, classes, Findings(), form)
        except ValueError as error:
            raise ValueError(self._lines.named(i, str(error))) from error

    def place(self, i: int) -> str:
        return self._lines.place(i)

    @property
    def name(self) -> str:
        return self._lines.name


def csv(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    target: str | Sequence[str],
    *,
    task: Literal["auto", "classification", "regression"] = "auto",
    classes: Sequence[str] | None = None,
    form: TextFormat | None = None,
    block_bytes: int = BLOCK,
    memory: int | str = MEMORY,
    buffer: int | None = None,
) -> Text:
    """Rows of CSV files of any size, read by the rules of :func:`fastmlp.datasets.load_table`.

    What the columns are (numbers, categories, dates) and which classes there are is decided on the
    first block; what is met later and unknown is an error that names the line of its block.

    Parameters
    ----------
    path : path or list of paths
        A file, a folder (all ``*.csv`` in it and below, sorted), or several files.
    target : str or sequence of str
        Columns to predict.
    task : {"auto", "classification", "regression"}
    classes : sequence of str, optional
        All classes by number, where the first block does not have all of them.
    form : fastmlp.datasets.TextFormat, optional
        Separator, signs of numbers, encoding, header.
    block_bytes : int
        Bytes of text in a block.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Blocks whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Text
        A source that also knows ``columns``, ``task`` and ``target_names``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from fastmlp import data
    >>> lines = [f"{i},{i % 7},{2 * i}" for i in range(300)]
    >>> _ = Path("rows.csv").write_text("\\n".join(["a,b,y", *lines]))
    >>> source = data.csv("rows.csv", "y", block_bytes=1000)
    >>> source.task, [column.name for column in source.columns]
    ('regression', ['a', 'b'])
    """
    size = numbers.count("block_bytes", block_bytes, 1)
    source = Text(
        Lines(_files(path, ".csv"), form or TextFormat(), size), target, classes, task=task
    )
    source.held(memory, buffer)
    return source
