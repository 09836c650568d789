"""QuickModel: a small blend with fixed settings, to compare ways of learning."""

from dataclasses import dataclass
from typing import Final

import lightgbm
import numpy as np

from crm.arrays import Floats
from crm.project import Project
from models.estimator.logistic import Logistic
from models.fitting.logistic import fit_logistic, sample_of_leads
from models.fitting.trees import dataset, fit_without, tree_settings
from training.fit import LearningSet, directions

MOST_ROWS: Final = 10_000  # of more moments, it learns from a sample of the leads
ROUNDS: Final = 30
LEARNING_RATE: Final = 0.12  # twice that of the trees of a model, for half of the rounds


@dataclass(frozen=True)
class QuickModel:
    """The mean, in log-odds, of a logistic regression and `ROUNDS` trees.

    Attributes
    ----------
    logistic : Logistic
    booster : lightgbm.Booster
    """

    logistic: Logistic
    booster: lightgbm.Booster

    @classmethod
    def fit(cls, learning_set: LearningSet, weight: Floats, project: Project) -> "QuickModel":
        """Fit the model to a learning set, or to a sample of `MOST_ROWS` moments.

        Parameters
        ----------
        learning_set : LearningSet, length n
        weight : ndarray of float64, shape (n,)
        project : Project
        """
        pipeline, seed = learning_set.pipeline, project.learn.seed
        rows = sample_of_leads(learning_set.moments.lead, MOST_ROWS, seed)
        features, weight = learning_set.matrix[rows], weight[rows]
        label = learning_set.moments.label[rows]
        signs = directions(pipeline, project)
        logistic = fit_logistic(
            features,
            label,
            weight,
            pipeline.categorical,
            growing=pipeline.growing,
            trees_only=pipeline.of_interactions,
            directions=signs,
        )
        parameters = project.learn.trees.parameters | {"learning_rate": LEARNING_RATE}
        settings = tree_settings(len(label), seed, parameters, signs)
        all_rows = dataset(features, label, weight, list(pipeline.categorical), settings)
        no_fold = np.zeros(len(label), dtype=bool)
        return cls(logistic, fit_without(no_fold, all_rows.construct(), settings, ROUNDS))

    def log_odds_of(self, features: Floats) -> Floats:
        """Compute the log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        of_trees = np.asarray(self.booster.predict(features, raw_score=True))
        return (self.logistic.log_odds_of(features) + of_trees) / 2
