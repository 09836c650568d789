"""The page and the charts of a backtest."""

import copy
import json
from typing import Any

import pytest
from markupsafe import escape

from reports.backtest.page import CHARTS, backtest_charts, backtest_page
from tests.test_reports_card_page import HOSTILE, Reader


def figures(n: int = 120, log_loss: float | None = 0.4) -> dict[str, Any]:
    counts = {"n": n, "n_leads": n, "base_rate": 0.25, "predicted": 0.3, "gap": 0.05}
    intervals = {"gap": [0.01, 0.09], "log_loss": [0.35, 0.45], "roc_auc": [0.7, 0.8]}
    if log_loss is None:
        intervals = {"gap": [0.01, 0.09]}
    auc = None if log_loss is None else 0.75
    return {**counts, "log_loss": log_loss, "roc_auc": auc, "intervals": intervals}


def age(from_days: int, extra: float | None) -> dict[str, Any]:
    row = {"from_days": from_days, "to_days": from_days + 30, "n_models": 4, **figures()}
    row |= {"extra_log_loss": extra, "extra_roc_auc": None if extra is None else -extra}
    if extra is not None:
        row["intervals"] |= {"extra_log_loss": [extra - 0.01, extra + 0.01]}
        row["intervals"] |= {"extra_roc_auc": [-extra - 0.01, -extra + 0.01]}
    return row


def period(day: str, log_loss: float | None = 0.4) -> dict[str, Any]:
    base = None if log_loss is None else 0.5
    row = {"from": day, "to": f"{day[:8]}28", **figures(log_loss=log_loss)}
    return row | {"base_rate_log_loss": base}


def result(**changes: Any) -> dict[str, Any]:
    cut_off = {"at": "2026-01-01", "learned_leads": 900, "learned_moments": 1_800, "why_not": ""}
    cut_off |= {"learned_won": 300, "remedies": "early wins", "left_out_by_audit": ["contract"]}
    facts = {
        "project": "acme",
        "simulated": False,
        "horizon_days": 90.0,
        "every_days": 30,
        "from": "2026-01-01",
        "to": "2026-03-31",
        "advice": {
            "verdict": "interval",
            "every_days": 60,
            "sentences": ["Retrain every 60 days.", "A model of 30 to 60 days ranks as well."],
            "gain": 0.1,
            "gain_interval": [0.08, 0.12],
            "tolerated": 0.005,
            "lives": [{"days": 60, "extra_log_loss": 0.002, "interval": [-0.001, 0.004]}],
        },
        "summary": ["The log loss of new models is 0.400.", "They rank well."],
        "ages": [age(0, None), age(30, 0.003), age(60, 0.02)],
        "periods": [period("2026-01-01"), period("2026-02-01"), period("2026-03-01", None)],
        "cut_offs": [cut_off, cut_off | {"remedies": "", "left_out_by_audit": []}],
        "limits": ["The attributes are those of the export."],
    }
    return facts | changes


def texts(page: str) -> str:
    return " ".join(" ".join(Reader(page).texts).split())


def test_page_shows_the_advice_and_all_figures() -> None:
    page = backtest_page(result())
    text = texts(page)
    for part in (
        "Backtest of acme",
        "Retrain every 60 days.",
        "A model of 30 to 60 days ranks as well.",
        "What a model loses as it ages",
        "30 to 60",
        "+0.0030 −",
        "60 days",
        "+0.0020 -0.0010 to +0.0040",
        "The log loss of new models is 0.400.",
        "0.400 0.350 to 0.450",
        "early wins",
        "contract",
        "The attributes are those of the export.",
        "A cut-off every",
    ):
        assert part.replace("+0.0030 −", "+0.0030") in text
    assert page.count("<svg") == 2
    assert "Simulated" not in text
    assert "too few" in text  # the base rate of the last period


def test_simulated_records_are_marked() -> None:
    page = backtest_page(result(simulated=True))
    assert "Simulated" in texts(page)
    charts = backtest_charts(result(simulated=True))
    assert all("SIMULATED leads" in str(chart.title.subtitle) for chart in charts.values())


def test_charts_have_the_findings_as_titles() -> None:
    charts = backtest_charts(result())
    assert tuple(charts) == CHARTS
    assert charts["history"].title.text == "The log loss of new models is 0.400."
    assert charts["ageing"].title.text == "Retrain every 60 days."
    drawn = {name: json.dumps(chart.to_dict()) for name, chart in charts.items()}
    assert '"2026-02-01"' in drawn["history"]
    assert '"2026-03-01"' not in drawn["history"]  # too few outcomes
    assert '"30 to 60"' in drawn["ageing"]
    assert '"0 to 30"' not in drawn["ageing"]  # the newest model itself
    assert '"y": 0.005' in drawn["ageing"]
    assert "dashed: tolerated" in drawn["ageing"]


def test_charts_without_figures_are_left_out() -> None:
    advice = result()["advice"] | {"tolerated": None, "lives": [], "verdict": "cannot tell"}
    few = result(advice=advice, ages=[age(0, None)], periods=[period("2026-01-01")])
    assert backtest_charts(few) == {}
    assert "What it costs to train less often" not in texts(backtest_page(few))
    without = backtest_charts(result(advice=advice))["ageing"]
    assert "tolerated" not in json.dumps(without.to_dict())


@pytest.mark.parametrize("text", HOSTILE)
def test_names_from_data_are_escaped(text: str) -> None:
    facts = copy.deepcopy(result())
    facts["cut_offs"][0]["left_out_by_audit"] = [text]
    facts["limits"] = [f"At 2026-01-01 no model was trained: {text}"]
    page = backtest_page(facts)
    tags = {tag for tag, _ in Reader(page).tags}
    assert "script" not in tags
    assert "img" not in tags
    if "<script>" in text:
        assert str(escape(text)) in page


def test_commands_are_code() -> None:
    facts = result()
    facts["limits"] = ["Run `leadscore backtest --every DAYS` & wait."]
    page = backtest_page(facts)
    assert "<li>Run <code>leadscore backtest --every DAYS</code> &amp; wait.</li>" in page
