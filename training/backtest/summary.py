"""Describes in sentences how good new models were over the history."""

from collections.abc import Iterator, Sequence

from reports.numbers import percent, signed_points
from training.backtest.ages import Estimate, QualityAtAge, QualityInPeriod


def summary(
    ages: Sequence[QualityAtAge], periods: Sequence[QualityInPeriod], gain: Estimate | None
) -> Iterator[str]:
    """Describe the quality of the newest models: gain over the base rate, ranking, calibration.

    Parameters
    ----------
    ages : sequence of QualityAtAge
        The first is that of the newest models.
    periods : sequence of QualityInPeriod
    gain : Estimate or None
        How much lower their log loss is than that of the base rate.
    """
    newest = ages[0].quality
    if newest.log_loss is None or gain is None:
        yield "Too few leads were won or lost after the cut-offs to tell how good the models were."
        return
    worse = [
        f"{period.to_json()['from']}"
        for period in periods
        if period.base_log_loss is not None
        and period.quality.log_loss is not None
        and period.quality.log_loss.value >= period.base_log_loss
    ]
    yield (
        f"The log loss of new models is {newest.log_loss.value:.3f}. It is {gain.value:.3f} less "
        f"than that of the share of wins alone ({gain.low:.3f} to {gain.high:.3f})."
    )
    if newest.roc_auc is not None:
        low, high = (percent(end) for end in newest.roc_auc[1:])
        yield (
            "They give the higher score to the won lead in "
            f"{percent(newest.roc_auc.value)} of pairs of a won and a lost lead ({low} to {high})."
        )
    low, high = (signed_points(end) for end in newest.gap[1:])
    size = f"{abs(100 * newest.gap.value):.1f} points too "
    size += "high" if newest.gap.value > 0 else "low"
    if newest.gap.low <= 0 <= newest.gap.high:
        size = "no clear difference"
    yield (
        f"They predicted {percent(newest.predicted)} wins, and {percent(newest.base_rate)} came: "
        f"{size} ({low} to {high})."
    )
    if worse:
        yield (
            f"In {len(worse)} of {len(periods)} periods the model was not better than the share of "
            f"wins alone: those that begin on {', '.join(worse)}."
        )
