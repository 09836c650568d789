"""The checks leave out what is retired, and report it if it occurs again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.project import MonitorKeys
from crm.project_keys import RetrainKeys
from crm.records import Records
from crm.times import DAY, microseconds
from features.attributes.choices import ChoiceAttribute
from features.feature import Feature
from monitoring.champion import learned_until
from monitoring.check import Check, Verdict
from monitoring.gaps import back_again
from monitoring.look import Look, take_look
from monitoring.retired import Retired, known_retired, rows_with_value
from tests.made_runs import NOW, Work
from training.loop.decision import State, decide

LookAt = Callable[..., Look]


@pytest.fixture(scope="module")
def look_at(work: Work) -> LookAt:
    """Return a function that looks at records with some keys of `[monitor]`."""

    def look(records: Records, **keys: Any) -> Look:
        project = replace(work.project, monitor=MonitorKeys(**keys))
        return take_look(project, records, work.trained.scorer, "1", NOW)

    return look


@pytest.fixture(scope="module")
def is_new(work: Work) -> Any:
    """Whether the model has not learned from a lead, shape (n_leads,)."""
    return microseconds(work.records.leads["created_at"]) > learned_until(work.trained.scorer)


def checks_of(look: Look) -> dict[str, Check]:
    return {check.number: check for check in look.checks}


def without_type(records: Records, name: str, days: int) -> Records:
    """Return records without a type of activity in their last days."""
    assert records.activities is not None
    assert records.observed_until is not None
    late = records.observed_until - pd.Timedelta(days, "D")
    gone = (records.activities["type"] == name) & (records.activities["occurred_at"] > late)
    return replace(records, activities=records.activities[~gone].reset_index(drop=True))


def test_retired_type_is_not_expected_until_it_is_back(work: Work, look_at: LookAt) -> None:
    stopped = without_type(work.records, "email_open", 60)
    before = checks_of(look_at(stopped))["LM305"]
    assert before.verdict is Verdict.ACT
    assert '`retired_activities = ["email_open"]`' in before.next_step
    after = checks_of(look_at(stopped, retired_activities=["EMAIL_open"]))
    assert after["LM305"].verdict is Verdict.FINE
    assert after["LM305"].next_step == ""
    sentence = '"EMAIL_open" is not expected: [monitor] retired_activities names it.'
    assert sentence in after["LM305"].evidence
    assert sentence in after["LM303"].evidence
    changed = [row["feature"] for row in after["LM303"].rows]
    assert not [name for name in changed if "email_open" in name]

    back = checks_of(look_at(work.records, retired_activities=["email_open"]))["LM305"]
    assert back.verdict is Verdict.WATCH
    assert '"email_open" is retired, but occurs' in back.evidence
    assert "remove it from the section [monitor]" in back.next_step


def test_other_types_still_act_beside_a_retired_one(work: Work, look_at: LookAt) -> None:
    stopped = without_type(without_type(work.records, "email_open", 60), "page_view", 60)
    check = checks_of(look_at(stopped, retired_activities=["email_open"]))["LM305"]
    assert check.verdict is Verdict.ACT
    assert 'The last activity "page_view"' in check.evidence
    assert 'The last activity "email_open"' not in check.evidence
    assert '["email_open", "page_view"]' in check.next_step


def test_retired_source_is_compared_nowhere_and_does_not_train(
    work: Work, look_at: LookAt, is_new: Any
) -> None:
    """The leads of the most frequent source are gone: other shares rise only because of that."""
    leads = work.records.leads
    top = leads["source"].value_counts().index[0]
    kept = leads[~(is_new & (leads["source"] == top).to_numpy())].reset_index(drop=True)
    gone = replace(work.records, leads=kept)
    before = look_at(gone)
    assert {number for number, check in checks_of(before).items() if check.verdict == "act"} >= {
        "LM302",
        "LM304",
    }
    line = f'`retired_values = {{"source" = ["{top}"]}}`'
    assert line in checks_of(before)["LM304"].next_step
    assert line in checks_of(before)["LM302"].next_step
    after = look_at(gone, retired_values={"source": [top]})
    for number in ("LM302", "LM303", "LM304"):
        check = checks_of(after)[number]
        assert f'"{top}" of `source` is not expected' in check.evidence
    assert checks_of(after)["LM302"].verdict is Verdict.FINE
    assert checks_of(after)["LM304"].verdict is Verdict.FINE
    assert "LM303" not in [check.number for check in after.should_retrain]

    back = checks_of(look_at(work.records, retired_values={"source": [top]}))
    assert back["LM304"].verdict is Verdict.WATCH
    assert f'"{top}" of `source` is retired, but occurs' in back["LM304"].evidence
    assert back["LM302"].verdict is Verdict.FINE  # said once


def test_shares_of_other_values_do_not_ask_for_a_training(
    work: Work, look_at: LookAt, is_new: Any
) -> None:
    """LM303 asks for a training when a value vanishes, and not when it is retired."""
    leads = work.records.leads.copy()
    values = leads["source"].value_counts().index
    cells = leads["source"].astype(object)
    leads["source"] = cells.where(~is_new, values[0])
    gone = replace(work.records, leads=leads)
    policy, last = RetrainKeys(when="drift"), NOW - pd.Timedelta(20, "D").to_pytimedelta()
    before = look_at(gone)
    asks = [check.number for check in before.should_retrain]
    assert "LM303" in asks
    assert decide(policy, State(NOW, last, before, has_new_records=True)).trains
    after = look_at(gone, retired_values={"source": list(values[1:])})
    asks = [check.number for check in after.should_retrain]
    assert "LM303" not in asks
    assert decide(policy, State(NOW, last, after, has_new_records=True)).trains == bool(asks)


def test_retired_column_is_not_expected_until_it_is_filled(
    work: Work, look_at: LookAt, is_new: Any
) -> None:
    leads = work.records.leads.copy()
    leads["budget_eur"] = leads["budget_eur"].astype(object).where(~is_new, None)
    emptied = replace(work.records, leads=leads)
    before = checks_of(look_at(emptied))["LM301"]
    assert before.verdict is Verdict.ACT
    assert '`retired_columns = ["budget_eur"]`' in before.next_step
    after = checks_of(look_at(emptied, retired_columns=["budget_eur"]))["LM301"]
    assert after.verdict is Verdict.FINE
    assert "`budget_eur` is not expected: [monitor] retired_columns names it." in after.evidence
    back = checks_of(look_at(work.records, retired_columns=["budget_eur"]))["LM301"]
    assert back.verdict is Verdict.WATCH
    assert "`budget_eur` is retired, but occurs" in back.evidence
    dropped = replace(work.records, leads=leads.drop(columns="budget_eur"))
    without = look_at(dropped, retired_columns=["budget_eur"])
    assert checks_of(without)["LM301"].verdict is Verdict.FINE
    assert without.notes == look_at(dropped).notes  # the model knows the column


def test_unknown_retired_names_are_notes_with_the_nearest_name(look_at: LookAt, work: Work) -> None:
    top = work.records.leads["source"].value_counts().index[0]
    look = look_at(
        work.records,
        retired_activities=["email_opened"],
        retired_columns=["budget"],
        retired_values={"source": [top.upper(), f"{top}s"], "Sourcé": ["x"]},
    )
    notes = "\n".join(look.notes)
    assert "retired_activities: there is no activity of type `email_opened`. Did you mean" in notes
    assert "`email_open`?" in notes
    assert "retired_columns: there is no column `budget`." in notes
    assert "retired_values: there is no column `Sourcé`. Did you mean `source`?" in notes
    assert f"no lead has `{top}s` in `source`. Did you mean `{top}`?" in notes
    assert notes.count("Correct the name, or remove it.") == 4
    checks = checks_of(look)
    assert "is not expected" not in checks["LM305"].evidence + checks["LM301"].evidence
    assert f'"{top.upper()}" of `source` is not expected' in checks["LM304"].evidence


def test_names_that_only_the_model_knows_are_known(work: Work) -> None:
    """A retired name disappears from the records one day, before it disappears from the model."""
    top = work.records.leads["source"].value_counts().index[0]
    leads = work.records.leads
    records = replace(
        work.records,
        leads=leads[leads["source"] != top].reset_index(drop=True),
        activities=None,
    )
    keys = MonitorKeys(retired_activities=["page_view"], retired_values={"source": [top]})
    retired, unknown = known_retired(keys, records, work.trained.scorer.pipeline)
    assert (retired, unknown) == (Retired.of(keys), [])


def test_something_that_has_stopped_is_not_back() -> None:
    often = np.arange(0, 400) * DAY // 4
    assert back_again("x", often, 104 * DAY) == ""  # the last one was 4.25 days ago
    assert "occurs 27 times" in back_again("x", often, 100 * DAY)
    once = np.append(often, 300 * DAY)
    assert "occurs 1 time in the last 7 days" in back_again("x", once, 306 * DAY)
    assert back_again("x", once, 308 * DAY) == ""
    assert back_again("x", np.empty(0, dtype=np.int64), 308 * DAY) == ""


def test_value_of_a_cell_with_several_values(work: Work) -> None:
    choice = ChoiceAttribute("topics", frozenset(), ";", "Fax", ("Mail", "Fax"))
    pipeline = replace(work.trained.scorer.pipeline, attributes=(choice,))
    leads = pd.DataFrame({"topics": ["Mail;fax", "Mail", None, "Fax", "Telefax"]})
    records = replace(work.records, leads=leads)
    rows = rows_with_value(records, pipeline, "topics", "fax")
    assert rows.tolist() == [True, False, False, True, False]
    assert not rows_with_value(records, pipeline, "absent", "fax").any()
    retired = Retired.of(MonitorKeys(retired_values={"topics": ["fax"]}))
    assert retired.has_gone(choice.feature, choice)
    other = replace(choice, value="Mail")
    assert not retired.has_gone(other.feature, other)


def test_features_of_a_pair_go_with_a_retired_column() -> None:
    pair = Feature(
        "a × b", "leads", "a and b", "log-odds", "won {value}", pair=("a", "b"), unseen="not seen"
    )
    assert Retired.of(MonitorKeys(retired_columns=["b"])).has_gone(pair, None)
    assert not Retired.of(MonitorKeys(retired_columns=["c"])).has_gone(pair, None)
