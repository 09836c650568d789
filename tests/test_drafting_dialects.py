"""Known records, written in random dialects, come back from a draft as they were.

A dialect is a delimiter, an encoding, a quoting, formats of numbers and times, a language, lines
above the header and lines below the rows.
"""

import csv
import datetime
import io
import random
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from hypothesis import event, given, settings
from hypothesis import strategies as st

from crm.project import PROJECT_FILE, load_project
from crm.reading import read_records
from drafting.draft import draft_project

N_LEADS = 60
LANGUAGES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
DELIMITERS = [",", ";", "\t", "|"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]
NUMBER_FORMATS = ["1,234.56", "1.234,56", "1 234,56", "1\u202f234,56", "1'234.56", "1234.56"]
UNITS = ["{}", "${}", "{} €", "EUR {}", "{} CHF"]
TIME_FORMATS = [
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y-%m-%dT%H:%M:%S.000+0000",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y, %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%y, %I:%M:%S %p",
    "%d-%b-%y %H:%M",
    "%B %d, %Y %H:%M",
    "%a %b %d %Y %H:%M:%S GMT+0000",
    "unix seconds",
    "unix milliseconds",
]
PREAMBLES = [[], ["sep="], ["Leads report", ""], ["# exported", "# 2024"]]
FOOTERS = [[], ["total"], ["", "Copyright (c) 2024 Example Inc. All rights reserved."]]


@dataclass(frozen=True)
class Dialect:
    """One way to write a table."""

    language: str
    delimiter: str
    encoding: str
    quote_all: bool
    line_end: str
    number_format: str
    unit: str
    time_format: str
    preamble: tuple[str, ...]
    footer: tuple[str, ...]


DIALECTS = st.builds(
    Dialect,
    st.sampled_from(sorted(LANGUAGES)),
    st.sampled_from(DELIMITERS),
    st.sampled_from(ENCODINGS),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(NUMBER_FORMATS),
    st.sampled_from(UNITS),
    st.sampled_from(TIME_FORMATS),
    st.sampled_from(PREAMBLES).map(tuple),
    st.sampled_from(FOOTERS).map(tuple),
)


@dataclass(frozen=True)
class Lead:
    """One known lead."""

    lead_id: str
    created: datetime.datetime
    closed: datetime.datetime | None
    outcome: str
    amount: float | None
    employees: int


def known_leads() -> list[Lead]:
    """Return leads whose closing follows their creation; a tenth of them are open."""
    rng, start = random.Random(7), datetime.datetime(2023, 1, 1, tzinfo=datetime.UTC)
    leads = []
    for i in range(N_LEADS):
        created = start + datetime.timedelta(days=11 * i, minutes=rng.randrange(1_440))
        outcome = "open" if i % 10 == 9 else "won" if i % 3 == 0 else "lost"
        closed = None
        if outcome != "open":
            closed = created + datetime.timedelta(days=3 + i % 40, minutes=rng.randrange(600))
        amount = rng.randrange(50_000, 9_000_000) / 100 if outcome == "won" else None
        leads.append(Lead(f"L{i:05d}", created, closed, outcome, amount, rng.randrange(1, 900)))
    return leads


LEADS = known_leads()


def write(dialect: Dialect) -> bytes:
    """Write the known leads in a dialect."""
    words = LANGUAGES[dialect.language]
    header = [words[name] for name in ("lead_id", "created_at", "employees")]
    header += [words[name] for name in ("outcome", "closed_at", "amount")]
    text = io.StringIO()
    for line in dialect.preamble:
        end = dialect.delimiter if line == "sep=" else ""
        text.write(line + end + dialect.line_end)
    writer = csv.writer(
        text,
        delimiter=dialect.delimiter,
        lineterminator=dialect.line_end,
        quoting=csv.QUOTE_ALL if dialect.quote_all else csv.QUOTE_MINIMAL,
    )
    writer.writerow(header)
    for lead in LEADS:
        writer.writerow(
            [
                lead.lead_id,
                written_time(lead.created, dialect.time_format),
                str(lead.employees),
                words[lead.outcome],
                written_time(lead.closed, dialect.time_format),
                written_number(lead.amount, dialect),
            ]
        )
    for line in dialect.footer:
        if line == "total":
            total = written_number(sum(lead.amount or 0 for lead in LEADS), dialect)
            writer.writerow(["Total", "", "", "", "", total])
        else:
            text.write(line + dialect.line_end)
    return text.getvalue().encode(dialect.encoding)


def written_time(time: datetime.datetime | None, time_format: str) -> str:
    """Write a time in UTC in a format."""
    if time is None:
        return ""
    if time_format == "unix seconds":
        return str(int(time.timestamp()))
    if time_format == "unix milliseconds":
        return str(int(time.timestamp()) * 1_000)
    return time.strftime(time_format)


def written_number(number: float | None, dialect: Dialect) -> str:
    """Write an amount in a format, with its unit."""
    if number is None:
        return ""
    form = dialect.number_format
    grouping = form[1] if form[1] != "2" else ""
    whole, cents = f"{number:,.2f}".split(".")
    text = whole.replace(",", grouping) + form[-3] + cents
    return dialect.unit.format(text)


@settings(max_examples=25, deadline=None)
@given(DIALECTS)
def test_known_records_come_back_from_any_dialect(dialect: Dialect) -> None:
    try:
        content = write(dialect)
    except UnicodeEncodeError:
        event("the encoding has no such letters")
        return
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "leads.csv").write_bytes(content)
        draft = draft_project([str(folder / "leads.csv")], folder)
        (folder / PROJECT_FILE).write_text(draft, encoding="utf-8")
        records = read_records(load_project(folder))
    event("read")
    leads = records.leads.set_index("lead_id")
    step = "min" if ":%S" not in dialect.time_format and "unix" not in dialect.time_format else "s"
    assert sorted(leads.index) == [lead.lead_id for lead in LEADS]
    outcomes = records.outcomes.set_index("lead_id")
    for lead in LEADS:
        assert leads.loc[lead.lead_id, "created_at"] == pd.Timestamp(lead.created).floor(step)
        if lead.closed is None:
            assert lead.lead_id not in outcomes.index
            continue
        outcome = outcomes.loc[lead.lead_id]
        assert outcome["outcome"] == lead.outcome
        assert outcome["closed_at"] == pd.Timestamp(lead.closed).floor(step)
        if lead.amount is not None:
            assert outcome["amount"] == lead.amount
