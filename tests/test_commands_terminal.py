"""What the command line shows of models."""

import io

from rich.console import Console, RenderableType

from commands.terminal.models import comparison_table, gates_table, history_table, versions_table

EVENT = {
    "what": "promoted",
    "version": "2",
    "previous": "1",
    "who": "ann",
    "because": "newer [b]",
    "at": "2026-03-01T12:05:30+00:00",
    "failed": [],
    "forced": False,
    "said": "",
    "run_id": "r",
}


def shown(page: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    console.print(page)
    return console.file.getvalue()


def comparison(metric: str, low: float, high: float, *warnings: str) -> str:
    row = {"metric": metric, "one": 0.5, "other": 0.4, "difference": 0.1, "interval": [low, high]}
    found = {
        "one": "3",
        "other": "1",
        "n": 1200,
        "n_leads": 900,
        "n_rarer": 50,
        "n_needed": 10,
        "base_rate": 0.25,
        "verdict": "judged",
        "warnings": list(warnings),
        "metrics": [row],
    }
    return shown(comparison_table(found))


def test_lower_loss_and_higher_auc_are_better() -> None:
    assert "1 is better" in comparison("log_loss", 0.05, 0.15)
    assert "3 is better" in comparison("pr_auc", 0.05, 0.15)
    assert "3 is better" in comparison("log_loss", -0.15, -0.05)
    assert "even" in comparison("pr_auc", -0.05, 0.15)


def test_unfair_comparison_names_no_winner() -> None:
    page = comparison("log_loss", 0.05, 0.15, "Version 1 [x] answers another question.")
    assert "warning: Version 1 [x] answers another question." in page
    assert "is better" not in page


def test_impossible_comparison_states_the_reason() -> None:
    found = {
        "one": "3",
        "other": "1",
        "n": 0,
        "n_leads": 0,
        "n_rarer": 0,
        "n_needed": 10,
        "base_rate": None,
        "verdict": "cannot be compared",
        "warnings": ["They have no id."],
        "metrics": [],
    }
    page = shown(comparison_table(found))
    assert "warning: They have no id." in page
    assert "Versions 3 and 1 cannot be compared." in page


def test_comparison_names_its_leads() -> None:
    page = comparison("pr_auc", 0.05, 0.15)
    assert "On 1,200 moments of 900 leads that neither learned from, 25.0% won:" in page
    assert "+0.0500 to +0.1500" in page


def test_too_few_outcomes_state_what_to_do() -> None:
    found = {
        "one": "3",
        "other": "1",
        "n": 7,
        "n_leads": 6,
        "n_rarer": 2,
        "n_needed": 10,
        "base_rate": 0.3,
        "verdict": "too few to judge",
        "warnings": [],
        "metrics": [],
    }
    page = shown(comparison_table(found))
    assert "Too few to judge: versions 3 and 1 share 7 moments of 6 leads" in page
    assert "Wait for more outcomes" in page


def test_history_shows_reasons_and_failed_gates() -> None:
    refused = EVENT | {"what": "refused", "failed": ["LG101 log loss"], "said": "Did not pass."}
    overtaken = EVENT | {"what": "refused", "said": "Bob was first.", "because": ""}
    moved = EVENT | {"what": "forced", "said": "The scale moved."}
    assert "newer [b]" in shown(history_table([EVENT]))
    assert "2026-03-01 12:05" in shown(history_table([EVENT]))
    assert "LG101" in shown(history_table([refused]))
    assert "Did not pass" not in shown(history_table([refused]))
    assert "Bob was first." in shown(history_table([overtaken]))
    assert "The scale moved." in shown(history_table([moved]))
    late = refused | {"forced": True, "said": "Bob was first."}
    assert "refused, though forced" in shown(history_table([late]))
    assert "Bob was first." in shown(history_table([late]))


def test_text_from_people_is_not_markup() -> None:
    gate = {"number": "LG105", "name": "segments", "passed": False, "evidence": "x = '[red]'"}
    assert "x = '[red]'" in shown(gates_table([gate]))


def test_empty_lists_state_that_they_are_empty() -> None:
    assert "no version yet" in shown(versions_table([]))
    assert "Nothing has happened yet" in shown(history_table([]))


def test_versions_are_listed_with_their_facts() -> None:
    row = {
        "version": "1",
        "aliases": ["champion"],
        "registered_at": "2026-03-01T12:05:30+00:00",
        "digest": "0123456789abcdef",
        "run_id": "r",
        "test": {"log_loss": 0.3},
    }
    page = shown(versions_table([row]))
    assert "champion" in page
    assert "0.3000" in page
    assert "0123456789ab " in page
