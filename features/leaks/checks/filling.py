"""Checks of whether a column is filled: LS101, LS102, LS103 and LS105."""

import numpy as np

from features.leaks.check import (
    MIN_OUTCOMES,
    MIN_OUTCOMES_OF_LEAK,
    Verdict,
    check,
    leak_or_suspect,
    lower_bound,
    of_the_same_time,
    rounded,
)
from features.leaks.measures import AuditedColumn, AuditedLeads


@check(
    "LS101",
    "It is filled for closed leads and almost never for open leads of the same time, or the "
    "reverse.",
    finds_closing=True,
)
def filled_at_closing(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Compare closed and open leads by how many have the column filled.

    A column such as "Next step" may be emptied when a lead is closed. If the smaller share is only
    somewhat smaller, the work of sales may explain it.
    """
    groups = leads.by_state
    lost = int((~leads.by_outcome.is_first).sum())
    if groups.rarer < MIN_OUTCOMES_OF_LEAK:
        return None
    filled = column.filled[groups.rows]
    closed, still_open = groups.shares(filled)
    less, more = sorted((closed, still_open))
    if groups.auc_either_way(filled.astype(float)).low <= 0.5 or more < 0.05:
        return None
    if less <= 0.1 * more:
        verdict = Verdict.LEAK if leads.in_order else Verdict.SUSPECT
    elif less <= 0.5 * more and more - less >= 0.2 and lost >= MIN_OUTCOMES_OF_LEAK:
        verdict = Verdict.SUSPECT
    else:
        return None
    n, m = groups.is_first.sum(), (~groups.is_first).sum()
    x, y = filled[groups.is_first].sum(), filled[~groups.is_first].sum()
    evidence = (
        f"Filled for {x:,} of {n:,} leads with an outcome and {y:,} of {m:,} leads without one"
    )
    if leads.in_order:
        evidence += f"; among leads of the same time, {rounded(closed)} and {rounded(still_open)}"
    return verdict, f"{evidence}."


@check(
    "LS102",
    "Almost all leads that have it filled ended the same way.",
    compares_outcomes=True,
    finds_closing=True,
)
def filled_means_one_outcome(
    column: AuditedColumn, leads: AuditedLeads
) -> tuple[Verdict, str] | None:
    """Check whether almost all leads with a value have the same outcome.

    A rare value of an honest attribute may do so by chance. So with few wins the verdict is
    suspect.
    """
    groups, filled = leads.by_outcome, column.filled[leads.by_outcome.rows]
    n_filled = int(filled.sum())
    if n_filled < MIN_OUTCOMES:
        return None
    for outcome, has_it in (("won", groups.is_first), ("lost or unwon", ~groups.is_first)):
        hits, base = int(has_it[filled].sum()), float(has_it.mean())
        low = lower_bound(hits, n_filled)
        if hits >= 0.95 * n_filled and low >= 0.85 and base <= 0.7:
            is_leak = low >= 0.9 and hits >= 0.1 * has_it.sum()
            return leak_or_suspect(leads, is_leak), (
                f"{hits:,} of the {n_filled:,} leads that have it filled were {outcome}; "
                f"{rounded(base)} of all leads were."
            )
    return None


@check(
    "LS103",
    "Whether it is filled separates won from lost leads.",
    compares_outcomes=True,
    finds_closing=True,
)
def filling_separates(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Rank leads by whether the column is filled.

    A word for nothing is tried both as an empty cell and as a value: it may be a default that
    no one has changed yet.
    """
    groups, state = leads.by_outcome, leads.by_state
    for filled in (column.filled, column.written):
        auc = groups.auc_either_way(filled[groups.rows].astype(float))
        if auc.value < 0.65 or auc.low < 0.62:
            continue
        won, lost = groups.shares(filled[groups.rows])
        evidence = (
            f"Filled for {rounded(won)} of won leads and {rounded(lost)} of the others"
            f"{of_the_same_time(leads)}, which ranks {rounded(auc.value)} of pairs correctly"
        )
        closed, still_open = state.shares(filled[state.rows])
        # Open leads will be won or lost, so their share may be between those of the two.
        most = max(closed / 0.8, (closed + max(won, lost)) / 2)
        if state.rarer >= MIN_OUTCOMES_OF_LEAK and 0.8 * closed <= still_open <= most:
            return Verdict.FINE, (
                f"{evidence}; but open leads have it filled about as often as closed leads, "
                f"{rounded(still_open)} and {rounded(closed)}."
            )
        is_leak = auc.value >= 0.8 and auc.low >= 0.75
        return leak_or_suspect(leads, is_leak), f"{evidence}."
    return None


@check("LS105", "It is filled in some periods and not in others.", compares_outcomes=True)
def filled_at_times(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Compare slices of time by how many leads have the column filled.

    If the share only rises, the column may be a question that was added on some day.
    """
    if not leads.in_order:
        return None
    groups = leads.by_outcome
    counts = np.bincount(groups.part)
    for filled, is_cell in ((column.written, True), (column.filled, False)):
        rates = np.bincount(groups.part, filled[groups.rows]) / np.maximum(counts, 1)
        rates = rates[counts >= MIN_OUTCOMES_OF_LEAK]
        if not len(rates) or np.ptp(rates) < 0.5:
            continue
        auc = groups.auc_either_way(filled[groups.rows].astype(float)).value
        only_rises = (np.maximum.accumulate(rates) - rates).max() <= 0.15
        # In some periods a word for nothing may have replaced the empty cell. So a column that
        # counts such words as empty must rank leads as well.
        if auc >= 0.55 or (is_cell and not only_rises):
            return Verdict.SUSPECT, (
                f"Filled for {rounded(rates.min())} of the leads in one period "
                f"and {rounded(rates.max())} in another."
            )
    return None
