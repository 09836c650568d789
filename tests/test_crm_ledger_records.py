"""Records from the ledger alone, and from the ledger and files."""

import datetime
import re
import shutil
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm.cells import cell_text
from crm.errors import ConfigError, SchemaError
from crm.ledger.entries import Batch, SentLead
from crm.ledger.ledger import Ledger
from crm.project import load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY
from features.times import cell_time
from serving.payloads.events import read_items
from tests.made_projects import FOUR_TABLES, LEDGER, LEDGER_ALONE, WON_AND_LOST
from training.train import train

IN_FILES = FOUR_TABLES + WON_AND_LOST
IN_BOTH = IN_FILES + LEDGER
IN_LEDGER = LEDGER_ALONE + LEDGER + WON_AND_LOST
OUTCOME_AS_A_DAY = b'{"outcomes": [{"lead_id": "L1", "outcome": "won", "closed_at": "1970-01-02"}]}'
Read = Callable[[str], Records]
Row = dict[str, Any]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write the files; return a function that reads the records of a project file."""
    (tmp_path / "leads.csv").write_text(
        "Id,Created,Source\nL1,1970-01-02,Web\nL2,1970-01-03,Fair\n"
    )
    (tmp_path / "activities.csv").write_text(
        "lead_id,type,occurred_at,activity_id,content\n"
        "L1,call,1970-01-04T00:00:00Z,a1,\nL1,mail,1970-01-05T00:00:00Z,,news\n"
        "L1,meeting,1970-01-04T00:00:00Z,a3,\n"
    )
    (tmp_path / "stages.csv").write_text("lead_id,stage,entered_at\nL1,new,1970-01-02T00:00:00Z\n")
    (tmp_path / "outcomes.csv").write_text(
        "lead_id,outcome,closed_at\nL1,won,1970-01-09T00:00:00Z\n"
    )

    def load(project_file: str) -> Records:
        (tmp_path / "leadscore.toml").write_text(project_file)
        return read_records(load_project(tmp_path))

    return load


def send_lead(
    ledger: Ledger, lead_id: str, sent_at: int, created_at: int | None, **attributes: Any
) -> None:
    lead = SentLead(lead_id, created_at, attributes)
    ledger.add_batch(Batch(leads=[(lead, sent_at)]), sent_at)


def texts(column: pd.Series) -> list[str]:
    return [cell_text(cell) or "" for cell in column]


def utc(time: int) -> pd.Timestamp:
    return pd.Timestamp(time, unit="us", tz="UTC")


# -- the ledger and files


def test_empty_ledger_changes_nothing(read: Read, ledger: Ledger) -> None:
    assert read(IN_BOTH).digests == read(IN_FILES).digests


CALL: Row = {"lead_id": "L1", "type": "call", "occurred_at": 3 * DAY}
MAIL: Row = {"lead_id": "L1", "type": "mail", "occurred_at": 4 * DAY, "content": "news"}
ACTIVITIES_OF_THE_FILE = [("call", 3 * DAY), ("mail", 4 * DAY), ("meeting", 3 * DAY)]


@pytest.mark.parametrize(
    "activity",
    [
        pytest.param(CALL | {"activity_id": "a1", "occurred_at": 9 * DAY}, id="same id"),
        pytest.param(MAIL | {"activity_id": "m7"}, id="same values, no id in the file"),
        pytest.param(CALL | {"type": "meeting"}, id="same values, no id in the ledger"),
        pytest.param(MAIL | {"occurred_at": 5 * DAY - 1}, id="the same day"),
    ],
)
def test_activity_of_the_file_is_not_repeated(read: Read, ledger: Ledger, activity: Row) -> None:
    ledger.add("activities", [activity], 0)
    assert activities_of(read(IN_BOTH)) == sorted(ACTIVITIES_OF_THE_FILE)


@pytest.mark.parametrize(
    "activity",
    [
        pytest.param(CALL | {"activity_id": "a2"}, id="same values, another id"),
        pytest.param(MAIL | {"occurred_at": 6 * DAY}, id="other values"),
    ],
)
def test_activity_of_the_ledger_is_added(read: Read, ledger: Ledger, activity: Row) -> None:
    ledger.add("activities", [activity], 0)
    added = (activity["type"], activity["occurred_at"])
    assert activities_of(read(IN_BOTH)) == sorted([*ACTIVITIES_OF_THE_FILE, added])


def activities_of(records: Records) -> list[tuple[str, int]]:
    """Return type and time of each activity, sorted."""
    assert records.activities is not None
    types, times = records.activities["type"], records.activities["occurred_at"]
    microseconds = [int(time.timestamp() * 1_000_000) for time in times]
    return sorted(zip(types, microseconds, strict=True))


def test_stage_of_the_file_is_not_repeated(read: Read, ledger: Ledger) -> None:
    new = {"lead_id": "L1", "stage": "new", "entered_at": DAY, "stage_id": "s1"}
    met = {"lead_id": "L1", "stage": "met", "entered_at": 5 * DAY}
    ledger.add("stages", [new, met], 0)
    records = read(IN_BOTH)
    assert records.stages is not None
    assert records.stages["stage"].tolist() == ["new", "met"]


def test_outcome_of_the_file_is_not_repeated(read: Read, ledger: Ledger) -> None:
    won = {"lead_id": "L1", "outcome": "won", "closed_at": 8 * DAY, "amount": 5.0}
    lost = {"lead_id": "L2", "outcome": "lost", "closed_at": 8 * DAY, "amount": 7.0}
    ledger.add("outcomes", [won, lost], 0)
    outcomes = read(IN_BOTH).outcomes.set_index("lead_id")
    assert outcomes["outcome"].to_dict() == {"L1": "won", "L2": "lost"}
    assert outcomes.loc["L2", "amount"] == 7.0


def test_outcome_sent_as_a_day_closes_after_a_creation_on_this_day(
    read: Read, ledger: Ledger
) -> None:
    noon = DAY + DAY // 2
    send_lead(ledger, "L1", 0, noon, Source="Web")
    ledger.add("outcomes", read_items("outcomes", OUTCOME_AS_A_DAY), 0)  # type: ignore[arg-type]
    outcome = read(IN_LEDGER).outcomes.iloc[0]
    assert outcome["closed_at"] == utc(noon + 1_000_000)
    assert outcome["closed_by"] == utc(2 * DAY - 1)


def test_attributes_of_the_file_take_precedence(read: Read, ledger: Ledger) -> None:
    send_lead(ledger, "L1", 0, DAY, Source="Ledger", Size=5)
    send_lead(ledger, "L3", 0, 2 * DAY, Source="Ledger", Size=5)
    leads = read(IN_BOTH).leads.set_index("lead_id")
    assert leads["Source"].to_dict() == {"L1": "Web", "L2": "Fair", "L3": "Ledger"}
    assert leads["Size"].isna().to_dict() == {"L1": True, "L2": True, "L3": False}
    assert leads.loc["L3", "created_at"] == utc(2 * DAY)


def test_erased_leads_are_left_out_of_files(read: Read, ledger: Ledger) -> None:
    ledger.forget("L1", 0)
    records = read(IN_BOTH)
    assert records.leads["lead_id"].tolist() == ["L2"]
    assert "leads: 1 were erased and are left out." in records.notes
    assert records.outcomes.empty


# -- undeclared outcomes


@pytest.fixture
def undeclared(ledger: Ledger) -> Ledger:
    """Store outcomes with values that the project file does not declare."""
    values = [("L1", "1.5"), ("L2", "Closed Won"), ("L2", "signed"), ("unknown lead", "1.5")]
    outcomes = [
        {"lead_id": lead_id, "outcome": value, "closed_at": 9 * DAY} for lead_id, value in values
    ]
    ledger.add("outcomes", outcomes, 0)
    ledger.add("stages", [{"lead_id": "L2", "stage": "new", "entered_at": DAY}], 0)
    return ledger


def test_undeclared_outcome_is_left_out(read: Read, undeclared: Ledger) -> None:
    of_files = read(IN_FILES).outcomes
    pd.testing.assert_frame_equal(read(IN_BOTH).outcomes, of_files)


def test_lead_with_only_undeclared_outcomes_is_left_out(read: Read, undeclared: Ledger) -> None:
    # L2 may be won, so it must not be learned as lost.
    assert read(IN_BOTH).leads["lead_id"].tolist() == ["L1"]


def test_declared_outcome_keeps_its_lead(read: Read, undeclared: Ledger) -> None:
    declared = IN_BOTH.replace('["won"]', '["won", "signed"]')
    assert read(declared).leads["lead_id"].tolist() == ["L1", "L2"]


def test_undeclared_outcomes_are_noted(read: Read, undeclared: Ledger) -> None:
    notes = read(IN_BOTH).notes
    (note,) = (note for note in notes if note.startswith("the ledger: "))
    assert "declared: '1.5' (2 rows), " in note
    assert "'Closed Won' (1 row)" in note
    assert "(for example of the leads 'L1', 'L2', 'unknown lead')" in note
    assert "and so are the 1 leads that have no other outcome" in note


# -- the ledger alone


def test_ledger_alone_is_enough(read: Read, ledger: Ledger) -> None:
    send_lead(ledger, "L1", 0, DAY, Source="Web", Size=1)
    send_lead(ledger, "L2", 0, 2 * DAY, Source=None)
    ledger.add("outcomes", [{"lead_id": "L2", "outcome": "WON", "closed_at": 5 * DAY}], 0)
    records = read(IN_LEDGER)
    assert records.leads["lead_id"].tolist() == ["L1", "L2"]
    assert records.leads["Source"].tolist()[0] == "Web"
    assert records.outcomes["outcome"].tolist() == ["won"]
    assert records.activities is None
    assert records.observed_until == utc(5 * DAY)


def test_attributes_are_the_last_before_the_lead_closed(read: Read, ledger: Ledger) -> None:
    for day, size in ((2, 1), (4, 2), (6, 3)):
        for lead_id in ("closed on day 5", "closed on day 1", "open"):
            send_lead(ledger, lead_id, day * DAY, DAY, Size=size)
    ledger.add(
        "outcomes",
        [
            {"lead_id": "closed on day 5", "outcome": "won", "closed_at": 5 * DAY},
            {"lead_id": "closed on day 1", "outcome": "lost", "closed_at": DAY},
        ],
        0,
    )
    sizes = read(IN_LEDGER).leads.set_index("lead_id")["Size"].to_dict()
    assert sizes == {"closed on day 5": 2, "closed on day 1": 1, "open": 3}


def test_ledger_with_only_undeclared_outcomes_is_refused(read: Read, ledger: Ledger) -> None:
    send_lead(ledger, "L1", 0, DAY, Source="Web")
    ledger.add("outcomes", [{"lead_id": "L1", "outcome": "Closed Won"}], 0)
    with pytest.raises(SchemaError, match=r"the ledger: outcome values .*'Closed Won' \(1 row\)"):
        read(IN_LEDGER)


def test_role_columns_are_not_attributes_of_the_ledger(read: Read, ledger: Ledger) -> None:
    attributes = {"Created": "soon", "Id": "x", "created_at": "?", "Source": "Web"}
    ledger.add_batch(Batch(leads=[(SentLead("L1", DAY, attributes), 0)]), 0)
    assert list(read(IN_LEDGER).leads.columns) == ["lead_id", "created_at", "Source"]


def test_leads_without_a_creation_time_are_left_out(read: Read, ledger: Ledger) -> None:
    send_lead(ledger, "L1", 0, DAY, Size=1)
    send_lead(ledger, "L2", 0, None, Size=2)
    records = read(IN_LEDGER)
    assert records.leads["lead_id"].tolist() == ["L1"]
    assert "ledger: 1 leads without a time of creation are left out." in records.notes


def test_empty_ledger_alone_is_refused(read: Read, ledger: Ledger) -> None:
    with pytest.raises(SchemaError, match="it has no leads"):
        read(IN_LEDGER)


def test_ledger_alone_needs_an_address(read: Read) -> None:
    with pytest.raises(ConfigError, match="set LEADSCORE_LEDGER_URL"):
        read(LEDGER_ALONE + WON_AND_LOST)


def test_address_of_the_ledger_may_be_in_the_environment(
    read: Read, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADSCORE_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    send_lead(ledger, "L1", 0, DAY, Size=1)
    assert len(read(LEDGER_ALONE + WON_AND_LOST).leads) == 1


def test_password_in_the_address_is_not_shown(tmp_path: Path) -> None:
    address = "postgresql://a:secret@h/d"
    (tmp_path / "leadscore.toml").write_text(IN_LEDGER.replace("sqlite:///ledger.db", address))
    project = load_project(tmp_path)
    assert project.ledger_url == address
    assert "ledger_url" not in repr(project)


# -- a whole CRM in a ledger


@pytest.fixture(scope="module")
def filled(simulated_crm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store the simulated CRM in a ledger; return the folder of a project of the ledger alone."""
    tables = {
        name: pd.read_csv(simulated_crm / f"{name}.csv", dtype=object).to_dict("records")
        for name in ("leads", "activities", "stages", "outcomes")
    }
    folder = tmp_path_factory.mktemp("filled")
    with Ledger("sqlite:///ledger.db", folder) as ledger:
        ledger.add_batch(Batch(leads=[sent_lead(row) for row in tables.pop("leads")]), 0)
        for kind, rows in tables.items():
            ledger.add(kind, [event_row(row) for row in rows], 0)
    text = (simulated_crm / "leadscore.toml").read_text()
    sections_of_files = re.compile(r"(?ms)^\[(activities|stages|outcomes)\]\n.*?\n\n")
    text = sections_of_files.sub("", text).replace('source = "leads.csv"', 'source = "ledger"')
    (folder / "leadscore.toml").write_text(text + LEDGER)
    return folder


def cells_of(row: Mapping[Hashable, Any]) -> Row:
    """Return the cells of a row that are not missing."""
    return {str(name): cell for name, cell in row.items() if isinstance(cell, str)}


def sent_lead(row: Mapping[Hashable, Any]) -> tuple[SentLead, int]:
    """Turn a row of the leads into what a caller sends at the lead's creation."""
    attributes = cells_of(row)
    created_at = cell_time(attributes.pop("created_at"))
    assert created_at is not None
    return SentLead(attributes.pop("lead_id"), created_at, attributes), created_at


def event_row(row: Mapping[Hashable, Any]) -> Row:
    """Turn a row of a file into an event as the ledger stores it."""
    event = cells_of(row)
    for name, cell in event.items():
        if name.endswith("_at"):
            event[name] = cell_time(cell)
        elif name in ("value", "amount"):
            event[name] = float(cell)
    return event


def test_leads_of_the_ledger_equal_those_of_the_files(filled: Path, simulated_crm: Path) -> None:
    from_ledger = read_records(load_project(filled)).leads
    from_files = read_records(load_project(simulated_crm)).leads
    assert from_ledger["lead_id"].tolist() == from_files["lead_id"].tolist()
    for name in from_files.columns:
        assert texts(from_ledger[name]) == texts(from_files[name]), name


@pytest.mark.parametrize("table", ["activities", "stages", "outcomes"])
def test_events_of_the_ledger_equal_those_of_the_files(
    filled: Path, simulated_crm: Path, table: str
) -> None:
    from_ledger = getattr(read_records(load_project(filled)), table)
    from_files = getattr(read_records(load_project(simulated_crm)), table)
    columns = list(from_files.columns)
    pd.testing.assert_frame_equal(
        from_ledger[columns].sort_values(columns, ignore_index=True),
        from_files.sort_values(columns, ignore_index=True),
        check_dtype=False,
    )


def test_observed_time_of_the_ledger_equals_that_of_the_files(
    filled: Path, simulated_crm: Path
) -> None:
    from_ledger = read_records(load_project(filled))
    from_files = read_records(load_project(simulated_crm))
    assert from_ledger.observed_until == from_files.observed_until


def test_model_is_trained_from_the_ledger_alone(filled: Path, trained: Any) -> None:
    project = load_project(filled)
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    from_ledger = train(project, read_records(project), now=now).scorer
    from_files = trained.scorer
    auc_of_files = from_files.card.test["roc_auc"]
    assert from_ledger.card.test["roc_auc"] == pytest.approx(auc_of_files, abs=0.03)
    assert set(from_ledger.pipeline.names) == set(from_files.pipeline.names)


def test_records_in_the_files_and_in_the_ledger_count_once(
    filled: Path, simulated_crm: Path, tmp_path: Path
) -> None:
    for path in [filled / "ledger.db", *simulated_crm.glob("*.csv")]:
        shutil.copy(path, tmp_path)
    text = (simulated_crm / "leadscore.toml").read_text()
    (tmp_path / "leadscore.toml").write_text(text + LEDGER)
    from_both = read_records(load_project(tmp_path))
    from_files = read_records(load_project(simulated_crm))
    assert from_both.digests == from_files.digests
