"""The card of the models that tests and benchmarks make."""

from collections.abc import Sequence

from models.card import ModelCard


def made_card(name: str, features: Sequence[str] = ()) -> ModelCard:
    """Return the card of a model without figures."""
    return ModelCard(
        name=name,
        simulated=False,
        trained_at="2026-01-01T00:00:00+00:00",
        learned_from={},
        question={},
        features=list(features),
        left_out=[],
        test={},
        baselines={},
        estimator={},
        digests={},
        versions={},
    )
