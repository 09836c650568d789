"""Formats versions, histories, gates, comparisons, changes and cards."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape

from commands.console import with_runnable_commands
from commands.terminal.tables import minute, new_table
from models.card import ModelCard, effective_size, used_remedies
from models.evaluation.metrics import FEWEST_TO_JUDGE, MODEL_METRICS
from models.registry.history import REFUSED, Event, Gate
from models.registry.registry import Version
from reports.numbers import counted_share, cut_off_name, percent
from training.changes import Changes
from training.comparison.comparison import Comparison, Difference

IN_THE_LIST = ("log_loss", "pr_auc", "ece")
AT_A_CUT_OFF = ("log_loss", "roc_auc")
SIMULATED = "[bold]SIMULATED records:[/] the figures describe no real business."
SHORT_DIGEST = 12
DRIVERS = 8
DIGITS = 4  # of differences; a difference that these digits show as 0 is none


def versions_table(versions: Sequence[Version]) -> RenderableType:
    """Format the list of versions: alias, time, quality on their own test leads, digest."""
    if not versions:
        return escape(
            with_runnable_commands("There is no version yet. Train one with `leadscore train`.")
        )
    labels = (MODEL_METRICS[metric].short_label for metric in IN_THE_LIST)
    table = new_table("version", "alias", "trained (UTC)", *labels, "digest")
    for version in versions:
        values = (version.metrics.get(f"test.{metric}") for metric in IN_THE_LIST)
        table.add_row(
            version.version,
            escape(", ".join(version.aliases)),
            minute(version.registered_at),
            *("" if value is None else f"{value:.4f}" for value in values),
            version.digest[:SHORT_DIGEST],
        )
    return Group(table, "Each version is evaluated on its own test leads.")


def history_table(events: Sequence[Event]) -> RenderableType:
    """Format the history, oldest first: time, event, versions, user, reason, failed gates."""
    if not events:
        return "The history is empty: no version has been promoted or refused."
    table = new_table("when (UTC)", "what", "version", "instead of", "who", "why", "gates failed")
    for event in events:
        is_refused = event.what == REFUSED
        was_forced = is_refused and event.forced
        # The last column already says which gates failed.
        is_repeated = is_refused and event.failed and not event.forced
        reasons = [event.because, "" if is_repeated else event.said]
        table.add_row(
            minute(event.at),
            f"{event.what}, though forced" if was_forced else event.what,
            event.version,
            event.previous or "",
            escape(event.who),
            escape(with_runnable_commands("\n".join(filter(None, reasons)))),
            ", ".join(gate.partition(" ")[0] for gate in event.failed),
        )
    return table


def gates_table(gates: Sequence[Gate]) -> RenderableType:
    """Format the results of gates with their evidence."""
    table = new_table("gate", "", "passed", "evidence")
    for gate in gates:
        passed = "[green]yes[/]" if gate.passed else "[bold red]no[/]"
        evidence = escape(with_runnable_commands(gate.evidence))
        table.add_row(gate.number, gate.name, passed, evidence)
    return table


def comparison_table(comparison: Comparison) -> RenderableType:
    """Format two versions side by side, with the paired differences and their intervals."""
    challenger, champion = comparison.challenger, comparison.champion
    shared = comparison.shared
    warnings = _warnings(comparison.warnings)
    if not comparison.differences:
        if warnings:
            return Group(*warnings, f"Versions {challenger} and {champion} cannot be compared.")
        return (
            f"Too few outcomes to compare: {len(shared.moments):,} moments of {shared.n_leads:,} "
            f"leads are new to versions {challenger} and {champion}, with {shared.rarer} leads of "
            f"the rarer outcome; at least {FEWEST_TO_JUDGE} are needed.\n"
            + (f"{shared.knowledge}\n" if shared.knowledge else "")
            + "Wait for more outcomes, or train again to hold out newer leads."
        )
    table = new_table(
        "metric",
        f"version {challenger}",
        f"version {champion}",
        "difference",
        "95 % interval",
        "verdict",
        right=(1, 2, 3, 4),
    )
    for metric, difference in comparison.differences.items():
        better = _better(metric, difference, challenger, champion)
        table.add_row(
            MODEL_METRICS[metric].short_label,
            f"{difference.challenger:.4f}",
            f"{difference.champion:.4f}",
            f"{difference.value:+z.{DIGITS}f}",
            f"{difference.low:+z.{DIGITS}f} to {difference.high:+z.{DIGITS}f}",
            "not fair" if warnings else better,
        )
    label = shared.moments.label
    won = counted_share(float(label.mean()), int(label.sum()), len(label))
    cut_offs = comparison.cut_offs
    over = f", as the mean over {len(cut_offs)} cut-offs" if len(cut_offs) > 1 else ""
    return Group(
        *warnings,
        f"On moments of {shared.n_leads:,} leads that neither version has learned from{over}; "
        f"{won} of the moments were won:",
        table,
        *([shared.knowledge] if shared.knowledge else []),
        *(_cut_offs(comparison) if len(cut_offs) > 1 else ()),
    )


def _cut_offs(comparison: Comparison) -> Iterator[RenderableType]:
    """Format both versions at each cut-off; each was evaluated with what was known then."""
    challenger, champion = comparison.challenger, comparison.champion
    yield f"Versions {challenger} and {champion} at each cut-off:"
    labels = (  # of two lines, so that the table fits in 80 columns
        f"{MODEL_METRICS[metric].short_label}\nof {version}"
        for metric in AT_A_CUT_OFF
        for version in (challenger, champion)
    )
    table = new_table("moments", "leads", "won", *labels, right=range(1, 7))
    for number, cut_off in enumerate(comparison.cut_offs, start=1):
        values = (
            "too few" if figures is None else f"{figures[metric]:.4f}"
            for metric in AT_A_CUT_OFF
            for figures in (cut_off.challenger, cut_off.champion)
        )
        table.add_row(
            cut_off_name(number, *(cut_off.period or (None, None))),
            f"{cut_off.n_leads:,}",
            percent(cut_off.base_rate),
            *values,
        )
    yield table


def _better(metric: str, difference: Difference, challenger: str, champion: str) -> str:
    """Return which version is better in a metric beyond chance, by more than rounding."""
    is_lower, is_higher = difference.high < 0, difference.low > 0
    if not (is_lower or is_higher) or round(difference.value, DIGITS) == 0:
        return "even"
    challenger_is_better = is_lower if MODEL_METRICS[metric].is_lower_better else is_higher
    return f"{challenger if challenger_is_better else champion} is better"


def changes_table(changes: Changes) -> RenderableType:
    """Format what a version would change for the open leads."""
    if changes.n == 0:
        return "There are no open leads, so nothing would change."
    warnings = _warnings(changes.warnings)
    summary = f"{changes.n_changed:,} of {changes.n:,} open leads change grade"
    if not changes.n_changed:
        return Group(*warnings, f"{summary}.")
    moves = ", ".join(f"{move.before} to {move.after}: {move.n:,}" for move in changes.moves)
    table = new_table("lead", "grade", "score", "why")
    for lead in changes.largest:
        table.add_row(
            escape(lead.lead_id),
            f"{lead.before} → {lead.after}",
            f"{lead.score_before} → {lead.score_after}",
            escape("\n".join(lead.why)),
        )
    return Group(*warnings, f"{summary} ({moves}). The largest changes, and why:", table)


def card_summary(version: Version, card: ModelCard) -> RenderableType:
    """Format a version and its model card."""
    facts, test = card.learned_from, card.test
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    lines = [f"[bold]{escape(card.name)} version {version.version}{escape(aliases)}[/]"]
    if card.simulated:
        lines.append(SIMULATED)
    window = f", {facts['from'][:10]} to {facts['to'][:10]}" if "from" in facts else ""
    trained_at = datetime.datetime.fromisoformat(card.trained_at)
    lines.append(
        f"Trained {minute(trained_at)} UTC on {facts['moments']:,} moments of "
        f"{facts.get('learned_leads', facts['leads']):,} leads{window}; "
        f"{won_words(facts['base_rate'], facts['moments'])} won."
    )
    won, days = ", ".join(card.question["won"]), card.question["horizon_days"]
    horizon = f" within {days:g} days" if days else ""
    lines.append(f"Predicts: {escape(won)}{horizon}.")
    has_test = "not_judged" not in test
    if has_test:
        lines.append(
            f"Evaluated on the {escape(test['how'])}: {won_words(test['base_rate'], test['n'])} of "
            "the moments were won."
        )
    if card.readiness:
        lines.append(
            f"[bold]{escape(card.readiness['verdict'].capitalize())}:[/] "
            f"{escape(' '.join(card.technical_reasons))}"
        )
    after = [
        f"Estimator: {escape(str(card.estimator.get('kind', '')))}.",
        f"Reads {len(card.features)} features.",
    ]
    if used := used_remedies(card.estimator):
        after.append(f"Against drift, it uses {used}. {effective_size(card.estimator)}".rstrip())
    after += card.unstable_ranking
    drivers = [f"{row['signal']} ({row['share']:.0%})" for row in card.importance[:DRIVERS]]
    if drivers:
        after.append(f"Strongest signals: {escape(', '.join(drivers))}.")
    after += left_out_lines(card)
    after += [f"[yellow]note:[/] {escape(note)}" for note in card.data_notes]
    after += [f"Not for: {escape(sentence)}" for sentence in card.not_for]
    after.append(f"Digest {version.digest}; MLflow run {version.run_id}.")
    tables = [_metrics_table(test, card.baselines)] if has_test else []
    return Group(*lines, *tables, *after)


def won_words(base_rate: float, n: int) -> str:
    """Format the share of the moments that were won, with its counts; each weighs the same."""
    return counted_share(base_rate, round(base_rate * n), n)


def left_out_lines(card: ModelCard) -> list[str]:
    """Format the columns that are not features, one line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for left_out in card.left_out:
        by_reason.setdefault(left_out["reason"], []).append(left_out["column"])
    return [
        f"Not features, because {escape(reason.rstrip('.'))}: {escape(', '.join(columns))}."
        for reason, columns in by_reason.items()
    ]


def _metrics_table(
    test: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]
) -> RenderableType:
    labels = [metric.short_label for metric in MODEL_METRICS.values()]
    table = new_table("model", *labels, right=range(1, 1 + len(labels)))
    for name, figures in (("leadscore", test), *baselines.items()):
        values = (f"{figures[metric]:.3f}" for metric in MODEL_METRICS)
        table.add_row(escape(name.replace("_", " ")), *values)
    return table


def _warnings(warnings: Sequence[str]) -> list[str]:
    return [f"[yellow]warning:[/] {escape(warning)}" for warning in warnings]
