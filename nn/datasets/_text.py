"""Numbers, missing values and dates, as people write them."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Words that stand for a missing value, in any case; so does an empty cell.
MISSING = frozenset(
    {
        *("", "na", "n/a", "#n/a", "<na>", "nan", "+nan", "-nan", "nat", "null", "none"),
        *("?", "-"),
    }
)
#: Signs around a number that say what it counts.
_SYMBOLS = "$€£¥₹% \t"
#: Spaces that do not break, typographic apostrophes and minus signs.
_SPACES = {0xA0: " ", 0x2009: " ", 0x202F: " ", 0x2019: "'", 0x2212: "-"}
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_DAYS_TO_1970 = datetime.date(1970, 1, 1).toordinal()
_NUMERIC_DATE = re.compile(r"(\d{1,4})([-./])(\d{1,2})\2(\d{1,4})(?:[ T](\d{1,2}:\d\d.*))?")
#: Order of day, month and year, and the sign between them.
DATE_FORMATS = ("y-m-d", "y/m/d", "d.m.y", "m/d/y", "d/m/y", "d-m-y")


@dataclass(frozen=True)
class NumberFormat:
    """Signs within a number: ``decimal`` before its fraction, ``thousands`` between its groups."""

    decimal: str = "."
    thousands: str = ""

    def __post_init__(self) -> None:
        if self.decimal not in (".", ","):
            raise ValueError(f"the decimal sign must be '.' or ',', got {self.decimal!r}")
        if self.thousands not in ("", ".", ",", " ", "'") or self.thousands == self.decimal:
            raise ValueError(
                "the thousands separator must be one of , . ' or a space, and not the decimal "
                f"sign, got {self.thousands!r}"
            )

    @property
    def pattern(self) -> re.Pattern[str]:
        """Pattern of a number, without the signs around it."""
        point = re.escape(self.decimal)
        whole = r"\d+"
        if self.thousands:
            whole = rf"(?:\d{{1,3}}(?:{re.escape(self.thousands)}\d{{3}})+|\d+)"
        return re.compile(rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+){_EXPONENT}")

    def __str__(self) -> str:
        group = f", thousands separator {self.thousands!r}" if self.thousands else ""
        return f"decimal sign {self.decimal!r}{group}"


PLAIN = NumberFormat()
#: Tried in this order; the first that reads everything is taken.
FORMATS = (
    PLAIN,
    *(NumberFormat(".", sign) for sign in (",", "'", " ")),
    *(NumberFormat(",", sign) for sign in ("", ".", " ", "'")),
)


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.lower() in MISSING


def is_number(text: str) -> bool:
    """Whether this text is a plain number (``1_0``, which Python reads as 10, is none)."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def plain_numbers(texts: list[str]) -> Floats | None:
    """The values where all texts are plain finite numbers."""
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return values if np.isfinite(values).all() and "_" not in "".join(texts) else None


def parse_numbers(texts: list[str], form: NumberFormat = PLAIN) -> tuple[Floats, list[int]]:
    """Values of a column, NaN where one is missing, and the rows whose text is no finite number."""
    plain = plain_numbers(texts) if form == PLAIN else None
    if plain is not None:
        return plain, []
    known: dict[str, float | None] = {}
    pattern, bad = form.pattern, []
    values = np.empty(len(texts))
    for row, text in enumerate(texts):
        if text not in known:
            known[text] = np.nan if is_missing(text) else _parse(text, form, pattern)
        value = known[text]
        values[row] = np.nan if value is None else value
        if value is None:
            bad.append(row)
    return values, bad


def _parse(text: str, form: NumberFormat, pattern: re.Pattern[str]) -> float | None:
    inner = text.translate(_SPACES)
    negative = inner.startswith("(") and inner.endswith(")")  # as accountants write it
    inner = inner[1:-1] if negative else inner
    sign = "-" if inner[:1] == "-" else ""
    inner = sign + inner.lstrip("-").strip(_SYMBOLS) if sign else inner.strip(_SYMBOLS)
    if not pattern.fullmatch(inner):
        return None
    if form.thousands:
        inner = inner.replace(form.thousands, "")
    value = float(inner.replace(form.decimal, "."))
    if not np.isfinite(value):
        return None
    return -value if negative else value


def detect_format(texts: list[str], likely: NumberFormat | None = None) -> NumberFormat | None:
    """Format that reads all numbers of a column; ``None`` where there is none."""
    distinct = sorted({text for text in texts if not is_missing(text)})
    candidates = FORMATS if likely is None else (likely, *FORMATS)
    for form in candidates:
        if not parse_numbers(distinct, form)[1]:
            return form
    return None


def has_leading_zeros(texts: list[str]) -> bool:
    """Whether digits are codes, such as ``01234``: as numbers some would merge."""
    return any(len(t) > 1 and t[0] == "0" and t.isdecimal() for t in texts)


def detect_date_format(texts: list[str]) -> str | None:
    """Format that reads all dates of a column; ``None`` where there is none."""
    distinct = sorted({text for text in texts if not is_missing(text)})
    for form in DATE_FORMATS if distinct else ():
        if all(parse_date(text, form) is not None for text in distinct):
            return form
    return None


def parse_date(text: str, form: str) -> datetime.datetime | None:
    """A date, with a time of day or without."""
    found = _NUMERIC_DATE.fullmatch(text)
    if found is None or found[2] != form[1]:
        return None
    parts = dict(zip(form[::2], (found[1], found[3], found[4]), strict=True))
    if len(parts["y"]) != 4:
        return None
    try:
        day = datetime.date(int(parts["y"]), int(parts["m"]), int(parts["d"]))
        hour = datetime.time.fromisoformat(found[5].zfill(5).strip()) if found[5] else None
    except ValueError:
        return None
    return datetime.datetime.combine(day, hour or datetime.time())


#: What a date becomes: a feature each.
DATE_PARTS = ("year", "month", "day", "weekday", "days")


def date_features(moment: datetime.datetime) -> tuple[float, ...]:
    """Year, month, day, weekday (Monday is 0), and days since 1970 with their fraction."""
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    days = moment.toordinal() - _DAYS_TO_1970 + seconds / 86400
    return moment.year, moment.month, moment.day, moment.weekday(), days


def moment_of(days: float) -> datetime.datetime:
    """The moment so many days after the beginning of 1970."""
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(days=days)
