from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import structs
from scipy.special import logit

from crm.project import MonitorKeys, Project, load_project
from crm.records import Records
from crm.times import DAY, microseconds
from features.feature import Feature
from features.named import sales_types
from models.reference import UNSEEN_BIN, FeatureBins, FeatureCounts, HeldOutMonth, Reference
from models.scorer import LeadScorer
from monitoring.arrivals import activities_check, outcomes_check, sources_check, stale_records
from monitoring.champion import ChampionMoments, champion_moments, learned_until
from monitoring.check import Check, Verdict
from monitoring.gaps import arrivals_of
from monitoring.inputs import _label, feature_drifts, input_checks
from monitoring.new_values import with_new_values
from monitoring.retired import Retired
from monitoring.scored_moments import LeadOutcomes
from monitoring.scores import grades_check, inflation_check, warnings_check
from monitoring.shares import TOLERANCE, UsualShares, jensen_shannon, rank_distance, stability_index
from tests.made_monitoring import SCALE, scored_moments
from tests.made_runs import Work
from training.fit import Fitted
from training.reference import describe_reference

NONE = Retired.of(MonitorKeys())

# -- shares --------------------------------------------------------------------------------


def drawn(shares: list[float], days: int, per_day: int, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    value = rng.choice(len(shares), days * per_day, p=shares)
    return np.repeat(np.arange(days), per_day), value, np.ones(days * per_day)


def usual_of(shares: list[float], months: int = 12, n: int = 1_000, seed: int = 9) -> UsualShares:
    rng = np.random.default_rng(seed)
    return UsualShares.of(rng.multinomial(n, shares, months).astype(float))


def test_values_that_never_occur_raise_no_alarm_in_many_years() -> None:
    """Ten years without a value that training has not seen either are not a change."""
    usual = UsualShares.of(np.array([[600.0, 400.0, 0.0]] * 12))
    day = np.repeat(np.arange(3_650), 10)
    value = np.tile([0, 1, 0, 1, 0, 0, 1, 0, 1, 0], 3_650)
    assert not usual.change(day, value, np.ones(len(day))).detection.is_notable
    always = UsualShares.of(np.array([[1_000.0, 0.0]] * 12))
    same = always.change(day, np.zeros(len(day), dtype=np.int64), np.ones(len(day)))
    assert not same.detection.is_notable


def test_same_shares_raise_no_alarm_in_many_years() -> None:
    shares = [0.6, 0.3, 0.09, 0.01]
    for seed in range(50):
        change = usual_of(shares, seed=seed).change(*drawn(shares, 365, 8, seed))
        assert not change.detection.is_notable


def test_changed_share_is_found_and_named() -> None:
    usual = usual_of([0.6, 0.3, 0.1])
    day, value, weight = drawn([0.3, 0.3, 0.4], 60, 10)
    change = usual.change(day, value, weight)
    assert change.detection.is_alarm
    assert (change.value, change.rises) == (2, True)
    vanished = usual.change(*drawn([0.9, 0.0, 0.1], 120, 10))
    assert vanished.detection.is_alarm
    assert (vanished.value, vanished.rises) == (1, False)


def test_shares_that_differ_by_season_have_a_wide_range() -> None:
    months = np.array([[800.0, 200.0], [600.0, 400.0]] * 6)
    seasonal, steady = UsualShares.of(months), UsualShares.of(np.array([[700.0, 300.0]] * 12))
    assert seasonal.high[1] > steady.high[1]
    assert seasonal.low[1] < 0.2 < steady.low[1] < 0.3
    in_season = drawn([0.55, 0.45], 60, 40)
    assert steady.change(*in_season).detection.is_alarm
    assert not seasonal.change(*in_season).detection.is_notable


def test_one_day_with_an_import_is_not_drift() -> None:
    usual = usual_of([0.9, 0.1])
    day, value, weight = drawn([0.9, 0.1], 60, 10)
    imported = np.full(2_000, 30), np.ones(2_000, dtype=np.int64), np.ones(2_000)
    day, value, weight = (
        np.concatenate(pair) for pair in zip((day, value, weight), imported, strict=True)
    )
    order = np.argsort(day, kind="stable")
    change = usual.change(day[order], value[order], weight[order])
    assert not change.detection.is_alarm


def test_distances_by_hand() -> None:
    now, before = np.array([0.5, 0.5]), np.array([0.8, 0.2])
    by_hand = (0.5 - 0.8) * np.log(0.5 / 0.8) + (0.5 - 0.2) * np.log(0.5 / 0.2)
    assert stability_index(now, before) == pytest.approx(by_hand)
    assert jensen_shannon(before, before) == 0.0
    # All leads of the first of four equal bins move to the last: three quarters of the ranks.
    quarters = np.full(4, 0.25)
    assert rank_distance(np.array([0.0, 0.25, 0.25, 0.5]), quarters) == pytest.approx(0.25 * 0.75)
    assert rank_distance(np.array([1.0]), np.array([1.0])) == 0.0


# -- bins ----------------------------------------------------------------------------------


def test_bins_of_a_number_hold_equal_shares() -> None:
    size = Feature("size", "leads", "size", "number", "size is {value}", absent="no size")
    values = np.append(np.arange(1_000.0), [np.nan] * 10)
    bins = FeatureBins.fit(size, values)
    counts = bins.count(values)
    assert counts[0] == 10
    assert counts[1] == 0
    assert counts[2:].tolist() == [100.0] * 10


def test_bins_of_a_number_with_one_value() -> None:
    size = Feature("size", "leads", "size", "number", "size is {value}", absent="no size")
    bins = FeatureBins.fit(size, np.zeros(50))
    assert bins.bins_of(np.array([0.0, 1.0, np.nan])).tolist() == [2, 3, 0]
    nothing = FeatureBins.fit(size, np.full(5, np.nan))
    assert nothing.n_bins == 3
    assert nothing.bins_of(np.array([np.nan, 4.0])).tolist() == [0, 2]


def test_rare_values_of_a_category_share_a_bin() -> None:
    source = Feature(
        "source", "leads", "source", "category", 'is "{value}"', values=tuple("abcdefghi")
    )
    values = np.repeat(np.arange(2.0, 40.0), np.arange(38, 0, -1))
    bins = FeatureBins.fit(source, values, missing=0.0, unseen=1.0)
    assert bins.codes == list(np.arange(2.0, 22.0))
    assert bins.bins_of(np.array([0.0, 1.0, 2.0, 21.0, 22.0, 99.0])).tolist() == [
        0, 1, 2, 21, 22, 22,
    ]  # fmt: skip


def test_reference_survives_json(trained: Any) -> None:
    reference = trained.scorer.reference
    assert Reference.from_json(reference.to_json()) == reference
    assert Reference.from_json({}) is None


def test_reference_counts_every_moment(trained: Any) -> None:
    reference = trained.scorer.reference
    n = len(trained.moments)
    assert [of.bins.feature for of in reference.features] == trained.scorer.pipeline.names
    for counted in reference.features:
        assert counted.counts.shape == (len(reference.months), counted.bins.n_bins)
        assert counted.counts.sum() == n
    held_out = reference.held_out
    assert [month.month for month in held_out] == reference.months
    assert sum(month.n for month in held_out) == n
    assert sum(month.won for month in held_out) == trained.moments.label.sum()
    assert sum(month.expected for month in held_out) == pytest.approx(
        trained.moments.label.sum(), rel=0.02
    )
    assert all(sum(month.grades.values()) == month.n for month in held_out)


def test_reference_has_the_shares_of_grades_that_the_model_gives(work: Work) -> None:
    """Models of a part of the leads spread their scores less, so they have fewer grades A and D."""
    scorer, moments = work.trained.scorer, work.trained.moments
    matrix = scorer.pipeline.transform(work.records, moments.lead, moments.as_of)
    given = scorer.scale.grade(scorer.scale.score(scorer.probability(matrix)))
    months = scorer.reference.held_out  # type: ignore[union-attr]
    for letter in "ABCD":
        stored = sum(month.grades.get(letter, 0) for month in months) / len(moments)
        assert abs(logit(stored) - logit((given == letter).mean())) < TOLERANCE


def test_value_of_a_single_lead_counts_as_unseen(work: Work) -> None:
    """It would be unseen if its lead were new, so new leads have as many unseen values."""
    scorer, moments = work.trained.scorer, work.trained.moments
    attribute = next(a for a in scorer.pipeline.attributes if a.kind == "target")
    place = scorer.pipeline.names.index(attribute.feature.name)
    cells = work.records.leads[attribute.column].copy()
    frequent, rarer = cells.iloc[np.unique(moments.lead)].value_counts().index[:2]
    others = np.flatnonzero(cells == rarer)[1:]  # all leads with this value but the first one
    cells.iloc[others] = frequent
    records = replace(work.records, leads=work.records.leads.assign(**{attribute.column: cells}))
    fitted = Fitted(scorer.pipeline, scorer.estimator, scorer.calibration, None)

    def unseen(records: Records) -> float:
        reference = describe_reference(records, moments, fitted, scorer.scale, seed=0)
        return float(reference.features[place].counts[:, UNSEEN_BIN].sum())

    assert unseen(records) == unseen(work.records) + 1


def test_card_shows_no_reference(trained: Any) -> None:
    card = trained.scorer.card
    assert "reference" in card.to_json()
    assert "reference" not in card.facts()


# -- the leads of the simulated CRM --------------------------------------------------------


@pytest.fixture(scope="module")
def watched(work: Work) -> tuple[Project, Records, LeadScorer]:
    """Return a project, its records, and a model that has learned from the older half of them."""
    return work.project, work.records, work.trained.scorer


def checks_of(
    watched: tuple[Project, Records, LeadScorer], records: Records | None = None
) -> dict[str, Check]:
    project, all_records, scorer = watched
    champion = moments_of(watched, records or all_records)
    return {check.number: check for check in input_checks(scorer, champion, NONE)}


def moments_of(watched: tuple[Project, Records, LeadScorer], records: Records) -> ChampionMoments:
    project, _, scorer = watched
    outcomes = LeadOutcomes.of(records, project.learn)
    return champion_moments(scorer, "1", records, project.learn, outcomes)


def changed_leads(watched: tuple[Project, Records, LeadScorer], **columns: Any) -> Records:
    """Return the records with other cells in the leads that the model has not learned from."""
    _, records, scorer = watched
    leads = records.leads.copy()
    is_new = microseconds(leads["created_at"]) > learned_until(scorer)
    for name, value in columns.items():
        cells = leads[name].astype(object)
        leads[name] = cells.where(~is_new, value(cells) if callable(value) else value)
    return replace(records, leads=leads)


def test_only_leads_that_the_model_has_not_learned_from_are_scored(
    watched: tuple[Project, Records, LeadScorer], trained: Any
) -> None:
    champion = moments_of(watched, watched[1])
    assert len(champion.moments) > 50
    assert not set(champion.moments.lead.tolist()) & set(trained.moments.lead.tolist())
    assert (np.diff(champion.moments.as_of) >= 0).all()
    created = microseconds(watched[1].leads["created_at"])
    assert (champion.moments.as_of == created[champion.moments.lead]).all()  # moments_days = [0]


def test_leads_as_before_raise_no_alarm(watched: tuple[Project, Records, LeadScorer]) -> None:
    assert {str(check.verdict) for check in checks_of(watched).values()} == {"fine"}


def test_column_that_is_no_longer_filled_is_found(
    watched: tuple[Project, Records, LeadScorer],
) -> None:
    found = checks_of(watched, changed_leads(watched, budget_eur=None))["LM301"]
    assert found.verdict is Verdict.ACT
    assert "budget_eur" in found.evidence
    assert found.rows[0]["missing"] > 0.9
    assert "CRM admin" in found.next_step


def test_renamed_value_is_found(watched: tuple[Project, Records, LeadScorer]) -> None:
    top = watched[1].leads["source"].value_counts().index[0]
    renamed = changed_leads(watched, source=lambda cells: cells.replace(top, "Renamed"))
    found = checks_of(watched, renamed)["LM302"]
    assert found.verdict is Verdict.ACT
    assert "source" in found.evidence
    champion = moments_of(watched, renamed)
    (named,) = with_new_values([found], watched[2], champion, renamed)
    since = int(found.rows[0]["since"])
    leads = champion.moments.lead[champion.moments.as_of // DAY >= since]
    n = int((renamed.leads["source"].iloc[leads] == "Renamed").sum())
    assert named.evidence == (
        f'{found.evidence} In `source`, rare or unseen are now: "Renamed" ({n} leads).'
    )
    fine = replace(found, verdict=Verdict.FINE)
    assert with_new_values([fine], watched[2], champion, renamed) == [fine]


def test_other_mix_is_found(watched: tuple[Project, Records, LeadScorer]) -> None:
    top = watched[1].leads["source"].value_counts().index[1]
    found = checks_of(watched, changed_leads(watched, source=top))["LM303"]
    assert found.verdict is not Verdict.FINE
    row = next(row for row in found.rows if row["feature"] == "source")
    assert row["psi"] > 0.5
    assert row["jensen_shannon"] > 0.3
    assert row["wasserstein"] == 0.0


def test_model_without_a_reference_says_so(
    watched: tuple[Project, Records, LeadScorer],
) -> None:
    project, records, scorer = watched
    older = replace(scorer, card=replace(scorer.card, reference={}))
    champion = moments_of(watched, records)
    assert {check.verdict for check in input_checks(older, champion, NONE)} == {Verdict.UNKNOWN}


def test_shares_of_grades(watched: tuple[Project, Records, LeadScorer]) -> None:
    _, records, scorer = watched
    champion = moments_of(watched, records)
    usual = grades_check(champion.moments, scorer.reference, scorer.scale)
    assert usual.verdict is Verdict.FINE
    best = replace(champion.moments, grade=np.full(len(champion.moments), "A"))
    check = grades_check(best, scorer.reference, scorer.scale)
    assert check.verdict is Verdict.ACT
    assert "100 % of the leads have grade A" in check.evidence
    grades = Check("LM203", Verdict.ACT, "", rows=[
        {"grade": "A", "verdict": "act", "won": 0.1, "stated": 0.5}
    ])  # fmt: skip
    assert inflation_check(check, [grades], scorer.scale).verdict is Verdict.ACT
    assert inflation_check(usual, [grades], scorer.scale).verdict is Verdict.FINE
    fine = Check("LM203", Verdict.FINE, "", rows=[{**grades.rows[0], "verdict": "fine"}])
    assert inflation_check(check, [fine], scorer.scale).verdict is Verdict.FINE
    assert warnings_check(None).verdict is Verdict.UNKNOWN


def test_shares_of_grades_of_an_unseen_season_are_not_a_change() -> None:
    """A hold-out of three months does not show by how much grades differ over a year."""
    rng = np.random.default_rng(0)
    scored = scored_moments(1_000)
    summer = replace(scored, grade=rng.choice(list("ABCD"), 1_000, p=[0.2, 0.25, 0.25, 0.3]))
    counts = {"A": 50, "B": 60, "C": 55, "D": 35}

    def checked(n_months: int) -> Verdict:
        months = [HeldOutMonth("", 200, 40.0, 40, counts)] * n_months
        return grades_check(summer, Reference([""], [], {}, months), SCALE).verdict

    assert checked(3) is Verdict.FINE
    assert checked(8) is Verdict.ACT  # the months were alike, so this one is not


# -- what arrives --------------------------------------------------------------------------


def test_stopped_records_are_found_after_a_long_gap() -> None:
    daily = np.arange(200) * DAY
    assert arrivals_of("x", daily, 201 * DAY).verdict is Verdict.FINE  # type: ignore[union-attr]
    assert arrivals_of("x", daily, 203 * DAY).verdict is Verdict.WATCH  # type: ignore[union-attr]
    assert arrivals_of("x", daily, 210 * DAY).verdict is Verdict.ACT  # type: ignore[union-attr]
    # With a gap of a month before, ten days are usual.
    with_gap = np.append(daily[:100], daily[100:] + 30 * DAY)
    arrivals = arrivals_of("x", with_gap, 245 * DAY)
    assert arrivals is not None
    assert arrivals.usual_gap_days == 31
    assert arrivals.verdict is Verdict.FINE


def test_rare_records_with_a_season_have_not_stopped() -> None:
    """In 120 years of looks every week, five kinds whose share halves in winter do not stop."""
    rng = np.random.default_rng(2)
    days = np.arange(5 * 365)
    rate = 0.3 * np.exp(0.8 * np.cos(2 * np.pi * days / 365))
    alarms = 0
    for _ in range(30 * 5):
        at = np.repeat(days, rng.poisson(rate)) * DAY
        alarms += any(
            (found := arrivals_of("x", at, until * DAY, 5)) is not None
            and found.verdict is Verdict.ACT
            for until in range(366, len(days), 7)
        )
    assert alarms <= 4  # as often as promised: once in 27 years of all five
    stopped = arrivals_of("x", np.repeat(days, rng.poisson(rate)) * DAY, (len(days) + 120) * DAY, 5)
    assert stopped is not None
    assert stopped.verdict is Verdict.ACT


def test_few_or_short_records_are_not_judged() -> None:
    assert arrivals_of("x", np.arange(49) * DAY, 300 * DAY) is None
    assert arrivals_of("x", np.arange(900) * DAY // 100, 300 * DAY) is None


def test_type_of_activity_that_stopped_is_named(
    watched: tuple[Project, Records, LeadScorer],
) -> None:
    _, records, _ = watched
    assert activities_check(records, NONE).verdict is Verdict.FINE
    assert records.activities is not None
    assert records.observed_until is not None
    late = records.observed_until - pd.Timedelta(60, "D")
    is_open = (records.activities["type"] == "email_open") & (
        records.activities["occurred_at"] > late
    )
    check = activities_check(replace(records, activities=records.activities[~is_open]), NONE)
    assert check.verdict is Verdict.ACT
    assert 'The last activity "email_open"' in check.evidence
    none = activities_check(replace(records, activities=None), NONE)
    assert none.verdict is Verdict.UNKNOWN


def test_source_without_leads_is_named(watched: tuple[Project, Records, LeadScorer]) -> None:
    project, records, _ = watched
    assert sources_check(records, project, NONE).verdict is Verdict.FINE
    assert records.observed_until is not None
    top = records.leads["source"].value_counts().index[0]
    late = records.leads["created_at"] > records.observed_until - pd.Timedelta(90, "D")
    kept = records.leads[~(late & (records.leads["source"] == top))].reset_index(drop=True)
    check = sources_check(replace(records, leads=kept), project, NONE)
    assert check.verdict is Verdict.ACT
    assert f'The last lead from "{top}"' in check.evidence


def test_far_more_leads_than_ever_are_watched(
    watched: tuple[Project, Records, LeadScorer],
) -> None:
    project, records, _ = watched
    until = records.observed_until
    assert until is not None
    extra = pd.concat([records.leads.tail(50)] * 10, ignore_index=True)
    extra["created_at"] = until - pd.to_timedelta(np.arange(500) % 20, "D")
    extra["lead_id"] = [f"new {i}" for i in range(500)]
    check = sources_check(
        replace(records, leads=pd.concat([records.leads, extra], ignore_index=True)), project, NONE
    )
    assert check.verdict is Verdict.WATCH
    assert "came in the last four weeks" in check.evidence


def test_outcomes_that_stopped_are_found(watched: tuple[Project, Records, LeadScorer]) -> None:
    project, records, scorer = watched
    outcomes = LeadOutcomes.of(records, project.learn)
    moments = moments_of(watched, records)
    assert outcomes_check(records, moments, outcomes, scorer.reference).verdict is Verdict.FINE
    until = records.observed_until
    assert until is not None
    early = records.outcomes["closed_at"] < until - pd.Timedelta(60, "D")
    stopped = replace(records, outcomes=records.outcomes[early])
    check = outcomes_check(stopped, moments, outcomes, scorer.reference)
    assert check.verdict is Verdict.ACT
    assert 'The last outcome "' in check.evidence


def test_old_records_are_mentioned(watched: tuple[Project, Records, LeadScorer]) -> None:
    _, records, _ = watched
    until = int(microseconds(pd.Series([records.observed_until]))[0])
    assert stale_records(records, until + 7 * DAY) == ""
    assert "30 days ago" in stale_records(records, until + 30 * DAY)


def test_sales_activities_are_named_or_recognized(tmp_path: Any) -> None:
    (tmp_path / "leadscore.toml").write_text(
        '[project]\nname = "a"\n[leads]\nsource = "l.csv"\noutcome = "o"\n'
        '[learn]\nwon = ["w"]\n[report]\nsales_activities = ["Demo"]\n'
    )
    project = load_project(tmp_path)
    assert sales_types(("demo", "call"), project) == ("demo",)


def test_young_leads_of_the_first_days_are_not_compared(
    watched: tuple[Project, Records, LeadScorer],
) -> None:
    project, records, scorer = watched
    learn = structs.replace(project.learn, moments_days=[0.0, 30.0])
    outcomes = LeadOutcomes.of(records, learn)
    champion = champion_moments(scorer, "1", records, learn, outcomes)
    rows = champion.comparable > 0
    assert set(champion.age_days[rows]) == {0.0, 30.0}
    assert champion.moments.as_of[rows].min() >= champion.since + 30 * DAY
    drifts = feature_drifts(scorer, champion, NONE)
    assert drifts
    assert all(0 <= drift.share <= 1 and np.isfinite(drift.points) for drift in drifts)


def test_moments_of_a_feature_count_alike_as_in_training(
    watched: tuple[Project, Records, LeadScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leads that are young or closed early have fewer moments, which count no more than others."""
    weights: list[set[float]] = []
    change = UsualShares.change

    def recorded(self: UsualShares, *columns: Any) -> Any:
        weights.append(set(columns[2][columns[2] > 0].tolist()))
        return change(self, *columns)

    monkeypatch.setattr(UsualShares, "change", recorded)
    project, records, scorer = watched
    learn = structs.replace(project.learn, moments_days=[0.0, 30.0])
    outcomes = LeadOutcomes.of(records, learn)
    champion = champion_moments(scorer, "1", records, learn, outcomes)
    assert set(champion.moments.weight.tolist()) == {0.5, 1.0}
    feature_drifts(scorer, champion, NONE)
    # An attribute counts once for each lead, at its first moment.
    assert {max(of) for of in weights} == {0.5, 1.0}


def test_all_features_share_one_rate_of_false_alarms(
    watched: tuple[Project, Records, LeadScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts of the features add up to at most 1; a third is spread evenly, at least."""
    budgets: list[float] = []
    change = UsualShares.change

    def recorded(self: UsualShares, *columns: Any) -> Any:
        budgets.append(1 / columns[-1])
        return change(self, *columns)

    monkeypatch.setattr(UsualShares, "change", recorded)
    scorer = watched[2]
    feature_drifts(scorer, moments_of(watched, watched[1]), NONE)
    assert scorer.reference is not None
    assert len(budgets) > 10
    assert sum(budgets) <= 1 + 1e-9
    assert min(budgets) >= 0.3 / len(scorer.reference.features)
    assert max(budgets) > 2 * min(budgets)


def test_labels_of_counts_are_whole_numbers(
    watched: tuple[Project, Records, LeadScorer],
) -> None:
    reference = watched[2].reference
    assert reference is not None
    counts = Feature("n", "activities", "type", "count", "{value} calls")
    bins = FeatureBins("n", [0.0, 1.0, 4.0], [])
    counted = FeatureCounts(bins, [[0] * bins.n_bins])
    labels = [_label(counts, counted, place) for place in range(2, bins.n_bins)]
    assert labels == ["is 0", "is 1", "is 2 to 4", "is above 4"]
