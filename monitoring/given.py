"""The scores that were given, as the ledger stores them, with what happened to their leads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtr

from crm.arrays import Bools, Floats, Ints, Objects
from crm.lead_ids import id_keys, places
from crm.project import Project
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, microseconds
from features.attributes.attribute import MOSTLY
from features.groups import groups_by_value
from features.named import sales_types
from models.evaluation.intervals import holm, share_interval
from models.evaluation.metrics import FEWEST_TO_JUDGE
from models.scorer import LeadScorer
from monitoring.check import Check, Verdict, unknown
from monitoring.scored_moments import LeadOutcomes, ScoredMoments

WORK_DAYS: Final = 14  # after the score, within which sales may work the lead
FEWEST_WORKED: Final = 30
NEARLY_CERTAIN: Final = 1e-9
OFF: Final = 0.01  # the level at which the chances of a group of leads are off


@dataclass(frozen=True)
class GivenScores:
    """The first score of each lead by each version, with its outcome.

    A lead is often scored again and again. Its first score by each version counts, so that each
    lead counts once for a version.

    Attributes
    ----------
    moments : ScoredMoments
    lane : ndarray of object, shape (n,)
        "treated", "control" or None, in the order of `moments`.
    has_warning : ndarray of bool, shape (n,)
        Whether the answer contained a warning; False if it was not stored.
    counts : dict of str to int
        `scores` (all given scores), `unknown_leads` (scores of leads without a record), `closed`
        (scores of leads that had been closed), `repeated` (further scores by the same version).
    """

    moments: ScoredMoments
    lane: Objects
    has_warning: Bools
    counts: Mapping[str, int]


def given_scores(
    rows: Iterable[Mapping[str, Any]], records: Records, outcomes: LeadOutcomes
) -> GivenScores:
    """Join given scores with the outcomes of their leads.

    Parameters
    ----------
    rows : iterable of mapping
        The rows of the ledger's table `scores`, in order of arrival.
    records : Records
    outcomes : LeadOutcomes

    Returns
    -------
    GivenScores
    """
    columns: dict[str, list[Any]] = {
        name: [] for name in ("lead_id", "as_of", "probability", "grade", "version", "lane")
    }
    warned: list[bool] = []
    for row in rows:
        for name, cells in columns.items():
            cells.append(row.get(name))
        warned.append(bool(row.get("warnings")))
    keys = id_keys(pd.Series(columns["lead_id"], dtype="str"))
    lead = places(keys, id_keys(records.leads["lead_id"]))
    as_of = np.array(columns["as_of"], dtype=np.int64)
    probability = np.array(columns["probability"], dtype=np.float64)
    version = np.array(columns["version"], dtype=np.str_)
    is_known = lead >= 0
    is_open = is_known.copy()
    is_open[is_known] = outcomes.is_open_at(lead[is_known], as_of[is_known])
    rows_open = np.flatnonzero(is_open)
    order = rows_open[np.argsort(as_of[rows_open], kind="stable")]
    first = ~pd.DataFrame({"lead": lead[order], "version": version[order]}).duplicated().to_numpy()
    chosen = order[first]
    moments = outcomes.moments(
        lead[chosen],
        as_of[chosen],
        logit(np.clip(probability[chosen], NEARLY_CERTAIN, 1 - NEARLY_CERTAIN)),
        np.array(columns["grade"], dtype=np.str_)[chosen],
        version[chosen],
    )
    return GivenScores(
        moments=moments,
        lane=np.array(columns["lane"], dtype=object)[chosen],
        has_warning=np.array(warned, dtype=bool)[chosen],
        counts={
            "scores": len(as_of),
            "unknown_leads": int((~is_known).sum()),
            "closed": int((is_known & ~is_open).sum()),
            "repeated": len(order) - len(chosen),
        },
    )


def worked_check(given: GivenScores, records: Records, project: Project) -> Check:
    """Check whether sales works the leads with good grades first."""
    number, moments = "LM104", given.moments
    if records.activities is None or records.activities.empty:
        return unknown(number, "The project has no activities, so it is not known who was worked.")
    types = tuple(map(str, records.activities["type"].dropna().unique()))
    sales = sales_types(types, project)
    if not sales:
        return unknown(
            number,
            "No type of activity looks like the work of sales.",
            'CRM admin: name them with [report] sales_activities = ["…"].',
        )
    until = int(microseconds(pd.Series([records.observed_until]))[0])
    is_due = moments.as_of + WORK_DAYS * DAY <= until
    if is_due.sum() < FEWEST_WORKED:
        return unknown(number, f"Too few leads were scored {WORK_DAYS} days ago or earlier.")
    is_worked = worked_within(moments, records, sales, WORK_DAYS * DAY)
    rows: list[dict[str, Any]] = []
    for grade in np.unique(moments.grade[is_due]):
        chosen = is_due & (moments.grade == grade)
        n, worked = int(chosen.sum()), int(is_worked[chosen].sum())
        low, high = share_interval(is_worked[chosen], np.ones(n), moments.lead[chosen])
        rows.append(
            {
                "grade": str(grade),
                "leads": n,
                "worked": worked,
                "share": worked / n,
                "low": low,
                "high": high,
            }
        )
    best = rows[0]
    better = [row for row in rows[1:] if row["low"] > best["high"]]
    evidence = (
        f"Sales worked {best['worked']:,} of {best['leads']:,} leads with grade {best['grade']} "
        f"within {WORK_DAYS} days after their score ({100 * best['share']:.0f} %)"
    )
    if len(rows) > 1:
        last = rows[-1]
        evidence += f", and {100 * last['share']:.0f} % of those with grade {last['grade']}"
    if better:
        evidence += f". Leads with grade {better[-1]['grade']} were worked more often"
    return Check(
        number,
        Verdict.WATCH if better else Verdict.FINE,
        f"{evidence}.",
        f"Sales: work the leads with grade {best['grade']} first." if better else "",
        {"worked_best": best["share"]},
        rows,
    )


def worked_within(
    moments: ScoredMoments, records: Records, sales: tuple[str, ...], span: int
) -> Bools:
    """Return whether sales worked each lead within some time after its score, shape (n,)."""
    activities = records.activities
    assert activities is not None
    of_sales = activities[activities["type"].isin(sales)]
    lead = places(of_sales["lead_id"], records.leads["lead_id"])
    at = microseconds(of_sales["occurred_at"])
    is_used = (lead >= 0) & (at != NOT_A_TIME)
    lead, at = lead[is_used], at[is_used]
    order = np.lexsort((at, lead))
    lead, at = lead[order], at[order]
    first = _first_after(lead, at, moments.lead, moments.as_of)
    return np.asarray(first <= moments.as_of + span)


def _first_after(lead: Ints, at: Ints, of_lead: Ints, after: Ints) -> Ints:
    """Return the first event of each lead after a time; the largest number without one.

    `lead` and `at`, shape (n_events,), are sorted by lead and time.
    """
    never = np.iinfo(np.int64).max
    combined = np.rec.fromarrays([lead, at])
    asked = np.rec.fromarrays([of_lead, after], dtype=combined.dtype)
    place = np.searchsorted(combined, asked, side="right")
    inside = place < len(lead)
    result = np.full(len(of_lead), never)
    same = np.zeros(len(of_lead), dtype=bool)
    same[inside] = lead[place[inside]] == of_lead[inside]
    result[same] = at[place[same]]
    return result


def groups_check(given: GivenScores, records: Records, scorer: LeadScorer) -> Check:
    """Check whether the stated chances hold in each group of leads."""
    number, mature = "LM105", given.moments.mature
    n_won = int(mature.label.sum())
    if min(n_won, len(mature) - n_won) < FEWEST_TO_JUDGE:
        return unknown(number, "Too few outcomes are certain to compare groups of leads.")
    leads, of_lead = np.unique(mature.lead, return_inverse=True)
    weight, probability = mature.weight, expit(mature.log_odds)
    rows: list[dict[str, Any]] = []
    for attribute in scorer.pipeline.attributes:
        if attribute.column not in records.leads:
            continue
        groups = groups_by_value(attribute, records.leads[attribute.column].iloc[leads])
        if groups is None or np.bincount(groups.code).max() >= MOSTLY * len(leads):
            continue
        for code, name in enumerate(groups.names):
            chosen = groups.code[of_lead] == code
            if not chosen.any():
                continue
            rows.append(_group(groups.column, name, chosen, mature, weight, probability))
    if not rows:
        return unknown(number, "The model has no attribute that groups leads.")
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p"] = p
        row["is_off"] = p < OFF
    off = sorted((row for row in rows if row["is_off"]), key=lambda row: row["p"])
    evidence = f"The stated chances hold in each of {len(rows)} groups of leads."
    if off:
        evidence = " ".join(
            f"{row['column']} {row['value']}: {row['won']:,.0f} of {row['leads']:,} leads were "
            f"won; {row['stated']:,.0f} were stated."
            for row in off[:3]
        )
    return Check(
        number,
        Verdict.WATCH if off else Verdict.FINE,
        evidence,
        "Data science: look at these groups, and train again." if off else "",
        {"groups": len(rows), "off": len(off)},
        off or rows[:10],
    )


def _group(
    column: str,
    name: str,
    chosen: Bools,
    mature: ScoredMoments,
    weight: Floats,
    probability: Floats,
) -> dict[str, Any]:
    """Compare stated and true wins of one group, by a score test."""
    w, p, label = weight[chosen], probability[chosen], mature.label[chosen]
    gap = float(w @ (label - p))
    variance = float((w**2) @ (p * (1 - p)))
    z = abs(gap) / np.sqrt(max(variance, 1e-12))
    return {
        "column": column,
        "value": name,
        "leads": len(np.unique(mature.lead[chosen])),
        "won": float(w @ label),
        "stated": float(w @ p),
        "p": float(2 * ndtr(-z)),
    }
