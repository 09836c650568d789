"""Compares a shadow model with the scores that were given, on the same leads."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import logit

from crm.lead_ids import id_keys, places
from crm.records import Records
from models.evaluation.metrics import FEWEST_TO_JUDGE, log_losses, measure
from monitoring.check import Check, Verdict, unknown
from monitoring.scored_moments import LeadOutcomes
from monitoring.sequential import sequence_half_width

NUMBER: Final = "LM601"
FEWEST_PAIRS: Final = 30
NEARLY_CERTAIN: Final = 1e-9


def shadow_check(
    given: Iterable[Mapping[str, Any]] | None,
    shadows: Iterable[Mapping[str, Any]] | None,
    records: Records,
    outcomes: LeadOutcomes,
) -> Check:
    """Compare the newest shadow with the given scores, by the outcomes of the same leads.

    The first score of each lead counts. One of the two is clearly better if an interval of the mean
    difference of their log losses that holds at every look does not contain 0.

    Parameters
    ----------
    given, shadows : iterable of mapping, or None
        The rows of the ledger's tables `scores` and `shadow_scores`.
    records : Records
    outcomes : LeadOutcomes
    """
    pairs = _pairs(given or (), shadows or ())
    if pairs.empty:
        return unknown(NUMBER, "No shadow has scored leads.")
    lead = places(id_keys(pairs["lead_id"]), id_keys(records.leads["lead_id"]))
    as_of = pairs["as_of"].to_numpy(dtype=np.int64)
    is_open = lead >= 0
    is_open[is_open] = outcomes.is_open_at(lead[is_open], as_of[is_open])
    pairs, lead, as_of = pairs[is_open], lead[is_open], as_of[is_open]
    if len(pairs) < FEWEST_PAIRS:
        return unknown(NUMBER, f"The shadow has scored {len(pairs)} open leads so far.")
    own, other = (
        logit(np.clip(pairs[name].to_numpy(dtype=float), NEARLY_CERTAIN, 1 - NEARLY_CERTAIN))
        for name in ("shadow", "given")
    )
    version = str(pairs["version"].iloc[0])
    moved = float((pairs["shadow_grade"] != pairs["given_grade"]).mean())
    evidence = (
        f"Version {version} has scored {len(pairs):,} leads in the shadow, and gives "
        f"{100 * moved:.0f} % of them another grade."
    )
    is_mature = as_of + outcomes.horizon <= outcomes.until
    won_at = outcomes.won_at[lead]
    label = (won_at <= as_of + outcomes.horizon)[is_mature].astype(np.int8)
    days = float(as_of.max() - as_of.min()) / 86_400e6
    figures: dict[str, float | int | None] = {"leads": len(pairs), "moved": moved, "span": days}
    if min(int(label.sum()), len(label) - int(label.sum())) < FEWEST_TO_JUDGE:
        return Check(
            NUMBER,
            Verdict.UNKNOWN,
            f"{evidence} Outcomes are certain for {len(label):,} of them, too few to compare.",
            figures=figures,
        )
    own, other, weight = own[is_mature], other[is_mature], np.ones(len(label))
    excess = log_losses(own, label) - log_losses(other, label)
    half = sequence_half_width(len(excess), float(excess.std()))
    low, high = float(excess.mean()) - half, float(excess.mean()) + half
    auc, auc_given = (measure(x, label, weight)["roc_auc"] for x in (own, other))
    verdict, next_step = Verdict.FINE, ""
    if high < 0:
        evidence += " It predicts the outcomes clearly better than the given scores."
        verdict = Verdict.WATCH
        next_step = f"Data science: promote it with `leadscore models promote {version}`."
    elif low > 0:
        evidence += " It predicts the outcomes clearly worse than the given scores."
    else:
        evidence += " Neither predicts the outcomes clearly better."
    evidence += (
        f" Log loss {excess.mean():+.4f} ({low:+.4f} to {high:+.4f}) on {len(label):,} leads; of "
        f"100 pairs it ranks {100 * auc:.0f} correctly, the given scores {100 * auc_given:.0f}."
    )
    figures |= {
        "mature": len(label),
        "log_loss_difference": float(excess.mean()),
        "low": low,
        "high": high,
        "roc_auc": auc,
        "roc_auc_given": auc_given,
    }
    return Check(NUMBER, verdict, evidence, next_step, figures)


def _pairs(
    given: Iterable[Mapping[str, Any]], shadows: Iterable[Mapping[str, Any]]
) -> pd.DataFrame:
    """Return the first pair of scores of each lead, for the shadow that scored last."""
    table = pd.DataFrame(
        [
            {
                "lead_id": row["lead_id"],
                "score_id": row["score_id"],
                "as_of": row["as_of"],
                "shadow": row["probability"],
                "shadow_grade": row["grade"],
                "version": row["version"],
                "digest": row["digest"],
            }
            for row in shadows
        ]
    )
    if table.empty:
        return table
    table = table[table["digest"] == table["digest"].iloc[-1]]
    wanted = set(table["score_id"])
    scores = pd.DataFrame(
        [
            {
                "lead_id": row["lead_id"],
                "score_id": row["score_id"],
                "given": row["probability"],
                "given_grade": row["grade"],
            }
            for row in given
            if row["score_id"] in wanted
        ],
        columns=["lead_id", "score_id", "given", "given_grade"],
    )
    pairs = table.merge(scores, on=["lead_id", "score_id"])
    return pairs.sort_values("as_of", kind="stable").drop_duplicates("lead_id")
