"""The public API: what `import leadscore` offers and imports, its types, and what it shows."""

import ast
import os
import re
import subprocess
import sys
import textwrap
import venv
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leadscore
from features.leaks.audit import Audit
from features.moments import make_moments
from leadscore import api
from models.evaluation.metrics import MODEL_METRICS
from tests.made_runs import Work

HERE = Path(__file__).resolve().parent.parent
HEAVY = {"pandas", "numpy", "sklearn", "lightgbm", "mlflow", "bentoml", "pyarrow"}


# -- names


@pytest.mark.parametrize(("declared", "expected"), [(None, "passive"), ("active", "active")])
def test_threads_that_wait_do_not_spin_unless_the_caller_says_so(
    declared: str | None, expected: str
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if declared is not None:
        environment["OMP_WAIT_POLICY"] = declared
    code = (
        "import leadscore, os, sys; print(os.environ['OMP_WAIT_POLICY'], 'lightgbm' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected, "False"]  # it is set before the library is loaded


def test_every_import_of_the_api_is_public_and_sorted() -> None:
    imported = [
        alias.name
        for statement in ast.parse(Path(api.__file__).read_text()).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    ]
    assert len(imported) > 20
    assert api.__all__ == sorted(imported)


def test_package_offers_the_names_of_the_api() -> None:
    assert leadscore.__all__ == api.__all__
    assert dir(leadscore) == api.__all__
    for name in api.__all__:
        assert getattr(leadscore, name) is getattr(api, name)


def test_every_public_name_is_documented_with_its_first_sentence() -> None:
    page = (HERE / "docs" / "api.md").read_text()
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \|$", page)
    sentences = {
        name: (getattr(api, name).__doc__ or "").strip().partition("\n\n")[0]
        for name in api.__all__
    }
    in_docs = {name: sentence for name, sentence in rows if name in sentences}
    assert in_docs == {name: " ".join(text.split()) for name, text in sentences.items()}


def test_unknown_name_is_an_attribute_error_that_lists_the_names() -> None:
    with pytest.raises(AttributeError, match=r"leadscore has no 'fit'\. It has: Audit, "):
        _ = leadscore.fit
    assert not hasattr(leadscore, "__wrapped__")


def python(code: str, *, cwd: Path, path: tuple[Path, ...] = (HERE,)) -> str:
    """Run code in a new process; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PYTHONPATH": ":".join(map(str, path))},
        timeout=120,
        check=False,
    )
    return result.stdout + result.stderr


def test_importing_the_package_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys, leadscore; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert python(code, cwd=tmp_path) == "[]\n"


def test_first_use_of_a_name_imports_it(tmp_path: Path) -> None:
    code = "from leadscore import *; print(train.__module__, Moments.__module__)"
    assert python(code, cwd=tmp_path) == "training.train features.moments\n"


def test_package_of_the_caller_that_hides_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").touch()
    error = python("import leadscore; leadscore.train", cwd=tmp_path, path=(tmp_path, HERE))
    assert f"another one at {tmp_path / 'models' / '__init__.py'}. " in error
    assert error.rstrip().endswith("Start Python in another folder, or rename that package.")


@pytest.mark.parametrize(
    "arguments", [("-m", "leadscore"), ("-c", "import leadscore; leadscore.main()")]
)
def test_command_line_starts(arguments: tuple[str, str], tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, *arguments, "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(HERE)},
        timeout=120,
        check=True,
    )
    assert "Rank sales leads by their chance to become customers." in result.stdout


# -- types

SCRIPT = """
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from leadscore import (
    Audit, Evaluation, LeadScorer, LoadedModel, Moments, Project, Records, Split, Trained, audit,
    evaluate, fit_pipeline, hold_out, known_later, load_model, load_project, loss_difference,
    make_moments, read_records, train, training_matrix,
)

project = load_project("crm")
assert_type(project, Project)
records = read_records(project)
assert_type(records, Records)
moments = make_moments(records, project.learn)
assert_type(moments, Moments)
audited = audit(records, moments, project)
assert_type(audited, Audit)
split = hold_out(records, moments, project.learn)
assert_type(split, Split)
pipeline = fit_pipeline(records, split.train, project, known_later(audited))
features = training_matrix(pipeline, records, split.train, project.learn.seed)
assert_type(features, NDArray[np.float64])
trained = train(project, records, now=datetime.now(UTC))
assert_type(trained, Trained)
assert_type(trained.scorer, LeadScorer)
test = split.test
result = evaluate(trained.test_margin, test.label, test.weight, test.lead, 0)
assert_type(result, Evaluation)
assert_type(load_model(Path("model")), LoadedModel)
load_model(7)  # type: ignore[arg-type]
low: str = loss_difference(features[:, 0], features[:, 1], test.label, test.weight, test.lead, 0)
"""


def test_types_of_the_installed_package_are_checked(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=HERE, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", symlinks=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "others.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    interpreter = tmp_path / "venv" / "bin" / "python"
    options = ["--strict", "--config-file=", "--python-executable", str(interpreter)]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "script.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={},
        timeout=600,
        check=False,
    )
    line = SCRIPT.splitlines().index(next(x for x in SCRIPT.splitlines() if x.startswith("low:")))
    assert result.stdout == textwrap.dedent(
        f"""\
        script.py:{line + 1}: error: Incompatible types in assignment (expression has type \
"tuple[float, float, float]", variable has type "str")  [assignment]
        Found 1 error in 1 file (checked 1 source file)
        """
    )


# -- what objects show


def test_objects_are_shown_in_one_line(work: Work) -> None:
    trained, records = work.trained, work.records
    shown = {
        "Project": work.project,
        "Records": records,
        "Moments": trained.moments,
        "Split": trained.split,
        "Audit": trained.audit,
        "FeaturePipeline": trained.scorer.pipeline,
        "LeadScorer": trained.scorer,
        "ModelCard": trained.scorer.card,
        "Evaluation": trained.evaluations["test"],
        "Trained": trained,
        "LoadedModel": leadscore.load_model(work.artifact),
    }
    for name, item in shown.items():
        text = repr(item)
        assert text.startswith(f"<{name}"), text
        assert text.endswith(">")
        assert len(text) < 300, text
        assert "\n" not in text


def test_texts_of_objects_contain_their_facts(work: Work) -> None:
    records, moments = work.records, work.trained.moments
    won = (records.outcomes["outcome"] == "won").sum()
    assert repr(work.project) == (
        f"<Project 'demo' (simulated): leads, activities, stages, outcomes; {work.project.path}>"
    )
    assert repr(records).startswith(f"<Records: {len(records.leads):,} leads, ")
    assert f"{len(records.outcomes):,} outcomes ({won:,} won); until 20" in repr(records)
    assert repr(moments).startswith(f"<Moments: {len(moments):,} of ")
    assert f", {moments.label.mean():.1%} won; 20" in repr(moments)
    nothing = moments.take(np.zeros(len(moments), dtype=bool))
    assert repr(nothing) == "<Moments: none>"
    assert "0 leak, 0 suspect" in repr(work.trained.audit)
    assert " training and " in repr(work.trained.split)
    assert "ROC AUC 0." in repr(work.trained)


def test_moments_as_a_table_name_the_leads(work: Work) -> None:
    moments, records = work.trained.moments, work.records
    frame = moments.to_frame(records)
    assert frame.columns.tolist() == ["lead_id", "as_of", "won", "known_at", "weight"]
    assert (frame["won"].to_numpy() == (moments.label == 1)).all()
    created = records.leads.set_index("lead_id")["created_at"]
    first = frame.drop_duplicates("lead_id").set_index("lead_id")
    assert (first["as_of"] == created[first.index]).all()


def test_evaluation_as_a_table_has_a_row_for_each_metric(work: Work) -> None:
    evaluation = work.trained.evaluations["test"]
    frame = evaluation.to_frame()
    assert frame.index.tolist() == list(MODEL_METRICS)
    assert frame["value"].to_dict() == evaluation.values
    assert ((frame["low"] <= frame["value"]) & (frame["value"] <= frame["high"])).all()
    assert "<table" in evaluation._repr_html_()


def test_audit_as_a_table_has_a_row_for_each_finding_and_each_fine_attribute() -> None:
    from tests.made_leaks import MadeUpLeads

    leads = MadeUpLeads()
    audited = leads.audit(leads.words(0.9, 0.01), "<b>contract</b>")
    frame = audited.to_frame()
    n_findings = len(audited.attributes[-1].findings)
    assert n_findings > 1
    assert frame["attribute"].tolist() == ["visits", "source", *["<b>contract</b>"] * n_findings]
    assert frame["verdict"].tolist() == ["fine", "fine", *["leak"] * n_findings]
    assert frame["check"].isna().tolist() == [True, True, *[False] * n_findings]
    assert "<b>" not in audited._repr_html_()
    assert Audit(()).to_frame().empty


def test_scored_features_equal_the_scored_table(work: Work) -> None:
    scorer, records = work.trained.scorer, work.records
    moments = make_moments(records, work.project.learn)
    newest = moments.take(np.arange(len(moments) - 40, len(moments)))
    features = scorer.pipeline.transform(records, newest.lead, newest.as_of)
    leads = records.leads.iloc[newest.lead]
    scored = scorer.score_features(features, n_reasons=2, leads=leads)
    table = scorer.score_table(
        leads,
        activities=records.activities,
        stages=records.stages,
        as_of=newest.as_of,
        n_reasons=2,
    )
    pd.testing.assert_frame_equal(
        scored, table.drop(columns="lead_id").reset_index(drop=True), check_exact=True
    )
    without_leads = scorer.score_features(features, n_reasons=2)
    pd.testing.assert_frame_equal(without_leads[["score"]], scored[["score"]], check_exact=True)
    named = scored["reason_2"].str.startswith("job_title is ")
    assert named.any()
    assert without_leads.loc[named, "reason_2"].str.startswith("this job_title: such leads ").all()
