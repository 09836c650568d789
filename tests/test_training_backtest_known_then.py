"""Records as they were known at a cut-off."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from crm.project import LearnKeys
from crm.records import Records
from crm.times import NOT_A_TIME, microseconds
from features.moments import list_moments, make_moments
from tests.made_backtests import at_day, closed_leads, write_closed_leads
from tests.made_records import PROJECT, Read
from training.backtest.known_then import is_covered, records_known_at

LEARN = LearnKeys(won=["yes"], lost=["no"], horizon_days=30)


def at(text: str) -> int:
    return int(pd.Timestamp(text).value // 1_000)


def ids(table: pd.DataFrame | None) -> list[str]:
    assert table is not None
    return table["lead_id"].tolist()


def test_records_until_a_time(read: Read) -> None:
    records = read()
    then = records_known_at(records, LEARN, at("2025-01-04T08:00Z"))
    assert ids(then.leads) == ["1", "2", "3"]  # the fourth was created at that moment
    assert then.activities is not None
    assert then.activities["type"].tolist() == ["call", "mail"]  # the mail came at that moment
    assert ids(then.stages) == ["1", "1"]
    assert ids(then.outcomes) == []
    assert str(then.observed_until) == "2025-01-04 08:00:00+00:00"
    assert len(records.leads) == 9


def test_outcomes_are_known_from_their_closing(read: Read) -> None:
    records = read()
    assert ids(records.outcomes) == ["1", "2", "5"]
    assert ids(records_known_at(records, LEARN, at("2025-02-01T07:59Z")).outcomes) == []
    assert ids(records_known_at(records, LEARN, at("2025-02-01T08:00Z")).outcomes) == ["1"]


def test_an_outcome_without_a_date_is_known_when_the_horizon_is_over(read: Read) -> None:
    records = read()  # lead 5, created on 5 January
    before, after = (
        records_known_at(records, LEARN, at(f"2025-02-04T{clock}Z")) for clock in ("07:59", "08:00")
    )
    assert ids(before.outcomes) == ["1", "2"]
    assert ids(after.outcomes) == ["1", "2", "5"]


def test_a_closing_on_a_day_is_known_when_the_day_is_over(read: Read) -> None:
    rows = "lead_id,outcome,closed_at\n1,yes,2025-02-01\n2,no,2025-02-03\n"
    records = read({"outcomes.csv": rows})
    assert ids(records_known_at(records, LEARN, at("2025-02-01T23:00Z")).outcomes) == []
    assert ids(records_known_at(records, LEARN, at("2025-02-02T00:00Z")).outcomes) == ["1"]


def test_tables_that_are_absent_stay_absent(read: Read) -> None:
    project = PROJECT.replace('[stages]\nsource = "stages.csv"\n', "")
    assert records_known_at(read(project=project), LEARN, at("2025-01-04T08:00Z")).stages is None


def test_moments_are_those_that_were_mature_then(tmp_path: Path) -> None:
    project, records = write_closed_leads(tmp_path, closed_leads())
    whole = make_moments(records, project.learn)
    cut_off = at_day(120)
    then = make_moments(records_known_at(records, project.learn, cut_off), project.learn)
    was_known = whole.known_at <= cut_off
    assert 0 < was_known.sum() < len(whole)
    for name in ("lead", "as_of", "label", "known_at"):
        assert getattr(then, name).tolist() == getattr(whole, name)[was_known].tolist(), name


def late_outcomes() -> Records:
    """Return leads of 400 days whose outcomes begin on the 200th day."""
    created = pd.Series(pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(range(400), "D"))
    leads = pd.DataFrame({"lead_id": [f"L{i}" for i in range(400)], "created_at": created})
    closed = created + pd.Timedelta(5, "D")
    outcomes = pd.DataFrame(
        {
            "lead_id": leads["lead_id"],
            "outcome": np.where(np.arange(400) % 2, "won", "lost"),
            "closed_at": closed,
            "closed_by": closed,
        }
    )[200:].reset_index(drop=True)
    until = closed.iloc[-1]
    return Records(leads=leads, outcomes=outcomes, in_order=True, observed_until=until)


def test_leads_before_the_outcomes_are_left_out_at_every_cut_off() -> None:
    records = late_outcomes()
    learn = replace_horizon(10)
    assert is_covered(records).sum() == 195  # those from the day of the first outcome
    # On day 230 too few outcomes had come to find out that they begin late.
    cut_off = int(microseconds(records.leads["created_at"])[230])
    then = records_known_at(records, learn, cut_off)
    assert ids(then.leads)[0] == "L205"
    assert ids(then.leads)[-1] == "L229"
    assert list_moments(then, learn).counts["leads_before_the_outcomes"] == 0


def replace_horizon(days: float) -> LearnKeys:
    return LearnKeys(won=["won"], lost=["lost"], horizon_days=days)


def test_other_facts_of_the_records_stay() -> None:
    records = replace(late_outcomes(), formats={"size": "1.000"}, closing_zone="UTC")
    then = records_known_at(records, replace_horizon(10), at("2025-01-10T00:00Z"))
    assert (then.formats, then.closing_zone, then.in_order) == ({"size": "1.000"}, "UTC", True)
    assert NOT_A_TIME not in microseconds(then.leads["created_at"])
    assert then.outcomes_until == pd.Timestamp("2025-01-09T23:59:59.999999Z")
