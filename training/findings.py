"""The results of a training, which its model card describes."""

from dataclasses import dataclass

from crm.arrays import Floats
from crm.records import Records
from features.leaks.audit import Audit
from features.moments import Moments
from models.evaluation.metrics import Evaluation
from models.fitting.split import Split
from training.fit import Fitted
from training.remedies import Remedies
from training.rolling import LaterCutOff, Rolling
from training.tuning import Trial


@dataclass(frozen=True)
class EvaluatedModel:
    """A model that was fitted on the training moments only, evaluated on the test moments.

    Attributes
    ----------
    fitted : Fitted
    remedies : Remedies
        Those that were chosen for it.
    margin : ndarray of float64, shape (len(split.test),)
        Calibrated log-odds of the test moments.
    test : Evaluation
    baselines : dict of str to Evaluation
        The evaluations of `base_rate` and `logistic` on the same moments.
    gained : dict of str to (float, float, float)
        The model's log loss minus the baseline's, with its interval, by baseline.
    rolling : Rolling
        The same procedure, evaluated at earlier cut-offs too.
    later : LaterCutOff or None
        The same procedure with what the champion knew; None if the test begins later.
    """

    fitted: Fitted
    remedies: Remedies
    margin: Floats
    test: Evaluation
    baselines: dict[str, Evaluation]
    gained: dict[str, tuple[float, float, float]]
    rolling: Rolling
    later: LaterCutOff | None


@dataclass(frozen=True)
class Findings:
    """The results of a training that the card describes.

    Attributes
    ----------
    records : Records
    moments : Moments
        All mature moments.
    split : Split
    audited : Audit
    evaluated_model : EvaluatedModel or None
        None if no leads could be held out.
    final : Fitted
        Fitted on all moments.
    remedies : Remedies
        Those that were chosen for it.
    trials : tuple of Trial
        Settings of the trees that were tried; empty without tuning.
    untuned : str
        The reason why requested tuning was not possible; otherwise empty.
    """

    records: Records
    moments: Moments
    split: Split
    audited: Audit
    evaluated_model: EvaluatedModel | None
    final: Fitted
    remedies: Remedies
    trials: tuple[Trial, ...]
    untuned: str
