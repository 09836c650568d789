"""A whole backtest: the same for any number of processes, and resumed after a kill."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import psutil
import pytest

import training.backtest.backtest as module
from crm.errors import ConfigError, LeadScoringError, LearningError, SourceError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY
from features.moments import make_moments
from tests.made_backtests import at_day, closed_leads, write_closed_leads
from tests.made_trainings import dated_leads, small_leads, write_export
from training.backtest import work_folder, workers
from training.backtest.backtest import AS_OF_THE_EXPORT, Backtest, backtest
from training.backtest.cut_off import CutOffModel, train_at
from training.backtest.plan import Options
from training.backtest.work_folder import WorkFolder, key_of
from training.backtest.workers import train_all

HERE = Path(__file__).resolve().parent.parent
OPTIONS = Options(every_days=25)  # five cut-offs


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Records]:
    folder = tmp_path_factory.mktemp("backtest")
    return write_closed_leads(folder / "crm", closed_leads())


@pytest.fixture(scope="module")
def whole(crm: tuple[Project, Records], tmp_path_factory: pytest.TempPathFactory) -> Backtest:
    """Return a backtest that was not interrupted, of one process."""
    return backtest(*crm, OPTIONS, work=tmp_path_factory.mktemp("work"))


@pytest.fixture
def trained_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that receives each cut-off at which this process trains."""
    cut_offs: list[int] = []

    def record(*arguments: Any) -> CutOffModel:
        cut_offs.append(arguments[-1])
        return train_at(*arguments)

    monkeypatch.setattr(workers, "train_at", record)
    return cut_offs


def text_of(result: Backtest) -> str:
    return json.dumps(result.to_json(), sort_keys=True)


# -- the result ------------------------------------------------------------------------------


def test_result_of_a_backtest(whole: Backtest) -> None:
    facts = whole.to_json()
    days = ["2025-03-18", "2025-04-12", "2025-05-07", "2025-06-01", "2025-06-26"]
    assert [row["at"] for row in facts["cut_offs"]] == days
    assert (facts["from"], facts["to"]) == ("2025-03-18", "2025-07-20")
    # Three leads a day. The leads of the ten days before a cut-off are not mature then.
    assert [row["learned_leads"] for row in facts["cut_offs"]] == [198, 273, 348, 423, 498]
    assert [row["n"] for row in facts["periods"]] == [75, 75, 75, 75, 72]
    assert [row["n"] for row in facts["ages"]] == [372, 297, 222]
    assert [life["days"] for life in facts["advice"]["lives"]] == [50, 75]
    assert facts["limits"][0] == AS_OF_THE_EXPORT
    assert facts["limits"][-1].startswith("Fewer than 3 models became older than 75 days")
    assert facts["digests"] == whole.digests
    assert sorted(facts["digests"]) == ["leads", "outcomes"]


def test_an_age_is_scored_by_the_model_of_that_cut_off(
    whole: Backtest, crm: tuple[Project, Records]
) -> None:
    # By hand, from the models: the log loss of the model before the newest one, on the same leads.
    project, records = crm
    moments = make_moments(records, project.learn)
    losses = []
    for older, newest in itertools.pairwise(whole.models):
        ends = newest.at + 25 * DAY
        for position, row in enumerate(newest.rows):
            if moments.as_of[row] < ends:
                of_older = older.log_odds[older.rows == row][0]
                sign = 1 if moments.label[row] else -1
                losses.append(
                    np.log1p(np.exp(-sign * of_older))
                    - np.log1p(np.exp(-sign * newest.log_odds[position]))
                )
    extra = whole.ages[1].extra_log_loss
    assert extra is not None
    assert len(losses) == 297
    assert extra.value == pytest.approx(np.mean(losses))
    assert extra.value != 0


# -- processes -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 9])
def test_result_does_not_depend_on_the_number_of_processes(
    crm: tuple[Project, Records], whole: Backtest, tmp_path: Path, n: int
) -> None:
    assert text_of(backtest(*crm, OPTIONS, work=tmp_path, workers=n)) == text_of(whole)


def test_a_project_file_that_changes_is_refused(tmp_path: Path) -> None:
    project, records = write_closed_leads(tmp_path / "crm", closed_leads())
    project.path.write_text(f"{project.text}\n# changed\n")
    with pytest.raises(LeadScoringError, match="has changed during the backtest. Run it again"):
        backtest(project, records, OPTIONS, work=tmp_path / "work", workers=2)


def test_a_process_that_ends_is_an_error(
    crm: tuple[Project, Records], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, records = crm
    moments = make_moments(records, project.learn)
    rows = np.flatnonzero(moments.as_of >= at_day(150))
    models = train_all(project, records, moments, [(at_day(150), rows)] * 6, 2)
    next(models)
    for child in psutil.Process().children():
        if is_worker(child):
            child.kill()
    with pytest.raises(LeadScoringError, match="ended with the code -9.*with fewer --workers"):
        list(models)
    assert not any(is_worker(p) for p in psutil.Process().children())


def is_worker(process: psutil.Process) -> bool:
    return any("spawn_main" in word for word in process.cmdline())


# -- finished cut-offs -----------------------------------------------------------------------


def test_finished_cut_offs_are_not_trained_again(
    crm: tuple[Project, Records], whole: Backtest, tmp_path: Path, trained_at: list[int]
) -> None:
    shares: list[float] = []
    backtest(*crm, OPTIONS, work=tmp_path)
    assert trained_at == list(whole.plan.cut_offs)
    again = backtest(*crm, OPTIONS, work=tmp_path, on_share=lambda share, _: shares.append(share))
    assert len(trained_at) == 5
    assert text_of(again) == text_of(whole)
    assert shares == [0.0, 1.0, 1.0]
    # Another backtest of the same records trains only at its further cut-offs.
    last = pd.Timestamp("2025-07-11", tz="UTC")
    other = backtest(*crm, Options(every_days=15, last=last), work=tmp_path)
    assert set(trained_at[5:]) == set(other.plan.cut_offs) - set(whole.plan.cut_offs)
    assert len(trained_at[5:]) < len(other.plan.cut_offs)


def script(folder: Path, workers: int) -> str:
    """Return a program that is killed after its first cut-off, and prints its processes before."""
    return f"""
import os, psutil, signal
from pathlib import Path
from crm.project import load_project
from crm.reading import read_records
from training.backtest.backtest import backtest
from training.backtest.plan import Options

def on_share(share, what):
    if 0 < share < 1:
        print(*[child.pid for child in psutil.Process().children()], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    project = load_project(Path({str(folder / "crm")!r}))
    backtest(project, read_records(project), Options(every_days=25),
             work=Path({str(folder / "work")!r}), workers={workers}, on_share=on_share)
"""


@pytest.mark.parametrize("n", [1, 2])
def test_a_killed_backtest_goes_on_where_it_was(
    whole: Backtest, tmp_path: Path, trained_at: list[int], n: int
) -> None:
    project, records = write_closed_leads(tmp_path / "crm", closed_leads())
    (tmp_path / "run.py").write_text(script(tmp_path, n))
    killed = subprocess.run(
        [sys.executable, "run.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = [
        psutil.Process(pid) for pid in map(int, killed.stdout.split()) if psutil.pid_exists(pid)
    ]
    _, alive = psutil.wait_procs(left, timeout=60)
    assert alive == []
    (finished,) = (tmp_path / "work").glob("*/*")
    assert finished.suffix == ".npz"

    result = backtest(project, records, OPTIONS, work=tmp_path / "work")
    assert len(trained_at) == 4
    assert finished.stem not in [f"{np.datetime64(at, 'us')}"[:10] for at in trained_at]
    assert text_of(result) == text_of(whole)


def test_other_records_start_anew(tmp_path: Path, trained_at: list[int]) -> None:
    leads = closed_leads()
    project, records = write_closed_leads(tmp_path / "crm", leads)
    backtest(project, records, OPTIONS, work=tmp_path / "work")
    (before,) = (tmp_path / "work").iterdir()
    leads["size"] = leads["size"].replace(50, 51)
    backtest(*write_closed_leads(tmp_path / "crm", leads), OPTIONS, work=tmp_path / "work")
    assert len(trained_at) == 10
    (after,) = (tmp_path / "work").iterdir()  # the other folder is removed
    assert after != before


def test_key_depends_on_what_the_results_depend_on(
    crm: tuple[Project, Records], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, records = crm
    key = key_of(project, records)
    assert key_of(replace(project, text="# a comment", simulated=True), records) == key
    learn = msgspec.structs.replace(project.learn, seed=7)
    columns = msgspec.structs.replace(project.columns, ignore=["size"])
    leads = msgspec.structs.replace(project.leads, timezone="Europe/Berlin")
    assert records.observed_until is not None
    later = records.observed_until + pd.Timedelta(1, "D")
    others = [
        key_of(replace(project, learn=learn), records),
        key_of(replace(project, columns=columns), records),
        key_of(replace(project, leads=leads), records),
        key_of(project, replace(records, observed_until=later)),
        key_of(project, replace(records, closing_zone="UTC")),
        key_of(project, replace(records, formats={"size": "1.000"})),
        key_of(project, replace(records, leads=records.leads[:-1])),
    ]
    monkeypatch.setattr(work_folder, "VERSION", "99.0")
    others.append(key_of(project, records))
    assert len({key, *others}) == 1 + len(others)


MODEL = CutOffModel(
    at_day(3), 9, 8, 7, ("a", "b"), "early wins", -0.5, np.array([2, 5]), np.array([0.25, -1 / 3])
)


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path / "work", "k" * 64)
    assert folder.read(MODEL.at, MODEL.rows) is None
    folder.write(MODEL)
    read = folder.read(MODEL.at, MODEL.rows)
    assert read is not None
    for name, value in vars(MODEL).items():
        assert np.array_equal(getattr(read, name), value), name
    assert [path.name for path in folder.folder.iterdir()] == ["2025-01-04.npz"]
    assert folder.folder.name == "k" * 16
    assert folder.read(MODEL.at, np.array([2, 6])) is None  # other moments
    assert folder.read(at_day(4), MODEL.rows) is None
    without = CutOffModel(at_day(4), why_not="Too few.")
    folder.write(without)
    read = folder.read(without.at, MODEL.rows)
    assert read is not None
    assert read.why_not == "Too few."


@pytest.mark.parametrize("content", [b"", b"not a zip", "cut"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes | str) -> None:
    folder = WorkFolder(tmp_path, "k")
    folder.write(MODEL)
    (path,) = folder.folder.iterdir()
    path.write_bytes(path.read_bytes()[:300] if isinstance(content, str) else content)
    assert folder.read(MODEL.at, MODEL.rows) is None


def test_a_file_of_another_day_is_not_read(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path, "k")
    folder.write(MODEL)
    (path,) = folder.folder.iterdir()
    path.rename(path.with_name("2025-01-05.npz"))
    assert folder.read(at_day(4), MODEL.rows) is None


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="file/k cannot be written: Not a directory"):
        WorkFolder(tmp_path / "file", "k")
    folder = WorkFolder(tmp_path, "k")
    folder.folder.rmdir()
    with pytest.raises(SourceError, match=r"2025-01-04.npz cannot be written: No such file"):
        folder.write(MODEL)


# -- records that cannot be tested -------------------------------------------------------------


def test_leads_without_times_are_refused(tmp_path: Path) -> None:
    project, records = write_export(tmp_path, small_leads())
    with pytest.raises(ConfigError, match="needs the time at which each lead was created.*by pos"):
        backtest(project, records, Options(), work=tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_no_model_at_any_cut_off_is_an_error(tmp_path: Path) -> None:
    project, records = write_closed_leads(
        tmp_path / "crm", closed_leads(), {"horizon_days": 10, "half_life_days": 0.01}
    )
    with pytest.raises(
        LearningError, match=r"No model could be trained .*On 2025-06-26: \[learn\]"
    ):
        backtest(project, records, OPTIONS, work=tmp_path / "work")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the training by one that gives random log-odds."""

    def train(
        project: Project, records: Records, moments: Any, tasks: Any, n: int
    ) -> Iterator[CutOffModel]:
        for number, (at, rows) in enumerate(tasks):
            if number == 1 and project.learn.seed == 1:
                yield CutOffModel(at, why_not="Nothing was known.")
            else:
                log_odds = np.random.default_rng(number).normal(size=len(rows))
                yield CutOffModel(at, rows=rows, log_odds=log_odds)

    monkeypatch.setattr(module, "train_all", train)


@pytest.mark.usefixtures("quick")
def test_limits_name_what_is_not_scored(tmp_path: Path) -> None:
    leads = closed_leads()
    leads.loc[[100, 200], "closed_at"] = None
    project, records = write_closed_leads(tmp_path / "crm", leads, {"horizon_days": 10, "seed": 1})
    options = Options(last=pd.Timestamp("2025-05-26", tz="UTC"), every_days=15)
    result = backtest(project, records, options, work=tmp_path / "work")
    limits = "\n".join(result.limits)
    assert "2 outcomes without a date count as known when the horizon" in limits
    assert "120 leads from after 2025-06-09 are not scored" in limits
    assert "At 2025-03-27 no model was trained: Nothing was known." in limits
    assert result.to_json()["cut_offs"][1]["why_not"] == "Nothing was known."
    assert [row["from"] for row in result.to_json()["periods"]][:2] == ["2025-03-12", "2025-04-11"]


@pytest.mark.usefixtures("quick")
def test_leads_from_before_the_outcomes_are_a_limit(tmp_path: Path) -> None:
    leads = closed_leads()
    is_early = np.arange(600) < 150
    leads = leads.assign(
        outcome=leads["outcome"].mask(is_early), closed_at=leads["closed_at"].mask(is_early)
    )
    result = backtest(
        *write_closed_leads(tmp_path / "crm", leads), Options(), work=tmp_path / "work"
    )
    (limit,) = [limit for limit in result.limits if "before the outcomes begin" in limit]
    assert limit.startswith("159 leads from before the outcomes begin are left out at every")


@pytest.mark.usefixtures("quick")
def test_outcomes_without_any_date_can_be_tested(tmp_path: Path) -> None:
    keys = {"horizon_days": 10}
    project, records = write_export(tmp_path / "crm", dated_leads(600, days=200), keys)
    result = backtest(project, records, Options(), work=tmp_path / "work")
    assert len(result.periods) == 6
    assert "600 outcomes without a date" in "\n".join(result.limits)


def test_reading_again_gives_the_same_key(crm: tuple[Project, Records]) -> None:
    project, records = crm
    again = load_project(project.path)
    assert key_of(again, read_records(again)) == key_of(project, records)


# -- markets that change, and that do not ------------------------------------------------------


def market(turns: float, n: int = 1_500) -> pd.DataFrame:
    """Return the leads of 360 days; the effect of their size turns this often, in half circles."""
    generator = np.random.default_rng(0)
    size, other = generator.normal(size=n), generator.normal(size=n)
    share = np.linspace(0, 1, n)
    log_odds = -0.5 + 1.2 * np.cos(turns * np.pi * share) * size + 1.5 * other
    created = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(360 * share, "D")
    closed = created + pd.to_timedelta(generator.uniform(0.1, 9, n), "D")
    won = generator.random(n) < 1 / (1 + np.exp(-log_odds))
    return pd.DataFrame(
        {
            "lead_id": [f"L{i}" for i in range(n)],
            "size": size.round(3),
            "other": other.round(3),
            "outcome": np.where(won, "yes", "no"),
            "created_at": created.astype(str),
            "closed_at": closed.astype(str),
        }
    )


def test_advice_is_short_where_the_market_turns_and_long_where_it_does_not(tmp_path: Path) -> None:
    options = Options(n_cut_offs=6)
    turning, steady = (
        backtest(
            *write_closed_leads(tmp_path / f"{turns}", market(turns)),
            options,
            work=tmp_path / f"work {turns}",
        )
        for turns in (1.0, 0.0)
    )
    assert turning.advice.verdict == "shortest tested"
    assert turning.advice.days == turning.plan.every_days
    extra = [age.extra_log_loss.value for age in turning.ages if age.extra_log_loss]
    assert extra == sorted(extra)
    assert extra[-1] > 0.03
    assert steady.advice.days is not None
    assert steady.advice.days >= 3 * steady.plan.every_days
    assert max(abs(age.extra_log_loss.value) for age in steady.ages if age.extra_log_loss) < 0.01
