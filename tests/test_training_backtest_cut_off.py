"""A training at a cut-off knows only what was known then."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from crm.project import Project
from crm.records import Records
from features.moments import Moments, make_moments
from tests.made_backtests import LEARN, at_day, closed_leads, write_closed_leads
from tests.made_trainings import NOW
from training.backtest.cut_off import CutOffModel, train_at
from training.train import train

CUT_OFF = at_day(120)


def trained(project: Project, records: Records, moments: Moments, at: int = CUT_OFF) -> CutOffModel:
    return train_at(project, records, moments, np.flatnonzero(moments.as_of >= at), at)


def test_what_came_later_does_not_change_the_model(tmp_path: Path) -> None:
    leads = closed_leads()
    project, records = write_closed_leads(tmp_path / "as it was", leads)
    moments = make_moments(records, project.learn)
    model = trained(project, records, moments)
    assert model.learned_leads == model.learned_moments == 330
    odds = (model.learned_won + 0.5) / (330.5 - model.learned_won)
    assert model.base_log_odds == pytest.approx(np.log(odds))
    assert len(model.log_odds) == len(model.rows) > 150
    assert np.std(model.log_odds) > 0.1
    assert model.why_not == ""

    day = pd.Timestamp(CUT_OFF, unit="us", tz="UTC")
    is_later = pd.to_datetime(leads["closed_at"], utc=True) > day
    opposite = np.where(leads["outcome"] == "yes", "no", "yes")
    other = leads.assign(outcome=np.where(is_later, opposite, leads["outcome"]))
    project, turned = write_closed_leads(tmp_path / "otherwise", other)
    turned_moments = make_moments(turned, project.learn)
    assert turned_moments.label.tolist() != moments.label.tolist()
    of_turned = trained(project, turned, turned_moments)
    assert of_turned.log_odds.tolist() == model.log_odds.tolist()
    assert of_turned.learned_won == model.learned_won


def test_model_is_the_one_that_train_would_have_made(tmp_path: Path) -> None:
    leads = closed_leads()
    project, records = write_closed_leads(tmp_path / "today", leads)
    moments = make_moments(records, project.learn)
    model = trained(project, records, moments)

    # The export of that day: no later leads, and no outcomes of leads that were still open.
    day = pd.Timestamp(CUT_OFF, unit="us", tz="UTC")
    then = leads[pd.to_datetime(leads["created_at"], utc=True) < day]
    is_open = pd.to_datetime(then["closed_at"], utc=True) > day
    export = then.assign(
        outcome=then["outcome"].mask(is_open), closed_at=then["closed_at"].mask(is_open)
    )
    keys = LEARN | {"observed_until": day.isoformat()}
    project_then, records_then = write_closed_leads(tmp_path / "then", export, keys)
    scorer = train(project_then, records_then, now=NOW).scorer
    later = moments.take(model.rows)
    features = scorer.pipeline.transform(records, later.lead, later.as_of)
    assert scorer.log_odds_of(features).tolist() == model.log_odds.tolist()


def test_audit_sees_only_what_was_known_then(tmp_path: Path) -> None:
    # The column contains the outcome of leads from day 110 on, which is too late for cut-off 120.
    leads = closed_leads()
    late = np.arange(600) >= 330
    contract = pd.Series("Standard", index=leads.index).where(late & (leads["outcome"] == "yes"))
    project, records = write_closed_leads(tmp_path, leads.assign(contract=contract))
    moments = make_moments(records, project.learn)
    assert trained(project, records, moments).left_out == ()
    assert trained(project, records, moments, at_day(170)).left_out == ("contract",)


def test_too_few_outcomes_have_a_reason(tmp_path: Path) -> None:
    project, records = write_closed_leads(tmp_path, closed_leads())
    moments = make_moments(records, project.learn)
    early = trained(project, records, moments, at_day(15))
    assert early.why_not.startswith("Of the leads that are old enough to learn from, only ")
    assert (len(early.rows), len(early.log_odds)) == (0, 0)
    assert (early.learned_leads, early.learned_moments, early.learned_won) == (0, 0, 0)
    first = trained(project, records, moments, at_day(1))
    assert first.why_not.startswith("None of the 3 leads is old enough to learn from")


def test_a_refused_training_has_a_reason(tmp_path: Path) -> None:
    keys = LEARN | {"half_life_days": 0.01}
    project, records = write_closed_leads(tmp_path, closed_leads(), keys)
    model = trained(project, records, make_moments(records, project.learn))
    assert model.why_not.startswith("[learn] half_life_days = 0.01 is too short: only ")


def test_a_direction_of_a_column_that_was_empty_then_is_ignored(tmp_path: Path) -> None:
    leads = closed_leads()
    late = np.where(np.arange(600) >= 400, np.arange(600) % 7, np.nan)
    plain = write_closed_leads(tmp_path / "plain", leads.assign(late=late))
    rising = write_closed_leads(
        tmp_path / "rising", leads.assign(late=late), LEARN | {"rising": ["late"]}
    )
    of_plain, of_rising = (
        trained(project, records, make_moments(records, project.learn))
        for project, records in (plain, rising)
    )
    assert of_rising.why_not == ""
    assert of_rising.log_odds.tolist() == of_plain.log_odds.tolist()


def test_remedies_are_named(tmp_path: Path) -> None:
    project, records = write_closed_leads(tmp_path, closed_leads(), LEARN | {"half_life_days": 60})
    moments = make_moments(records, project.learn)
    assert trained(project, records, moments).remedies == "a half-life of 60 days"
    learn = msgspec.structs.replace(project.learn, half_life_days=None)
    assert trained(replace(project, learn=learn), records, moments).remedies == ""
