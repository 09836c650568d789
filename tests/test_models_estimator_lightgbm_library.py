"""Trees that score through LightGBM's C library: the same margins as through its Python package."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lightgbm
import numpy as np
import pytest

from models.estimator.lightgbm_library import MANY_ROWS, LoadedBooster


@pytest.fixture(scope="module")
def text() -> str:
    """Return the model text of a booster."""
    features, label = draw(600, seed=0)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 20}
    training = lightgbm.Dataset(features, label, categorical_feature=[3])
    return lightgbm.train(parameters, training, 30).model_to_string()


def draw(n: int, seed: int) -> Any:
    """Return a feature matrix with gaps, and labels that depend on it."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(n, 4))
    features[:, 3] = generator.integers(0, 9, n)
    label = (features[:, 0] + features[:, 3] / 4 + generator.normal(size=n) > 1).astype(np.int8)
    features[generator.random(features.shape) < 0.15] = np.nan
    return features, label


@pytest.mark.parametrize("n", [1, 2, 100, MANY_ROWS - 1, MANY_ROWS, 1_000])
def test_margins_equal_lightgbms_bit_for_bit(text: str, n: int) -> None:
    features, _ = draw(n, seed=1)
    expected = np.asarray(lightgbm.Booster(model_str=text).predict(features, raw_score=True))
    assert LoadedBooster(text).margin(features).tolist() == expected.tolist()


@pytest.mark.parametrize("n", [1, 3, 300])
def test_memory_layout_does_not_change_margins(text: str, n: int) -> None:
    features, _ = draw(n, seed=2)
    booster = LoadedBooster(text)
    expected = booster.margin(features).tolist()
    larger = np.full((2 * n, 8), 7.0)
    larger[::2, 1::2] = features
    for equal_matrix in (np.asfortranarray(features), larger[::2, 1::2], features[::-1][::-1]):
        assert booster.margin(equal_matrix).tolist() == expected


def test_one_row_equals_the_same_row_in_a_batch(text: str) -> None:
    features, _ = draw(400, seed=3)
    booster = LoadedBooster(text)
    alone = [booster.margin(features[[row]])[0] for row in range(400)]
    assert alone == booster.margin(features).tolist()


def test_no_rows_have_no_margins(text: str) -> None:
    assert LoadedBooster(text).margin(np.empty((0, 4))).shape == (0,)


def test_margin_refuses_another_number_of_columns(text: str) -> None:
    with pytest.raises(ValueError, match="the trees expect 4 features; got 5"):
        LoadedBooster(text).margin(np.zeros((1, 5)))


def test_invalid_model_text_is_refused() -> None:
    with pytest.raises(ValueError, match="LightGBM cannot use the trees: .*classes"):
        LoadedBooster("nonsense")


def test_copies_load_their_own_model(text: str) -> None:
    features, _ = draw(9, seed=4)
    booster = LoadedBooster(text)
    expected = booster.margin(features).tolist()
    copies = [copy.deepcopy(booster), pickle.loads(pickle.dumps(booster))]
    del booster
    for booster_copy in copies:
        assert booster_copy.margin(features).tolist() == expected


def test_concurrent_calls_return_the_same_margins(text: str) -> None:
    features, _ = draw(2_000, seed=5)
    booster = LoadedBooster(text)
    expected = booster.margin(features)

    def is_equal_from(start: int) -> bool:
        rows = slice(start, start + 1 + start % 40)
        return booster.margin(features[rows]).tolist() == expected[rows].tolist()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(is_equal_from, range(1_900))) == 1_900


def test_loading_models_imports_neither_scikit_learn_nor_lightgbm() -> None:
    program = (
        "import sys, models.artifact; "
        "print([name for name in ('lightgbm', 'sklearn') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
