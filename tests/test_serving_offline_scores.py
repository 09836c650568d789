"""A lead scores the same online and offline, from an export of the ledger."""

import datetime
from pathlib import Path

import pandas as pd
import pytest

from crm.ledger.export import export_table
from crm.ledger.ledger import Batch, Ledger, SentLead
from crm.project import TableKeys, load_project
from crm.reading import read_events
from features.times import cell_time
from models.batch import score_file
from serving.calls import Calls
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_calls import LEAD, Ask, score_of, written


def test_export_scores_the_same_offline(
    ask: Ask, calls: Calls, ledger: Ledger, model: ServedModel, simulated_crm: Path, tmp_path: Path
) -> None:
    leads = pd.read_csv(simulated_crm / "leads.csv", dtype=object, keep_default_na=False).head(40)
    rows = leads.drop(columns=["lead_id", "created_at"]).to_dict("records")
    sent = [
        {"lead_id": lead_id, "created_at": created, "attributes": row}
        for lead_id, created, row in zip(leads["lead_id"], leads["created_at"], rows, strict=True)
    ]
    for name, fields in (("activities", 7), ("stages", 3)):
        table = pd.read_csv(simulated_crm / f"{name}.csv", dtype=object)
        table = table[table["lead_id"].isin(leads["lead_id"])]
        items = [
            {k: float(v) if k == "value" else v for k, v in row.items() if isinstance(v, str)}
            for row in table.to_dict("records")
        ]
        assert len(table.columns) == fields
        answer = ask(f"/{name}", {name: items})
        assert answer["accepted"] == len(items) > 40
    moment = "2025-12-31T00:00:00+00:00"
    online = ask("/score", {"leads": sent, "as_of": moment})["scores"]
    assert sum(one["used"]["activities"] for one in online) > 40
    written(calls)

    for name in ("leads", "activities", "stages"):
        export_table(ledger, name, tmp_path / f"{name}.csv")
    text = (simulated_crm / "leadscore.toml").read_text()
    (tmp_path / "leadscore.toml").write_text(text)
    project = load_project(tmp_path)
    score_file(
        model.scorer,
        project.leads.__class__(source=str(tmp_path / "leads.csv")),
        tmp_path / "scored.csv",
        as_of=datetime.datetime.fromisoformat(moment),
        **read_events(project, []),
    )
    offline = pd.read_csv(tmp_path / "scored.csv").set_index("lead_id")["probability"].to_dict()
    assert {one["lead_id"]: one["probability"] for one in online} == offline


ODD_CELLS = [
    True,
    False,
    "true",
    "FALSE",
    1,
    0,
    3,
    3.5,
    -0.0,
    5e-324,
    1e22,
    1e308,
    2**53 + 1,
    10**30,
    10**400,
    "12",
    " 12.50 ",
    "1e3",
    "1.200,50",
    None,
    "",
    "  ",
    "NA",
    "null",
    "None",
    "nan",
    "inf",
    "Select",
    "unknown",
    20250301,
    "2025-03-01  08:00",
    "DE",
    " de ",
    "Paid  search",
    "Müller",
    "M\u0075\u0308ller",
    "\N{GRINNING FACE}",
    "\N{NO-BREAK SPACE}DE",
    "=1+1",
    'a"b,c;d',
    "first\nsecond\r\nthird",
    "\ufeffDE",
    "007",
    "x" * 5_000,
]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_odd_cells_of_an_export_score_the_same_offline(
    ask: Ask, calls: Calls, ledger: Ledger, model: ServedModel, tmp_path: Path, file_format: str
) -> None:
    calls.settings = Settings()
    columns = model.scorer.pipeline.columns
    kinds = {type(column).kind for column in model.scorer.pipeline.attributes}
    assert {"number", "category", "flag"} <= kinds
    sent = [
        {"lead_id": f"{column} {i}", "attributes": {"country": "DE", column: cell}}
        for column in columns
        for i, cell in enumerate(ODD_CELLS)
    ]
    moment = "2026-01-09T00:00:00+00:00"
    online: dict[str, float] = {}
    for at in range(0, len(sent), 500):
        answer = ask("/score", {"leads": sent[at : at + 500], "as_of": moment})
        online |= {one["lead_id"]: one["probability"] for one in answer["scores"]}
    assert len(set(online.values())) > 3 * len(columns)
    written(calls)
    file = tmp_path / f"leads.{file_format}"
    assert export_table(ledger, "leads", file) == len(sent) == len(online)
    score_file(
        model.scorer,
        TableKeys(source=str(file)),
        tmp_path / "scored.parquet",
        as_of=datetime.datetime.fromisoformat(moment),
    )
    offline = pd.read_parquet(tmp_path / "scored.parquet").set_index("lead_id")["probability"]
    differing = {name for name in online if offline[name] != online[name]}
    assert differing == set()


ODD_NAMES = {"employees ": 120, "two\nlines": 1, "\ufeffcomma,": "x", 'quote"': 2, "x" * 1_000: 3}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_attribute_names_with_white_space_are_equal_offline(
    ask: Ask, calls: Calls, ledger: Ledger, model: ServedModel, tmp_path: Path, file_format: str
) -> None:
    calls.settings = Settings()
    spoilt = [{" employees": 1, "employees": 2}, {" \n": 1}, {"x" * 1_001: 1}]
    leads = [
        LEAD | {"lead_id": f"L{i}", "attributes": LEAD["attributes"] | {"employees": 9} | odd}
        for i, odd in enumerate(spoilt)
    ]
    bare = {k: v for k, v in LEAD["attributes"].items() if k != "employees"}
    leads += [LEAD, LEAD | {"lead_id": "L9", "attributes": bare | ODD_NAMES}]
    *errors, plain, odd = ask("/score", {"leads": leads})["scores"]
    said = ["is sent twice", "is blank", "has 1,001 characters"]
    for one, words in zip(errors, said, strict=True):
        assert words in one["error"]["message"]
    assert {one["error"]["field"].partition(".")[2] for one in errors} == {"attributes"}
    assert odd["probability"] == plain["probability"]
    flat = {"lead_id": "L9", "created_at": LEAD["created_at"]}
    assert ask("/score_lead", flat | bare | {" employees ": 120})["score"] == plain["score"]
    written(calls)
    stored = {" country": "FR", "employees ": 5, "employees": 120, "": 1, "y" * 1_001: 2} | bare
    old = SentLead("old", cell_time(LEAD["created_at"]), stored)  # as it was before names were read
    ledger.add_batch(Batch(leads=[(old, 0)]), 0)
    online = score_of(ask("/score", {"leads": [{"lead_id": "old"}], "as_of": "2026-01-10"}))
    file = tmp_path / f"leads.{file_format}"
    assert export_table(ledger, "leads", file) == 3
    score_file(
        model.scorer,
        TableKeys(source=str(file)),
        tmp_path / "scored.parquet",
        as_of=datetime.datetime(2026, 1, 10, tzinfo=datetime.UTC),
    )
    offline = pd.read_parquet(tmp_path / "scored.parquet").set_index("lead_id")["probability"]
    assert offline["old"] == online["probability"]
    now = ask("/score", {"leads": leads[-1:], "as_of": "2026-01-10"})
    assert offline["L9"] == score_of(now)["probability"]
