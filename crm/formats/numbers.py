"""The format of the numbers of one column: decimal sign, thousands separator and unit.

One cell and a column of cells are read by the same rule, so that one lead and a million leads
are read alike.
"""

import math
import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Floats
from crm.cells import cell_number, number_column, read_column
from crm.errors import ConfigError
from crm.formats.written import plain_text

ANY_CURRENCY: Final = "¤"  # the unit of a column whose amounts may be in any currency
PERCENT: Final = "%"
TWENTY_PERCENT: Final = "20%"  # the notation of a percentage with the usual signs
_UNITS = tomllib.loads(Path(__file__).with_name("units.toml").read_text(encoding="utf-8"))
_FACTORS: Final[dict[str, float]] = _UNITS["factors"]
_MONEY_FACTORS: Final[dict[str, float]] = _UNITS["money_factors"]
_SHARED: Final[dict[str, list[str]]] = _UNITS["shared_signs"]
_BYTES: Final = frozenset(_UNITS["bytes"])
THREE_DECIMALS: Final = frozenset(_UNITS["three_decimals"])
_WRITTEN: Final[dict[str, str]] = {  # the unit of each way to write a currency
    **{code: code for code in _UNITS["codes"]},
    **{sign: sign for sign in _SHARED},
    **_UNITS["signs"],
}
SHORT_SIGN: Final = 2  # signs of up to two letters keep their case: "Ft" is money, "ft" is feet
_CURRENCIES: Final = {
    name: unit
    for written, unit in _WRITTEN.items()
    for name in (written.rstrip("."), written.casefold().rstrip("."))
    if name == written or len(written) > SHORT_SIGN or not written.isascii()
}
CURRENCIES: Final = frozenset(_WRITTEN.values())
_LETTER: Final = r"[^\W\d_]"
# A factor ends before another letter, unless a code of a currency follows, as in "kEUR".
_END: Final = rf"(?:(?!{_LETTER})|(?=(?:{'|'.join(_UNITS['codes'])})(?!{_LETTER})))\.?"

_NO_SPACES: Final = re.compile("[\u3400-\u9fff\uac00-\ud7af]")  # of Chinese, Japanese, Korean


def _factors(names: Iterable[str]) -> re.Pattern[str]:
    """Build the pattern of words that multiply a number; words with capitals match as written."""
    spelled = {
        spelling: None
        for name in sorted(names, key=len, reverse=True)
        for spelling in ((name, name.upper(), name.capitalize()) if name.islower() else (name,))
    }
    glued = "|".join(re.escape(name) for name in spelled if _NO_SPACES.match(name))
    words = "|".join(re.escape(name) for name in spelled if not _NO_SPACES.match(name))
    return re.compile(f"(?:{glued})|(?:{words}){_END}" if glued else f"(?:{words}){_END}")


_FACTOR: Final = _factors(_FACTORS)
_MONEY_FACTOR: Final = _factors(_MONEY_FACTORS)
_PARTS: Final = re.compile(
    r"([+-]?)\s*([^\s\d.,'()+-]{1,5}(?:\s?[$€£¥])?\.?)?\s*([+-]?)\s*"
    r"(\d[\d.,' ]*|[.,]\d+)([eE][+-]?\d+)?\s*([^\d]*)"
)
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u2019": "'", "\u02bc": "'", "`": "'"})
_PART: Final = rf"(?:{_LETTER}|[°²³]){{1,12}}"
_WORD = re.compile(rf"{_PART}(?:[ ./-]{{1,2}}{_PART}){{0,2}}")
# The unit of time or of a thing that an amount is for: "/hr", "per month".
_RATE: Final = re.compile(
    rf"(.*?)\s*(?:/|\b(?:per|pro|par|por|je|p)\b\.?)\s*({_LETTER}{{1,12}})\.?"
)
_NOTATION: Final = re.compile(r"1([,.' ]?)234(?:([.,])56)?")
_UNCLEAR: Final = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
GROUPINGS: Final = {".": ",", ",": "."}  # the usual thousands separator by decimal sign


class NumberParts(NamedTuple):
    """A text that contains one number, in its parts.

    Attributes
    ----------
    digits : str
        The digits with their separators, and the exponent.
    factor : float
        What the digits are multiplied by: -1 for a negative number, 1,000 for "k".
    unit : str
        The code of a currency, a sign that several currencies share, "%", a word, or "".
    """

    digits: str
    factor: float
    unit: str


def number_parts(text: str) -> NumberParts | None:
    """Split the text of a number into digits, sign and unit; None if it is not one number.

    Examples
    --------
    >>> number_parts("(€ 1.234,50)")
    NumberParts(digits='1.234,50', factor=-1.0, unit='EUR')
    >>> number_parts("1.5 Mio. EUR"), number_parts("12 Main Street 5")
    (NumberParts(digits='1.5', factor=1000000.0, unit='EUR'), None)
    """
    text = plain_text(" ".join(text.split()))
    if not text.isascii():
        text = "".join(map(_compatible, text)).translate(_MINUS)
    text, factor = text.strip(), 1.0
    if text.startswith("(") and text.endswith(")"):
        text, factor = text[1:-1].strip(), -1.0
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return None
    sign, prefix, inner_sign, digits, exponent, suffix = parts.groups(default="")
    digits, suffix = digits.rstrip(), suffix.strip()
    if suffix.startswith("-"):  # 1200,- and, as SAP writes negative numbers, 1200-
        factor *= 1.0 if digits[-1] in ".," else -1.0
        digits, suffix = digits.rstrip(".,"), suffix.lstrip("-").strip()
    if "-" in sign + inner_sign:
        factor = -factor
    meaning = _meaning(prefix, suffix)
    if meaning is None:
        return None
    return NumberParts(digits + exponent, factor * meaning[0], meaning[1])


def _compatible(character: str) -> str:
    """Return a character in its usual form; raised digits stay, because of units such as m²."""
    return character if character in "²³" else unicodedata.normalize("NFKC", character)


def currency_unit(text: str) -> str | None:
    """Return the currency that a code, a sign or a word means; None if it means none.

    Examples
    --------
    >>> currency_unit("eur"), currency_unit("$"), currency_unit("Web")
    ('EUR', '$', None)
    """
    return _CURRENCIES.get(text.strip().rstrip(".").casefold())


@lru_cache(4_096)
def _meaning(prefix: str, suffix: str) -> tuple[float, str] | None:
    """Return the factor and the unit that the texts around a number mean; None if unknown."""
    before = _unit(prefix)
    rest, factor, rate = suffix, 1.0, ""
    if (multiplier := _FACTOR.match(rest)) is not None:
        factor, rest = _factor_of(multiplier[0], _FACTORS), rest[multiplier.end() :].strip()
    if (match := _RATE.fullmatch(rest)) is not None and _unit(rest) is None:
        rest, rate = match[1], "/" + match[2].casefold()
    if before is None:  # T€ 5, MEUR 5
        multiplier = _FACTOR.match(prefix) or _MONEY_FACTOR.match(prefix)
        unit = _unit(prefix[multiplier.end() :]) if multiplier else None
        if multiplier is None or unit not in CURRENCIES or factor != 1.0:
            return None
        before = unit
        factor = _factor_of(multiplier[0], _FACTORS | _MONEY_FACTORS)
    behind = _unit(rest)
    if factor == 1.0 and (multiplier := _MONEY_FACTOR.match(rest)) is not None:
        unit = _unit(rest[multiplier.end() :])
        if unit in CURRENCIES or (unit == "" and before in CURRENCIES):
            factor, behind = _factor_of(multiplier[0], _MONEY_FACTORS), unit
    if behind is None:
        behind = rest.rstrip(".").casefold() if _WORD.fullmatch(rest.rstrip(".")) else None
    unit = None if behind is None else joined_unit({str(before), behind} - {""})
    return None if unit is None else (factor, unit + rate)


def _factor_of(written: str, factors: Mapping[str, float]) -> float:
    name = written.rstrip(".")
    return factors[name] if name in factors else factors[name.casefold()]


@lru_cache(4_096)
def _unit(text: str) -> str | None:
    """Return the currency or percent sign that a text is, "" for blank text; otherwise None."""
    bare = text.strip().rstrip(".")
    if bare in ("", PERCENT):
        return bare
    currency = _CURRENCIES.get(bare) or _CURRENCIES.get(bare.casefold())
    if currency is None and len(words := bare.split()) == 2:  # USD $
        units = [_unit(word) for word in words]
        return joined_unit({str(unit) for unit in units}) if CURRENCIES.issuperset(units) else None
    return currency


def joined_unit(units: Collection[str]) -> str | None:
    """Return the unit that all of some units may mean; None if they differ.

    Examples
    --------
    >>> joined_unit({"$", "CAD"}), joined_unit({"$", "EUR"}), joined_unit(set())
    ('CAD', None, '')
    """
    specific = [unit for unit in units if unit not in _SHARED] or list(units)
    if len(specific) > 1:
        return None
    meant = specific[0] if specific else ""
    return meant if all(unit == meant or may_mean(unit, meant) for unit in units) else None


def may_mean(sign: str, unit: str) -> bool:
    """Check whether a sign that several currencies share may mean a currency."""
    return unit in _SHARED.get(sign, ())


def currency_of(unit: str) -> str:
    """Return the currency of a unit such as "$/hr"; "" for other units."""
    currency = unit.partition("/")[0]
    return currency if currency in CURRENCIES else ""


class NumberFormat(msgspec.Struct, frozen=True):
    """The format of the numbers of one column.

    Attributes
    ----------
    decimal : {".", ",", ""}
        The decimal sign; "" if the column has whole numbers only. Then 1.250 and 1,250 are not
        read, because they can mean two numbers.
    grouping : str
        The thousands separator: ",", ".", "'", a space, or "" for none.
    unit : str
        The unit of the numbers. A cell with another unit is not read; `ANY_CURRENCY` reads
        every currency. Cells without a unit are read.
    """

    decimal: str = "."
    grouping: str = ","
    unit: str = ""

    @classmethod
    def of_notation(cls, notation: str) -> "NumberFormat":
        """Read a format from the way it writes 1234.56.

        Raises
        ------
        ConfigError
            If the text does not write 1234.56, or 20 with a percent sign.

        Examples
        --------
        >>> NumberFormat.of_notation("1.234,56 EUR")
        NumberFormat(decimal=',', grouping='.', unit='EUR')
        >>> NumberFormat.of_notation("20%").read("7.5 %")
        7.5
        """
        parts = number_parts(
            f"1,234.56{PERCENT}" if notation.strip() == TWENTY_PERCENT else notation
        )
        match = _NOTATION.fullmatch(parts.digits) if parts else None
        if parts is None or match is None or parts.factor != 1.0 or match[1] == (match[2] or 0):
            raise ConfigError(
                f"{notation!r} is not the format of a number or a time. Expected 1234.56 as the "
                'column writes it, such as "1,234.56", "1.234,56 EUR" or "20%", or the '
                'directives of a time, such as "%d.%m.%Y %H:%M".'
            )
        decimal = match[2] or GROUPINGS.get(match[1], "")
        return cls(decimal, match[1], parts.unit)

    @property
    def notation(self) -> str:
        """The format as the project file and a saved model contain it.

        Examples
        --------
        >>> NumberFormat(",", ".", "EUR").notation, NumberFormat(unit="$").notation
        ('1.234,56 EUR', '$1,234.56')
        """
        digits = f"1{self.grouping}234" + (f"{self.decimal}56" if self.decimal else "")
        if self == NumberFormat(unit=PERCENT):
            return TWENTY_PERCENT
        if self.unit == PERCENT:
            return digits + PERCENT
        if len(self.unit) == 1 and self.unit in (*CURRENCIES, ANY_CURRENCY):
            return self.unit + digits
        return f"{digits} {self.unit}".rstrip()

    def read(self, text: str) -> float:
        """Read a text as a number; nan if it is not a number in this format.

        Examples
        --------
        >>> NumberFormat(",", ".").read("1.234,5"), NumberFormat(",", ".").read("1234.5")
        (1234.5, nan)
        """
        if self.decimal == "." and not math.isnan(number := cell_number(text)):
            return number
        parts = number_parts(text)
        if parts is None or not self._reads_unit(parts.unit):
            return math.nan
        if self.unit in _BYTES and parts.unit != self.unit and text.rstrip().endswith("B"):
            return math.nan  # 500 B is bytes here, not 500 billion
        decimal, grouping = self.decimal, self.grouping
        if not decimal:
            decimal, grouping = _signs_of(parts.digits)
        if not decimal or not _digits_of(decimal, grouping).fullmatch(parts.digits):
            return math.nan
        plain = parts.digits.replace(grouping, "") if grouping else parts.digits
        number = float(plain.replace(decimal, ".")) * parts.factor
        return number if math.isfinite(number) else math.nan

    def _reads_unit(self, unit: str) -> bool:
        if unit in ("", self.unit) or may_mean(unit, self.unit):
            return True
        return self.unit in ("", ANY_CURRENCY) and unit in CURRENCIES

    def read_cell(self, cell: Any) -> float:
        """Read a cell of any type: text in this format, a typed number as it is."""
        return self.read(cell) if isinstance(cell, str) else cell_number(cell)

    def read_column(self, column: pd.Series) -> Floats:
        """Read a column, shape (n,), each cell as `read_cell` does.

        Examples
        --------
        >>> NumberFormat(",", ".").read_column(pd.Series(["1.234,5", "12 %", None]))
        array([1234.5,    nan,    nan])
        """
        if column.dtype != "str":
            if pd.api.types.is_numeric_dtype(column.dtype):
                return number_column(column)
            return read_column(column, self.read_cell, np.float64)
        cells = pa.array(column).cast(pa.large_string())
        is_plain = pc.match_substring_regex(cells, f"^-?{self._digits}$").fill_null(False)
        numbers = self._of_digits(pc.if_else(is_plain, cells, None))
        unread = np.flatnonzero(_numpy(pc.and_(pc.invert(is_plain), pc.is_valid(cells))))
        if len(unread) == 0:
            return numbers
        parts = pc.extract_regex(cells.take(pa.array(unread)), self._with_unit)
        values = self._of_digits(pc.struct_field(parts, "digits"))
        is_negative = _numpy(pc.equal(pc.struct_field(parts, "sign"), "-").fill_null(False))
        numbers[unread] = np.where(is_negative, -values, values)
        rest = unread[~_numpy(pc.is_valid(parts))]
        if len(rest):
            numbers[rest] = read_column(column.iloc[rest], self.read_cell, np.float64)
        return numbers

    def _of_digits(self, digits: Any) -> Floats:
        if self.grouping:
            digits = pc.replace_substring(digits, self.grouping, "")
        if self.decimal == ",":
            digits = pc.replace_substring(digits, self.decimal, ".")
        numbers = _numpy(pc.cast(digits, pa.float64())).astype(np.float64)
        numbers[~np.isfinite(numbers)] = np.nan
        return numbers

    @property
    def _digits(self) -> str:
        """The pattern of digits that Arrow reads all at once."""
        decimal, grouping = re.escape(self.decimal), re.escape(self.grouping)
        grouped = f"|[1-9][0-9]{{0,2}}(?:{grouping}[0-9]{{3}})+" if self.grouping else ""
        rest = f"(?:{decimal}[0-9]+)?" if decimal else ""
        return f"(?:[0-9]{{1,300}}{grouped}){rest}"

    @property
    def _with_unit(self) -> str:
        """The pattern of digits with the unit of the column."""
        written = [form for form, unit in _WRITTEN.items() if unit == self.unit] or [self.unit]
        unit = "|".join(map(re.escape, written))
        prefix = f"(?:(?:{unit}) ?)?" if self.unit in CURRENCIES else ""
        suffix = f"(?: ?(?:{unit}))?" if self.unit else ""
        return f"^(?P<sign>-?){prefix}(?P<digits>{self._digits}){suffix}$"


def _numpy(values: Any) -> Any:
    return values.to_numpy(zero_copy_only=False)


def _signs_of(digits: str) -> tuple[str, str]:
    """Return the decimal sign and the thousands separator of one number; "" if it is unclear."""
    marks = [mark for mark in digits if mark in ".,' "]
    if not marks:
        return ".", ","
    last = marks[-1]
    if last in "' ":
        return ".", last
    if len(set(marks)) > 1:
        return last, marks[0]
    if len(marks) > 1:
        return GROUPINGS[last], last
    return ("", "") if _UNCLEAR.fullmatch(digits) else (last, GROUPINGS[last])


@lru_cache(64)
def _digits_of(decimal: str, grouping: str) -> re.Pattern[str]:
    """Build the pattern of digits; a number with groups never begins with 0."""
    point, mark = re.escape(decimal), re.escape(grouping)
    grouped = rf"|[1-9]\d{{0,2}}(?:{mark}\d{{3}})+" if grouping else ""
    if grouping == ",":  # 12,34,567 as India writes it
        grouped += r"|[1-9]\d?(?:,\d{2})+,\d{3}"
    return re.compile(rf"(?:(?:\d+{grouped})(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?")


@lru_cache(4_096)
def number_format(notation: str) -> NumberFormat:
    """Return the format of a notation, as `NumberFormat.of_notation` reads it."""
    return NumberFormat.of_notation(notation)
