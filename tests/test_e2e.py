"""Every step on real data: train, register, score a file, build, serve, score over HTTP.

Each command runs in a process of its own, as a user runs it. A hook refuses every connection
except to loopback.
"""

import csv
import gzip
import json
import math
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serving.bento.process import free_port, running_service

HERE = Path(__file__).resolve().parent.parent
ROWS = 1_000
SECONDS = 900  # far more than any command takes on a machine that does nothing else
LOOPBACK_ONLY = """
import socket, sys
def hook(event, args):
    if event == "socket.connect" and args[0].family in (socket.AF_INET, socket.AF_INET6):
        if str(args[1][0]) not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"this test has no network: {args[1]}")
    if event == "socket.getaddrinfo" and args[0] not in (None, "127.0.0.1", "::1", "localhost", ""):
        raise OSError(f"this test has no network: {args[0]}")
sys.addaudithook(hook)
"""


@dataclass(frozen=True)
class Case:
    """A public data set, and the range of ROC AUC without leaks on its newest leads."""

    example: str
    source: str
    delimiter: str
    id_column: str | None
    auc_at_least: float
    auc_at_most: float
    leaks: tuple[str, ...]


CASES = {
    "xeducation": Case(
        example="xeducation.toml",
        source="xeducation/Leads.csv",
        delimiter=",",
        id_column="Prospect ID",
        auc_at_least=0.88,
        auc_at_most=0.94,
        leaks=(
            "Tags",
            "Lead Quality",
            "Lead Profile",
            "Asymmetrique Activity Index",
            "Asymmetrique Profile Index",
            "Asymmetrique Activity Score",
            "Asymmetrique Profile Score",
            "Last Activity",
            "Last Notable Activity",
        ),
    ),
    "bank_marketing": Case(
        example="bank_marketing.toml",
        source="bank_marketing/bank-additional-full.csv.gz",
        delimiter=";",
        id_column=None,
        auc_at_least=0.65,
        auc_at_most=0.80,
        leaks=("duration",),
    ),
}


@dataclass(frozen=True)
class Journey:
    """The results of one run of all commands on a data set."""

    case: Case
    project: Path
    environment: dict[str, str]
    trained: dict[str, Any]
    scored: pd.DataFrame
    rows: list[dict[str, str]]
    bento: Path
    url: str


@pytest.fixture(scope="module", params=CASES)
def journey(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, public_data: Path
) -> Iterator[Journey]:
    case = CASES[request.param]
    home = tmp_path_factory.mktemp(request.param)
    environment = isolated_environment(home) | {"LEADSCORE_PUBLIC_DATA": str(public_data)}
    project = home / case.example
    shutil.copy(HERE / "examples" / case.example, project)
    source = public_data / case.source
    trained = json.loads(command("train", "-p", project, "--json", env=environment).stdout)
    command("score", source, "-o", home / "scored.csv", "-p", project, env=environment)
    built = json.loads(command("build", "-p", project, "--json", env=environment).stdout)
    name, _, version = built["bento"].partition(":")
    bento = home / "bentoml" / "bentos" / name / version
    opener = gzip.open if source.suffix == ".gz" else open
    with opener(source, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=case.delimiter))
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        with running_service(bento, "127.0.0.1", free_port("127.0.0.1")) as url:
            scored = pd.read_csv(home / "scored.csv", dtype={"lead_id": str})
            yield Journey(case, project, environment, trained, scored, rows, bento, url)


def isolated_environment(home: Path) -> dict[str, str]:
    """Return environment variables with stores of their own and no network but loopback."""
    hook = home / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(LOOPBACK_ONLY)
    (home / "bentoml").mkdir(exist_ok=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_", "BENTOML_"))
    }
    return environment | {
        "BENTOML_HOME": str(home / "bentoml"),
        "PYTHONPATH": str(hook),
        "TERM": "dumb",
    }


def command(
    *arguments: object, env: dict[str, str], expect: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run `leadscore …` in a folder that is not the repository."""
    process = subprocess.run(
        [sys.executable, "-m", "leadscore", *map(str, arguments)],
        env=env,
        cwd=env["BENTOML_HOME"],
        text=True,
        capture_output=True,
        timeout=SECONDS,
    )
    assert process.returncode == expect, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    return process


def ask(url: str, body: Any) -> Any:
    """Send a request as JSON, and decode the answer."""
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def as_leads(journey: Journey, rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return rows of the file as a CRM sends them."""
    column = journey.case.id_column
    return [
        {
            "lead_id": row[column] if column else None,
            "attributes": {k: v or None for k, v in row.items()},
        }
        for row in rows
    ]


def test_training_leaves_out_the_leaks(journey: Journey) -> None:
    test = journey.trained["test"]
    assert journey.case.auc_at_least < test["roc_auc"] < journey.case.auc_at_most
    low, high = test["intervals"]["roc_auc"]
    assert low < test["roc_auc"] < high
    assert test["log_loss"] < journey.trained["baselines"]["base_rate"]["log_loss"]
    assert {"roc_auc", "pr_auc", "log_loss", "brier", "ece", "lift_at_10"} <= set(test)
    left_out = {row["column"] for row in journey.trained["left_out"]}
    assert set(journey.case.leaks) <= left_out


def test_first_model_is_champion(journey: Journey) -> None:
    assert journey.trained["model"]["is_champion"] is True
    assert journey.trained["model"]["version"] == "1"


def test_served_scores_equal_offline_ones_for_real_rows(journey: Journey) -> None:
    newest = journey.rows[-ROWS:]
    answer = ask(f"{journey.url}/score", {"leads": as_leads(journey, newest)})
    served, offline = pd.DataFrame(answer["scores"]), journey.scored.tail(ROWS)
    assert len(served) == len(offline) == ROWS
    difference = served["probability"].to_numpy() - offline["probability"].to_numpy()
    assert abs(difference).max() <= 1e-12
    assert served["score"].tolist() == offline["score"].tolist()
    if journey.case.id_column:
        assert served["lead_id"].tolist() == offline["lead_id"].tolist()


def test_one_lead_per_request_equals_the_batch(journey: Journey) -> None:
    for i in range(0, ROWS, 50):
        (lead,) = as_leads(journey, [journey.rows[i]])
        answer = ask(f"{journey.url}/score", {"leads": [lead]})
        assert answer["scores"][0]["probability"] == pytest.approx(
            journey.scored["probability"][i], abs=1e-12, rel=0
        )


def test_typed_json_equals_text(journey: Journey) -> None:
    def typed(text: str) -> Any:
        try:
            number = float(text)
        except ValueError:
            return text or None
        return int(number) if number.is_integer() else number if math.isfinite(number) else text

    leads = as_leads(journey, journey.rows[:200])
    for lead, row in zip(leads, journey.rows, strict=False):
        lead["attributes"] = {name: typed(cell) for name, cell in row.items()}
    answer = ask(f"{journey.url}/score", {"leads": leads})
    served = [score["probability"] for score in answer["scores"]]
    assert served == pytest.approx(journey.scored["probability"].tolist()[:200], abs=1e-12, rel=0)


def test_service_returns_the_card_of_the_champion(journey: Journey) -> None:
    answer = ask(f"{journey.url}/model", {})
    assert answer["model"]["name"] == journey.trained["model"]["name"]
    assert answer["card"]["test"]["roc_auc"] == journey.trained["test"]["roc_auc"]
    assert answer["model"]["digest"] == journey.trained["model"]["digest"][:12]


def packed_modules(journey: Journey) -> set[str]:
    """Return the paths of the modules in the Bento."""
    source = journey.bento / "src"
    return {path.relative_to(source).as_posix() for path in source.rglob("*.py")}


def test_bento_contains_only_the_folders_that_serve(journey: Journey) -> None:
    folders = {path.split("/")[0] for path in packed_modules(journey)}
    assert folders == {"crm", "features", "models", "serving"}


@pytest.mark.parametrize(
    "path",
    [
        "crm/simulation/",
        "features/fitting.py",
        "features/leaks/",
        "models/batch.py",
        "models/evaluation/",
        "models/fitting/",
        "models/pyfunc.py",
        "models/registry/",
    ],
)
def test_bento_leaves_out_what_fits_and_evaluates(journey: Journey, path: str) -> None:
    assert (HERE / path).exists()
    assert [module for module in packed_modules(journey) if module.startswith(path)] == []


def test_bento_imports_nothing_from_outside(journey: Journey) -> None:
    code = (
        "import sys, serving.service; bad = {'mlflow', 'training', 'reports'} & set(sys.modules);"
        "assert not bad, bad; assert serving.service.__file__.startswith(sys.argv[1])"
    )
    source = str(journey.bento / "src")
    subprocess.run(
        [sys.executable, "-c", code, source],
        env=journey.environment | {"PYTHONPATH": source},
        cwd=source,
        check=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b'{"leads": [{"attributes": {"a": NaN}}]}', 400, "bad_json"),
        (b'{"leads": []}', 422, "invalid"),
        (b'{"leads": 1}', 422, "invalid"),
        (b'{"lead": []}', 422, "invalid"),
        (b" " * (9 << 20), 413, "too_large"),
    ],
)
def test_errors_through_bentoml_have_the_common_format(
    journey: Journey, body: bytes, status: int, code: str
) -> None:
    request = urllib.request.Request(f"{journey.url}/score", data=body, method="POST")
    with pytest.raises(urllib.error.HTTPError, match=str(status)) as refused:
        urllib.request.urlopen(request, timeout=30)
    error = json.loads(refused.value.read())["error"]
    assert error["code"] == code
    assert error["request_id"] == refused.value.headers["x-request-id"]


def test_mlflow_predicts_equally_outside_the_repository(journey: Journey) -> None:
    code = """
import os, sys, pandas as pd, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}@champion")
frame = pd.read_csv(sys.argv[3], sep=sys.argv[4])
model.predict(frame).to_csv(sys.argv[5], index=False)
"""
    data = journey.environment["LEADSCORE_PUBLIC_DATA"]
    target = journey.project.parent / "pyfunc.csv"
    model = journey.trained["model"]
    subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            model["tracking_uri"],
            model["name"],
            f"{data}/{journey.case.source}",
            journey.case.delimiter,
            str(target),
        ],
        env=journey.environment,
        cwd=journey.project.parent,
        check=True,
        timeout=120,
    )
    predicted = pd.read_csv(target)["probability"]
    assert (predicted - journey.scored["probability"]).abs().max() <= 1e-12


def test_used_port_gives_one_message(journey: Journey) -> None:
    port = journey.url.rpartition(":")[2]
    process = command(
        "serve", "-p", journey.project, "--port", port, env=journey.environment, expect=1
    )
    assert f"Port {port} on 127.0.0.1 cannot be used" in process.stderr
    assert "Choose another one with --port" in process.stderr


BPIC_AS_OF = "2012-02-01T00:00:00"
# ROC AUC by age in days, each of a plain model that was fitted for this age only.
BPIC_AUC = {0.0: 0.63, 1.0 / 24: 0.71, 1.0: 0.69, 7.0: 0.71, 14.0: 0.81}


@pytest.fixture(scope="module")
def bank_log(
    tmp_path_factory: pytest.TempPathFactory, public_data: Path
) -> Iterator[dict[str, Any]]:
    """Train on a bank's applications with their real activities, score offline, and serve."""
    home = tmp_path_factory.mktemp("bpic2012")
    environment = isolated_environment(home) | {"LEADSCORE_PUBLIC_DATA": str(public_data)}
    project = home / "bpic2012.toml"
    shutil.copy(HERE / "examples" / "bpic2012.toml", project)
    trained = json.loads(command("train", "-p", project, "--json", env=environment).stdout)
    command(
        "score",
        f"{public_data}/bpic2012/leads.csv",
        "-o",
        home / "scored.csv",
        "-p",
        project,
        "--as-of",
        BPIC_AS_OF,
        env=environment,
    )
    built = json.loads(command("build", "-p", project, "--json", env=environment).stdout)
    name, _, version = built["bento"].partition(":")
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        bento = home / "bentoml" / "bentos" / name / version
        with running_service(bento, "127.0.0.1", free_port("127.0.0.1")) as url:
            yield {
                "trained": trained,
                "url": url,
                "scored": pd.read_csv(home / "scored.csv", dtype={"lead_id": str}),
                "leads": pd.read_csv(f"{public_data}/bpic2012/leads.csv", dtype=str),
                "activities": pd.read_csv(f"{public_data}/bpic2012/activities.csv.gz", dtype=str),
            }


def test_activity_log_after_as_of_leaks_nothing(bank_log: dict[str, Any]) -> None:
    by_age = {row["age_days"]: row for row in bank_log["trained"]["test"]["by_age"]}
    assert len(by_age) == len(BPIC_AUC)
    for age, plain_auc in BPIC_AUC.items():
        nearest = min(by_age.values(), key=lambda row: abs(row["age_days"] - age))
        assert plain_auc - 0.04 < nearest["roc_auc"] < 0.9


def test_one_lead_equals_the_batch_over_http(bank_log: dict[str, Any]) -> None:
    leads = bank_log["leads"]
    existing = leads[leads["registered_at"] < BPIC_AS_OF].tail(3_000).iloc[::15]
    history = dict(iter(bank_log["activities"].groupby("case_id")))
    payloads = [
        {
            "lead_id": lead.case_id,
            "created_at": lead.registered_at,
            "attributes": {"amount_requested": lead.amount_requested},
            "activities": [
                {
                    "type": event.activity,
                    "channel": event.lifecycle,
                    "occurred_at": event.occurred_at,
                    "content": None if pd.isna(event.resource) else event.resource,
                }
                for event in history[lead.case_id].itertuples()
            ][:: -1 if i % 2 else 1],
        }
        for i, lead in enumerate(existing.itertuples())
    ]
    assert len(payloads) == 200
    assert any(e["occurred_at"] > BPIC_AS_OF for lead in payloads for e in lead["activities"])
    offline = bank_log["scored"].set_index("lead_id")["probability"]
    batch = ask(f"{bank_log['url']}/score", {"leads": payloads, "as_of": BPIC_AS_OF + "Z"})
    for payload, score in zip(payloads, batch["scores"], strict=True):
        assert score["lead_id"] == payload["lead_id"]
        assert abs(score["probability"] - offline[payload["lead_id"]]) <= 1e-12
    for payload in payloads[::10]:
        answer = ask(f"{bank_log['url']}/score", {"leads": [payload], "as_of": BPIC_AS_OF + "Z"})
        (score,) = answer["scores"]
        assert abs(score["probability"] - offline[payload["lead_id"]]) <= 1e-12
    assert len({score["probability"] for score in batch["scores"]}) > 150
