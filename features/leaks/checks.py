"""The numbered checks of the leak audit; `CHECKS` says what each looks for.

Their thresholds were found on public data with known leaks, starting from 202 fields of which
29 leak. The strongest honest field there ranks .79 of the pairs of one time rightly by itself.
Where a margin is thin the lower bound of what was measured has to pass as well, so few leads
make suspects at most.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from crm.arrays import Bools, Floats, Ints
from crm.text import quote, words_of
from crm.times import DAY, NOT_A_TIME
from features.attributes.attribute import NEARLY_UNIQUE
from features.intervals import wilson
from features.leaks.measures import (
    Field,
    Sample,
)

CHECKS = {
    "LS101": "Filled for closed leads and hardly for open ones of the same time.",
    "LS102": "Nearly every lead that has it filled ended the same way.",
    "LS103": "Whether it is filled tells won from lost.",
    "LS104": "By itself it tells won from lost nearly always.",
    "LS105": "It is filled at some times and not at others.",
    "LS106": "Some of its values settle the outcome of many leads.",
    "LS107": "Its name speaks of an outcome or of the latest change.",
    "LS108": "It holds dates later than the lead's creation, or the closing date.",
    "LS109": "It lifts a model of all fields implausibly far.",
    "LS110": "Its values differ between closed and open leads of the same time.",
    "LS111": "Nearly each lead has a value of its own: an identifier or free text.",
    "LS112": "It is empty, or always the same.",
}

FEW, ENOUGH = 10, 30  # leads of the rarer outcome: to judge at all, and to call it a leak
STRONG = 0.8  # pairs that no honest field has been seen to rank rightly by itself


class Verdict(StrEnum):
    """What a check, or an audit, holds of a field."""

    LEAK = "leak"
    SUSPECT = "suspect"
    FINE = "fine"


@dataclass(frozen=True)
class Check:
    """What one check found in one field; FINE is for information only.

    Attributes
    ----------
    number : str
        A key of `CHECKS`.
    verdict : Verdict
    evidence : str
        A sentence with the figures.
    """

    number: str
    verdict: Verdict
    evidence: str


def check_field(field: Field, sample: Sample) -> Iterator[Check]:
    """Put one field through every check that looks at it alone; yields what was found."""
    looks: list[Callable[[Field, Sample], Check | None]] = [
        _named,
        _dated_later,
        _identifier_or_constant,
        _filled_at_closing,
        _moved_by_closing,
    ]
    if sample.ended.rarer >= FEW:
        looks += [_filled_means_one_outcome, _filling_tells, _tells_alone, _values_settle]
        looks += [_filled_at_times] * sample.in_order
    yield from filter(None, (look(field, sample) for look in looks))


def _graded(sample: Sample, is_leak: bool) -> Verdict:
    return Verdict.LEAK if is_leak and sample.ended.rarer >= ENOUGH else Verdict.SUSPECT


def _filled_at_closing(field: Field, sample: Sample) -> Check | None:
    """LS101. A share of open leads that is merely smaller may be the work of sales."""
    pairs = sample.standing
    lost = int((~sample.ended.is_first).sum())
    if pairs.rarer < ENOUGH:
        return None
    filled = field.filled[pairs.rows]
    closed, still_open = pairs.shares(filled)
    if pairs.auc(filled.astype(float)).low <= 0.5 or closed < 0.05:
        return None
    if still_open <= 0.1 * closed:
        verdict = Verdict.LEAK if sample.in_order else Verdict.SUSPECT
    elif still_open <= 0.5 * closed and closed - still_open >= 0.2 and lost >= ENOUGH:
        verdict = Verdict.SUSPECT
    else:
        return None
    n, m = pairs.is_first.sum(), (~pairs.is_first).sum()
    return Check(
        "LS101",
        verdict,
        f"Filled for {closed:.0%} of {n:,} closed leads and "
        f"{still_open:.0%} of {m:,} open ones{_same_time(sample)}.",
    )


def _same_time(sample: Sample) -> str:
    return " of the same time" if sample.in_order else ""


def _filled_means_one_outcome(field: Field, sample: Sample) -> Check | None:
    """LS102. One rare value of an honest field may do so too: few wins make a suspect."""
    pairs, filled = sample.ended, field.filled[sample.ended.rows]
    if filled.mean() >= 0.95 or filled.sum() < ENOUGH:
        return None
    for word, kind in (("won", pairs.is_first), ("lost or unwon", ~pairs.is_first)):
        hits, base = int(kind[filled].sum()), float(kind.mean())
        low = _at_least(hits, int(filled.sum()))
        if hits >= 0.95 * filled.sum() and low >= 0.85 and base <= 0.7:
            verdict = _graded(sample, is_leak=low >= 0.9 and hits >= 0.1 * kind.sum())
            return Check(
                "LS102",
                verdict,
                f"{hits:,} of the {filled.sum():,} leads that have it "
                f"filled were {word}; {base:.0%} of all were.",
            )
    return None


def _filling_tells(field: Field, sample: Sample) -> Check | None:
    """LS103. A word for nothing counts both ways: it may be what nobody has changed yet."""
    for filled in (field.filled, field.written):
        told = sample.ended.either_way(filled[sample.ended.rows].astype(float))
        if told.value < 0.65 or told.low < 0.62:
            continue
        won, lost = sample.ended.shares(filled[sample.ended.rows])
        evidence = (
            f"Filled for {won:.0%} of won leads and {lost:.0%} of the others"
            f"{_same_time(sample)}, which ranks {told.value:.0%} of pairs "
            "rightly"
        )
        closed, still_open = sample.standing.shares(filled[sample.standing.rows])
        if sample.standing.rarer >= ENOUGH and still_open >= 0.8 * closed:
            return Check(
                "LS103",
                Verdict.FINE,
                f"{evidence}; but open leads have it filled as "
                f"often as closed ones, {still_open:.0%} and {closed:.0%}.",
            )
        verdict = _graded(sample, is_leak=told.value >= 0.8 and told.low >= 0.75)
        return Check("LS103", verdict, f"{evidence}.")
    return None


def _tells_alone(field: Field, sample: Sample) -> Check | None:
    """LS104. Open leads that hold the same promise as closed ones explain a strong field."""
    told = field.told(sample.ended)
    if told.likely < STRONG:
        return None
    closed, still_open = sample.standing.shares(_win_rates(field, sample)[sample.standing.rows])
    explained = sample.standing.rarer >= 3 * ENOUGH and still_open >= 0.6 * closed
    evidence = f"By itself it ranks {told.value:.0%} of pairs of won and lost rightly"
    evidence += _same_time(sample).replace(" of the same", ", among leads of the same")
    if explained:
        evidence += "; but open leads have values much like those of closed ones"
    return Check("LS104", _graded(sample, told.low >= STRONG and not explained), f"{evidence}.")


def _win_rates(field: Field, sample: Sample) -> Floats:
    """How often leads of each lead's value were won, shape (n_leads,)."""
    levels, pairs = field.levels[sample.ended.rows], sample.ended
    width = int(field.levels.max(initial=0)) + 1
    count = np.bincount(levels, minlength=width)
    first = np.bincount(levels, pairs.is_first, minlength=width)
    return np.asarray((first + pairs.is_first.mean()) / (count + 1))[field.levels]


def _filled_at_times(field: Field, sample: Sample) -> Check | None:
    """LS105. A share that only ever rises is a question that was put to leads from some day on."""
    parts = sample.ended.part
    counts = np.bincount(parts)
    for is_filled, is_cell in ((field.written, True), (field.filled, False)):
        rates = np.bincount(parts, is_filled[sample.ended.rows]) / np.maximum(counts, 1)
        rates = rates[counts >= ENOUGH]
        if not len(rates) or np.ptp(rates) < 0.5:
            continue
        told = sample.ended.either_way(is_filled[sample.ended.rows].astype(float)).value
        rises = (np.maximum.accumulate(rates) - rates).max() <= 0.15
        # A word for nothing may be what was written at that time: it has to tell something.
        if told >= 0.55 or (is_cell and not rises):
            return Check(
                "LS105",
                Verdict.SUSPECT,
                f"Filled for {rates.min():.0%} of leads in one "
                f"slice of the time and {rates.max():.0%} in another.",
            )
    return None


def _values_settle(field: Field, sample: Sample) -> Check | None:
    """LS106. Honest values settle the outcome as well, but seldom of many leads."""
    pairs, size = sample.ended, len(field.values) + 1
    codes = field.codes[pairs.rows]
    count, won = np.bincount(codes, minlength=size), np.bincount(codes, pairs.is_first, size)
    expected = np.bincount(codes, pairs.base, size) / np.maximum(count, 1)
    sides = []
    for kind, hits, base in (("wins", won, expected), ("losses", count - won, 1 - expected)):
        bounds = np.array([_at_least(h, c) for h, c in zip(hits, count, strict=True)])
        settled = (count >= ENOUGH) & (hits >= 0.98 * count) & (bounds >= 0.95) & (base <= 0.8)
        settled[-1] = False  # nothing is no value
        if settled.any():
            sides.append((hits[settled].sum() / hits.sum(), kind, np.flatnonzero(settled), hits))
    if not sides:
        return None
    share, kind, codes, hits = max(sides, key=lambda side: side[0])
    names = sorted(codes, key=lambda code: (-count[code], code))[:3]
    listed = ", ".join(
        f"{quote(field.values[c][:40])} ({hits[c]:,.0f} of {count[c]:,})" for c in names
    )
    verdict = Verdict.SUSPECT if share >= 0.25 else Verdict.FINE
    return Check(
        "LS106",
        verdict,
        f"Values that hold {share:.0%} of all {kind} and hardly anything else: {listed}.",
    )


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


def _named(field: Field, sample: Sample) -> Check | None:
    """LS107. What a name says of an earlier time is honest; so is a last name."""
    words = unicodedata.normalize("NFKD", words_of(field.name))
    words = "".join(letter for letter in words if not unicodedata.combining(letter))
    found = next(filter(None, (pattern.search(words) for pattern in LATER_NAMES)), None)
    if found is None or EARLIER.search(words) or words == "name last":
        return None
    return Check("LS107", Verdict.SUSPECT, f"Its name says {quote(found[0])}.")


def _dated_later(field: Field, sample: Sample) -> Check | None:
    """LS108. A date that may lie beyond the export is a plan, and a plan may be honest."""
    if field.times is None:
        return None
    dated = field.filled & (field.times != NOT_A_TIME)
    if (check := _dated_at_closing(field.times, dated, sample)) is not None:
        return check
    later = dated & (sample.created != NOT_A_TIME)
    later &= field.times > sample.created + DAY
    share = later.sum() / max(1, dated.sum())
    if share < 0.05:
        return None
    beyond = int((field.times[later] > sample.until + DAY).sum())
    evidence = f"{share:.0%} of its {dated.sum():,} dates lie more than a day after the creation"
    if beyond < max(5, 0.02 * later.sum()):
        verdict = Verdict.LEAK if later.sum() >= FEW else Verdict.SUSPECT
        return Check("LS108", verdict, f"{evidence} of their lead.")
    told = field.told(sample.ended).value
    verdict = Verdict.SUSPECT if told >= 0.65 else Verdict.FINE
    return Check(
        "LS108",
        verdict,
        f"{evidence} of their lead, {beyond:,} of them beyond the "
        f"export: a plan, which ranks {told:.0%} of pairs rightly.",
    )


def _dated_at_closing(times: Ints, dated: Bools, sample: Sample) -> Check | None:
    known = dated & (sample.closed != NOT_A_TIME)
    quick = (sample.created != NOT_A_TIME) & (sample.closed - sample.created <= 2 * DAY)
    known &= ~quick
    near = known & (np.abs(times - np.where(known, sample.closed, 0)) <= DAY)
    if near.sum() < FEW or near.sum() < 0.5 * known.sum():
        return None
    return Check(
        "LS108",
        Verdict.LEAK,
        f"{near.sum():,} of {known.sum():,} dates of closed leads lie within a day of the closing.",
    )


def _moved_by_closing(field: Field, sample: Sample) -> Check | None:
    """LS110. What time alone tells of who is closed is taken off."""
    pairs = sample.standing.take(field.filled[sample.standing.rows])
    if pairs.rarer < ENOUGH:
        return None
    told = field.told(pairs)
    by_time = pairs.either_way(sample.created[pairs.rows].astype(float)).value
    if told.low < 0.85 or told.value < by_time + 0.1:
        return None
    verdict = Verdict.LEAK if told.low >= 0.95 and sample.in_order else Verdict.SUSPECT
    return Check(
        "LS110",
        verdict,
        f"Its values tell closed from open leads{_same_time(sample)} in {told.value:.0%} of pairs.",
    )


def _identifier_or_constant(field: Field, sample: Sample) -> Check | None:
    """LS111 and LS112: for information; the pipeline leaves such columns out itself."""
    distinct, filled = len(field.values), int(field.filled.sum())
    if distinct == 0 or (distinct == 1 and filled == len(field.codes)):
        said = f"always {quote(field.values[0][:40])}" if distinct else "empty"
        return Check("LS112", Verdict.FINE, f"It is {said}.")
    is_key = field.numbers is None or (distinct == filled and _whole(field.numbers))
    if filled >= 100 and distinct > NEARLY_UNIQUE * filled and is_key and field.times is None:
        return Check("LS111", Verdict.FINE, f"{distinct:,} values among {filled:,} leads.")
    return None


def _whole(numbers: Floats) -> bool:
    return bool((numbers[np.isfinite(numbers)] % 1 == 0).all())


def _at_least(hits: float, count: int) -> float:
    """Return the lower bound of a share; z is 1.96, with which the thresholds were chosen."""
    return wilson(hits / max(1, count), count, z=1.96)[0]
