"""Formats a training, and the scores that the service returned in the demo."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from commands.terminal.models import AT_A_CUT_OFF, SIMULATED, left_out_lines, won_words
from commands.terminal.tables import new_table
from models.card import ModelCard, effect_of_remedy, effective_size, used_remedies
from models.evaluation.metrics import MODEL_METRICS
from reports.numbers import age_of, counted_share, cut_off_name, percent, x_of_n
from training.tuning import Trial, best_of

Figures = Mapping[str, Any]  # metrics by name, as the card stores them

SHOWN = {name: metric.short_label for name, metric in MODEL_METRICS.items() if name != "brier"}
NOT_USED = {
    "not_mature": "too recent to know the outcome",
    "closed_before_the_moment": "closed before the moment",
    "before_the_outcomes": "of leads created before the outcomes begin",
    "without_outcome": "without an outcome",
}


def training_summary(card: ModelCard) -> RenderableType:
    """Format what was learned, from what, how good the model is, and the verdict."""
    return Group(*_parts(card))


def _parts(card: ModelCard) -> Iterator[RenderableType]:
    if card.simulated:
        yield SIMULATED
    yield from (f"[yellow]note:[/] {escape(note)}" for note in card.data_notes)
    facts = card.learned_from
    yield (
        f"Learned from {facts['learned_leads']:,} of {facts['leads']:,} leads, at "
        f"{facts['moments']:,} moments; {won_words(facts['base_rate'], facts['moments'])} of the "
        "moments were won."
    )
    not_used = [f"{facts[key]:,} {why}" for key, why in NOT_USED.items() if facts.get(key)]
    if not_used:
        yield f"Moments that were not used: {', '.join(not_used)}."
    n_unknown = facts.get("leads_before_the_outcomes")
    if n_unknown:
        yield (
            f"{x_of_n(n_unknown, facts['leads'])} leads were created before the outcomes begin. It "
            "is not known how they ended, so the model does not learn from them."
        )
    yield from left_out_lines(card)
    yield from _estimator(card.estimator)
    if "not_judged" not in card.test:
        yield from _evaluation(card, facts["embargoed"])
    yield f"[bold]Verdict: {card.readiness['verdict']}.[/]"
    yield from (f"  {escape(reason)}" for reason in card.technical_reasons)


def _estimator(estimator: Figures) -> Iterator[RenderableType]:
    yield f"Model: {estimator['kind']}."
    if "logistic_weight" in estimator:
        weight = estimator["logistic_weight"]
        yield f"Weight of the logistic regression {weight:.2f}: {estimator['why']}."
    else:
        yield f"{estimator['why']}."
    if interactions := estimator.get("interactions"):
        yield f"Pairs and counts of attributes: {escape(', '.join(interactions))}."
    yield from _remedies(estimator)
    if newest := estimator.get("newest"):
        yield (
            f"On the newest {newest['n']:,} moments that the settings were chosen on, a model of "
            f"the older ones has ROC AUC {newest['roc_auc']:.3f} and log loss "
            f"{newest['log_loss']:.4f}, {_less(newest['less_base_rate']['value'])} the base rate."
        )
    if "points_from_judged" in estimator:
        yield (
            "The model of all leads and the one that is evaluated differ by "
            f"{estimator['points_from_judged']:.1f} points on average on the test leads."
        )
    if "settings_tried" in estimator:
        yield (
            f"Settings tried: {estimator['settings_tried']}; log loss "
            f"{estimator['log_loss_of_the_best']:.4f} with the best, "
            f"{estimator['log_loss_of_the_defaults']:.4f} with those of the project file."
        )


def _remedies(estimator: Figures) -> Iterator[RenderableType]:
    """Format the remedies that were tried against drift, and name those that the model uses."""
    half_life, tried = estimator.get("half_life"), estimator.get("remedies_tried")
    is_tried = any(row["name"].startswith("half-life") for row in tried or ())
    declared = ""
    if half_life and not is_tried:
        declared = f"The half-life of {half_life} is from the project file."
    if not tried:
        yield from filter(None, [declared, effective_size(estimator)])
        return
    adopted = used_remedies(estimator, with_half_life=is_tried)
    if adopted:
        result = f"the model uses {adopted}."
    else:
        result = "none helps." if declared else "none helps, and the model uses none."
    yield (
        f"Remedies for drift, tried at {len(tried[0]['by_cut_off'])} earlier cut-offs: "
        f"{' '.join(filter(None, [result, declared]))}"
    )
    table = new_table("remedy", "change of log loss", "helps", right=[1])
    for remedy in tried:
        change = f"{remedy['change']:+z.4f} ± {2 * remedy['error']:.4f}"
        table.add_row(remedy["name"], change, effect_of_remedy(remedy))
    yield table
    yield from filter(None, [effective_size(estimator)])
    judged = estimator.get("judged", {})
    if "half_life" in judged and (of_judged := used_remedies(judged)) != used_remedies(estimator):
        yield (
            "The model that is evaluated chose from the older leads only: it uses "
            f"{of_judged or 'no remedy'}."
        )


def _less(difference: float) -> str:
    """Format a difference of log losses in words.

    Examples
    --------
    >>> _less(-0.0123), _less(0.5)
    ('0.0123 less than', '0.5000 more than')
    """
    return f"{abs(difference):.4f} {'less' if difference < 0 else 'more'} than"


def tuned_settings(trials: Sequence[Trial]) -> str:
    """Format the best settings of a search as a section of the project file.

    The text is empty if no settings were better than those of the project file.

    Examples
    --------
    >>> found = {"num_leaves": 7, "lambda_l2": 0.5, "extra_trees": True}
    >>> trials = [Trial(0, {}, 0.4, "complete", 1.0), Trial(1, found, 0.3, "complete", 1.0)]
    >>> print(tuned_settings(trials))
    [learn.trees]
    num_leaves = 7
    lambda_l2 = 0.5
    extra_trees = true
    >>> tuned_settings(trials[:1])
    ''
    """
    if not trials or best_of(trials).number == 0:
        return ""
    lines = (f"{key} = {json.dumps(value)}" for key, value in best_of(trials).parameters.items())
    return "\n".join(["[learn.trees]", *lines])


def _evaluation(card: ModelCard, embargoed: int) -> Iterator[RenderableType]:
    """Format how good the model is, with the baselines."""
    test, baselines = card.test, card.baselines
    won = won_words(test["base_rate"], test["n"])
    yield f"Evaluated on the {test['how']}: {won} of the moments were won."
    yield from _best_fifth(test, card.counts_scores)
    if embargoed:
        yield (
            f"{embargoed:,} moments were excluded for this test because their outcome was not yet "
            "known when the test period began. The final model uses them."
        )
    table = new_table("model", *SHOWN.values(), right=range(1, 1 + len(SHOWN)))
    for name, figures in (("leadscore", test), *baselines.items()):
        values = (_with_interval(figures, metric) for metric in SHOWN)
        table.add_row(name.replace("_", " "), *values)
    yield table
    yield (
        "A model with perfect probabilities would have a calibration error of "
        f"{test['ece_by_chance']:.3f} on this number of leads."
    )
    if len(test["by_age"]) > 1:
        yield _ages(test["by_age"])
    yield from _cut_offs(card)


def _cut_offs(card: ModelCard) -> Iterator[RenderableType]:
    """Format how good the model is over time: at each cut-off, with what was known then."""
    rows = card.test.get("by_cut_off", ())
    if len(rows) > 1:
        yield (
            "Over time: each row is a model that learned only from what was known when its leads "
            "came, with the same settings. The last row is the evaluated model."
        )
        labels = [MODEL_METRICS[metric].short_label for metric in AT_A_CUT_OFF]
        table = new_table(
            "moments", "leads", "predicted", "won", *labels, right=range(1, 4 + len(labels))
        )
        for number, row in enumerate(rows, start=1):
            table.add_row(
                cut_off_name(number, row["from"], row["to"]),
                f"{row['n_leads']:,}",
                percent(row["predicted"]),
                percent(row["base_rate"]),
                *(_with_interval(row, metric) for metric in AT_A_CUT_OFF),
            )
        yield table
        yield from card.unstable_ranking
    yield from (escape(reason) for reason in card.test.get("cut_offs_left_out", ()))


def _best_fifth(test: Figures, counts_scores: bool) -> Iterator[str]:
    """Format how many customers the best-scored fifth contains, and calls per customer."""
    for row in test.get("gains", ()):
        if math.isclose(row["share"], 0.2) and row["gain"] > 0:
            customers = test["base_rate"] * row["lift"]  # for each lead of the best fifth
            gain = counted_share(row["gain"], row.get("wins"), row.get("all_wins"), 0)
            what = "moments before a win" if counts_scores else "customers"
            interval = f"between {100 * row['low']:.0f} and {percent(row['high'], 0)}"
            yield (
                f"The best-scored fifth contains {gain} of the {what}, {interval}: "
                f"{1 / customers:.1f} calls per customer, and {1 / test['base_rate']:.1f} for all "
                "leads."
            )


def _ages(by_age: list[Figures]) -> Table:
    """Format how good the model is at each age of the lead."""
    table = new_table("scored", "won", *SHOWN.values(), right=range(1, 2 + len(SHOWN)))
    for row in by_age:
        age = age_of(row["age_days"])
        if "verdict" in row:
            table.add_row(age, f"of {row['n']:,}", row["verdict"])
            continue
        values = (f"{row[metric]:.3f}" for metric in SHOWN)
        table.add_row(age, x_of_n(round(row["base_rate"] * row["n"]), row["n"]), *values)
    return table


def _with_interval(figures: Figures, metric: str) -> str:
    """Format a metric with half the width of its interval, if there is one."""
    if metric not in figures.get("intervals", {}):
        return f"{figures[metric]:.3f}"
    low, high = figures["intervals"][metric]
    if metric == "ece":  # its interval is not symmetric
        both = f"{figures[metric]:.3f} {low:.3f}–{high:.3f}"
        return both.replace(" 0.", " .").replace("–0.", "–.")
    return f"{figures[metric]:.3f} ±{(high - low) / 2:.3f}".replace("±0.", "±.")


def scores_table(answer: Mapping[str, Any]) -> RenderableType:
    """Format the answer of `POST /score`: each lead's score, grade and strongest reasons.

    Parameters
    ----------
    answer : mapping
        The body of the answer, which is JSON.
    """
    model = answer["model"]
    table = new_table("lead", "probability", "score", "grade", "why", right=range(1, 4))
    for item in answer["scores"]:
        reasons = (f"{reason['text']} ({reason['points']:+.0f})" for reason in item["reasons"])
        table.add_row(
            escape(item["lead_id"]),
            f"{item['probability']:.1%}",
            str(item["score"]),
            item["grade"],
            escape("\n".join(reasons)),
        )
    return Group(f"Scores over HTTP by {model['name']} version {model['version']}:", table)
