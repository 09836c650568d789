"""Scoring a file: every row in its order; the target is complete or unchanged."""

import datetime
import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from commands.terminal.batch import batch_lines
from crm.errors import SchemaError, SourceError
from crm.project import TableKeys
from features.attributes.number import NumberAttribute
from features.history import EventLogs
from features.times import cell_time
from models import batch
from models.batch import has_ended, score_file
from models.scorer import LeadScorer
from tests.made_workbooks import Money, workbook

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
COLUMNS = ["lead_id", "probability", "score", "grade"]


@pytest.fixture(scope="module")
def scorer(trained: Any) -> LeadScorer:
    return trained.scorer


@pytest.fixture(scope="module")
def leads(simulated_crm: Path) -> pd.DataFrame:
    shuffled = pd.read_csv(simulated_crm / "leads.csv", dtype="str").sample(800, random_state=2)
    return shuffled.reset_index(drop=True)


@pytest.fixture
def source(leads: pd.DataFrame, tmp_path: Path) -> TableKeys:
    (tmp_path / "in").mkdir()
    leads.to_csv(tmp_path / "in" / "leads.csv", index=False)
    return TableKeys(source=str(tmp_path / "in" / "leads.csv"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def read_scores(path: Path) -> pd.DataFrame:
    read_table = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
    return read_table(path).astype({"lead_id": "str", "grade": "str"})


@pytest.mark.parametrize("source_suffix", ["csv", "parquet"])
@pytest.mark.parametrize("target_suffix", ["csv", "parquet"])
def test_scored_file_keeps_the_order_of_leads(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path, source_suffix: str, target_suffix: str
) -> None:
    source = out.parent / f"leads.{source_suffix}"
    leads.to_csv(source, index=False) if source_suffix == "csv" else leads.to_parquet(source)
    target = out / f"scores.{target_suffix}"
    summary = score_file(scorer, TableKeys(source=str(source)), target)
    assert (summary.rows, summary.absent, summary.unknown) == (len(leads), [], [])
    scores = read_scores(target)
    assert list(scores.columns) == COLUMNS
    pd.testing.assert_frame_equal(
        scores, scorer.score_table(leads), check_exact=True, check_dtype=False
    )
    assert [path.name for path in out.iterdir()] == [target.name]
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_chunk_size_does_not_change_scores(
    scorer: LeadScorer, source: TableKeys, out: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    contents: set[str] = set()
    for rows in (1_000_000, 800, 799, 7):
        monkeypatch.setattr(batch, "CHUNK_ROWS", rows)
        target = out / f"{rows}.{suffix}"
        assert score_file(scorer, source, target).rows == 800
        contents.add(read_scores(target).to_csv())
    assert len(contents) == 1


def test_progress_is_reported_after_each_chunk(
    scorer: LeadScorer, source: TableKeys, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "CHUNK_ROWS", 70)
    progress: list[int] = []
    score_file(scorer, source, out / "scores.csv", on_rows=progress.append)
    assert progress == [*range(70, 800, 70), 800]


def test_ids_do_not_depend_on_chunks(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second half has no ids. Its rows are not numbered, because the first half has ids.
    leads = leads.assign(lead_id=leads["lead_id"].where(leads.index < 400))
    leads.to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    for rows in (1_000, 400):
        monkeypatch.setattr(batch, "CHUNK_ROWS", rows)
        score_file(scorer, source, out / f"{rows}.csv")
    assert (out / "400.csv").read_bytes() == (out / "1000.csv").read_bytes()
    assert pd.read_csv(out / "400.csv")["lead_id"].notna().sum() == 400


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_without_an_id_column_are_numbered(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(batch, "CHUNK_ROWS", 300)
    leads.drop(columns="lead_id").to_csv(out.parent / "leads.csv", index=False)
    target = out / f"scores.{suffix}"
    score_file(scorer, TableKeys(source=str(out.parent / "leads.csv")), target)
    assert list(read_scores(target)["lead_id"]) == [str(row) for row in range(1, 801)]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_numeric_ids_stay_whole(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path, suffix: str
) -> None:
    numbers = pd.Series(np.arange(800), dtype="float64").where(lambda n: n != 3)
    leads.assign(lead_id=numbers).to_parquet(out.parent / "leads.parquet")
    target = out / f"scores.{suffix}"
    score_file(scorer, TableKeys(source=str(out.parent / "leads.parquet")), target)
    ids = pd.read_csv(target, dtype="str") if suffix == "csv" else pd.read_parquet(target)
    assert ids["lead_id"].fillna("none").tolist()[:5] == ["0", "1", "2", "none", "4"]


def test_ids_come_from_the_crms_column(scorer: LeadScorer, leads: pd.DataFrame, out: Path) -> None:
    renamed = replace(scorer, roles={**scorer.roles, "lead_id": "Record ID"})
    leads.rename(columns={"lead_id": "Record ID"}).to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    score_file(renamed, source, out / "scores.csv")
    assert list(read_scores(out / "scores.csv")["lead_id"]) == list(leads["lead_id"])


def test_summary_names_absent_and_unknown_columns(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path
) -> None:
    changed = leads.drop(columns=["industry", "employees"]).assign(mood="good")
    changed.to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    summary = score_file(scorer, source, out / "scores.csv")
    assert set(summary.absent) == {"industry", "employees"}
    assert summary.unknown == ["mood"]
    expected = scorer.score_table(leads.assign(industry=None, employees=None))
    assert list(read_scores(out / "scores.csv")["probability"]) == list(expected["probability"])


def test_warnings_are_counted_by_column_whatever_the_chunks(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = leads.copy()
    changed.loc[:9, "employees"] = "1 or 2"
    changed.loc[10:12, "employees"] = "5e7"
    changed.loc[700:, "source"] = "Carrier pigeon"
    changed.loc[5:6, "created_at"] = "soon"
    changed.to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    summaries = []
    for rows in (1_000, 37):
        monkeypatch.setattr(batch, "CHUNK_ROWS", rows)
        summaries.append(score_file(scorer, source, out / "scores.csv", as_of=NOW))
    assert summaries[0] == summaries[1]
    counts = {(row.code, row.column): row.cells for row in summaries[0].warnings}
    assert counts["not_a_number", "employees"] == 10
    assert counts["outside_training", "employees"] == 3
    assert counts["unseen_value", "source"] == 100
    assert summaries[0].leads_with("unreadable_time", "created_at") == 2
    assert summaries[0].leads_with("older_than_learned", "created_at") > 0
    (pigeon,) = [row for row in summaries[0].warnings if row.column == "source"]
    assert pigeon.examples == ["Carrier pigeon"]


def test_column_that_became_empty_is_a_change_whatever_the_chunks(
    scorer: LeadScorer,
    leads: pd.DataFrame,
    source: TableKeys,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert score_file(scorer, source, out / "a.csv", as_of=NOW).changes == []
    changed = leads.assign(budget_eur="", source="Fair").drop(columns="employees")
    changed.to_csv(source.source, index=False)
    summary = score_file(scorer, source, out / "b.csv", as_of=NOW)
    monkeypatch.setattr(batch, "CHUNK_ROWS", 97)
    assert score_file(scorer, source, out / "c.csv", as_of=NOW) == summary
    changes = {(change.column, change.state) for change in summary.changes}
    assert changes == {("budget_eur", "missing"), ("source", "unseen")}  # employees are absent
    uses = {use.column: use for use in summary.attributes}
    assert list(uses) == scorer.pipeline.columns
    assert uses["employees"].missing == uses["budget_eur"].missing == len(leads)
    assert uses["source"].unseen == len(leads)
    lines = batch_lines(summary, None, NOW)
    empty = "`budget_eur` is empty or unreadable in 100 % of these 800 leads, and in "
    assert sum(line.startswith(empty) for line in lines) == 1


def test_cells_of_erased_leads_are_not_counted(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path
) -> None:
    leads.head(3).assign(employees="many").to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    summary = score_file(scorer, source, out / "scores.csv", erased=lambda ids: ids[:2])
    assert (summary.rows, summary.erased) == (1, 2)
    (warning,) = summary.warnings
    assert (warning.column, warning.cells) == ("employees", 1)
    assert list(read_scores(out / "scores.csv")["lead_id"]) == [leads["lead_id"][2]]


def test_columns_under_almost_the_same_name_are_read(
    scorer: LeadScorer, leads: pd.DataFrame, source: TableKeys, out: Path
) -> None:
    score_file(scorer, source, out / "scores.csv", as_of=NOW)
    names = {"lead_id": "Lead ID", "created_at": "Created-At", "employees": "EMPLOYEES "}
    leads.rename(columns=names).to_csv(out.parent / "renamed.csv", index=False)
    renamed = TableKeys(source=str(out.parent / "renamed.csv"))
    summary = score_file(scorer, renamed, out / "renamed.csv", as_of=NOW)
    assert (summary.absent, summary.unknown) == ([], [])
    assert summary.renamed == {name.strip(): column for column, name in names.items()}
    assert (out / "renamed.csv").read_bytes() == (out / "scores.csv").read_bytes()


def test_each_lead_is_scored_as_of_its_creation(
    scorer: LeadScorer, leads: pd.DataFrame, source: TableKeys, out: Path
) -> None:
    summary = score_file(scorer, source, out / "scores.csv", as_of="created")
    assert summary.leads_with("older_than_learned", "created_at") == 0
    probability = read_scores(out / "scores.csv")["probability"]
    for row in (0, 400, 799):
        lead = leads.iloc[[row]]
        created = datetime.datetime.fromisoformat(lead["created_at"].item())
        alone = scorer.score_table(lead, as_of=created)
        assert probability[row] == alone["probability"].item()


def test_lead_without_a_creation_time_has_no_moment(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path
) -> None:
    some = leads.head(3).assign(created_at=["", "soon", "2025-03-01T00:00Z"])
    some.to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    summary = score_file(scorer, source, out / "scores.csv", as_of="created")
    assert summary.undated == 2
    assert summary.leads_with("unreadable_time", "created_at") == 1


def test_rows_without_an_id_and_with_the_id_of_another_are_counted(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "CHUNK_ROWS", 2)
    some = leads.head(6).assign(lead_id=["1", "7", "1.0", "", "1", "8"])
    some.to_csv(out.parent / "leads.csv", index=False)
    summary = score_file(
        scorer, TableKeys(source=str(out.parent / "leads.csv")), out / "scores.csv"
    )
    assert (summary.rows, summary.without_id, summary.repeated_ids) == (6, 1, 2)
    lines = batch_lines(summary, "created_at", NOW)
    assert "1 lead without an id: `lead_id` is empty there." in lines
    assert "2 rows with the id of an earlier row: each row has a score of its own." in lines


def test_percentages_of_a_workbook_are_read_as_learned(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path
) -> None:
    """A model that has learned 28.5% and one that has learned 0.285 score the same workbook."""
    rates = [(i % 100) / 100 for i in range(len(leads))]
    rows = zip(leads["lead_id"], leads["created_at"], rates, strict=True)
    sheet = [["lead_id", "created_at", "employees"], *([a, b, Money(c, "%")] for a, b, c in rows)]
    (out.parent / "leads.xlsx").write_bytes(workbook({"A": sheet}))
    for notation, factor in (("20%", 100), ("1,234.56", 1)):
        attributes = tuple(
            replace(attribute, notation=notation)
            if isinstance(attribute, NumberAttribute) and attribute.column == "employees"
            else attribute
            for attribute in scorer.pipeline.attributes
        )
        learned = replace(scorer, pipeline=replace(scorer.pipeline, attributes=attributes))
        target = out / f"scores{factor}.csv"
        summary = score_file(learned, TableKeys(source=str(out.parent / "leads.xlsx")), target)
        typed = leads[["lead_id", "created_at"]].assign(employees=[factor * rate for rate in rates])
        expected = learned.score_table(typed)["probability"]
        assert list(read_scores(target)["probability"]) == list(expected)
        assert summary.notes == []


def test_missing_creation_times_are_named_with_their_effect(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path
) -> None:
    renamed = leads.rename(columns={"created_at": "Erstellt am"}).assign(Remark="none")
    renamed.to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    summary = score_file(scorer, source, out / "scores.csv", as_of=NOW)
    assert summary.absent == ["created_at"]
    assert summary.unknown == ["Erstellt am", "Remark"]
    assert summary.notes == [
        "The file has no column `created_at` with the creation times of the leads. The age of each "
        "lead, and everything else that depends on its creation, counts as missing, so scores "
        'differ. The file has times in "Erstellt am". Rename the column with the creation times '
        "to `created_at`."
    ]


def test_missing_column_of_ids_is_named_with_its_effect(
    scorer: LeadScorer, leads: pd.DataFrame, source: TableKeys, out: Path
) -> None:
    leads.drop(columns="lead_id").to_csv(out.parent / "leads.csv", index=False)
    without = TableKeys(source=str(out.parent / "leads.csv"))
    summary = score_file(scorer, without, out / "scores.csv", as_of=NOW)
    assert summary.is_numbered
    (note,) = summary.notes
    assert "`lead_id` with the ids of the leads, so the leads are numbered 1, 2, 3 …" in note
    assert "leads that were erased are not left out" in note
    summary = score_file(scorer, source, out / "scores.csv", as_of=NOW)
    assert (summary.is_numbered, summary.notes) == (False, [])


def test_file_whose_ids_match_no_events_is_named(
    scorer: LeadScorer, leads: pd.DataFrame, source: TableKeys, out: Path
) -> None:
    ids = leads["lead_id"].head(12)
    activities = pd.DataFrame({"lead_id": ids, "type": "Call"})
    activities["occurred_at"] = pd.Timestamp("2025-01-01", tz="UTC")
    summary = score_file(scorer, source, out / "scores.csv", events=logged(scorer, activities))
    assert summary.with_events == 12
    activities["lead_id"] = [f"Z{i}" for i in range(12)]
    summary = score_file(scorer, source, out / "scores.csv", events=logged(scorer, activities))
    assert summary.with_events == 0
    line = next(line for line in batch_lines(summary, None, NOW) if "No lead of the file" in line)
    assert line.endswith(f"have ids such as 'Z0', the file has {leads['lead_id'][0]!r}.")


def logged(scorer: LeadScorer, activities: pd.DataFrame) -> EventLogs:
    return scorer.pipeline.event_logs([("activities", activities)])


def with_activities(ids: list[str]) -> pd.DataFrame:
    occurred_at = pd.Timestamp("2025-01-01", tz="UTC")
    return pd.DataFrame({"lead_id": ids, "type": "Call", "occurred_at": occurred_at})


@pytest.mark.parametrize(
    ("of_file", "of_events"),
    [("29648", "0029648"), ("1,007", "1007"), ("'0107", "0107"), ("1,007", "0001007")],
)
def test_ids_that_a_spreadsheet_has_changed_are_counted(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path, of_file: str, of_events: str
) -> None:
    leads.head(4).assign(lead_id=["A1", of_file, of_file, "B2"]).to_csv(out / "l.csv", index=False)
    events = with_activities(["A1", of_events, "C3"])
    source = TableKeys(source=str(out / "l.csv"))
    (note,) = score_file(scorer, source, out / "s.csv", events=logged(scorer, events)).notes
    assert note.startswith("1 lead of the file may have activities or stages that are not found")
    assert f"the file has {of_file!r}, the project's tables have {of_events!r}" in note


@pytest.mark.parametrize(
    ("of_file", "of_events"),
    [
        (["7", "007"], ["007"]),  # both are leads of the file
        (["A7", "A8"], ["A07"]),
        (["7.0", "8"], ["7"]),
        (["9", ""], ["0"]),
    ],
)
def test_ids_of_other_leads_are_not_counted(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path, of_file: list[str], of_events: list[str]
) -> None:
    leads.head(2).assign(lead_id=of_file).to_csv(out / "l.csv", index=False)
    source = TableKeys(source=str(out / "l.csv"))
    events = with_activities(of_events)
    assert score_file(scorer, source, out / "s.csv", events=logged(scorer, events)).notes == []


def test_leads_without_a_creation_time_are_counted(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path
) -> None:
    times = ["2025-03-01T08:00:00Z", "", " ", "soon"]
    leads.head(4).assign(created_at=times).to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    summary = score_file(scorer, source, out / "scores.csv", as_of=NOW)
    assert summary.without_created_at == 2
    line = "2 leads without a creation time: their age, and what depends on it, count as missing."
    assert line in batch_lines(summary, "created_at", NOW)
    assert line not in batch_lines(summary, "created_at", "created")


def test_file_without_creation_times_is_not_scored_as_of_creation(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path
) -> None:
    leads.drop(columns="created_at").to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    with pytest.raises(SchemaError, match="has no column `created_at`.* Use --as-of with a time"):
        score_file(scorer, source, out / "scores.csv", as_of="created")
    assert list(out.iterdir()) == []


ENDED = [  # outcome, closed_at, has ended at NOW
    ("Won", "2025-12-01", True),
    (" won ", "", True),
    ("Lost", "soon", True),
    ("Lost", "2026-02-01", False),  # it was open at the moment
    ("Open", "2025-12-01", False),  # an expected time of closing
    ("", "2025-12-01", True),
    ("Escalated", "2025-12-01", True),
    ("Escalated", "", False),
    ("", "", False),
]


def test_ended_leads_are_those_won_lost_or_closed_at_the_moment(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path
) -> None:
    question = {**scorer.card.question, "won": ["Won"], "lost": ["Lost"], "open": ["Open"]}
    with_outcomes = replace(
        scorer,
        roles={**scorer.roles, "outcome": "Status", "closed_at": "Closed"},
        card=replace(scorer.card, question=question),
    )
    statuses, closings, expected = zip(*ENDED, strict=True)
    table = leads.head(len(ENDED)).assign(Status=statuses, Closed=closings)
    moments = np.full(len(ENDED), cell_time(NOW))
    assert has_ended(with_outcomes, table, moments).tolist() == list(expected)
    assert not has_ended(scorer, table, moments).any()
    table.to_csv(out.parent / "leads.csv", index=False)
    source = TableKeys(source=str(out.parent / "leads.csv"))
    assert score_file(with_outcomes, source, out / "s.csv", as_of=NOW).ended == sum(expected)


def test_ids_with_special_characters_survive(
    scorer: LeadScorer, leads: pd.DataFrame, out: Path
) -> None:
    ids = ['a,"b"', "two words", "Zoë", "=1+1"]
    leads.iloc[:4].assign(lead_id=ids).to_parquet(out.parent / "leads.parquet")
    source = TableKeys(source=str(out.parent / "leads.parquet"))
    score_file(scorer, source, out / "scores.csv")
    assert list(read_scores(out / "scores.csv")["lead_id"]) == ids


@pytest.mark.parametrize("suffix", [".CSV", ".Parquet"])
def test_suffix_ignores_case(scorer: LeadScorer, source: TableKeys, out: Path, suffix: str) -> None:
    score_file(scorer, source, out / f"scores{suffix}")
    assert (out / f"scores{suffix}").read_bytes().startswith((b"lead_id,", b"PAR1"))


@pytest.mark.parametrize("name", ["scores.xlsx", "scores", "scores.csv.gz"])
def test_unknown_suffix_is_refused(
    scorer: LeadScorer, source: TableKeys, out: Path, name: str
) -> None:
    with pytest.raises(SourceError, match=f"{name} is not a valid name .* in .csv or .parquet"):
        score_file(scorer, source, out / name)
    assert list(out.iterdir()) == []


def test_missing_target_folder_is_refused(scorer: LeadScorer, source: TableKeys, out: Path) -> None:
    with pytest.raises(SourceError, match="cannot be written: No such file or directory"):
        score_file(scorer, source, out / "nowhere" / "scores.csv")


def test_folder_as_target_is_refused(scorer: LeadScorer, source: TableKeys, out: Path) -> None:
    (out / "scores.csv").mkdir()
    with pytest.raises(SourceError, match="cannot be written: .*(Is a directory|directory)"):
        score_file(scorer, source, out / "scores.csv")
    assert [path.name for path in out.iterdir()] == ["scores.csv"]


def test_leads_are_never_overwritten_by_scores(scorer: LeadScorer, source: TableKeys) -> None:
    path = Path(source.source)
    before = path.read_bytes()
    with pytest.raises(SourceError, match="contains the leads to score. Name another file"):
        score_file(scorer, source, path.parent / ".." / "in" / path.name)
    assert path.read_bytes() == before


def _empty(leads: pd.DataFrame, path: Path) -> None:
    leads.iloc[:0].to_csv(path, index=False)


def _without_known_columns(leads: pd.DataFrame, path: Path) -> None:
    path.write_text("sku,price\n1,2\n3,4\n")


def _broken_in_the_second_chunk(leads: pd.DataFrame, path: Path) -> None:
    text = leads.to_csv(index=False)
    path.write_text(text + ",".join(["one too many"] * (len(leads.columns) + 1)) + "\n")


def _cut_archive(leads: pd.DataFrame, path: Path) -> None:
    path.write_bytes(gzip.compress(leads.to_csv(index=False).encode())[:-500])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (_empty, SchemaError, "it has no rows, so there is nothing to score"),
        (_without_known_columns, SchemaError, r"uses none of its columns \(sku, price, …\)"),
        (_broken_in_the_second_chunk, (SchemaError, SourceError), "in.csv"),
        (_cut_archive, SourceError, "in.csv"),
        (lambda leads, path: None, SourceError, "in.csv"),
    ],
    ids=["empty", "no known column", "broken late", "cut archive", "absent"],
)
def test_invalid_source_keeps_the_target(
    scorer: LeadScorer,
    leads: pd.DataFrame,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Any,
    error: Any,
    match: str,
    suffix: str,
) -> None:
    monkeypatch.setattr(batch, "CHUNK_ROWS", 100)
    source = out.parent / "in.csv"
    make(leads, source)
    target = out / f"scores.{suffix}"
    with pytest.raises(error, match=match):
        score_file(scorer, TableKeys(source=str(source)), target)
    assert list(out.iterdir()) == []
    target.write_text("yesterday's")
    with pytest.raises(error, match=match):
        score_file(scorer, TableKeys(source=str(source)), target)
    assert [path.name for path in out.iterdir()] == [target.name]
    assert target.read_text() == "yesterday's"


def test_full_disk_keeps_the_target(
    scorer: LeadScorer, source: TableKeys, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    (out / "scores.csv").write_text("yesterday's")
    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(SourceError, match="scores.csv cannot be written: .*No space left"):
        score_file(scorer, source, out / "scores.csv")
    assert [path.name for path in out.iterdir()] == ["scores.csv"]
    assert (out / "scores.csv").read_text() == "yesterday's"


def test_interrupt_leaves_nothing(scorer: LeadScorer, source: TableKeys, out: Path) -> None:
    def interrupt(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(scorer, source, out / "scores.parquet", on_rows=interrupt)
    assert list(out.iterdir()) == []
