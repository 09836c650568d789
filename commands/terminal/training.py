"""What the command line shows of a training, and of the scores that it led to.

Like `commands.terminal.models`, from plain data, with every text from data or people escaped.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from commands.terminal.models import headed
from models.evaluation.metrics import MODEL_METRICS

Row = Mapping[str, Any]

SHOWN = {name: metric.short_label for name, metric in MODEL_METRICS.items() if name != "brier"}
DROPPED = ("not_mature", "closed_before_the_moment", "without_outcome")


def training_summary(card: Row) -> RenderableType:
    """Show what was learned, from what, how good it is, and the verdict.

    Parameters
    ----------
    card : mapping
        As `ModelCard.to_json` gives it.
    """
    return Group(*_parts(card))


def _parts(card: Row) -> Iterator[RenderableType]:
    if card["simulated"]:
        yield "[bold]SIMULATED records:[/] the figures are about no real business."
    yield from (f"[yellow]note:[/] {escape(note)}" for note in card["notes"])
    facts = card["learned_from"]
    dropped = [f"{facts[key]:,} {key.replace('_', ' ')}" for key in DROPPED if facts.get(key)]
    yield (
        f"Learned from {facts['moments']:,} moments of {facts['learned_leads']:,} of "
        f"{facts['leads']:,} leads, {facts['base_rate']:.1%} won; moments left out: "
        f"{', '.join(dropped) or 'none'}."
    )
    by_reason: dict[str, list[str]] = {}
    for left in card["left_out"]:
        by_reason.setdefault(left["reason"], []).append(left["column"])
    for reason, columns in by_reason.items():
        yield f"Not a feature, {escape(reason)}: {escape(', '.join(columns))}"
    estimator = card["estimator"]
    yield f"Model: {estimator['kind']}."
    if "logistic_weight" in estimator:
        weight = estimator["logistic_weight"]
        yield f"Weight of the logistic regression {weight:.1f}: {estimator['why']}."
    else:
        yield f"Because there are {estimator['why']}."
    if "settings_tried" in estimator:
        yield (
            f"Settings tried: {estimator['settings_tried']}; log loss "
            f"{estimator['log_loss_of_the_best']:.4f} with the best, "
            f"{estimator['log_loss_of_the_defaults']:.4f} with the defaults."
        )
    if "not_judged" not in card["test"]:
        yield from _judged(card["test"], card["baselines"], facts["embargoed"])
    yield f"[bold]Verdict: {card['readiness']['verdict']}.[/]"
    yield from (f"  {escape(reason)}" for reason in card["readiness"]["reasons"])


def _judged(test: Row, baselines: Mapping[str, Row], embargoed: int) -> Iterator[RenderableType]:
    """Show how good the model is, beside the baselines."""
    kept_out = (
        f"; {embargoed:,} moments whose outcome was not known when these began were kept out of "
        "the judged model, and are in the one that was then fitted on all"
    )
    yield (
        f"Judged by the {test['how']}: {test['n']:,} moments, {test['base_rate']:.1%} won"
        f"{kept_out if embargoed else ''}."
    )
    table = headed("model", *SHOWN.values(), right=range(1, 1 + len(SHOWN)))
    for name, found in (("leadscore", test), *baselines.items()):
        table.add_row(name.replace("_", " "), *(_with_interval(found, each) for each in SHOWN))
    yield table
    yield (
        f"Right probabilities would show a calibration error of {test['ece_by_chance']:.3f} in as "
        "many leads, by chance."
    )
    if len(test["by_age"]) > 1:
        yield _ages(test["by_age"])


def _ages(by_age: list[Row]) -> Table:
    """Show how good the model is at each age of the lead."""
    table = headed("age of the lead", "n", "won", *SHOWN.values(), right=range(1, 3 + len(SHOWN)))
    for row in by_age:
        days = row["age_days"]
        age = f"{days:g} days" if days == 0 or days >= 1 else f"{24 * days:.2g} hours"
        if "verdict" in row:
            table.add_row(age, f"{row['n']:,}", row["verdict"])
            continue
        values = (f"{row[metric]:.3f}" for metric in SHOWN)
        table.add_row(age, f"{row['n']:,}", f"{row['base_rate']:.1%}", *values)
    return table


def scores_table(answer: Row) -> RenderableType:
    """Show what `POST /score` answered: each lead's score, grade and strongest reasons.

    Parameters
    ----------
    answer : mapping
        The answer's body.
    """
    model = answer["model"]
    table = headed("lead", "probability", "score", "grade", "why", right=range(1, 4))
    for item in answer["scores"]:
        reasons = (f"{each['text']} ({each['points']:+.0f})" for each in item["reasons"])
        table.add_row(
            escape(item["lead_id"]),
            f"{item['probability']:.1%}",
            str(item["score"]),
            item["grade"],
            escape("\n".join(reasons)),
        )
    return Group(f"Scores over HTTP by {model['name']} version {model['version']}:", table)


def _with_interval(found: Row, metric: str) -> str:
    low, high = found["intervals"][metric]
    if metric == "ece":  # whose interval reaches further on one side
        return f"{found[metric]:.3f} {low:.3f}–{high:.3f}".replace(" 0.", " .").replace("–0.", "–.")
    return f"{found[metric]:.3f} ±{(high - low) / 2:.3f}".replace("±0.", "±.")
