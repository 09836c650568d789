"""Recognises the format of the numbers of a column from its cells."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from crm.errors import ConfigError
from crm.formats.numbers import (
    ANY_CURRENCY,
    CURRENCIES,
    GROUPINGS,
    PERCENT,
    THREE_DECIMALS,
    NumberFormat,
    NumberParts,
    currency_of,
    may_mean,
    number_format,
    number_parts,
)
from crm.text import listed, quote

MOSTLY: Final = 0.99  # the least share of one unit, or of one decimal sign, in a column
SURE: Final = 10  # from this many cells such as "1.250" next to "582", "." separates thousands
MIXED_SIGNS: Final = "some numbers have a decimal point, others a decimal comma"
SEVERAL_CURRENCIES: Final = "amounts are in several currencies, which are not converted"
_WAYS: Final = {".": "a decimal point", ",": "a decimal comma"}
_WHOLE_AMOUNT: Final = re.compile(r"\d([.,]) ?[-\u2013\u2014]")  # as in 3.669,-
FEW_VALUES: Final = 25  # a column of fewer values such as "12 months" is a category


class SignEvidence(NamedTuple):
    """The decimal sign that other cells of a table show, or that the project file declares.

    Attributes
    ----------
    sign : {".", ","}
    reason : str
        The evidence, as the end of a sentence; empty if the project file declares the sign.
    is_of_numbers : bool
        Whether the evidence is numbers or the project file. Dates and delimiters are weaker.
    """

    sign: str
    reason: str = ""
    is_of_numbers: bool = True

    @property
    def is_declared(self) -> bool:
        """True if the project file declares the sign."""
        return not self.reason


class RecognisedNumbers(NamedTuple):
    """The format of a column, and its evidence.

    Attributes
    ----------
    format : NumberFormat
    doubt : str
        A sentence about cells that can be read in two ways; empty if there is no doubt.
    doubtful_as : str
        The notation of the other reading; empty if there is no doubt.
    units : dict of str to int
        The number of distinct cells with each unit; "" for none.
    reason : str
        The evidence for the decimal sign if no cell shows it; empty otherwise.
    is_certain : bool
        Whether the cells themselves show the decimal sign.
    """

    format: NumberFormat
    doubt: str
    doubtful_as: str
    units: dict[str, int]
    reason: str = ""
    is_certain: bool = False

    @property
    def can_be_declared(self) -> bool:
        """True if the notations are formats, so that project files and models can contain them."""
        try:
            for notation in filter(None, (self.format.notation, self.doubtful_as)):
                number_format(notation)
        except ConfigError:
            return False
        return True


def recognise_numbers(
    texts: Iterable[str], evidence: SignEvidence | None = None, any_currency: bool = False
) -> RecognisedNumbers | None:
    """Recognise the format of the numbers among some texts.

    Parameters
    ----------
    texts : iterable of str
        Distinct cells of one column.
    evidence : SignEvidence, optional
        The decimal sign for cells that do not show it.
    any_currency : bool
        Whether amounts in different currencies belong together, as in a column of revenues.

    Returns
    -------
    RecognisedNumbers or None
        None if no text is a number. The caller checks whether enough of them are numbers.

    Examples
    --------
    >>> recognise_numbers(["$2,017.71", "$95.10"]).format.notation
    '$1,234.56'
    >>> recognise_numbers(["49.267", "48.056"]).doubt
    '"49.267", "48.056" can be read in two ways: with a decimal point, or with thousands'
    """
    written = [(text, part) for text in texts if (part := number_parts(text)) is not None]
    if not written:
        return None
    units = merged_units(Counter(part.unit for _, part in written))
    mixed = _fractions_beside_percentages(written)
    unit = PERCENT if mixed else _unit(units, len(written), any_currency)
    counted = [
        (text, part)
        for text, part in written
        if part.unit in ("", unit) or unit == ANY_CURRENCY or may_mean(part.unit, unit)
    ]
    if not counted:
        return None
    signs = _DecimalSigns([(text, part.digits) for text, part in counted])
    is_money = unit in CURRENCIES - THREE_DECIMALS and "" not in units
    is_money &= all(abs(part.factor) == 1 for _, part in counted)  # 1.250 Mio. €
    sign, doubt, reason = signs.decide(evidence, is_money)
    form = NumberFormat(sign, signs.grouping(sign), unit)
    other = NumberFormat(GROUPINGS[sign], sign, unit).notation if doubt else ""
    if not doubt and unit == ANY_CURRENCY and not any_currency:
        main = max((count, unit) for unit, count in units.items() if unit in CURRENCIES)[1]
        doubt = f"{SEVERAL_CURRENCIES}: {counted_units(units)}"
        other = replace(form, unit=main).notation
    if not doubt and mixed:
        doubt, other = mixed, replace(form, unit="").notation
    return RecognisedNumbers(form, doubt, other, dict(units), reason, bool(signs.certain))


def _fractions_beside_percentages(written: Sequence[tuple[str, NumberParts]]) -> str:
    """Return a sentence about a column that mixes cells such as 0.35 and 20%; otherwise "".

    If most percentages are below 1, such as 0.5%, fractions are not remarkable.
    """
    percentages = [text for text, part in written if part.unit == PERCENT]
    plain = (part.digits for _, part in written if part.unit == "")
    fractions = list(filter(_is_fraction, plain))
    small = sum(part.unit == PERCENT and _is_fraction(part.digits) for _, part in written)
    if not percentages or small * 2 > len(percentages):
        return ""
    if len(fractions) <= (1 - MOSTLY) * len(written):
        return ""
    share = fractions[0]
    return (
        f"some cells are percentages such as {quote(percentages[0])}, others fractions such as "
        f"{quote(share)}, which is read as {share} %. If {quote(share)} means "
        f"{float(share.replace(',', '.')) * 100:g} %, correct the export"
    )


def _is_fraction(digits: str) -> bool:
    return re.fullmatch(r"0?[.,][0-9]*[1-9][0-9]*", digits) is not None


def merged_units(units: Counter[str]) -> Counter[str]:
    """Count amounts with a sign such as $ under the currency that it means, if only one fits.

    Examples
    --------
    >>> merged_units(Counter({"$": 2, "USD": 1})), merged_units(Counter({"$": 1, "EUR": 1}))
    (Counter({'USD': 3}), Counter({'$': 1, 'EUR': 1}))
    """
    merged: Counter[str] = Counter()
    for unit, count in units.items():
        meant = [other for other in units if may_mean(unit, other)]
        merged[meant[0] if len(meant) == 1 else unit] += count
    return merged


def _unit(units: Counter[str], n: int, any_currency: bool) -> str:
    """Choose the unit of a column: the most frequent one that enough cells have."""
    currencies = sum(count for unit, count in units.items() if unit in CURRENCIES)
    unit, count = max(
        ((unit, count) for unit, count in units.items() if unit),
        default=("", 0),
        key=lambda u: u[1],
    )
    if any_currency and currencies > count:
        return ANY_CURRENCY
    if _are_mixed(units):
        return ANY_CURRENCY
    if currency_of(unit) or unit == PERCENT:
        return unit if count * 2 > n else ""
    return unit if count >= MOSTLY * n and n > FEW_VALUES else ""


def _are_mixed(units: Counter[str]) -> bool:
    """Check whether more than a few amounts are in a second currency."""
    counts = sorted((count for unit, count in units.items() if unit in CURRENCIES), reverse=True)
    return len(counts) > 1 and sum(counts[1:]) > (1 - MOSTLY) * units.total()


def counted_units(units: Counter[str]) -> str:
    """Write units with the numbers of their cells, such as "$ (2), EUR (1)"."""
    named = {unit or "none": count for unit, count in units.most_common()}
    return ", ".join(f"{unit} ({count:,})" for unit, count in named.items())


class _DecimalSigns:
    """The counts of separators that can only be decimal signs, or only separate thousands."""

    def __init__(self, written: Sequence[tuple[str, str]]) -> None:
        self.certain: Counter[str] = Counter()  # by decimal sign
        self.examples: dict[str, str] = {}  # a cell with each decimal sign
        self.unclear: dict[str, list[str]] = {".": [], ",": []}  # cells such as 1.250, by sign
        self.groupings: Counter[str] = Counter()
        self.small = self.large = False  # whole numbers below 1,000, or from 1,000 on
        for text, digits in written:
            self._count(text, re.split("[eE]", digits)[0])

    def _count(self, text: str, digits: str) -> None:
        if whole_amount := _WHOLE_AMOUNT.search(text):
            self._shows(whole_amount[1], text)
        marks = [mark for mark in digits if not mark.isdigit()]
        if not marks:
            self.small |= len(digits) <= 3
            self.large |= len(digits) > 3
            return
        last = marks[-1]
        whole, _, rest = digits.rpartition(last)
        if len(set(marks)) > 1:  # 1,234.56
            self._shows(last, text)
            self.groupings[marks[0]] += 1
        elif last in "' ":
            self.groupings[last] += 1
        elif len(marks) > 1:  # 1,234,567
            self.groupings[last] += 1
            self._shows(GROUPINGS[last], text)
        elif len(rest) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0"):
            self.unclear[last].append(text)
        else:
            self._shows(last, text)

    def _shows(self, sign: str, text: str) -> None:
        self.certain[sign] += 1
        self.examples.setdefault(sign, text)

    def decide(self, evidence: SignEvidence | None, is_money: bool) -> tuple[str, str, str]:
        """Choose the decimal sign.

        Returns
        -------
        str
            The decimal sign; "" if all numbers are whole and nothing else shows it.
        str
            A sentence if the choice is in doubt, else empty.
        str
            The evidence, if no cell shows the sign.
        """
        if self.certain:
            sign, count = self.certain.most_common(1)[0]
            if count >= MOSTLY * self.certain.total():
                return sign, "", ""
            point, comma = quote(self.examples["."]), quote(self.examples[","])
            return sign, f"{MIXED_SIGNS}: {point} and {comma}", ""
        if evidence is not None and evidence.is_declared:
            return evidence.sign, "", ""
        marks = [mark for mark in ".," if self.unclear[mark]]
        if not marks:
            return (evidence.sign if evidence and evidence.is_of_numbers else ""), "", ""
        votes = self._votes(marks, evidence, is_money)
        if len({sign for sign, _ in votes}) == 1:
            return votes[0][0], "", votes[0][1]
        way = "a decimal sign" if len(marks) > 1 else _WAYS[marks[0]]
        cells = [self.unclear[mark][0] for mark in marks]
        cells = cells if len(marks) > 1 else self.unclear[marks[0]][:2]
        doubt = f"{listed(cells)} can be read in two ways: with {way}, or with thousands"
        if votes:
            reasons = dict(reversed(votes))
            doubt += f" ({_WAYS['.']}: {reasons['.']}; {_WAYS[',']}: {reasons[',']})"
        return (votes[0][0] if votes else "."), doubt, ""

    def _votes(
        self, marks: Sequence[str], evidence: SignEvidence | None, is_money: bool
    ) -> list[tuple[str, str]]:
        """Return decimal signs with the evidence for each, the strongest first."""
        votes = []
        # Programs write decimal points, even next to dates as the people of a country write them.
        if evidence is not None and (
            evidence.is_of_numbers or evidence.sign == "." or marks == [","]
        ):
            votes.append((evidence.sign, evidence.reason))
        if len(marks) > 1:
            return votes
        mark, cells = marks[0], self.unclear[marks[0]]
        if is_money:
            reason = "the currency, whose amounts have no three digits behind the decimal sign"
            votes.append((GROUPINGS[mark], reason))
        if self.large and mark == ".":
            votes.append((mark, "numbers from 1,000 on without a thousands separator"))
        elif not self.large and self.small and len(cells) >= SURE:
            reason = "the fact that no number below 1,000 has the sign"
            votes.append((GROUPINGS[mark], reason))
        return votes

    def grouping(self, decimal: str) -> str:
        """Return the most frequent thousands separator, or the usual one for the decimal sign."""
        likely = [mark for mark, _ in self.groupings.most_common() if mark != decimal]
        return likely[0] if likely else GROUPINGS.get(decimal, "")
