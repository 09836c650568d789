"""The numbered checks of the leak audit. `CHECKS` lists them: number, title and function.

Their thresholds were chosen on public data with known leaks: 202 attributes, 29 of which leak.
The strongest honest attribute there ranks 79 % of the pairs of one time correctly by itself.
Where a margin is thin, the lower bound of the measured share must pass as well; few leads
therefore make suspects at most.

To add a check, write one function under `@check(number, title)`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from crm.arrays import Bools, Floats, Ints
from crm.text import quote, words_of
from crm.times import DAY, NOT_A_TIME
from features.attributes.attribute import NEARLY_UNIQUE
from features.intervals import wilson
from features.leaks.measures import AuditedColumn, AuditedLeads, TwoGroups

MIN_OUTCOMES = 10  # leads of the rarer outcome, for the checks that compare outcomes
MIN_OUTCOMES_OF_LEAK = 30  # leads of the rarer outcome, to call a column a leak
STRONG_AUC = 0.8  # no honest attribute ranks as many pairs correctly by itself
IMPLAUSIBLE_AUC = 0.9  # of all attributes together


class Verdict(StrEnum):
    """The result of a check, or of an audit, for one column."""

    LEAK = "leak"
    SUSPECT = "suspect"
    FINE = "fine"


@dataclass(frozen=True)
class Finding:
    """What one check found in one column.

    Attributes
    ----------
    number : str
        The number of the check, a key of `CHECKS`.
    verdict : Verdict
        FINE if the finding is for information only.
    evidence : str
        A sentence with the figures.
    """

    number: str
    verdict: Verdict
    evidence: str


ColumnCheck = Callable[[AuditedColumn, AuditedLeads], tuple[Verdict, str] | None]
ModelCheck = Callable[
    [Sequence[AuditedColumn], AuditedLeads], Iterator[tuple[str, tuple[Verdict, str]]]
]


@dataclass(frozen=True)
class Check:
    """A declared check.

    Attributes
    ----------
    number : str
        A number that is never reused.
    title : str
        One sentence about a column that the check finds.
    of_column : callable or None
        Checks one column; returns a verdict and the evidence, or None.
    of_all : callable or None
        Checks all columns together; yields the name of a column, its verdict and the evidence.
    compares_outcomes : bool
        True if the check needs at least `MIN_OUTCOMES` leads of either outcome.
    """

    number: str
    title: str
    of_column: ColumnCheck | None = None
    of_all: ModelCheck | None = None
    compares_outcomes: bool = False


CHECKS: dict[str, Check] = {}


def check(
    number: str, title: str, compares_outcomes: bool = False
) -> Callable[[ColumnCheck], ColumnCheck]:
    """Register a function that checks one column."""

    def register(function: ColumnCheck) -> ColumnCheck:
        CHECKS[number] = Check(
            number=number, title=title, of_column=function, compares_outcomes=compares_outcomes
        )
        return function

    return register


def check_together(number: str, title: str) -> Callable[[ModelCheck], ModelCheck]:
    """Register a function that checks all columns together."""

    def register(function: ModelCheck) -> ModelCheck:
        CHECKS[number] = Check(number=number, title=title, of_all=function)
        return function

    return register


def check_column(column: AuditedColumn, leads: AuditedLeads) -> Iterator[Finding]:
    """Run every check of single columns on one column; yield the findings by number."""
    can_compare = leads.by_outcome.rarer >= MIN_OUTCOMES
    for declared in CHECKS.values():
        if declared.of_column is None or (declared.compares_outcomes and not can_compare):
            continue
        result = declared.of_column(column, leads)
        if result is not None:
            yield Finding(declared.number, *result)


def check_columns_together(
    columns: Sequence[AuditedColumn], leads: AuditedLeads
) -> Iterator[tuple[str, Finding]]:
    """Run every check of all columns together; yield the name of a column and a finding."""
    for declared in CHECKS.values():
        if declared.of_all is not None:
            for name, result in declared.of_all(columns, leads):
                yield name, Finding(declared.number, *result)


@check("LS101", "It is filled for closed leads and almost never for open leads of the same time.")
def filled_at_closing(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Compare closed and open leads by how many have the column filled.

    A share of open leads that is only somewhat smaller may be the work of sales.
    """
    groups = leads.by_state
    lost = int((~leads.by_outcome.is_first).sum())
    if groups.rarer < MIN_OUTCOMES_OF_LEAK:
        return None
    filled = column.filled[groups.rows]
    closed, still_open = groups.shares(filled)
    if groups.auc(filled.astype(float)).low <= 0.5 or closed < 0.05:
        return None
    if still_open <= 0.1 * closed:
        verdict = Verdict.LEAK if leads.in_order else Verdict.SUSPECT
    elif still_open <= 0.5 * closed and closed - still_open >= 0.2 and lost >= MIN_OUTCOMES_OF_LEAK:
        verdict = Verdict.SUSPECT
    else:
        return None
    n, m = groups.is_first.sum(), (~groups.is_first).sum()
    return verdict, (
        f"Filled for {closed:.0%} of {n:,} closed leads and "
        f"{still_open:.0%} of {m:,} open leads{_of_the_same_time(leads)}."
    )


@check("LS102", "Almost all leads that have it filled ended the same way.", compares_outcomes=True)
def filled_means_one_outcome(
    column: AuditedColumn, leads: AuditedLeads
) -> tuple[Verdict, str] | None:
    """Look for an outcome that almost all leads with a value share.

    One rare value of an honest attribute may do so too: few wins make a suspect.
    """
    groups, filled = leads.by_outcome, column.filled[leads.by_outcome.rows]
    n_filled = int(filled.sum())
    if filled.mean() >= 0.95 or n_filled < MIN_OUTCOMES:
        return None
    for outcome, has_it in (("won", groups.is_first), ("lost or unwon", ~groups.is_first)):
        hits, base = int(has_it[filled].sum()), float(has_it.mean())
        low = _lower_bound(hits, n_filled)
        if hits >= 0.95 * n_filled and low >= 0.85 and base <= 0.7:
            is_leak = low >= 0.9 and hits >= 0.1 * has_it.sum()
            return _leak_or_suspect(leads, is_leak), (
                f"{hits:,} of the {n_filled:,} leads that have it filled were {outcome}; "
                f"{base:.0%} of all leads were."
            )
    return None


@check("LS103", "Whether it is filled separates won from lost leads.", compares_outcomes=True)
def filling_separates(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Rank leads by whether the column is filled.

    A word for nothing is tried both as a value and as none: it may be a default that
    no one has changed yet.
    """
    groups, state = leads.by_outcome, leads.by_state
    for filled in (column.filled, column.written):
        auc = groups.auc_either_way(filled[groups.rows].astype(float))
        if auc.value < 0.65 or auc.low < 0.62:
            continue
        won, lost = groups.shares(filled[groups.rows])
        evidence = (
            f"Filled for {won:.0%} of won leads and {lost:.0%} of the others"
            f"{_of_the_same_time(leads)}, which ranks {auc.value:.0%} of pairs correctly"
        )
        closed, still_open = state.shares(filled[state.rows])
        if state.rarer >= MIN_OUTCOMES_OF_LEAK and still_open >= 0.8 * closed:
            return Verdict.FINE, (
                f"{evidence}; but open leads have it filled as often as closed leads, "
                f"{still_open:.0%} and {closed:.0%}."
            )
        is_leak = auc.value >= 0.8 and auc.low >= 0.75
        return _leak_or_suspect(leads, is_leak), f"{evidence}."
    return None


@check("LS104", "By itself it separates won from lost leads almost always.", compares_outcomes=True)
def separates_alone(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Rank leads by the column alone.

    If open leads have values as promising as those of closed leads, the strength of the
    column is explained, and it is a suspect at most.
    """
    auc, state = column.best_auc(leads.by_outcome), leads.by_state
    if auc.likely < STRONG_AUC:
        return None
    closed, still_open = state.shares(_win_rates(column, leads)[state.rows])
    is_explained = state.rarer >= 3 * MIN_OUTCOMES_OF_LEAK and still_open >= 0.6 * closed
    evidence = f"By itself it ranks {auc.value:.0%} of pairs of won and lost leads correctly"
    if leads.in_order:
        evidence += ", among leads of the same time"
    if is_explained:
        evidence += "; but open leads have values much like those of closed leads"
    return _leak_or_suspect(leads, auc.low >= STRONG_AUC and not is_explained), f"{evidence}."


def _win_rates(column: AuditedColumn, leads: AuditedLeads) -> Floats:
    """Compute the share of wins among the leads with each lead's value, shape (n_leads,)."""
    levels, groups = column.levels[leads.by_outcome.rows], leads.by_outcome
    width = int(column.levels.max(initial=0)) + 1
    count = np.bincount(levels, minlength=width)
    won = np.bincount(levels, groups.is_first, minlength=width)
    return np.asarray((won + groups.is_first.mean()) / (count + 1))[column.levels]


@check("LS105", "It is filled in some periods and not in others.", compares_outcomes=True)
def filled_at_times(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Compare slices of time by how many leads have the column filled.

    A share that only ever rises is a question that leads were asked from some day on.
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
        # A word for nothing may be what was written at that time: it must rank leads as well.
        if auc >= 0.55 or (is_cell and not only_rises):
            return Verdict.SUSPECT, (
                f"Filled for {rates.min():.0%} of the leads in one period "
                f"and {rates.max():.0%} in another."
            )
    return None


@check("LS106", "Some of its values decide the outcome of many leads.", compares_outcomes=True)
def values_decide(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Look for values whose leads almost all have one outcome.

    Honest values do so as well, but seldom for many leads.
    """
    groups, size = leads.by_outcome, len(column.values) + 1
    codes = column.codes[groups.rows]
    count, won = np.bincount(codes, minlength=size), np.bincount(codes, groups.is_first, size)
    expected = np.bincount(codes, groups.base, size) / np.maximum(count, 1)
    sides = []
    for outcome, hits, base in (("wins", won, expected), ("losses", count - won, 1 - expected)):
        bounds = np.array([_lower_bound(h, c) for h, c in zip(hits, count, strict=True)])
        decides = (
            (count >= MIN_OUTCOMES_OF_LEAK)
            & (hits >= 0.98 * count)
            & (bounds >= 0.95)
            & (base <= 0.8)
        )
        decides[-1] = False  # a missing value is not a value
        if decides.any():
            sides.append((hits[decides].sum() / hits.sum(), outcome, np.flatnonzero(decides), hits))
    if not sides:
        return None
    share, outcome, codes, hits = max(sides, key=lambda side: side[0])
    largest = sorted(codes, key=lambda code: (-count[code], code))[:3]
    names = ", ".join(
        f"{quote(column.values[code][:40])} ({hits[code]:,.0f} of {count[code]:,})"
        for code in largest
    )
    verdict = Verdict.SUSPECT if share >= 0.25 else Verdict.FINE
    return verdict, f"Values with {share:.0%} of all {outcome} and almost nothing else: {names}."


EARLIER = re.compile(
    r"\b(previous(ly)?|prior|former|past|first|initial|original|before|earlier|"
    r"vorherig\w*|erste[rs]?|premiere?|anterior|primer[ao]?)\b"
)
LATER_NAMES = (
    re.compile(
        r"\b(last|latest|recent)\b(?! (name|year|quarter|month|funding|round|employer|job|"
        r"school|degree|mile|digits?)\b)|\b(modified|updated|changed)\b|"
        r"\b(letzte[nrs]?|zuletzt|geandert|aktualisiert|derniere?|modifiee?|ultim[ao]|"
        r"modificad[ao])\b"
    ),
    re.compile(
        r"\b(convert\w*|conversion|closed|closing|won|lost|churn\w*|signed(?! up)|"
        r"invoiced?|disposition|disqualif\w+|rejected|rejection|outcome)\b|"
        r"\bclose (date|day|time|reason|at|on)\b|\b(cancel\w*|cancelled) (date|reason|at)\b|"
        r"\b(loss|win|exit|decline) reason\b|^reason$|^reason (closed|code)$|"
        r"\b(customer|client) since\b|\b(became|is) (a )?(customer|client)\b|"
        r"\b(lead|deal|opportunity|sales|life ?cycle|pipeline|funnel) (status|stage)\b|"
        r"^(status|stage)$|"
        r"\b(gewonnen|verloren|abgeschlossen|abschluss(datum)?|verlustgrund|gekundigt|"
        r"rechnung\w*|gagnee?|perdue?|cloture\w*|facture|ganad[ao]|perdid[ao]|cerrad[ao]|"
        r"factura)\b"
    ),
)


def word_of_later(name: str) -> str | None:
    """Return the words of a name that refer to an outcome or to the latest change, or None.

    A name that refers to an earlier time is honest, and so is a last name.

    Examples
    --------
    >>> word_of_later("Lost Reason"), word_of_later("previous_outcome"), word_of_later("last name")
    ('lost', None, None)
    """
    words = unicodedata.normalize("NFKD", words_of(name))
    words = "".join(letter for letter in words if not unicodedata.combining(letter))
    matches = (pattern.search(words) for pattern in LATER_NAMES)
    match = next(filter(None, matches), None)
    if match is None or EARLIER.search(words) or words == "name last":
        return None
    return match[0]


@check("LS107", "Its name refers to an outcome or to the latest change.")
def named_after_later(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Read the name of the column."""
    word = word_of_later(column.name)
    return None if word is None else (Verdict.SUSPECT, f"Its name contains {quote(word)}.")


@check("LS108", "It contains dates after the lead's creation, or the closing date.")
def dated_later(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Compare the column's dates with the lead's creation and closing.

    Dates beyond the export are plans, and a plan may be honest.
    """
    if column.times is None:
        return None
    has_date = column.filled & (column.times != NOT_A_TIME)
    near_closing = _dated_at_closing(column.times, has_date, leads)
    if near_closing is not None:
        return near_closing
    later = has_date & (leads.created != NOT_A_TIME)
    later &= column.times > leads.created + DAY
    share = later.sum() / max(1, has_date.sum())
    if share < 0.05:
        return None
    beyond = int((column.times[later] > leads.until + DAY).sum())
    evidence = (
        f"{share:.0%} of its {has_date.sum():,} dates are more than a day after the creation "
        "of the lead"
    )
    if beyond < max(5, 0.02 * later.sum()):
        verdict = Verdict.LEAK if later.sum() >= MIN_OUTCOMES else Verdict.SUSPECT
        return verdict, f"{evidence}."
    auc = column.best_auc(leads.by_outcome).value
    verdict = Verdict.SUSPECT if auc >= 0.65 else Verdict.FINE
    return verdict, (
        f"{evidence}. {beyond:,} of them are after the end of the export: a plan, which ranks "
        f"{auc:.0%} of pairs correctly."
    )


def _dated_at_closing(
    times: Ints, has_date: Bools, leads: AuditedLeads
) -> tuple[Verdict, str] | None:
    known = has_date & (leads.closed != NOT_A_TIME)
    is_quick = (leads.created != NOT_A_TIME) & (leads.closed - leads.created <= 2 * DAY)
    known &= ~is_quick
    near = known & (np.abs(times - np.where(known, leads.closed, 0)) <= DAY)
    if near.sum() < MIN_OUTCOMES or near.sum() < 0.5 * known.sum():
        return None
    return Verdict.LEAK, (
        f"{near.sum():,} of {known.sum():,} dates of closed leads are within a day of the closing."
    )


@check_together("LS109", "It improves a model of all columns implausibly much.")
def lifts_model(
    columns: Sequence[AuditedColumn], leads: AuditedLeads
) -> Iterator[tuple[str, tuple[Verdict, str]]]:
    """Compare a light model of all columns with the same model without each of them.

    The model is a ridge regression on out-of-fold win rates and numbers. The check reports
    only if all columns together do implausibly well. A leak hides the next one, so pass no
    column that is known to leak.
    """
    groups = leads.by_outcome
    if groups.rarer < 3 * MIN_OUTCOMES_OF_LEAK or len(columns) < 2:
        return
    columns = sorted(columns, key=lambda column: column.name)
    blocks = [_model_columns(column, groups) for column in columns]
    owner = np.repeat(np.arange(len(columns)), [block.shape[1] for block in blocks])
    design = np.column_stack(blocks)
    products, target = design.T @ design, design.T @ (groups.is_first - groups.base)

    def auc(kept: Bools) -> float:
        ridge = products[np.ix_(kept, kept)] + np.eye(kept.sum())
        return groups.auc((design[:, kept] @ np.linalg.solve(ridge, target[kept])).round(9)).value

    whole = auc(owner >= 0)
    if whole < IMPLAUSIBLE_AUC:
        return
    for i, column in enumerate(columns):
        without = auc(owner != i)
        if whole - without >= 0.1:
            yield (
                column.name,
                (
                    Verdict.SUSPECT,
                    f"All columns together rank {whole:.0%} of pairs correctly, "
                    f"{without:.0%} without this one.",
                ),
            )


def _model_columns(column: AuditedColumn, groups: TwoGroups) -> Floats:
    """Compute the win rates of the column's values, and its numbers, with mean 0 and spread 1."""
    inputs = [groups.rates(column.levels[groups.rows])]
    if column.numbers is not None:
        numbers = column.numbers[groups.rows]
        known = np.isfinite(numbers)
        if known.any():
            low, middle, high = np.quantile(numbers[known], [0.01, 0.5, 0.99])
            inputs.append(np.where(known, numbers.clip(low, high), middle))
    block = np.column_stack(inputs)
    spread = block.std(axis=0)
    return np.asarray((block - block.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0))


@check("LS110", "Its values differ between closed and open leads of the same time.")
def changed_at_closing(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Rank closed and open leads by the column, and compare with the ranking by time alone."""
    groups = leads.by_state.take(column.filled[leads.by_state.rows])
    if groups.rarer < MIN_OUTCOMES_OF_LEAK:
        return None
    auc = column.best_auc(groups)
    by_time = groups.auc_either_way(leads.created[groups.rows].astype(float)).value
    if auc.low < 0.85 or auc.value < by_time + 0.1:
        return None
    verdict = Verdict.LEAK if auc.low >= 0.95 and leads.in_order else Verdict.SUSPECT
    return verdict, (
        f"Its values separate closed from open leads{_of_the_same_time(leads)} "
        f"in {auc.value:.0%} of pairs."
    )


@check("LS111", "Almost every lead has its own value: an identifier or free text.")
def identifies_leads(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Count distinct values; for information, because the pipeline leaves such columns out."""
    distinct, filled = len(column.values), int(column.filled.sum())
    is_key = column.numbers is None or (distinct == filled and _are_whole(column.numbers))
    if filled >= 100 and distinct > NEARLY_UNIQUE * filled and is_key and column.times is None:
        return Verdict.FINE, f"{distinct:,} values among {filled:,} leads."
    return None


def _are_whole(numbers: Floats) -> bool:
    return bool((numbers[np.isfinite(numbers)] % 1 == 0).all())


@check("LS112", "It is empty or always has the same value.")
def is_constant(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Look for a second value; for information, because the pipeline leaves such columns out."""
    if not len(column.values):
        return Verdict.FINE, "It is empty."
    if len(column.values) == 1 and column.filled.all():
        return Verdict.FINE, f"It is always {quote(column.values[0][:40])}."
    return None


def _leak_or_suspect(leads: AuditedLeads, is_leak: bool) -> Verdict:
    """Return LEAK only if there are enough leads of the rarer outcome."""
    has_enough = leads.by_outcome.rarer >= MIN_OUTCOMES_OF_LEAK
    return Verdict.LEAK if is_leak and has_enough else Verdict.SUSPECT


def _of_the_same_time(leads: AuditedLeads) -> str:
    return " of the same time" if leads.in_order else ""


def _lower_bound(hits: float, count: int) -> float:
    """Compute the lower bound of a share; z is 1.96, with which the thresholds were chosen."""
    return wilson(hits / max(1, count), count, z=1.96)[0]
