"""The model card of the models that benchmarks make."""

from collections.abc import Sequence

from models.card import ModelCard


def bench_card(features: Sequence[str] = ()) -> ModelCard:
    """Return a card without evaluation, because the coefficients mean nothing."""
    return ModelCard(
        name="bench",
        simulated=True,
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
