"""Segments and groups of persons: what is compared, what is told, and how seldom in vain."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit, ndtr
from sklearn.metrics import log_loss, roc_auc_score

from crm.project import load_project
from crm.reading import read_records
from features.attributes.attribute import MISSING_GROUP as MISSING
from features.attributes.attribute import UNSEEN_GROUP as UNSEEN
from features.attributes.category import CategoryAttribute
from features.attributes.email import EmailAttribute
from features.attributes.flag import FlagAttribute
from features.attributes.number import NumberAttribute
from features.attributes.target import TargetAttribute
from features.fitting import fit_pipeline
from features.groups import OTHERS, groups_by_value, groups_of_column
from features.moments import Moments, make_moments
from features.pipeline import FeaturePipeline
from models.evaluation.intervals import auc_interval, holm, mean_interval
from models.evaluation.metrics import log_losses
from training.segments import evaluate_fairness, evaluate_segments
from training.train import Trained

PROJECT = """
[project]
name = "acme"
[leads]
source = "leads.csv"
outcome = "won"
[learn]
won = ["yes"]
lost = ["no"]
[columns]
nothing = ["n/a"]
"""


class Crm:
    """Leads with a project file, read as the product reads them."""

    def __init__(self, folder: Any, leads: pd.DataFrame, columns: str = "") -> None:
        leads = leads.assign(lead_id=[f"L{i}" for i in range(len(leads))])
        leads.to_csv(folder / "leads.csv", index=False)
        (folder / "leadscore.toml").write_text(PROJECT + columns)
        self.project = load_project(folder)
        self.records = read_records(self.project)
        self.moments = make_moments(self.records, self.project.learn)


def pipeline_of(*attributes: Any) -> FeaturePipeline:
    return FeaturePipeline(attributes=attributes, left_out=())


def answers(won: list[int]) -> list[str]:
    return ["yes" if each else "no" for each in won]


def judge_sources(folder: Any, source: list[str], won: list[int], probability: list[float]) -> Any:
    crm = Crm(folder, pd.DataFrame({"source": source, "won": answers(won)}))
    vocabulary = tuple(sorted(set(source)))
    pipeline = pipeline_of(CategoryAttribute("source", frozenset(), vocabulary))
    return evaluate_segments(crm.records, pipeline, crm.moments, logit(np.array(probability)))


# -- the figures ---------------------------------------------------------------------------


def test_segment_intervals_contain_the_true_metrics() -> None:
    generator = np.random.default_rng(2)

    def world(n: int) -> Any:
        margin = generator.normal(-0.5, 1.2, n)
        return margin, (generator.random(n) < expit(margin)).astype(int)

    margin, won = world(200_000)
    true = {"roc_auc": roc_auc_score(won, margin), "log_loss": log_loss(won, expit(margin))}
    runs, held = 200, dict.fromkeys(true, 0)
    for _ in range(runs):
        margin, won = (np.repeat(each, 2) for each in world(80))  # each lead has two moments
        lead = np.repeat(np.arange(80), 2)
        ones = np.ones(160)
        found = {
            "roc_auc": auc_interval(margin, won, ones, lead),
            "log_loss": mean_interval(log_losses(margin, won), ones, lead),
        }
        for metric, (low, high) in found.items():
            held[metric] += low <= true[metric] <= high
    assert min(held.values()) >= 0.9 * runs


def test_segment_by_hand(tmp_path: Path) -> None:
    # Fair: 40 leads stated at 0.5, 20 won. Mail: 60 leads stated at 0.25, 30 won.
    won = [1] * 20 + [0] * 20 + [1] * 30 + [0] * 30
    mail, fair = judge_sources(
        tmp_path, ["Fair"] * 40 + ["Mail"] * 60, won, [0.5] * 40 + [0.25] * 60
    )
    assert (fair["column"], fair["value"], mail["value"]) == ("source", "Fair", "Mail")
    assert (mail["n"], mail["n_leads"], mail["wins"]) == (60, 60, 30)
    assert (mail["won"], mail["stated"], mail["gap"]) == pytest.approx((0.5, 0.25, -0.25))
    deviation = math.sqrt(0.25 * 0.75 / 60)
    assert (mail["low"], mail["high"]) == pytest.approx(
        (-0.25 - 1.959964 * deviation, -0.25 + 1.959964 * deviation)
    )
    assert mail["p"] == pytest.approx(2 * (2 * ndtr(-0.25 / deviation)))  # times two segments
    assert mail["is_off"]
    assert mail["roc_auc"] == pytest.approx(0.5)
    assert mail["roc_auc_low"] < 0.5 < mail["roc_auc_high"]
    assert mail["log_loss_low"] < mail["log_loss"] < mail["log_loss_high"]
    assert mail["log_loss"] == pytest.approx(-(math.log(0.25) + math.log(0.75)) / 2)
    assert (fair["gap"], fair["p"], fair["is_off"]) == (pytest.approx(0.0), 1.0, False)


def test_segment_metrics_use_only_its_leads(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    source = generator.choice(["Fair", "Mail", "Web"], 600)
    probability = generator.uniform(0.05, 0.9, 600)
    won = (generator.random(600) < probability).astype(int)
    rows = judge_sources(tmp_path, list(source), list(won), list(probability))
    assert len(rows) == 3
    for row in rows:
        its = source == row["value"]
        assert row["roc_auc"] == pytest.approx(roc_auc_score(won[its], probability[its]))
        assert row["log_loss"] == pytest.approx(log_loss(won[its], probability[its]))


@pytest.mark.parametrize("wins", [9, 41])
def test_segment_with_few_outcomes_is_not_judged(tmp_path: Path, wins: int) -> None:
    won = [1] * wins + [0] * (50 - wins) + [1, 0] * 30
    mail, fair = judge_sources(tmp_path, ["Fair"] * 50 + ["Mail"] * 60, won, [0.4] * 110)
    assert fair == {
        "column": "source",
        "value": "Fair",
        "n": 50,
        "n_leads": 50,
        "wins": wins,
        "verdict": "too few to judge",
    }
    assert "verdict" not in mail


def test_constant_column_is_not_a_segment(tmp_path: Path) -> None:
    won = [1, 0] * 200
    assert judge_sources(tmp_path, ["Web"] * 399 + ["Fair"], won, [0.5] * 400) == []


def test_repeated_moments_add_no_certainty_to_a_segment(tmp_path: Path) -> None:
    won = ([1] * 20 + [0] * 20) * 2
    crm = Crm(tmp_path, pd.DataFrame({"source": ["A", "B"] * 40, "won": answers(won)}))
    pipeline = pipeline_of(CategoryAttribute("source", frozenset(), ("A", "B")))
    margin = np.full(80, logit(0.3))
    once = evaluate_segments(crm.records, pipeline, crm.moments, margin)
    every = crm.moments.take(np.repeat(np.arange(80), 4))
    four_times = evaluate_segments(crm.records, pipeline, every, np.repeat(margin, 4))
    assert [row["n"] for row in four_times] == [160, 160]
    for one, four in zip(once, four_times, strict=True):
        for name in ("n_leads", "won", "gap", "low", "high", "p", "is_off"):
            assert four[name] == pytest.approx(one[name]), name


def test_good_model_rarely_raises_an_alarm(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    n = 3_000
    columns = {f"c{i}": generator.choice(list("ABCDE"), n) for i in range(8)}
    crm = Crm(tmp_path, pd.DataFrame(columns).assign(won=answers([1, 0] * (n // 2))))
    pipeline = pipeline_of(*(CategoryAttribute(c, frozenset(), tuple("ABCDE")) for c in columns))
    alarms = 0
    for _ in range(40):
        margin = generator.normal(-1, 1, n)
        label = (generator.random(n) < expit(margin)).astype(np.int8)
        moments = Moments(
            crm.moments.lead,
            crm.moments.as_of,
            label,
            crm.moments.known_at,
            crm.moments.weight,
            {},
        )
        rows = evaluate_segments(crm.records, pipeline, moments, margin)
        assert len(rows) == 40
        alarms += any(row["is_off"] for row in rows)
    assert alarms <= 5  # at 5 % each, more are seen once in 70 such tests


def test_wrong_segment_is_detected_among_many(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    source = generator.choice(list("ABCDEFGHIJ"), 3_000)
    probability = np.full(3_000, 0.2)
    won = generator.random(3_000) < np.where(source == "C", 0.4, 0.2)
    rows = judge_sources(tmp_path, list(source), list(won), list(probability))
    assert [row["value"] for row in rows if row["is_off"]] == ["C"]
    assert len(rows) == 10


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([0.5], [0.5]),
        ([0.01, 0.01], [0.02, 0.02]),
        ([0.04, 0.001, 0.03], [0.06, 0.003, 0.06]),
        ([0.9, 0.8, 0.7], [1.0, 1.0, 1.0]),
    ],
)
def test_holm_by_hand(p_values: list[float], corrected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(corrected)


def test_certain_probabilities_can_be_judged(tmp_path: Path) -> None:
    won = [1, 0] * 40
    source = ["A"] * 40 + ["B"] * 40
    margin = np.where(np.array(won) == 1, 800.0, -800.0)
    margin[40:] *= -1
    crm = Crm(tmp_path, pd.DataFrame({"source": source, "won": answers(won)}))
    pipeline = pipeline_of(CategoryAttribute("source", frozenset(), ("A", "B")))
    rows = evaluate_segments(crm.records, pipeline, crm.moments, margin)
    assert [row["roc_auc"] for row in rows] == [1.0, 0.0]
    assert not any(row["is_off"] for row in rows)  # half stated and half won in each
    assert json.dumps(rows, allow_nan=False)


def test_segments_of_a_real_training_are_plain_data(trained: Trained, simulated_crm: Path) -> None:
    project = load_project(simulated_crm)
    records = read_records(project)
    test, margin = trained.split.test, trained.test_margin
    rows = evaluate_segments(records, trained.scorer.pipeline, test, margin)
    assert {row["column"] for row in rows} >= {"source", "industry", "email_opt_in"}
    for column in {row["column"] for row in rows}:
        of_column = [row for row in rows if row["column"] == column]
        assert sum(row["n"] for row in of_column) == len(test)
        assert len(of_column) <= 15
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


# -- groups --------------------------------------------------------------------------------


def cells(**counts: int) -> pd.Series:
    return pd.Series([value for value, n in counts.items() for _ in range(n)], name="city")


def test_values_are_sorted_by_frequency_and_rare_ones_merged() -> None:
    attribute = CategoryAttribute("city", frozenset(), ("Bonn", "Graz", "Rome", "Wien"))
    groups = groups_by_value(attribute, cells(Graz=31, Bonn=40, Rome=29, Wien=2, Oslo=35))
    assert groups.names == ("Bonn", "Graz", UNSEEN, OTHERS)
    assert np.bincount(groups.code).tolist() == [40, 31, 35, 31]


def test_column_has_at_most_twelve_values_and_others() -> None:
    attribute = TargetAttribute("city", frozenset(), {f"v{i}": 0.0 for i in range(20)}, 0.0)
    groups = groups_by_value(attribute, cells(**{f"v{i}": 60 - i for i in range(20)}))
    assert groups.names == (*(f"v{i}" for i in range(12)), OTHERS)


def test_many_values_keep_their_first_spelling() -> None:
    attribute = TargetAttribute("city", frozenset({"n/a"}), {"new york": 0.1, "": 0.0}, 0.0)
    column = pd.Series(["New  York"] * 20 + ["NEW YORK "] * 20 + ["n/a"] * 3 + ["Oslo"] * 40)
    assert groups_by_value(attribute, column).names == ("New York", MISSING, UNSEEN)


def test_flags_and_addresses_are_grouped_by_meaning() -> None:
    flags = groups_by_value(FlagAttribute("f", frozenset()), cells(ja=40, no=50, perhaps=60))
    assert flags.names == ("no", "yes", MISSING)
    mails = pd.Series(["a@acme.de"] * 40 + ["b@gmail.com"] * 35 + ["nowhere"] * 50 + [None] * 2)
    kinds = groups_by_value(EmailAttribute("mail", frozenset()), mails)
    assert kinds.names == ("no address", "company", "free", MISSING)


def test_numbers_are_not_segments() -> None:
    assert groups_by_value(NumberAttribute("n", frozenset(), 0.0), pd.Series([1.0, 2.0])) is None


def test_long_names_are_shortened() -> None:
    groups = groups_by_value(
        CategoryAttribute("c" * 10_000, frozenset(), ("x" * 10_000,)), cells(**{"x" * 10_000: 40})
    )
    assert groups.names == ("x" * 79 + "…",)
    assert len(groups.column) == 80


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (list(range(20, 60)) * 2, ("20 to 29", "30 to 39", "40 to 49", "50 to 59")),
        ([str(age) for age in range(20, 60)], ("20 to 29", "30 to 39", "40 to 49", "50 to 59")),
        ([18] * 60 + list(range(20, 40)), ("18", "20 to 39")),
        ([*range(40), None, "n/a"], ("0 to 9", "10 to 19", "20 to 29", "30 to 39", MISSING)),
        (
            [f"{year}-06-30" for year in range(1950, 1990)],
            ("1950 to 1959", "1960 to 1969", "1970 to 1979", "1980 to 1989"),
        ),
        ([1, 2] * 40, ("1", "2")),
        (["single"] * 40 + ["married"] * 50 + ["n/a"], ("married", "single", MISSING)),
        ([None] * 40, (MISSING,)),
        ([f"Name {i}" for i in range(40)], (OTHERS,)),
    ],
    ids=["numbers", "texts", "ties", "gaps", "dates", "few", "words", "nothing", "names"],
)
def test_persons_are_grouped_by_bands_and_values(tmp_path: Path, column: list, names: Any) -> None:
    crm = Crm(tmp_path, pd.DataFrame({"won": ["yes", "no"]}))
    groups = groups_of_column(pd.Series(column, name="age", dtype=object), crm.project)
    assert groups.names == names
    assert len(groups.code) == len(column)


def test_project_decides_between_category_and_number(tmp_path: Path) -> None:
    crm = Crm(
        tmp_path,
        pd.DataFrame({"won": ["yes", "no"], "zip": [1, 2], "age": [1, 2]}),
        'category = ["zip"]\nnumber = ["age"]\n',
    )
    numbers = [*range(30), *["?"] * 30]
    as_zip = groups_of_column(pd.Series(numbers, name="zip", dtype=object), crm.project)
    as_age = groups_of_column(pd.Series(numbers, name="age", dtype=object), crm.project)
    assert as_zip.names == ("?", OTHERS)
    assert as_age.names == ("0 to 7", "8 to 14", "15 to 22", "23 to 29", MISSING)


# -- persons -------------------------------------------------------------------------------


def judge_persons(folder: Any, sex: list[str], won: list[int], selected: list[bool]) -> Any:
    crm = Crm(folder, pd.DataFrame({"sex": sex, "won": answers(won)}), 'sensitive = ["sex"]\n')
    margin = np.full(len(sex), logit(0.4))
    return evaluate_fairness(crm.records, crm.project, crm.moments, margin, np.array(selected))


def test_four_fifths_by_hand(tmp_path: Path) -> None:
    # 30 of 60 women and 18 of 50 men are worked first; five say nothing.
    women, men, silent = judge_persons(
        tmp_path,
        ["w"] * 60 + ["m"] * 50 + ["n/a"] * 5,
        [1, 0] * 57 + [0],
        [True] * 30 + [False] * 30 + [True] * 18 + [False] * 32 + [True] * 5,
    )
    assert (women["value"], men["value"], silent["value"]) == ("w", "m", MISSING)
    assert (women["selected"], women["ratio"]) == pytest.approx((0.5, 1.0))
    assert (men["selected"], men["ratio"]) == pytest.approx((0.36, 0.72))
    assert (women["is_below_four_fifths"], men["is_below_four_fifths"]) == (False, True)
    assert men["selected_low"] < 0.36 < men["selected_high"]
    assert (men["won"], men["stated"]) == pytest.approx((0.5, 0.4))
    assert silent["verdict"] == "too few to judge"
    assert "selected" not in silent


def test_small_group_is_still_compared_by_selection(tmp_path: Path) -> None:
    won = [1, 0] * 30 + [0] * 40
    women, men = judge_persons(tmp_path, ["w"] * 60 + ["m"] * 40, won, [True] * 60 + [False] * 40)
    assert men["verdict"] == "too few to judge"
    assert (men["ratio"], men["is_below_four_fifths"]) == (0.0, True)


def test_missing_values_are_not_a_reference_group(tmp_path: Path) -> None:
    sex, won = ["w"] * 60 + ["n/a"] * 60, [1, 0] * 60
    women, silent = judge_persons(tmp_path, sex, won, [True] * 6 + [False] * 54 + [True] * 60)
    assert women["ratio"] == 1.0
    assert silent["selected"] == 1.0
    assert "ratio" not in silent


def test_no_selection_has_no_ratio(tmp_path: Path) -> None:
    rows = judge_persons(tmp_path, ["w", "m"] * 40, [1, 1, 0, 0] * 20, [False] * 80)
    assert [row["selected"] for row in rows] == [0.0, 0.0]
    assert not any("ratio" in row for row in rows)


def test_groups_are_compared_also_if_the_model_ignores_them(tmp_path: Path) -> None:
    age = [20, 30, 40, 50] * 40
    frame = pd.DataFrame(
        {"age": age, "x": [i % 7 for i in range(160)], "won": answers([1, 0, 0, 1] * 40)}
    )
    crm = Crm(tmp_path, frame, 'sensitive = ["age"]\n')
    pipeline = fit_pipeline(crm.records, crm.moments, crm.project)
    assert pipeline.columns == ["x"]
    rows = evaluate_fairness(
        crm.records, crm.project, crm.moments, np.zeros(160), np.ones(160, dtype=bool)
    )
    assert sorted(row["value"] for row in rows) == ["20", "30", "40", "50"]


def test_project_without_sensitive_columns_has_no_comparison(tmp_path: Path) -> None:
    crm = Crm(tmp_path, pd.DataFrame({"won": ["yes", "no"]}))
    nobody = np.zeros(2, dtype=bool)
    assert evaluate_fairness(crm.records, crm.project, crm.moments, np.zeros(2), nobody) == []
