"""Reading a column of cells as times."""

import datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.errors import ConfigError
from crm.formats.column_times import parse_times
from crm.times import DAY, HOUR, MONTHS, NOT_A_TIME, TIME_DTYPE, microseconds
from features.times import cell_time


def utc(
    *texts: Any, timezone: str = "Europe/Berlin", time_format: str | None = None, dtype: Any = None
) -> tuple[list[str | None], bool]:
    """Read cells as times: return month, day and time of each, and whether a zone was assumed."""
    column = pd.Series(list(texts), dtype=dtype)
    times, assumed = parse_times(column, "leads.csv", timezone, time_format)
    assert times.dtype == TIME_DTYPE
    return [None if pd.isna(time) else str(time)[5:19] for time in times], assumed


@pytest.mark.parametrize(
    ("text", "expected", "assumed"),
    [
        ("2025-01-01T08:00Z", "01-01 08:00:00", False),
        ("2025-01-01 08:00:30.123456789+02:00", "01-01 06:00:30", False),
        ("2025-01-01T08:00-0530", "01-01 13:30:00", False),
        ("2025-01-01T08:00:00+01", "01-01 07:00:00", False),
        ("20250101T080000Z", "01-01 08:00:00", False),
        ("2025-01-01 08:00:00 UTC", "01-01 08:00:00", False),
        ("2025-01-01 08:00 GMT", "01-01 08:00:00", False),
        ("2025-01-01 08:00:00 +0100", "01-01 07:00:00", False),
        ("2025-01-01T08:00:00+01:00[Europe/Berlin]", "01-01 07:00:00", False),
        ("2025-01-01T08Z", "01-01 08:00:00", False),
        (" 2025-01-01  08:00 ", "01-01 07:00:00", True),
        ("2025-01-02", "01-01 23:00:00", True),
        ("2025-07-01 08:00", "07-01 06:00:00", True),
        # The clocks skip this hour, so the same minute of the next one is meant.
        ("2025-03-30 02:30", "03-30 01:30:00", True),
        # The clocks show this hour twice, so it is read as the first one.
        ("2025-10-26 02:30", "10-26 00:30:00", True),
        ("2025-10-26T02:30+01:00", "10-26 01:30:00", False),
        (" 1735689600500 ", "01-01 00:00:00", False),  # milliseconds, as HubSpot writes them
        ("2025010110800", "03-03 14:48:30", False),  # milliseconds, although Python reads a date
        *(
            (text, None, False)
            for text in (
                "soon",
                "",
                "31.12.2025",
                "12/31/2025",
                "2025-13-01",
                "2025-02-30",
                "1735689600",
                "0735689600000",
                "2025",
                ".1",
                "08:00",
                "2025-01-01T25:00Z",
                "2025-01-01 08:00 CET",
            )
        ),
    ],
)
def test_texts_are_read_as_times(text: str, expected: str | None, assumed: bool) -> None:
    assert utc(text) == ([expected], assumed)


def test_zones_may_differ_within_a_column() -> None:
    texts = ("2025-01-01T08:00Z", "2025-01-01T08:00+02:00", "2025-01-01T08:00", None, "soon")
    assert utc(*texts) == (
        ["01-01 08:00:00", "01-01 06:00:00", "01-01 07:00:00", None, None],
        True,
    )


def test_typed_times_are_converted_to_utc() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    morning = datetime.datetime(2025, 1, 1, 8)  # noqa: DTZ001
    assert utc(morning, None, dtype="datetime64[ns]") == (["01-01 07:00:00", None], True)
    assert utc(morning, dtype="datetime64[ms, UTC]") == (["01-01 08:00:00"], False)
    mixed = (morning, morning.date(), morning.replace(tzinfo=zone))
    assert utc(*mixed, dtype=object) == (
        ["01-01 07:00:00", "12-31 23:00:00", "01-01 06:00:00"],
        True,
    )


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int64", "str", "object"])
def test_milliseconds_are_the_same_time_in_a_column_as_in_a_cell(dtype: Any) -> None:
    cells = [1735689600123, 9999999999999, 1735689600, 999999999999, 0]
    column = pd.Series([str(cell) for cell in cells] if dtype == "str" else cells, dtype=dtype)
    times, assumed = parse_times(column, "leads.csv")
    assert microseconds(times).tolist() == [cell_time(cell) for cell in column]
    assert microseconds(times)[:2].tolist() == [1735689600123000, 9999999999999000]
    assert times[2:].isna().all()
    assert not assumed


def test_seconds_since_1970_are_not_read_as_times() -> None:
    assert utc(1735689600, dtype="int64") == ([None], False)


@pytest.mark.parametrize(
    ("time_format", "texts", "expected"),
    [
        (
            "%d.%m.%Y %H:%M",
            ("31.12.2025 08:00", "2025-12-31", "2025-12", "12/31/2025 08:00"),
            ["12-31 07:00:00", "12-30 23:00:00", None, None],
        ),
        (
            "%d.%m.%Y %z",
            ("31.12.2025 +0100", "31.12.2025 Z", None),
            ["12-30 23:00:00", "12-31 00:00:00", None],
        ),
        ("%d.%m.%Y", (None,), [None]),
        ("DD.MM.YYYY", ("31.12.2025",), [None]),
    ],
)
def test_declared_format_is_read_and_complete_iso_dates_too(
    time_format: str, texts: tuple[str | None, ...], expected: list[str | None]
) -> None:
    assert utc(*texts, time_format=time_format)[0] == expected


def test_invalid_format_is_refused() -> None:
    message = r"leads\.csv: `%Q` cannot be read as a time_format: .*Expected directives such as %d"
    with pytest.raises(ConfigError, match=message):
        utc("31.12.2025", time_format="%Q")


@pytest.mark.parametrize("zone", ["Mars", "", "../etc", "CEST"])
def test_unknown_time_zone_is_refused(zone: str) -> None:
    message = r"is not a valid time zone\. Expected a name such as Europe/Berlin or UTC"
    with pytest.raises(ConfigError, match=message):
        utc("2025-01-01", timezone=zone)


@given(st.lists(st.none() | st.text("0123456789-+:TZ. z", max_size=25), max_size=5))
def test_text_alone_is_read_as_in_a_column(texts: list[str | None]) -> None:
    together, _ = utc(*texts)
    assert together == [utc(text)[0][0] for text in texts]


@given(
    st.datetimes(pd.Timestamp("1950"), pd.Timestamp("2090")),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_time_with_its_offset_is_read_exactly(moment: datetime.datetime, zone: str) -> None:
    aware = pd.Timestamp(moment, tz="UTC").tz_convert(zone).floor("s")
    for text in (aware.isoformat(), aware.strftime("%Y%m%dT%H%M%S%z")):
        assert parse_times(pd.Series([text]), "leads.csv")[0].iloc[0] == aware


@given(
    st.lists(
        st.builds(
            "{:%Y-%m-%d}{}{:%H:%M}{}{}".format,
            st.dates(),
            st.sampled_from("T "),
            st.times(),
            st.sampled_from(["", ":07", ":59.5", ":00.123456", ":00.123456789", ":60"]),
            st.sampled_from(["Z", "+01", "+0130", "-11:59", "+14:00", "-00:00", "+25:00"]),
        ),
        min_size=1,
    )
)
def test_invalid_cell_does_not_change_other_cells(texts: list[str]) -> None:
    alone, _ = parse_times(pd.Series(texts, dtype="str"), "leads.csv", "Europe/Berlin")
    with_invalid, _ = parse_times(
        pd.Series([*texts, "soon"], dtype="str"), "leads.csv", "Europe/Berlin"
    )
    pd.testing.assert_series_equal(alone, with_invalid[:-1])


def test_microseconds_of_missing_times_are_not_a_time() -> None:
    times = pd.to_datetime(pd.Series(["1970-01-02", None]), utc=True)
    assert microseconds(times).tolist() == [DAY, NOT_A_TIME]


def test_a_day_has_24_hours_of_3600_seconds() -> None:
    assert (DAY, HOUR) == (24 * HOUR, 3600 * 10**6)


def test_months_are_in_the_order_of_the_year() -> None:
    assert [datetime.date(2025, i, 1).strftime("%B") for i in range(1, 13)] == list(MONTHS)
