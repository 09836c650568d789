from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.project import MonitorKeys, Project, load_project
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, as_times
from features.first_closings import NEVER
from models.reference import Reference
from monitoring.arrivals import activities_check, outcomes_check, sources_check, stale_records
from monitoring.check import Check, Verdict
from monitoring.gaps import Arrivals, arrivals_of
from monitoring.retired import Retired
from tests.made_monitoring import champion_of, moments_by_hand, outcomes_of

NONE = Retired.of(MonitorKeys())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("arrivals")
    (folder / "leadscore.toml").write_text(
        '[project]\nname = "a"\n[leads]\nsource = "l.csv"\noutcome = "o"\n[learn]\nwon = ["w"]\n'
    )
    return load_project(folder)


@pytest.mark.parametrize(
    ("gap", "usual", "days", "verdict"),
    [
        (4.0, 2.0, 10_000.0, Verdict.ACT),
        (3.9, 2.0, 10_000.0, Verdict.FINE),
        (4.0, 2.0, 9_999.0, Verdict.WATCH),
        (4.0, 2.0, 1_000.0, Verdict.WATCH),
        (4.0, 2.0, 999.0, Verdict.FINE),
    ],
)
def test_silence_is_compared_with_the_longest_one_and_with_what_is_possible(
    gap: float, usual: float, days: float, verdict: Verdict
) -> None:
    assert Arrivals("fax", 100, 0, gap, usual, 5.0, days).verdict is verdict


def test_arrivals_of_the_last_year_by_hand() -> None:
    # 60 records on each second day, from day 0 to day 118; then none until day 130.
    at = np.arange(60) * 2 * DAY
    found = arrivals_of("fax", at, 130 * DAY)
    # A record on each second day, and 12 days of silence: each is half as likely as after a stop.
    statistic = sum(2.0**n for n in range(1, 13))
    assert found is not None
    assert found.days == pytest.approx(statistic)
    assert found == Arrivals("fax", 60, 118 * DAY, 12.0, 2.0, 6.0, found.days)
    of_ten = arrivals_of("fax", at, 130 * DAY, n_tests=10)
    assert of_ten is not None
    assert of_ten.days == pytest.approx(statistic / 10)
    assert found.sentence("activity") == (
        'The last activity "fax" is from 1970-04-29, 12 days before the end of the records. About '
        "6 were expected since; the longest gap before was 2.0 days."
    )
    # What lies in the future, has no time, or is a year old does not count.
    strange = np.append(at, [NOT_A_TIME, 131 * DAY, 130 * DAY - 365 * DAY])
    assert arrivals_of("fax", strange, 130 * DAY) == found


def test_quietest_eight_weeks_show_how_many_records_are_sure_to_come() -> None:
    # Four a day, but on each fourth day only from day 100 to day 155.
    often = np.repeat(np.arange(300), np.where((np.arange(300) - 100) // 56 == 0, 0, 4))
    at = np.sort(np.append(often, np.arange(100, 156, 4))) * DAY
    found = arrivals_of("fax", at, 320 * DAY)
    assert found is not None
    assert found.expected == round(21 * 14 / 56, 1)
    assert found.days == pytest.approx(sum((4 / 3) ** n for n in range(1, 22)))
    # Twenty days of 85 % at most.
    steady = arrivals_of("fax", np.repeat(np.arange(300), 4) * DAY, 319 * DAY)
    assert steady is not None
    assert steady.days == pytest.approx(sum((1 / 0.15) ** n for n in range(1, 21)))


def test_fifty_records_in_four_weeks_show_what_is_usual() -> None:
    at = np.linspace(0, 28 * DAY, 50).astype(np.int64)
    assert arrivals_of("fax", at, 40 * DAY) is not None
    assert arrivals_of("fax", at[1:], 40 * DAY) is None
    assert arrivals_of("fax", np.append(0, at[1:] - DAY), 40 * DAY) is None


def records_of(created: Any, until: float, **columns: Any) -> Records:
    """Return records of leads that were created on these days."""
    n = len(created)
    at = (np.asarray(created) * DAY).astype(np.int64)
    leads = {
        "lead_id": [f"L{i}" for i in range(n)],
        "created_at": as_times(at, pd.RangeIndex(n)),
        **columns,
    }
    end = as_times(np.array([int(until * DAY)]), pd.RangeIndex(1)).iloc[0]
    nothing = pd.DataFrame(
        {
            "lead_id": [],
            "outcome": [],
            "closed_at": as_times(np.empty(0, np.int64), pd.RangeIndex(0)),
        }
    )
    return Records(leads=pd.DataFrame(leads), outcomes=nothing, observed_until=end, in_order=True)


def sources_of(project: Project, created: Any, until: float, **columns: Any) -> Check:
    return sources_check(records_of(created, until, **columns), project, NONE)


def blocks(*counts: int) -> Any:
    """Return days of creation with a number of leads in each four weeks from day 100 on.

    The first block begins with the first lead, so this lead is not in a block.
    """
    days = [100 + 28 * i + 28 * (np.arange(n) + 1) / n for i, n in enumerate(counts)]
    return np.append(100.0, np.concatenate(days))


@pytest.mark.parametrize(("last", "is_usual"), [(60, True), (61, False), (20, True), (19, False)])
def test_four_weeks_are_unusual_beyond_one_and_a_half_times(
    project: Project, last: int, is_usual: bool
) -> None:
    """In the six blocks before, 30 to 40 leads came."""
    check = sources_of(project, blocks(30, 35, 35, 35, 35, 40, last), until=100 + 7 * 28)
    assert check.verdict is (Verdict.FINE if is_usual else Verdict.WATCH)
    volume = (
        f"{last} leads came in the last four weeks; in the year before, four weeks brought 30 to "
        "40."
    )
    assert check.evidence == "Leads still arrive." + ("" if is_usual else f" {volume}")
    assert bool(check.next_step) is not is_usual
    figures: Mapping[str, Any] = check.figures
    assert [figures[name] for name in ("leads_in_four_weeks", "fewest", "most")] == [last, 30, 40]


def test_five_earlier_blocks_do_not_show_what_is_usual(project: Project) -> None:
    check = sources_of(project, blocks(30, 40, 35, 35, 35, 200), until=100 + 6 * 28)
    assert (check.verdict, check.evidence) == (Verdict.FINE, "Leads still arrive.")


def test_sources_that_stopped_are_listed_by_what_was_expected(project: Project) -> None:
    # Leads of five sources, one to five a day, until day 100; one source goes on until day 120.
    days = np.concatenate(
        [np.repeat(np.arange(100.0), n) for n in range(1, 6)] + [np.arange(121.0)]
    )
    source = np.concatenate([np.repeat(f"s{n}", 100 * n) for n in range(1, 6)] + [["on"] * 121])
    check = sources_of(project, days, 120, source=source.astype(object))
    assert check.verdict is Verdict.ACT
    positions = [check.evidence.index(f'"s{n}"') for n in (5, 4, 3)]
    assert positions == sorted(positions)
    assert '"s2"' not in check.evidence
    assert " 2 more have stopped." in check.evidence
    assert check.figures["stopped"] == 5
    assert check.figures["kinds"] == 7  # "all sources" too
    three = np.isin(source, ["s1", "s2", "s3", "on"])
    check = sources_of(project, days[three], 120, source=source[three].astype(object))
    assert check.figures["stopped"] == 3
    assert "more have stopped" not in check.evidence


def test_an_import_that_broke_is_not_to_be_retired(project: Project) -> None:
    """If each of several sources has stopped, none of them was given up."""
    days = np.concatenate([np.repeat(np.arange(100.0), n) for n in range(1, 5)])
    source = np.repeat(["s1", "s2", "s3", "s4"], [100, 200, 300, 400]).astype(object)
    check = sources_of(project, days, 120, source=source)
    assert check.figures["stopped"] == 5  # "all sources" too
    assert "retired_values" not in check.next_step
    assert " 2 more have stopped." in check.evidence
    lasts = np.where((source == "s4") & (days == 99), 120, days)
    three = sources_of(project, lasts, 120, source=source)
    assert 'retired_values = {"source" = ["s3", "s2", "s1"]}' in three.next_step
    few = source != "s1"
    check = sources_of(project, days[few], 120, source=source[few])
    assert " 1 more has stopped." in check.evidence


def test_activities_that_are_rare_are_not_judged() -> None:
    records = records_of(np.arange(10.0), 300)
    few = pd.DataFrame(
        {
            "lead_id": ["L0"] * 49,
            "type": ["call"] * 49,
            "occurred_at": as_times(np.arange(49) * DAY, pd.RangeIndex(49)),
        }
    )
    check = activities_check(replace(records, activities=few), NONE)
    assert check.verdict is Verdict.UNKNOWN
    assert check.evidence == "No type of activity is frequent enough to tell."


def test_records_older_than_a_week_are_mentioned() -> None:
    records = records_of([0.0], 10)
    assert stale_records(records, 17 * DAY) == ""
    assert stale_records(records, 18 * DAY) == (
        "The newest record is from 1970-01-11, 8 days ago: nothing after it is watched."
    )


# -- outcomes ------------------------------------------------------------------------------

LOSSES = Reference([""], [], {}, [], {}, {"0": (np.arange(21) / 20).tolist()})


def outcomes_check_of(n: int, closed_on: float | None) -> Check:
    """Check leads of one day, 15 days old, that were all lost on a day or are still open."""
    scored = moments_by_hand([0.0] * n, [0.0] * n, day=[0] * n)
    outcomes = outcomes_of(scored, 15)
    at = NEVER if closed_on is None else int(closed_on * DAY)
    outcomes = replace(outcomes, closed_at=np.full(n, at))
    return outcomes_check(records_of([0.0] * n, 15), champion_of(scored), outcomes, LOSSES)


def test_losses_that_are_as_fast_as_before_are_fine() -> None:
    check = outcomes_check_of(90, 10)
    assert check.verdict is Verdict.FINE
    assert check.evidence == (
        "Outcomes still arrive. 90 of 90 leads were closed without a win within 15 days; 15 were "
        "expected."
    )
    assert check.figures["closed"] == 90
    assert check.figures["expected"] == pytest.approx(15)


def test_losses_that_come_later_are_the_task_of_sales() -> None:
    # A sixth of the leads is lost within 15 days in training, here none of 300.
    check = outcomes_check_of(300, None)
    assert check.verdict is Verdict.ACT
    assert check.evidence == (
        "Since 1970-01-16, 0 of 300 leads were closed without a win within 15 days; 50 were "
        "expected. Outcomes still arrive."
    )
    assert check.next_step.startswith("Sales: find out whether deals take longer")


def test_too_few_outcomes_are_not_judged() -> None:
    assert outcomes_check_of(10, None).verdict is Verdict.UNKNOWN
