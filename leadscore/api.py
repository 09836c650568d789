"""The names that `import leadscore` offers, and the modules that define them.

The order is that of a study: from a project file to records, moments, features, an evaluation, a
model and its scores. [docs/api.md](../docs/api.md) describes the names; a test compares both.
"""

from crm.errors import LeadScoringError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.drift import Drift
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from features.fitting import fit_pipeline, training_matrix
from features.leaks.audit import Audit, audit
from features.moments import Moments, make_moments
from features.pipeline import FeaturePipeline
from models.artifact import LoadedModel
from models.evaluation.metrics import Evaluation, evaluate, loss_difference
from models.fitting.split import Split, hold_out
from models.registry.loading import load_model
from models.scorer import LeadScorer
from training.train import Trained, known_later, train

__all__ = [
    "Audit",
    "Drift",
    "Evaluation",
    "FeaturePipeline",
    "LeadScorer",
    "LeadScoringError",
    "LoadedModel",
    "Moments",
    "Project",
    "Records",
    "Simulation",
    "Split",
    "Trained",
    "audit",
    "evaluate",
    "fit_pipeline",
    "hold_out",
    "known_later",
    "load_model",
    "load_project",
    "loss_difference",
    "make_moments",
    "read_records",
    "simulate",
    "train",
    "training_matrix",
]
