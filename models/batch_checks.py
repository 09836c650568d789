"""Checks that concern a whole file of leads: its formats, and the events of its leads."""

from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Bools
from crm.cells import text_column
from crm.formats.column_times import parse_times
from crm.formats.columns import column_formats, number_reader
from crm.formats.numbers import PERCENT, currency_of, number_parts
from crm.formats.times import is_time_format
from crm.lead_ids import bare_id, id_keys
from crm.text import counted, listed, number_text
from features.attributes.date import DateAttribute
from features.attributes.number import NumberAttribute
from features.history import EventLogs
from models.scorer import LeadScorer

FRACTION: Final = "0.2"  # the notation of a fraction, as "20%" is that of a percentage
ISO: Final = "ISO 8601"
WITH_UNIT: Final = r"[^\d\s.,'()+-]"  # matches numbers with a currency or another unit
EPOCH: Final = pd.Timestamp(0, tz="UTC")


class OtherFormat(NamedTuple):
    """A column of numbers or times that a file writes in another format than the training leads.

    Attributes
    ----------
    column : str
    notation : str
        The format of the file, as `crm.formats` has it.
    learned : str
        The format of the training leads; "ISO 8601" for times of which none is declared.
    example : str
        A cell that the two formats read as different numbers or times.
    usual : str
        A usual cell of the training leads, if the file has fractions in place of percentages;
        empty otherwise.
    """

    column: str
    notation: str
    learned: str
    example: str
    usual: str = ""

    @property
    def sentence(self) -> str:
        """The difference in words."""
        if self.usual:
            return (
                f"`{self.column}` seems to have fractions, but the model reads percentages: "
                f'"{self.example}" is read as {self.example}%; training cells were such as '
                f"{self.usual}"
            )
        return (
            f'`{self.column}` seems to have the format "{self.notation}", but the model reads '
            f'"{self.learned}", which gives "{self.example}" another meaning'
        )


def other_formats(scorer: LeadScorer, leads: pd.DataFrame) -> list[OtherFormat]:
    """Find the columns that a file writes in another format than the model reads.

    Parameters
    ----------
    scorer : LeadScorer
    leads : DataFrame
        Leads of the file, with the names of columns that the model knows.

    Returns
    -------
    list of OtherFormat
        It does not contain columns whose cells leave the format open.
    """
    learned: dict[str, str | None] = {
        attribute.column: attribute.notation
        for attribute in scorer.pipeline.attributes
        if isinstance(attribute, NumberAttribute | DateAttribute) and attribute.notation is not None
    }
    if scorer.pipeline.has_times:
        learned[scorer.roles["created_at"]] = scorer.time_format
    columns = [column for column in learned if column in leads.columns]
    found = []
    for column, form in column_formats(leads, columns, declared={}).items():
        notation = learned[column]
        if form.notation in (None, notation) or form.doubt:
            continue
        texts = _distinct_texts(leads[column])
        written, read = _read(texts, form.notation), _read(texts, notation)
        differs = written.notna() & read.notna() & (written != read)
        if differs.any():
            example = str(texts[differs].iloc[0])
            found.append(OtherFormat(column, str(form.notation), notation or ISO, example))
    for attribute in scorer.pipeline.attributes:
        if isinstance(attribute, NumberAttribute) and attribute.column in leads.columns:
            found += _fractions(attribute, leads[attribute.column])
    return found


def _fractions(attribute: NumberAttribute, cells: pd.Series) -> list[OtherFormat]:
    """Find cells such as 0.27 in a column that had percentages such as 27% in training.

    Cells with a percent sign do not count. The column has fractions if its median is below 1, and
    at most a tenth of the training median. A fraction may be above 1, such as 1.2 for 120%. If the
    training leads had small percentages too, the cells may be percentages.
    """
    if attribute.format.unit != PERCENT or attribute.median <= 1:
        return []
    texts = _distinct_texts(cells)
    texts = texts[~texts.str.contains("[%\uff05\u066a]").astype(bool)]
    numbers = pd.Series(attribute.encode_column(cells.iloc[texts.index]), texts.index).dropna()
    sizes = numbers[numbers != 0].abs()
    is_fraction = (numbers != 0) & (numbers.abs() < 1)
    if not is_fraction.any() or sizes.median() >= min(1.0, attribute.median / 10):
        return []
    number = number_text(attribute.median).replace(".", attribute.format.decimal or ".")
    example = str(texts[numbers.index][is_fraction].iloc[0])
    return [OtherFormat(attribute.column, FRACTION, attribute.notation, example, f"{number}%")]


def _distinct_texts(cells: pd.Series) -> pd.Series:
    """Return the distinct texts of cells; the index is the position of the first of each."""
    return pd.Series(text_column(cells), dtype=object).dropna().drop_duplicates()


def _read(texts: pd.Series, notation: str | None) -> pd.Series:
    """Read texts in a format of numbers or times, as numbers; nan if they cannot be read."""
    if notation is not None and not is_time_format(notation):
        return pd.Series(number_reader(notation).read_column(texts), texts.index)
    times, _ = parse_times(texts, "leads", time_format=notation)
    return (times - EPOCH).dt.total_seconds()


def role_notes(scorer: LeadScorer, leads: pd.DataFrame) -> list[str]:
    """Return sentences about the columns of ids and creation times that a file lacks.

    Parameters
    ----------
    scorer : LeadScorer
    leads : DataFrame
        Leads of the file, with the names of columns that the model knows.

    Returns
    -------
    list of str
    """
    notes = []
    created_at, lead_id = scorer.roles.get("created_at"), scorer.roles["lead_id"]
    if scorer.pipeline.has_times and created_at not in leads.columns:
        unknown = [name for name in leads.columns if name not in scorer.column_names.known]
        formats = column_formats(leads, unknown, declared={})
        times = [column for column in unknown if formats[column].kind == "time"]
        candidates = f" The file has times in {listed(times)}." if times else ""
        notes.append(
            f"The file has no column `{created_at}` with the creation times of the leads. The age "
            "of each lead, and everything else that depends on its creation, counts as missing, so "
            f"scores differ.{candidates} Rename the column with the creation times to "
            f"`{created_at}`."
        )
    if lead_id not in leads.columns:
        notes.append(
            f"The file has no column `{lead_id}` with the ids of the leads, so the leads are "
            "numbered 1, 2, 3 … in the order of the rows. Their activities, stages and outcomes in "
            "the project's tables are not used, and leads that were erased are not left out. "
            f"Rename the column with the ids to `{lead_id}`."
        )
    return notes


def currency_notes(scorer: LeadScorer, leads: pd.DataFrame) -> list[str]:
    """Return sentences about columns with currencies that had none in the training leads.

    The parameters are those of `other_formats`.
    """
    notes = []
    for attribute in scorer.pipeline.attributes:
        if not isinstance(attribute, NumberAttribute) or attribute.format.unit:
            continue
        if attribute.column not in leads.columns:
            continue
        texts = _distinct_texts(leads[attribute.column])
        parts = map(number_parts, texts[texts.str.contains(WITH_UNIT).astype(bool)])
        units = {part.unit for part in parts if part is not None and currency_of(part.unit)}
        if units:
            notes.append(
                f"`{attribute.column}` has amounts in {listed(sorted(units))}. The numbers of the "
                "training leads had no currency, so amounts are read as plain numbers and not "
                "converted."
            )
    return notes


class LeadsWithEvents:
    """The number of leads of a file that have activities or stages.

    Parameters
    ----------
    events : EventLogs
    """

    def __init__(self, events: EventLogs) -> None:
        self._known = events.ids
        self._is_found = np.zeros(len(self._known), dtype=bool)
        self._damaged: dict[int, str] = {}  # ids of the file by the position of a known id
        self.n = 0

    def add(self, ids: pd.Series) -> None:
        """Count the leads with events among some ids; missing ids have none."""
        if not len(self._known):
            return
        keys = id_keys(ids.dropna().astype("str"))
        positions = self._known.places(keys)
        has_events = positions >= 0
        self.n += int(has_events.sum())
        self._is_found[positions[has_events]] = True
        unknown = keys[~has_events].drop_duplicates()
        bare = unknown.copy()
        may_differ = _may_not_be_bare(unknown)
        bare[may_differ] = unknown[may_differ].map(bare_id)
        positions = self._known.places(bare)
        damaged = bare.map(self._position_of_bare).fillna(-1).to_numpy(dtype=np.int64)
        positions = np.where(positions >= 0, positions, damaged)
        for row in np.flatnonzero(positions >= 0).tolist():
            self._damaged.setdefault(int(positions[row]), str(unknown.iloc[row]))

    @cached_property
    def _position_of_bare(self) -> dict[str, int]:
        """The position of each known id that is not in its bare form, by this form."""
        known = self._known.texts
        others = known[_may_not_be_bare(known)].sort_values()
        return {
            bare_id(lead_id): place
            for place, lead_id in zip(others.index.tolist(), others, strict=True)
        }

    @property
    def notes(self) -> list[str]:
        """A sentence about ids that seem to be those of leads with events, written differently."""
        damaged = [place for place in self._damaged if not self._is_found[place]]
        if not damaged:
            return []
        of_file, of_events = self._damaged[damaged[0]], self._known[damaged[0]]
        return [
            f"{counted(len(damaged), 'lead')} of the file may have activities or stages that are "
            "not found, because the ids differ in zeros at the beginning, thousands separators or "
            f"an apostrophe: the file has {of_file!r}, the project's tables have {of_events!r}. "
            "Export the ids as text."
        ]


def _may_not_be_bare(keys: pd.Series) -> Bools:
    """Return which ids may differ from their bare form, shape (n,)."""
    is_other = pc.match_substring_regex(pa.array(keys.array, pa.large_string()), "^['0]|,")
    return np.asarray(is_other.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
