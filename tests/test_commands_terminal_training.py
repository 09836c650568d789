"""The summary of a training in the terminal."""

import datetime
import io
import re
from typing import Any

import pytest
from rich.console import Console, RenderableType

from commands.terminal.models import card_summary
from commands.terminal.training import training_summary
from crm.left_out import LeftOutRows, left_out_rows
from models.card import ModelCard
from models.registry.registry import Version

METRICS = {
    "roc_auc": 0.8,
    "pr_auc": 0.5,
    "log_loss": 0.4,
    "brier": 0.1,
    "ece": 0.04,
    "lift_at_10": 2.5,
}
TEST = {
    "how": "newest 20% of leads",
    "n": 200,
    "base_rate": 0.25,
    **METRICS,
    "intervals": {name: [value - 0.01, value + 0.01] for name, value in METRICS.items()},
    "ece_by_chance": 0.02,
    "by_age": [],
    "gains": [
        {"share": 0.1, "gain": 0.3, "low": 0.2, "high": 0.4, "lift": 3.0},
        {
            "share": 0.2,
            "gain": 0.5,
            "low": 0.42,
            "high": 0.58,
            "lift": 2.5,
            "wins": 25.0,
            "all_wins": 50.0,
        },
    ],
}
LEARNED_FROM = {
    "leads": 5_000,
    "learned_leads": 4_000,
    "moments": 12_000,
    "base_rate": 0.2,
    "embargoed": 0,
}


def card_of(
    *, learned_from: Any = LEARNED_FROM, test: Any = TEST, left_out: Any = (), **parts: Any
) -> ModelCard:
    return ModelCard.from_json(
        {
            "name": "acme",
            "simulated": False,
            "trained_at": "2026-01-01T12:30:00+00:00",
            "learned_from": learned_from,
            "label": {"won": ["yes"], "horizon_days": 30.0},
            "features": ["source"],
            "left_out": list(left_out),
            "test": test,
            "baselines": {},
            "estimator": {"kind": "trees", "why": "too few wins for a blend", "parameters": {}},
            "digests": {},
            "versions": {},
            "readiness": {"verdict": "ready", "reasons": []},
            **parts,
        }
    )


def shown(page: RenderableType) -> str:
    text = io.StringIO()
    Console(file=text, width=200, highlight=False).print(page, soft_wrap=True)
    return text.getvalue().replace("\u00a0", " ")


def summary(**parts: Any) -> str:
    return shown(training_summary(card_of(**parts)))


def test_summary_shows_calls_per_customer_of_the_best_fifth() -> None:
    # A quarter of all leads was won, and 2.5 times as many of the best fifth: 5 of 8.
    assert (
        "The best-scored fifth contains 50 % (25 of 50) of the customers, between 42 and 58 %: "
        "1.6 calls per customer, and 4.0 for all leads.\n"
    ) in summary()


@pytest.mark.parametrize(
    "gains", [[], [{"share": 0.2, "gain": 0.0, "low": 0.0, "high": 0.1, "lift": 0.0}]]
)
def test_summary_without_customers_in_the_best_fifth_shows_no_calls(gains: Any) -> None:
    assert "calls per customer" not in summary(test={**TEST, "gains": gains})


def test_summary_names_the_metrics_behind_the_verdict() -> None:
    readiness = {
        "verdict": "ready",
        "reasons": ["It ranks leads better than chance: 80.0 of 100 pairs are in order."],
        "technical_reasons": ["It ranks leads better than chance: ROC AUC 0.800 (0.7 to 0.9)."],
    }
    assert (
        "Verdict: ready.\n  It ranks leads better than chance: ROC AUC 0.800 (0.7 to 0.9).\n"
        in (summary(readiness=readiness))
    )


def test_summary_of_an_older_card_shows_its_only_reasons() -> None:
    text = summary(readiness={"verdict": "usable", "reasons": ["Only 14 wins."]})
    assert "Verdict: usable.\n  Only 14 wins.\n" in text


BLEND: dict[str, Any] = {
    "kind": "a blend",
    "why": "chosen on the newest leads",
    "parameters": {},
    "logistic_weight": 0.256,
    "rounds": 40,
    "interactions": ["city with product", "[bold]company"],
    "judged": {"logistic_weight": 0.5},
    "points_from_judged": 1.26,
    "newest": {
        "n": 1_500,
        "roc_auc": 0.7654,
        "log_loss": 0.43216,
        "less_base_rate": {"value": -0.0523, "low": -0.08, "high": -0.03},
    },
}


def test_summary_shows_what_the_final_model_chose() -> None:
    assert (
        "Model: a blend.\n"
        "Weight of the logistic regression 0.26: chosen on the newest leads.\n"
        "Pairs and counts of attributes: city with product, [bold]company.\n"
        "On the newest 1,500 moments that the settings were chosen on, a model of the older ones "
        "has ROC AUC 0.765 and log loss 0.4322, 0.0523 less than the base rate.\n"
        "The model of all leads and the one that is evaluated differ by 1.3 points on average on "
        "the test leads.\n"
    ) in summary(estimator=BLEND)


def test_summary_shows_that_the_base_rate_is_better_on_the_newest_leads() -> None:
    worse = {**BLEND["newest"], "less_base_rate": {"value": 0.01, "low": -0.1, "high": 0.2}}
    text = summary(estimator={**BLEND, "newest": worse})
    assert "log loss 0.4322, 0.0100 more than the base rate.\n" in text


def test_summary_of_an_older_card_has_no_lines_about_the_final_model() -> None:
    older = {"kind": "a blend", "why": "set", "parameters": {}, "logistic_weight": 0.5}
    assert "Model: a blend.\nWeight of the logistic regression 0.50: set.\n" in summary(
        estimator=older
    )
    for absent in ("Pairs and counts", "On the newest", "points on average"):
        assert absent not in summary(estimator=older)
        assert absent not in summary(estimator={**older, "interactions": []})


def tried(name: str, change: float, helps: bool) -> dict[str, Any]:
    return {
        "name": name,
        "change": change,
        "error": 0.002,
        "by_cut_off": [change, change, change],
        "helps": helps,
    }


def test_summary_shows_the_remedies_that_the_model_uses() -> None:
    remedies = [tried("half-life of 80 days", -0.0123, True), tried("early wins", -0.01, True)]
    used = {"half_life": "80 days", "newest_moments": "early wins"}
    text = summary(estimator={**BLEND, **used, "remedies_tried": remedies})
    assert (
        "Remedies for drift, tried at 3 earlier cut-offs: the model uses a half-life of 80 days "
        "and early wins."
    ) in text
    assert re.search(r"half-life of 80 days +-0\.0123 ± 0\.0040 +yes", text)


def test_summary_says_if_a_half_life_is_worse_on_the_newest_leads() -> None:
    remedies = [tried("half-life of 80 days", -0.0123, False) | {"on_newest": 0.0321}]
    text = summary(estimator={**BLEND, "remedies_tried": remedies})
    assert "no: log loss +0.0321 on the newest leads" in text


def test_summary_says_if_no_remedy_helps() -> None:
    remedies = [tried("early wins", 0.01, False)]
    text = summary(estimator={**BLEND, "remedies_tried": remedies})
    assert "tried at 3 earlier cut-offs: none helps, and the model uses none." in text
    assert re.search(r"early wins +\+0\.0100 ± 0\.0040 +no", text)
    assert "Remedies" not in summary(estimator={**BLEND, "remedies_tried": []})


def test_summary_shows_a_declared_half_life_if_nothing_was_tried() -> None:
    text = summary(estimator={**BLEND, "half_life": "60 days", "remedies_tried": []})
    assert "The half-life of 60 days is from the project file." in text
    assert "Remedies for drift" not in text


@pytest.mark.parametrize(
    ("newest_moments", "result"),
    [(None, "none helps."), ("early wins", "the model uses early wins.")],
)
def test_summary_does_not_count_a_declared_half_life_as_tried(
    newest_moments: str | None, result: str
) -> None:
    estimator = {
        **BLEND,
        "half_life": "60 days",
        "newest_moments": newest_moments,
        "remedies_tried": [tried("early wins", -0.01, newest_moments is not None)],
    }
    assert (
        f"tried at 3 earlier cut-offs: {result} The half-life of 60 days is from the project file."
    ) in summary(estimator=estimator)


def test_summary_counts_leads_and_moments() -> None:
    assert (
        "Learned from 4,000 of 5,000 leads, at 12,000 moments; 20.0 % (2,400 of 12,000) of the "
        "moments were won.\n"
        "Model: trees."
    ) in summary()


def test_summary_lists_moments_that_were_not_used() -> None:
    learned_from = {**LEARNED_FROM, "not_mature": 1_200, "without_outcome": 3}
    assert (
        "Moments that were not used: 1,200 too recent to know the outcome, 3 without an outcome.\n"
    ) in summary(learned_from=learned_from)


def test_summary_groups_columns_that_are_not_features_by_reason() -> None:
    left_out = [{"column": name, "reason": "it is empty"} for name in ("fax", "pager")]
    left_out.append({"column": "contract", "reason": "the leak audit calls it a leak: LS102 Won."})
    text = summary(left_out=left_out)
    assert "Not features, because it is empty: fax, pager.\n" in text
    assert "because the leak audit calls it a leak: LS102 Won: contract.\n" in text


def test_summary_names_the_rows_that_are_left_out() -> None:
    rows = left_out_rows([LeftOutRows("leads", "leads.csv", "`Id` is empty", 2, (5, 9))])
    text = summary(left_out_rows=rows)
    assert "note: leads.csv: 2 rows are left out (lines 5, 9): `Id` is empty\n" in text


def test_summary_shows_how_good_the_model_is_at_each_age() -> None:
    by_age = [{"age_days": days, "n": 9, "verdict": "too few"} for days in (0, 1 / 24, 1, 7)]
    text = summary(test={**TEST, "by_age": by_age})
    for age in ("at creation", "after 1 hour", "after 1 day", "after 7 days"):
        assert re.search(rf"(?m)^{age} +of 9 +too few", text), text


def at_cut_off(begin: str | None, end: str | None, roc_auc: float) -> dict[str, Any]:
    figures = {"learned_from": 900, "n": 700, "n_leads": 650, "base_rate": 0.25, "predicted": 0.3}
    return {"from": begin, "to": end, **figures, **METRICS, "roc_auc": roc_auc}


def test_summary_shows_how_good_the_model_is_at_each_cut_off() -> None:
    by_cut_off = [
        at_cut_off("2025-01-01T09:00:00+00:00", "2025-03-31T00:00:00+00:00", 0.7),
        at_cut_off("2025-04-01T00:00:00+00:00", "2025-06-30T00:00:00+00:00", 0.8),
    ]
    text = summary(test={**TEST, "by_cut_off": by_cut_off})
    assert "Over time: each row is a model that learned only from what was known when" in text
    row = r"(?m)^2025-01-01 to 2025-03-31 +650 +30\.0 % +25\.0 % +0\.400 +0\.700"
    assert re.search(row, text), text
    assert text.index("2025-01-01") < text.index("2025-04-01") < text.index("Verdict")


def test_summary_counts_cut_offs_with_a_ranking_no_better_than_chance() -> None:
    rows = [
        {**at_cut_off(None, None, auc), "intervals": {"roc_auc": [auc - 0.03, auc + 0.03]}}
        for auc in (0.40, 0.51, 0.52, 0.8)
    ]
    text = summary(test={**TEST, "by_cut_off": rows})
    assert "At 1 of 4 cut-offs, it ranks leads worse than chance.\n" in text
    assert "At 2 of 4 cut-offs, it ranks leads no better than chance.\n" in text
    assert re.search(r"(?m)^cut-off 1 .* 0\.400 ±\.030", text), text
    assert "cut-offs, it ranks" not in summary(test={**TEST, "by_cut_off": rows[3:] * 2})


def test_summary_numbers_cut_offs_without_times() -> None:
    text = summary(test={**TEST, "by_cut_off": [at_cut_off(None, None, 0.7)] * 2})
    assert re.search(r"(?m)^cut-off 2 +650 ", text), text


def test_summary_of_one_cut_off_has_no_table_but_the_reasons() -> None:
    reason = "The leads from 60% to 80% were not evaluated: too few wins."
    test = {**TEST, "by_cut_off": [at_cut_off(None, None, 0.7)], "cut_offs_left_out": [reason]}
    text = summary(test=test)
    assert "Over time" not in text
    assert f"{reason}\n" in text


def test_table_of_cut_offs_fits_in_a_terminal_of_80_columns() -> None:
    row = at_cut_off("2025-01-01T00:00:00+00:00", "2025-03-31T00:00:00+00:00", 0.7)
    row |= {"n_leads": 1_234_567, "intervals": {"roc_auc": [0.7, 0.9], "log_loss": [0.3, 0.5]}}
    text = summary(test={**TEST, "by_cut_off": [row] * 2})
    (line, _) = [line for line in text.splitlines() if "1,234,567" in line]
    assert len(line.rstrip()) <= 80


def test_summary_shows_how_many_leads_a_half_life_leaves() -> None:
    estimator = {**BLEND, "half_life": "60 days", "effective_leads": 812.4}
    said = "With the half-life, the model learns as if it had 812 leads that count the same"
    assert said in summary(estimator={**estimator, "remedies_tried": []})
    assert said in summary(
        estimator={**estimator, "remedies_tried": [tried("half-life of 60 days", -0.01, True)]}
    )
    assert "effective sample size" not in summary(estimator={**BLEND, "effective_leads": None})


def test_summary_says_if_the_evaluated_model_uses_other_remedies() -> None:
    remedies = [tried("half-life of 80 days", -0.0123, True)]
    final = {**BLEND, "half_life": "80 days", "newest_moments": None, "remedies_tried": remedies}

    def judged_with(half_life: str | None, newest_moments: str | None = None) -> str:
        judged = {"half_life": half_life, "newest_moments": newest_moments}
        return summary(estimator={**final, "judged": judged})

    begin = "The model that is evaluated chose from the older leads only: it uses"
    assert f"{begin} no remedy.\n" in judged_with(None)
    assert f"{begin} a half-life of 40 days and early wins.\n" in judged_with(
        "40 days", "early wins"
    )
    assert begin not in judged_with("80 days")
    assert begin not in summary(estimator=final)  # an older card


def test_card_of_a_version_names_its_remedies_and_unstable_rankings() -> None:
    rows = [
        {**at_cut_off(None, None, auc), "intervals": {"roc_auc": [auc - 0.03, auc + 0.03]}}
        for auc in (0.40, 0.8)
    ]
    used = {"half_life": "60 days", "newest_moments": "early wins", "effective_leads": 812.4}
    card = card_of(test={**TEST, "by_cut_off": rows}, estimator={**BLEND, **used})
    version = Version("3", (), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "a1", "b2", {})
    text = shown(card_summary(version, card))
    assert (
        "Against drift, it uses a half-life of 60 days and early wins. With the half-life" in text
    )
    assert "At 1 of 2 cut-offs, it ranks leads worse than chance." in text
    assert "Against drift" not in shown(card_summary(version, card_of(estimator=BLEND)))
