"""What the command line shows of models: lists, histories, gates, comparisons, cards.

Each function takes the plain data that `--json` prints and gives what rich can print, with
every text that comes from data or people escaped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import rich.box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from models.evaluation.metrics import MODEL_METRICS

Row = Mapping[str, Any]

SHORT_DIGEST = 12
DRIVERS = 8


def versions_table(rows: Sequence[Row]) -> RenderableType:
    """List versions: alias, when, how good on their own test leads, digest.

    Parameters
    ----------
    rows : sequence of mapping
        As `models.registry.registry.Version.to_json` gives them.
    """
    if not rows:
        return "There is no version yet. Train one with `leadscore train`."
    shown = ("log_loss", "pr_auc", "ece")
    table = headed(
        "version",
        "alias",
        "trained (UTC)",
        *(MODEL_METRICS[m].short_label for m in shown),
        "digest",
    )
    for row in rows:
        metrics = (row["test"].get(metric) for metric in shown)
        table.add_row(
            row["version"],
            escape(", ".join(row["aliases"])),
            _minute(row["registered_at"]),
            *("" if value is None else f"{value:.4f}" for value in metrics),
            row["digest"][:SHORT_DIGEST],
        )
    return Group(table, "The figures are those of each version's own test leads.")


def history_table(rows: Sequence[Row]) -> RenderableType:
    """List events, oldest first: when, what, whom, by whom, why, which gates failed.

    Parameters
    ----------
    rows : sequence of mapping
        As `models.registry.history.Event.to_json` gives them.
    """
    if not rows:
        return "Nothing has happened yet: no version was promoted or refused."
    table = headed("when (UTC)", "what", "version", "instead of", "who", "why", "gates failed")
    for row in rows:
        numbers = ", ".join(name.partition(" ")[0] for name in row["failed"])
        is_refused = row["what"] == "refused"
        is_plain = is_refused and row["failed"] and not row["forced"]  # the last column says it
        why = filter(None, (row["because"], "" if is_plain else row["said"]))
        table.add_row(
            _minute(row["at"]),
            f"{row['what']}, though forced" if is_refused and row["forced"] else row["what"],
            row["version"],
            row["previous"] or "",
            escape(row["who"]),
            escape("\n".join(why)),
            numbers,
        )
    return table


def gates_table(rows: Sequence[Row]) -> RenderableType:
    """List gates with their verdicts and evidence.

    Parameters
    ----------
    rows : sequence of mapping
        As `models.registry.history.Gate.to_json` gives them.
    """
    table = headed("gate", "", "passed", "evidence")
    for row in rows:
        passed = "[green]yes[/]" if row["passed"] else "[bold red]no[/]"
        table.add_row(row["number"], row["name"], passed, escape(row["evidence"]))
    return table


def comparison_table(found: Row) -> RenderableType:
    """Show two versions side by side, with the paired difference and its interval.

    Parameters
    ----------
    found : mapping
        As `training.comparison.comparison.Comparison.to_json` gives it.
    """
    one, other = found["one"], found["other"]
    size = f"{found['n']:,} moments of {found['n_leads']:,} leads that neither learned from"
    warnings = [f"[yellow]warning:[/] {escape(each)}" for each in found["warnings"]]
    if found["verdict"] == "cannot be compared":
        return Group(*warnings, f"Versions {one} and {other} cannot be compared.")
    if not found["metrics"]:
        return (
            f"Too few to judge: versions {one} and {other} share {size}, with {found['n_rarer']} "
            f"leads of the rarer outcome; {found['n_needed']} are needed.\n"
            "Wait for more outcomes, or train again, so that the newest leads judge."
        )
    table = headed(
        "metric",
        f"version {one}",
        f"version {other}",
        "difference",
        "95 % interval",
        "verdict",
        right=(1, 2, 3, 4),
    )
    for row in found["metrics"]:
        low, high = row["interval"]
        metric = MODEL_METRICS[row["metric"]]
        is_better = high < 0 if metric.is_lower_better else low > 0
        is_worse = low > 0 if metric.is_lower_better else high < 0
        verdict = f"{one} is better" if is_better else f"{other} is better" if is_worse else "even"
        verdict = "not fair" if warnings else verdict
        table.add_row(
            metric.short_label,
            f"{row['one']:.4f}",
            f"{row['other']:.4f}",
            f"{row['difference']:+.4f}",
            f"{low:+.4f} to {high:+.4f}",
            verdict,
        )
    return Group(*warnings, f"On {size}, {found['base_rate']:.1%} won:", table)


def report_summary(facts: Row, sentences: Sequence[str], total_bytes: int) -> RenderableType:
    """Show the takeaways of a report, and where to look.

    Parameters
    ----------
    facts : mapping
        `folder`, `files`, `model` and `takeaways`, as `--json` prints them.
    sentences : sequence of str
        Of the first page.
    total_bytes : int
        Of all files.
    """
    lines = [f"- {escape(sentence)}" for sentence in sentences]
    if facts["model"] is None:
        lines.append("There is no champion yet, so the report says nothing of scores.")
    size = f"{len(facts['files'])} files, {total_bytes / 1_000_000:.1f} MB"
    lines.append(f"Wrote {size}. Where to look:")
    folder = facts["folder"]
    where = {
        "pages": f"{folder}/index.html",
        "wiki": f"{folder}/README.md",
        "numbers": f"{folder}/csv",
        "takeaways": facts["takeaways"],
    }
    lines += [f"  {what:<9} {escape(place)}" for what, place in where.items() if place]
    return "\n".join(lines)


def changes_table(found: Row) -> RenderableType:
    """Show what a version would change for the open leads.

    Parameters
    ----------
    found : mapping
        As `training.changes.Changes.to_json` gives it.
    """
    if found["n"] == 0:
        return "No lead is open, so nothing changes for any."
    warnings = [f"[yellow]warning:[/] {escape(each)}" for each in found["warnings"]]
    said = f"{found['n_changed']:,} of {found['n']:,} open leads change grade"
    if not found["n_changed"]:
        return Group(*warnings, f"{said}.")
    moves = ", ".join(f"{row['before']} to {row['after']}: {row['n']:,}" for row in found["moves"])
    table = headed("lead", "grade", "score", "why")
    for row in found["largest"]:
        table.add_row(
            escape(row["lead_id"]),
            f"{row['before']} → {row['after']}",
            f"{row['score_before']} → {row['score_after']}",
            escape("\n".join(row["why"])),
        )
    return Group(*warnings, f"{said} ({moves}). The largest changes, and why:", table)


def card_summary(version: Row, card: Row) -> RenderableType:
    """Show a model card.

    Parameters
    ----------
    version : mapping
        As `models.registry.registry.Version.to_json` gives it.
    card : mapping
        As `ModelCard.to_json` gives it.
    """
    facts, label, test = card["learned_from"], card["label"], card["test"]
    aliases = f" ({', '.join(version['aliases'])})" if version["aliases"] else ""
    lines = [f"[bold]{escape(card['name'])} version {version['version']}{escape(aliases)}[/]"]
    if card["simulated"]:
        lines.append("[bold]SIMULATED records:[/] the figures are about no real business.")
    window = f", {facts['from'][:10]} to {facts['to'][:10]}" if "from" in facts else ""
    lines.append(
        f"Trained {_minute(card['trained_at'])} UTC on {facts['moments']:,} moments of "
        f"{facts.get('learned_leads', facts['leads']):,} leads{window}; "
        f"{facts['base_rate']:.1%} won."
    )
    won = ", ".join(label["won"])
    horizon = f" within {label['horizon_days']:g} days" if label["horizon_days"] else ""
    lines.append(f"Won means: {escape(won)}{horizon}.")
    is_judged = "not_judged" not in test
    if is_judged:
        lines.append(
            f"Judged by the {escape(test['how'])}: {test['n']:,} moments, "
            f"{test['base_rate']:.1%} won."
        )
    ready = card["readiness"]
    if ready:
        lines.append(
            f"[bold]{escape(ready['verdict'].capitalize())}:[/] "
            f"{escape(' '.join(ready['reasons']))}"
        )
    labels = [metric.short_label for metric in MODEL_METRICS.values()]
    table = headed("model", *labels, right=range(1, 1 + len(labels)))
    for name, figures in (("leadscore", test), *card["baselines"].items()) if is_judged else ():
        values = (f"{figures[metric]:.3f}" for metric in MODEL_METRICS)
        table.add_row(escape(name.replace("_", " ")), *values)
    after = [f"Estimator: {escape(str(card['estimator'].get('kind', '')))}."]
    after.append(f"Looks at {len(card['features'])} features.")
    drivers = [f"{row['signal']} ({row['share']:.0%})" for row in card["importance"][:DRIVERS]]
    if drivers:
        after.append(f"Driven by: {escape(', '.join(drivers))}.")
    by_reason: dict[str, list[str]] = {}
    for left in card["left_out"]:
        by_reason.setdefault(left["reason"], []).append(left["column"])
    after += [
        f"Not a feature, {escape(reason)}: {escape(', '.join(columns))}"
        for reason, columns in by_reason.items()
    ]
    after += [f"[yellow]note:[/] {escape(note)}" for note in card["notes"]]
    after += [f"Not for: {escape(sentence)}" for sentence in card["not_for"]]
    after.append(f"Digest {version['digest']}; MLflow run {version['run_id']}.")
    return Group(*lines, *([table] if is_judged else []), *after)


def headed(*headings: str, right: Sequence[int] = ()) -> Table:
    """Begin a table with these headings; at the places `right` stand numbers, never wrapped."""
    table = Table(box=rich.box.SIMPLE, pad_edge=False, collapse_padding=True)
    for i, heading in enumerate(headings):
        is_right = i in right
        table.add_column(heading, justify="right" if is_right else "left", no_wrap=is_right)
    return table


def _minute(moment: str) -> str:
    """Cut an ISO 8601 time to the minute, as a person reads it."""
    return moment[:16].replace("T", " ")
