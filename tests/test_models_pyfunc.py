"""A registered model scores through MLflow as it scores in leadscore."""

import asyncio
import datetime
import decimal
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from crm.errors import ArtifactError, ConfigError
from crm.project import load_project
from crm.reading import read_records
from crm.version import VERSION
from models.artifact import load_artifact, save_artifact
from models.registry.registry import ARTIFACT, Registry
from models.scorer import LeadCells, LeadScorer
from tests.made_runs import track_training
from training.tracking.model import SCRIPT, signature_of
from training.train import train

HERE = Path(__file__).resolve().parent.parent
ANSWERS = """
import json, sys, warnings
from pathlib import Path
import mlflow
import pandas as pd
uri, folder = sys.argv[1], Path(sys.argv[2])
mlflow.set_tracking_uri(uri)
model = mlflow.pyfunc.load_model("models:/demo@champion")
assert not [name for name in sys.modules if name.split(".")[0] in ("training", "serving")]
for path in sorted(folder.glob("*.csv")):
    scores = model.predict(pd.read_csv(path))
    assert list(scores.columns) == ["lead_id", "probability", "score", "grade"]
    scores.to_parquet(path.with_suffix(".parquet"))
lead = {"source": "Partner", "employees": 120, "email_opt_in": True}
print(json.dumps(model.predict([lead])["probability"].tolist()))
print(json.dumps(model.metadata.metadata))
"""


@pytest.fixture(scope="module")
def crm(simulated_crm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crm")
    for name in ("leads.csv", "leadscore.toml"):
        shutil.copy(simulated_crm / name, folder)
    return folder


@pytest.fixture(scope="module")
def digest(crm: Path, trained: Any, simulated_crm: Path) -> str:
    project = load_project(crm)
    save_artifact(
        trained.scorer, trained.golden_leads, crm / "work" / ARTIFACT, trained.golden_as_of
    )
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    # This folder has the leads only, so the records come from where the model was trained.
    records = read_records(load_project(simulated_crm))
    registry = Registry(project)
    tracked = track_training(registry, project, records, trained, crm / "work" / ARTIFACT, now)
    registry.make_champion(tracked.version)
    shutil.rmtree(crm / "work")  # the logged model must not need it
    return tracked.digest


@pytest.fixture(scope="module")
def scorer(crm: Path, digest: str) -> LeadScorer:
    loaded, _ = Registry(load_project(crm)).load_champion()
    assert loaded.digest == digest
    return loaded.scorer


def frames(leads: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return tables that pandas reads back as integers, floats, text, booleans or a mixture."""
    n = len(leads)
    return {
        "as_exported": leads,
        "numbers": leads.assign(
            employees=np.arange(n), budget_eur=np.linspace(0.5, 9e5, n), region=np.nan
        ),
        "booleans": leads.assign(email_opt_in=True, phone_opt_in=np.arange(n) % 2 == 0),
        "booleans_with_gaps": leads.assign(email_opt_in=["True", "False", "", "yes"] * (n // 4)),
        "codes": leads.assign(
            source=np.arange(n) % 7, employees=["many", "12", "", "3.0"] * (n // 4)
        ),
        "fewer_columns": leads[["lead_id", "country", "industry"]],
        "more_columns": leads.assign(mood="good", shoe_size=43, email="x@example.com"),
        "no_id": leads.drop(columns="lead_id"),
    }


def test_pyfunc_scores_equal_the_scorer(crm: Path, scorer: LeadScorer, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    leads = pd.read_csv(crm / "leads.csv").iloc[:200]
    for name, frame in frames(leads).items():
        frame.to_csv(tables / f"{name}.csv", index=False)
    empty_folder = tmp_path / "empty"
    empty_folder.mkdir()
    process = subprocess.run(
        [sys.executable, "-c", ANSWERS, f"sqlite:///{crm}/mlflow.db", str(tables)],
        cwd=empty_folder,
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    for name in frames(leads):
        expected = scorer.score_table(pd.read_csv(tables / f"{name}.csv"))
        scores = pd.read_parquet(tables / f"{name}.parquet")
        for column in ("probability", "score", "grade"):
            assert scores[column].tolist() == expected[column].tolist(), (name, column)
        if name != "no_id":
            assert scores["lead_id"].tolist() == leads["lead_id"].tolist()
    probabilities, metadata = map(json.loads, process.stdout.splitlines()[-2:])
    lead = {"source": "Partner", "employees": 120, "email_opt_in": True}
    assert probabilities == [scorer.score_leads([LeadCells(lead)])[0].probability]
    assert metadata["columns"] == scorer.pipeline.names
    assert list(empty_folder.iterdir()) == []


LEADS: list[dict[str, Any]] = [
    {"lead_id": "7", "created_at": "2025-03-01T08:00:00Z", "source": "Partner", "employees": 50}
    | {"budget_eur": 12500.5, "email_opt_in": True, "phone_opt_in": "no", "industry": None},
    {"lead_id": 8, "created_at": None, "source": "Webinar", "employees": None}
    | {"budget_eur": "3900", "email_opt_in": None, "phone_opt_in": None, "industry": "Software"},
]
COLUMNS = list(LEADS[0])
ROWS = [list(lead.values()) for lead in LEADS]
TEXTS = [{"source": "Partner", "industry": "Software"}, {"source": "Webinar", "industry": "Retail"}]
AS_COLUMNS = {column: [lead[column] for lead in LEADS] for column in COLUMNS}
FORMS = {
    "dataframe_records": ({"dataframe_records": LEADS}, LEADS),
    "dataframe_split": ({"dataframe_split": {"columns": COLUMNS, "data": ROWS}}, LEADS),
    "inputs": ({"inputs": LEADS}, LEADS),
    "inputs, one lead": ({"inputs": LEADS[:1]}, LEADS[:1]),
    "inputs, columns": ({"inputs": AS_COLUMNS}, LEADS),
    "inputs, an object": ({"inputs": LEADS[0]}, LEADS[:1]),
    "inputs, columns of texts": ({"inputs": pd.DataFrame(TEXTS).to_dict("list")}, TEXTS),
    "inputs, a column of texts": ({"inputs": {"source": ["Partner"]}}, [{"source": "Partner"}]),
    "instances": ({"instances": LEADS}, LEADS),
    "instances, one lead": ({"instances": LEADS[1:]}, LEADS[1:]),
    "unknown columns too": ({"inputs": [TEXTS[0] | {"mood": "good"}]}, TEXTS[:1]),
    "few columns": ({"inputs": [{"employees": 50}]}, [{"employees": 50}]),
}


@pytest.fixture(scope="module")
def logged(crm: Path, digest: str) -> Path:
    (model,) = (crm / "mlartifacts" / "models").iterdir()
    return model / "artifacts"


@pytest.fixture(scope="module", params=["with the signature", "without a signature"])
def server(
    request: pytest.FixtureRequest, logged: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """Return MLflow's server as a function; models of earlier versions have no signature."""
    import mlflow
    from mlflow.pyfunc import scoring_server

    folder = shutil.copytree(logged, tmp_path_factory.mktemp("served") / "model")
    if request.param == "without a signature":
        facts = (folder / "MLmodel").read_text()
        start, end = facts.index("signature:"), facts.index("utc_time_created:")
        (folder / "MLmodel").write_text(facts[:start] + facts[end:])
    model = mlflow.pyfunc.load_model(str(folder))
    assert (model.metadata.signature is None) == (request.param == "without a signature")
    app = scoring_server.init(model)

    async def post(body: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.post("http://localhost/invocations", json=body)

    return lambda body: asyncio.run(post(body))


@pytest.mark.parametrize(("body", "leads"), FORMS.values(), ids=FORMS)
def test_mlflows_server_scores_every_form_as_the_service(
    server: Any, scorer: LeadScorer, body: dict[str, Any], leads: list[dict[str, Any]]
) -> None:
    response = server(body)
    assert response.status_code == 200, response.text
    expected = scorer.score_leads([LeadCells(lead) for lead in leads])
    answers = response.json()["predictions"]
    assert [a["probability"] for a in answers] == [score.probability for score in expected]
    assert [a["grade"] for a in answers] == [score.grade for score in expected]
    ids = [None if answer["lead_id"] is None else str(answer["lead_id"]) for answer in answers]
    assert ids == [score.lead_id for score in expected]


UNKNOWN = {
    "split": {"dataframe_split": {"columns": ["Nothing"], "data": [[1]]}},
    "inputs": {"inputs": [{"Nothing": 1}]},
    "only an id": {"dataframe_records": [{"lead_id": 7}]},
}


@pytest.mark.parametrize("body", UNKNOWN.values(), ids=UNKNOWN)
def test_mlflows_server_refuses_leads_without_a_known_column(
    server: Any, body: dict[str, Any]
) -> None:
    response = server(body)
    assert response.status_code == 400
    assert "the model reads none of its columns" in response.json()["message"]


MOMENT = "2025-06-01T08:00:00Z"


def test_params_give_reasons_and_the_moment_of_scoring(logged: Path, scorer: LeadScorer) -> None:
    import mlflow

    model = mlflow.pyfunc.load_model(str(logged))
    leads = pd.DataFrame(LEADS)
    as_of = datetime.datetime.fromisoformat(MOMENT)
    expected = scorer.score_table(leads, as_of=as_of, n_reasons=3)
    scores = model.predict(leads, params={"reasons": 3, "as_of": MOMENT})
    pd.testing.assert_frame_equal(scores, expected)
    assert list(scores.columns)[4:] == ["reason_1", "reason_2", "reason_3"]
    assert scores["reason_1"].str.len().gt(0).all()
    pd.testing.assert_frame_equal(model.predict(leads), scorer.score_table(leads))


def test_moment_of_scoring_changes_the_score_of_an_older_lead(
    simulated_crm: Path, tmp_path: Path
) -> None:
    import mlflow

    folder = shutil.copytree(simulated_crm, tmp_path / "crm")
    project_file = folder / "leadscore.toml"
    text = project_file.read_text()
    project_file.write_text(text.replace("moments_days = [0]", "moments_days = [0, 30]"))
    project = load_project(folder)
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    aged = train(project, read_records(project), now=now)
    artifact = tmp_path / ARTIFACT
    save_artifact(aged.scorer, aged.golden_leads, artifact, aged.golden_as_of)
    mlflow.pyfunc.save_model(
        str(tmp_path / "saved"),
        python_model=str(SCRIPT),
        artifacts={ARTIFACT: str(artifact)},
        signature=signature_of(aged.scorer),
        pip_requirements=[],
        input_example=LEADS[:1],
    )
    model = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    leads = pd.DataFrame(LEADS[:1])
    scores = [
        model.predict(leads, params={"as_of": moment})["probability"][0]
        for moment in ("2025-03-01T08:00:00Z", "2025-03-31T08:00:00Z")
    ]
    assert scores[0] != scores[1]
    assert scores == [
        aged.scorer.score_table(
            leads, as_of=datetime.datetime(2025, 3, day, 8, tzinfo=datetime.UTC)
        )["probability"][0]
        for day in (1, 31)
    ]


REFUSED_PARAMS = {
    "not a time": ({"as_of": "soon"}, 'The param `as_of` is "soon", which is not a valid time'),
    "a negative number": ({"reasons": -1}, "The param `reasons` is -1. Expected a number from 0"),
    "too many reasons": ({"reasons": 1_001}, "The param `reasons` is 1001."),
    "text": ({"reasons": "many"}, "reasons"),
}


@pytest.mark.parametrize(("params", "message"), REFUSED_PARAMS.values(), ids=REFUSED_PARAMS)
def test_invalid_params_are_refused(logged: Path, params: dict[str, Any], message: str) -> None:
    import mlflow

    model = mlflow.pyfunc.load_model(str(logged))
    with pytest.raises(mlflow.MlflowException, match=re.escape(message)):
        model.predict(pd.DataFrame(LEADS), params=params)


def test_mlflows_server_takes_params(server: Any, scorer: LeadScorer) -> None:
    body = {"dataframe_records": LEADS, "params": {"reasons": 2, "as_of": MOMENT}}
    response = server(body)
    assert response.status_code == 200, response.text
    answers = response.json()["predictions"]
    if "reason_1" not in answers[0]:  # MLflow ignores the params of a model without a signature
        assert (
            answers[0]["probability"] == scorer.score_table(pd.DataFrame(LEADS))["probability"][0]
        )
        return
    as_of = datetime.datetime.fromisoformat(MOMENT)
    expected = scorer.score_table(pd.DataFrame(LEADS), as_of=as_of, n_reasons=2)
    for name in ("probability", "score", "grade", "reason_1", "reason_2"):
        assert [answer[name] for answer in answers] == expected[name].tolist()
    refused = server({"dataframe_records": LEADS, "params": {"as_of": "soon"}})
    assert refused.status_code == 400
    assert "which is not a valid time" in refused.json()["message"]


# -- mlflow.models.evaluate ----------------------------------------------------------------


@pytest.fixture
def own_store(crm: Path, digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Use a copy of the store, in a run of its own; matplotlib draws into files."""
    import mlflow

    shutil.copytree(crm, tmp_path / "crm")
    project = load_project(tmp_path / "crm")
    Registry(project).select()
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    with mlflow.start_run(experiment_id=Registry(project).experiment()) as run:
        yield run


@pytest.mark.filterwarnings("ignore")
def test_classes_can_be_evaluated(own_store: Any, simulated_crm: Path, scorer: LeadScorer) -> None:
    import mlflow

    leads = pd.read_csv(simulated_crm / "leads.csv").iloc[:300].astype(object)
    outcomes = pd.read_csv(simulated_crm / "outcomes.csv").set_index("lead_id")["outcome"]
    leads["won"] = (leads["lead_id"].map(outcomes) == "won").astype(int)
    probability = scorer.score_table(leads)["probability"].to_numpy()
    threshold = float(np.quantile(probability, 0.8))
    evaluate: Any = mlflow.models.evaluate
    result = evaluate(
        "models:/demo@champion",
        leads,
        targets="won",
        model_type="classifier",
        model_config={"pyfunc.output": "won", "pyfunc.threshold": threshold},
        evaluator_config={"log_explainer": False},
    )
    chosen = probability >= threshold
    assert result.metrics["recall_score"] == pytest.approx(
        leads["won"][chosen].sum() / leads["won"].sum()
    )
    assert result.metrics["precision_score"] == pytest.approx(leads["won"][chosen].mean())

    brier = evaluate(
        "models:/demo@champion",
        leads,
        targets="won",
        predictions="probability",
        model_type="regressor",
        evaluator_config={"log_explainer": False},
    )
    assert brier.metrics["mean_squared_error"] == pytest.approx(
        np.mean((probability - leads["won"]) ** 2)
    )


def test_model_config_is_checked(logged: Path) -> None:
    import mlflow

    model = mlflow.pyfunc.load_model(str(logged), model_config={"pyfunc.output": "won"})
    classes = model.predict(pd.DataFrame(LEADS))
    assert classes.tolist() == [0, 0]
    with pytest.raises(ConfigError, match='`pyfunc.output` is "classes"'):
        mlflow.pyfunc.load_model(str(logged), model_config={"pyfunc.output": "classes"})
    with pytest.raises(ConfigError, match="`pyfunc.threshold` is 'half'"):
        mlflow.pyfunc.load_model(str(logged), model_config={"pyfunc.threshold": "half"})


# -- without leadscore ---------------------------------------------------------------------

LOAD = "import sys, mlflow; mlflow.pyfunc.load_model(sys.argv[1])"


def load_in(folder: Path, logged: Path, *path: Path) -> str:
    """Load a model in another process, and return what it prints on standard error.

    The packages are those of this Python, without leadscore; `path` is added to them.
    """
    packages = Path(pd.__file__).parent.parent
    links = folder / "packages"
    links.mkdir()
    for entry in packages.iterdir():
        if "leadscore" not in entry.name:
            (links / entry.name).symlink_to(entry)
    places = os.pathsep.join(map(str, (*path, links)))
    process = subprocess.run(
        [sys.executable, "-S", "-W", "ignore", "-c", LOAD, str(logged)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": places, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 1
    return " ".join(process.stderr.split())


def test_python_without_leadscore_is_told_to_install_it(logged: Path, tmp_path: Path) -> None:
    message = load_in(tmp_path, logged)
    assert "leadscore is not installed in this Python" in message
    assert f"Install leadscore=={VERSION} in the environment that loads the model." in message


def test_folder_with_a_package_of_the_same_name_is_named(logged: Path, tmp_path: Path) -> None:
    own = tmp_path / "models"
    own.mkdir()
    (own / "__init__.py").touch()
    metadata = tmp_path / "site" / f"leadscore-{VERSION}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Name: leadscore\nVersion: {VERSION}\n")
    message = load_in(tmp_path, logged, tmp_path / "site", HERE)
    assert f"another package has the name of its package `models`: {own}" in message
    assert "Start Python in another folder, or rename that package." in message


def test_requirements_name_leadscore_without_an_address(logged: Path) -> None:
    lines = (logged / "requirements.txt").read_text().splitlines()
    assert f"leadscore=={VERSION}" in lines
    assert all(re.fullmatch(r"[A-Za-z-]+==[\w.]+", line) for line in lines)


def test_signature_has_every_column_that_the_model_reads(logged: Path, scorer: LeadScorer) -> None:
    from mlflow.models import Model

    signature = Model.load(str(logged / "MLmodel")).signature
    columns = ["lead_id", "created_at", *scorer.pipeline.columns]
    assert signature.inputs.optional_input_names() == columns
    assert signature.inputs.required_input_names() == []
    params = {param.name: param.default for param in signature.params}
    assert params == {"reasons": 0, "as_of": ""}
    scores = scorer.score_table(pd.DataFrame(TEXTS))
    assert signature.outputs.input_names() == list(scores.columns)


def test_cells_of_every_type_are_read_as_in_a_request(logged: Path, scorer: LeadScorer) -> None:
    import mlflow

    rows: list[dict[str, tuple[Any, Any]]] = [
        {"employees": (np.array(50), 50), "source": (np.str_("Partner"), "Partner")},
        {"employees": (np.int32(50), 50), "email_opt_in": (np.bool_(True), True)},
        {"employees": (decimal.Decimal("50.5"), 50.5), "source": (b"Partner", "Partner")},
        {"employees": (np.float64("nan"), None), "email_opt_in": (pd.NA, None)},
        {"employees": (pd.NA, None), "created_at": (pd.NaT, None)},
        {"employees": (np.array("50"), "50"), "created_at": (np.datetime64("NaT"), None)},
        {"created_at": (np.datetime64("2025-03-01T08:00"), "2025-03-01T08:00Z")},
        {
            "created_at": (
                datetime.datetime(2025, 3, 1, 8, tzinfo=datetime.UTC),
                "2025-03-01T08:00Z",
            )
        },
        {"created_at": (pd.Timestamp("2025-03-01T08:00Z"), "2025-03-01T08:00Z")},
        {"created_at": (datetime.date(2025, 3, 1), "2025-03-01")},
        {"source": (["Partner"], "Partner"), "employees": ([7], 7)},
        {"source": (["Partner", "Fair"], '["Partner","Fair"]')},
        {"source": ({"name": "Partner"}, None), "email_opt_in": (np.array(None), None)},
    ]
    sent = pd.DataFrame([{name: pair[0] for name, pair in row.items()} for row in rows], dtype="O")
    cells = [{name: pair[1] for name, pair in row.items()} for row in rows]
    expected = [s.probability for s in scorer.score_leads([LeadCells(lead) for lead in cells])]
    assert len(set(expected)) > 6
    assert scorer.score_table(sent)["probability"].tolist() == expected
    model = mlflow.pyfunc.load_model(str(logged))
    assert model.predict(sent)["probability"].tolist() == expected
    typed = pd.DataFrame(
        {
            "source": pd.Categorical(["Partner", None, "Webinar"]),
            "employees": pd.array([50, None, 3], dtype="Int64"),
            "email_opt_in": pd.array([True, None, False], dtype="boolean"),
        }
    )
    plain = [("Partner", 50, True), (None, None, None), ("Webinar", 3, False)]
    leads = [LeadCells(dict(zip(typed.columns, row, strict=True))) for row in plain]
    expected = [score.probability for score in scorer.score_leads(leads)]
    assert model.predict(typed)["probability"].tolist() == expected


def test_files_of_another_model_do_not_load(logged: Path, trained: Any, tmp_path: Path) -> None:
    import mlflow

    folder = shutil.copytree(logged, tmp_path / "model")
    shutil.rmtree(folder / "artifacts" / "scorer")
    halved = replace(trained.scorer.calibration, slope=trained.scorer.calibration.slope / 2)
    save_artifact(
        replace(trained.scorer, calibration=halved),
        trained.golden_leads,
        folder / "artifacts" / "scorer",
        trained.golden_as_of,
    )
    with pytest.raises(ArtifactError, match="These are the files of another model: "):
        mlflow.pyfunc.load_model(str(folder))


def test_mlflow_stores_data_and_one_script(crm: Path, digest: str) -> None:
    (model,) = (crm / "mlartifacts" / "models").iterdir()
    files = {str(path.relative_to(model)): path for path in model.rglob("*") if path.is_file()}
    assert {Path(name).suffix for name in files} == {".py", ".json", ".txt", ".yaml", ""}
    files.pop("artifacts/registered_model_meta", None)  # MLflow writes it at the first download
    assert {name for name in files if Path(name).suffix in (".py", "")} == {
        "artifacts/pyfunc.py",
        "artifacts/MLmodel",
    }
    for name, path in files.items():
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK", b"\x93NUMPY")), name
    (folder,) = model.rglob(ARTIFACT)
    assert load_artifact(folder).digest == digest


def test_damaged_registered_model_does_not_load(crm: Path, digest: str, tmp_path: Path) -> None:
    copy = shutil.copytree(crm / "mlartifacts" / "models", tmp_path / "models")
    (folder,) = copy.rglob(ARTIFACT)
    (folder / "booster.txt").write_text("other trees")
    program = "import sys, mlflow; mlflow.pyfunc.load_model(sys.argv[1])"
    process = subprocess.run(
        [sys.executable, "-c", program, str(folder.parent.parent)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1
    assert "scorer/booster.txt is not the file that was saved" in process.stderr
