"""Formats of times: reading cells and columns, and recognising the format of a column."""

import datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.errors import ConfigError
from crm.formats.column_times import parse_times, time_formats, written_time
from crm.formats.time_recognition import recognise_times
from crm.formats.times import month_of, unknown_zone, zone_offset
from crm.times import HOUR, NOT_A_TIME, microseconds
from features.times import cell_time


def utc(text: str, notation: str | None, zone: str = "UTC") -> str | None:
    """Read one text in a format; return the time without its zone."""
    time = cell_time(text, zone, notation)
    return None if time == NOT_A_TIME else str(pd.Timestamp(time, unit="us"))


@pytest.mark.parametrize(
    ("text", "notation", "time"),
    [
        ("31.12.2024 08:05", "%d.%m.%Y %H:%M", "2024-12-31 08:05:00"),
        ("1.2.2024  8:05", "%d.%m.%Y %H:%M", "2024-02-01 08:05:00"),
        ("12/31/24, 1:05:09 PM", "%m/%d/%y, %I:%M:%S %p", "2024-12-31 13:05:09"),
        ("12/31/24, 12:05\u202fa.m.", "%m/%d/%y, %I:%M %p", "2024-12-31 00:05:00"),
        ("2024年1月2日 午後3:04", "%Y年%m月%d日 %p%I:%M", "2024-01-02 15:04:00"),
        ("January 2nd, 2024", "%B %d, %Y", "2024-01-02 00:00:00"),
        ("2 FÉVR. 1999", "%d %b %Y", "1999-02-02 00:00:00"),
        ("02-Jan-69", "%d-%b-%y", "1969-01-02 00:00:00"),
        ("02-Jan-68", "%d-%b-%y", "2068-01-02 00:00:00"),
        ("02.01.2024 03:04:05.123456789", "%d.%m.%Y %T", "2024-01-02 03:04:05.123456"),
        ("02.01.2024 +0130", "%d.%m.%Y %z", "2024-01-01 22:30:00"),
        ("02.01.2024 10:00 EST", "%d.%m.%Y %H:%M %Z", "2024-01-02 15:00:00"),
        ("02.07.2024 10:00 Europe/Berlin", "%d.%m.%Y %H:%M %Z", "2024-07-02 08:00:00"),
        ("Tue Jan 02 2024 GMT+0100 (CET)", "%a %b %d %Y %Z", "2024-01-01 23:00:00"),
        ("01/13/2024 09:05 AM (PST)", "%m/%d/%Y %I:%M %p %Z", "2024-01-13 17:05:00"),
        ("01/13/2024 09:05 AM (PST)", "%m/%d/%Y %I:%M %p", None),
        ("13.01.2024 09:05 [Europe/Berlin]", "%d.%m.%Y %H:%M %Z", "2024-01-13 08:05:00"),
        ("13.01.2024 9:05 (Pacific Standard Time)", "%d.%m.%Y %H:%M %Z", "2024-01-13 17:05:00"),
        ("13.01.2024 9:05 (PT)", "%d.%m.%Y %H:%M %Z", None),
        ("13.01.2024 (Sa.)", "%d.%m.%Y", "2024-01-13 00:00:00"),
        ("2025/01/10(金) 10:17", "%Y/%m/%d %H:%M", "2025-01-10 10:17:00"),
        ("13.01.2024 (estimated)", "%d.%m.%Y", None),
        ("\u0661\u0663/\u0660\u0661/\u0662\u0660\u0662\u0664", "%d/%m/%Y", "2024-01-13 00:00:00"),
        ("45292,42847", "excel days", "2024-01-01 10:17:00"),
        ("1704104220", "unix seconds", "2024-01-01 10:17:00"),
        ("1704104220123", "unix milliseconds", "2024-01-01 10:17:00.123000"),
        ("1704104220123456", "unix microseconds", "2024-01-01 10:17:00.123456"),
        ("1704104220000000000", "unix nanoseconds", "2024-01-01 10:17:00"),
        ("20240131101755", "%Y%m%d%H%M%S", "2024-01-31 10:17:55"),
        ("2024013110175", "%Y%m%d%H%M%S", None),
        ("202401311017", "%Y%m%d%H%M", "2024-01-31 10:17:00"),
        ("31012024", "%d%m%Y", "2024-01-31 00:00:00"),
        ("3112024", "%d%m%Y", None),
        ("20240131T1017", "%Y%m%dT%H%M", "2024-01-31 10:17:00"),
        ("45292.42847", "excel days", "2024-01-01 10:17:00"),
        ("31.12.2024", "%d.%m.%Y %H:%M or %d.%m.%Y", "2024-12-31 00:00:00"),
        ("31.02.2024", "%d.%m.%Y", None),
        ("2024-12-31T10:00Z", "%d.%m.%Y", "2024-12-31 10:00:00"),
        ("2024-12-31", "unix seconds", "2024-12-31 00:00:00"),
        ("2024-12", "%d.%m.%Y", None),
        ("31.12.2024 24:00", "%d.%m.%Y %H:%M", None),
        ("12/31/24, 13:05 PM", "%m/%d/%y, %I:%M %p", None),
        ("02.01.2024 10:00 XYZ", "%d.%m.%Y %H:%M %Z", None),
        ("02.01.2024 10:00 Mars/Base", "%d.%m.%Y %H:%M %Z", None),
        ("2 Brumaire 2024", "%d %b %Y", None),
        ("-5", "unix seconds", None),
        ("soon", "excel days", None),
    ],
)
def test_text_is_read_in_a_format(text: str, notation: str, time: str | None) -> None:
    assert utc(text, notation) == time


@pytest.mark.parametrize("notation", ["%d.%m.%Y %H:%M", "excel days"])
def test_local_times_are_in_the_zone_of_the_table(notation: str) -> None:
    text = "45292.5" if notation == "excel days" else "01.01.2024 12:00"
    assert utc(text, notation, "Asia/Tokyo") == "2024-01-01 03:00:00"
    assert utc("1704104220", "unix seconds", "Asia/Tokyo") == "2024-01-01 10:17:00"


@pytest.mark.parametrize(
    ("name", "month"),
    [("Mai", 5), ("sept.", 9), ("GRUDNIA", 12), ("août", 8), ("maerz", 3), ("Ma", 0), ("x", 0)]
    + [("mrt.", 3), ("Mrz", 3), ("des.", 12), ("maj", 5), ("Kasım", 11), ("мая", 5), ("янв", 1)]
    + [("srpna", 8), ("kesäkuuta", 6)],
)
def test_month_is_read_in_several_languages(name: str, month: int) -> None:
    assert month_of(name) == month


def test_start_of_two_months_is_not_a_month() -> None:
    assert month_of("jui") == 0  # juin and juillet


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("Z", 0), ("utc", 0), ("CET", 1), ("+0530", 5.5), ("-03:00", -3), ("GMT+2", 2), ("UTC-3", -3)],
)
def test_zone_is_read_as_an_offset(zone: str, hours: float) -> None:
    assert zone_offset(zone) == hours * HOUR


@pytest.mark.parametrize("zone", ["XYZ", "+2500", "GMT+1:75", "Mars/Base", "../etc"])
def test_unknown_zone_has_no_offset(zone: str) -> None:
    assert zone_offset(zone) is None


ISO_TIMES = [
    ("2025-01-03", "2025-01-03 00:00:00"),
    ("2025-1-3", "2025-01-03 00:00:00"),
    ("2025-W03-2", "2025-01-14 00:00:00"),
    ("20250103", "2025-01-03 00:00:00"),
    ("20250103T080506Z", "2025-01-03 08:05:06"),
    ("2025-01-03 8:05", "2025-01-03 08:05:00"),
    ("2025-01-03T08", "2025-01-03 08:00:00"),
    ("2025-01-03t08:05:06.1234567891z", "2025-01-03 08:05:06.123456"),
    ("2025-01-03T08:05:06,5", "2025-01-03 08:05:06.500000"),
    ("2025-01-03 08:05+01", "2025-01-03 07:05:00"),
    ("2025-01-03 08:05:06 +0100 UTC", "2025-01-03 07:05:06"),
    ("2025-01-03T08:05+01:00[Europe/Berlin]", "2025-01-03 07:05:00"),
    ("2025-01-03 08:05 GMT", "2025-01-03 08:05:00"),
    ("\u0662\u0660\u0662\u0665-\u0660\u0661-\u0660\u0665", "2025-01-05 00:00:00"),
    ('="2025-01-03"', "2025-01-03 00:00:00"),
    ("'2025-01-03", "2025-01-03 00:00:00"),
    ("\u200f2025-01-03", "2025-01-03 00:00:00"),
    ("1735689600000", "2025-01-01 00:00:00"),
    ("2025-01", None),
    ("2025", None),
    ("2025-W03", None),
    ("2025-02-30", None),
    ("2025-01-03x08:05", None),
    ("2025-01-03T24:00", None),
    ("2025-01-03 08:05[Europe/Berlin]", None),
    ("2025-01-03 08:05 (PST)", None),
    ("21000103", None),
]


@pytest.mark.parametrize(("text", "time"), ISO_TIMES)
def test_every_reader_reads_the_same_iso_times(text: str, time: str | None) -> None:
    assert utc(text, None) == time
    for cells in ([text], ["soon", text]):
        times, _ = parse_times(pd.Series(cells, dtype="str"), "leads.csv")
        read = times.iloc[-1]
        assert (None if pd.isna(read) else str(read.tz_localize(None))) == time
    recognised = recognise_times([text])
    assert (recognised is not None and recognised.notation is None) == (time is not None)


@pytest.mark.parametrize("notation", ["%Q", "%d.%d.%Y"])
def test_invalid_format_is_refused(notation: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read as a time_format: .* Expected direct"):
        time_formats(notation)


NOTATIONS = [
    "%d.%m.%Y %H:%M",
    "%m/%d/%y, %I:%M:%S %p",
    "%d %b %Y",
    "%Y/%m/%d %H:%M:%S %z",
    "%d-%m-%Y %H:%M EST",
    "unix seconds",
    "%Y%m%d%H%M%S",
    "excel days",
    "%d.%m.%Y %H:%M or %d.%m.%Y",
]


@given(
    st.sampled_from(NOTATIONS),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    st.lists(
        st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2060, 1, 1))  # noqa: DTZ001
        | st.text("0123456789./: -+APMEST", max_size=20)
        | st.sampled_from(["2024-02-30", "2024-02-03 10:00 UTC", "2024-02-03T10:00+0100"])
        | st.none(),
        max_size=5,
    ),
    st.booleans(),
)
def test_column_is_read_like_its_cells(
    notation: str, zone: str, drawn: list[datetime.datetime | str | None], is_long: bool
) -> None:
    form = notation.split(" or ")[0]
    cells = [
        cell.replace(tzinfo=datetime.UTC).strftime(form if "%" in form else "%s")
        if isinstance(cell, datetime.datetime)
        else cell
        for cell in drawn
    ]
    column = pd.Series(cells * (50 if is_long else 1), dtype="str")
    times, _ = parse_times(column, "leads.csv", zone, notation)
    expected = [cell_time(cell, zone, notation) for cell in column.where(column.notna(), None)]
    assert microseconds(times).tolist() == expected


@pytest.mark.parametrize(
    ("notation", "texts"),
    [
        ("%m/%d/%y %I:%M %p", ["1/2/24 12:05 AM", "1/2/24 12:05 PM", "1/2/24 1:05 PM"]),
        ("%m/%d/%y %I:%M %p", ["1/2/24 0:05 AM", "1/2/24 13:05 PM", "1/2/24 1:60 PM"]),
        ("%d.%m.%y", ["1.1.68", "1.1.69", "31.1.24", "32.1.24", "0.1.24", "1.0.24", "1.13.24"]),
        ("%d.%m.%Y %H:%M:%S", ["1.1.2024 23:59:59", "1.1.2024 24:00:00", "1.1.2024 0:00:60"]),
        ("%d.%m.%Y", ["1.1.0000", "1.1.0001", "29.2.2023", "29.2.2024"]),
    ],
)
def test_long_column_is_read_like_its_cells(notation: str, texts: list[str]) -> None:
    times, _ = parse_times(pd.Series(texts * 40, dtype="str"), "leads.csv", "UTC", notation)
    assert microseconds(times).tolist() == [cell_time(t, "UTC", notation) for t in texts] * 40


# -- recognition


@pytest.mark.parametrize(
    ("texts", "notation"),
    [
        (["2024-01-31", "2024-01-31T10:17:00Z"], None),
        (["2024-01-31 10:17:00 UTC"], None),
        (["1704104220000"], None),
        (["31/01/2024 10:17"], "%d/%m/%Y %H:%M"),
        (["01/31/2024 10:17 AM"], "%m/%d/%Y %I:%M %p"),
        (["1.2.2024, 10:17"], "%d.%m.%Y, %H:%M"),
        ([f"{day:02d}-01-24" for day in range(1, 29)], "%d-%m-%y"),
        (["31-Jan-24"], "%d-%b-%y"),
        (["31 de enero de 2024"], "%d de %b de %Y"),
        (["31. Januar 2024 um 10:17 Uhr"], "%d. %b %Y um %H:%M Uhr"),
        (["Jan 31, 2024"], "%b %d, %Y"),
        (["13 января 2024 г. 18:27"], "%d %b %Y г. %H:%M"),
        (["13 января 2024 года, 18:27"], "%d %b %Y года, %H:%M"),
        (["13 января 2024 г. в 18:27"], "%d %b %Y г. в %H:%M"),
        (["13 stycznia 2024 r."], "%d %b %Y r."),
        (["13 stycznia 2024 r. o 18:27"], "%d %b %Y r. o %H:%M"),
        (["13.01.2024 г."], "%d.%m.%Y г."),
        (["2024年1月31日"], "%Y年%m月%d日"),
        (["Wed, 31 Jan 2024 10:17:00 +0000"], "%a, %d %b %Y %H:%M:%S %z"),
        (["Wed Jan 31 10:17:00 UTC 2024"], "%a %b %d %H:%M:%S %Z %Y"),
        (["01/31/2024 10:17 EST"], "%m/%d/%Y %H:%M %Z"),
        (["31/01/2024", "31/01/2024 10:17"], "%d/%m/%Y or %d/%m/%Y %H:%M"),
    ],
)
def test_format_is_recognised(texts: list[str], notation: str | None) -> None:
    recognised = recognise_times(texts)
    assert recognised is not None
    assert (recognised.notation, recognised.doubt) == (notation, "")


@pytest.mark.parametrize(
    "texts",
    [["Smith, John"], ["12 May"], ["01.2024"], ["Q1 2024"], ["1.5"], ["1704104220"], ["45292"]]
    + [["2024-01-31", "soon"], ["10.0.0.1"], ["0151 1579240"], []],
)
def test_other_texts_are_not_times(texts: list[str]) -> None:
    assert recognise_times(texts) is None


@pytest.mark.parametrize(
    ("text", "notation"),
    [
        ("1704104220", "unix seconds"),
        ("45292.5", "excel days"),
        ("1704104220000000", "unix microseconds"),
        ("1704104220000000000", "unix nanoseconds"),
        ("20240131101700", "%Y%m%d%H%M%S"),
        ("202401311017", "%Y%m%d%H%M"),
    ],
)
def test_numbers_are_times_if_the_name_means_a_time(text: str, notation: str) -> None:
    recognised = recognise_times([text], may_be_numbers=True)
    assert recognised is not None
    assert recognised.notation == notation


@pytest.mark.parametrize("text", ["20241331101700", "20240131251700", "18240131101700", "1" * 12])
def test_numbers_that_are_not_compact_times_are_numbers(text: str) -> None:
    assert recognise_times([text], may_be_numbers=True) is None


def test_half_of_the_day_is_not_a_zone() -> None:
    assert unknown_zone("Ben Keller Jan 3, 2024 11:18 PM") == ""
    assert unknown_zone("Jan 3, 2024 11:18 PM PT") == "PT"


def test_compact_times_need_the_name_of_a_time() -> None:
    assert recognise_times(["20240131101700"]) is None


def test_cells_that_do_not_fit_are_named() -> None:
    days = [f"{day}.{month}.2023" for day in range(1, 28) for month in range(1, 13)]
    recognised = recognise_times([*days, "soon"])
    assert recognised is not None
    assert recognised.notation == "%d.%m.%Y"
    assert recognised.unread == ("soon",)


def test_dates_that_can_be_read_in_two_ways_are_in_doubt() -> None:
    recognised = recognise_times(["01/02/2024", "03/04/2024"])
    assert recognised is not None
    assert (recognised.notation, recognised.doubtful_as) == ("%d/%m/%Y", "%m/%d/%Y")
    assert recognised.doubt


def test_order_of_other_dates_ends_the_doubt() -> None:
    recognised = recognise_times(["01/02/2024", "03/04/2024"], order="m")
    assert recognised is not None
    assert (recognised.notation, recognised.doubt) == ("%m/%d/%Y", "")


@pytest.mark.parametrize(
    "notation",
    [None, "%d.%m.%Y %H:%M", "%d. %B %Y", "%m/%d/%y %I:%M %p", "%Y-%m-%dT%H:%M:%S%z"]
    + ["%d %b %Y %H:%M %Z", "unix seconds", "unix milliseconds", "excel days"]
    + ["unix microseconds", "unix nanoseconds", "%Y%m%d%H%M%S"],
)
def test_example_of_a_format_is_read_in_this_format(notation: str | None) -> None:
    named, _, example = written_time(notation).partition(", such as ")
    assert named == (notation or "ISO 8601")
    assert (utc(example, notation) or "").startswith("2026-01-31 ")
