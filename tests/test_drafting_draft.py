"""The drafted project file: each inference, hostile names, and data sets whose leaks are known."""

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from crm.errors import ConfigError, SchemaError, SourceError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from drafting import draft as drafting
from drafting.draft import draft_project

N = 400
PUBLIC = os.environ.get("LEADSCORE_PUBLIC_DATA")
needs_public_data = pytest.mark.skipif(
    PUBLIC is None, reason="LEADSCORE_PUBLIC_DATA does not name the folder of the public sets"
)


def write(folder: Path, name: str, columns: Mapping[str, Any], **options: Any) -> str:
    path = folder / name
    pd.DataFrame(columns).to_csv(path, index=False, **options)
    return str(path)


def flat(**columns: Any) -> dict[str, Any]:
    """Return 400 leads without times, every fourth won, with some columns of a test."""
    number = np.arange(N)
    return {"lead_id": [f"L{i}" for i in number], "converted": number % 4 == 0} | columns


def choose(condition: Any, value: Any, otherwise: Any) -> Any:
    return np.where(condition, value, otherwise)


def yes_or_no() -> Any:
    """Return a column of 400 cells that does not depend on who is won."""
    return choose(np.arange(N) % 3 == 0, "yes", "no")


def drafted(
    folder: Path, sources: str | Sequence[str], name: str = "acme"
) -> tuple[Project, Records, str]:
    """Draft a project, load it and read its records; also return the text of the draft."""
    text = draft_project([sources] if isinstance(sources, str) else sources, folder, name)
    (folder / "leadscore.toml").write_text(text, encoding="utf-8")
    project = load_project(folder)
    return project, read_records(project), text


def draft_of(
    folder: Path, columns: Mapping[str, Any], **options: Any
) -> tuple[Project, Records, str]:
    return drafted(folder, write(folder, "leads.csv", columns, **options))


def unwrapped(text: str) -> str:
    """Join the lines of wrapped comments."""
    return text.replace("\n# ", " ")


def days(count: int, start: str = "2024-01-01", form: str = "%Y-%m-%dT%H:%M:%SZ") -> Any:
    return pd.date_range(start, periods=count, freq="D").strftime(form)


def crm_tables(folder: Path, rename: Callable[[str], str] = str) -> dict[str, str]:
    """Write four small tables with common column names, as a CRM exports them."""
    ids = [f"c{i}" for i in range(40)]
    twice = [i for i in ids for _ in range(2)]
    leads = {"Contact ID": ids, "Create Date": days(40), "Country": ["DE", "US"] * 20}
    activities = {
        "Event ID": [f"e{i}" for i in range(80)],
        "Contact ID": twice,
        "Event Type": ["call", "mail"] * 40,
        "Timestamp": days(80),
        "Page URL": ["/pricing", "/demo"] * 40,
        "Duration": [3, 4.5] * 40,
    }
    stages = {"Contact ID": twice, "Stage": ["new", "qualified"] * 40, "Entered": days(80)}
    outcomes = {
        "Contact ID": ids[:30],
        "Result": ["Closed Won", "Closed Lost", "In progress"] * 10,
        "Close Date": days(30, "2024-03-01"),
        "Deal Value": [1000, None, None] * 10,
        "Loss Reason": [None, "price", None] * 10,
    }
    tables = {"leads": leads, "activities": activities, "stages": stages, "outcomes": outcomes}
    return {kind: write(folder, f"{rename(kind)}.csv", table) for kind, table in tables.items()}


# --- which file is which table


def test_tables_and_roles_do_not_depend_on_file_names(tmp_path: Path) -> None:
    names = {"leads": "a", "activities": "b", "stages": "c", "outcomes": "d"}
    files = crm_tables(tmp_path, lambda kind: names[kind])
    project, records, _ = drafted(tmp_path, [files[k] for k in ("outcomes", "stages", "leads")])
    assert project.activities is None
    project, records, _ = drafted(tmp_path, list(files.values())[::-1])
    assert (project.leads.source, project.leads.column_of("lead_id")) == ("a.csv", "Contact ID")
    assert project.leads.column_of("created_at") == "Create Date"
    activities, stages, outcomes = project.activities, project.stages, project.outcomes
    assert activities is not None
    assert (activities.source, activities.column_of("type")) == ("b.csv", "Event Type")
    assert (activities.column_of("occurred_at"), activities.column_of("activity_id")) == (
        "Timestamp",
        "Event ID",
    )
    assert (activities.column_of("content"), activities.column_of("value")) == (
        "Page URL",
        "Duration",
    )
    assert stages is not None
    assert (stages.column_of("stage"), stages.column_of("entered_at")) == ("Stage", "Entered")
    assert outcomes is not None
    assert (outcomes.column_of("outcome"), outcomes.column_of("closed_at")) == (
        "Result",
        "Close Date",
    )
    assert (outcomes.column_of("amount"), outcomes.column_of("reason")) == (
        "Deal Value",
        "Loss Reason",
    )
    assert (project.learn.won, project.learn.lost) == (["Closed Won"], ["Closed Lost"])
    assert project.learn.open == ["In progress"]
    assert (project.learn.horizon_days, project.learn.moments_days) == (90, [0, 7, 30])
    assert records.activities is not None
    assert records.stages is not None
    assert len(records.activities) == len(records.stages) == 80
    assert records.outcomes["outcome"].tolist() == ["won", "lost"] * 10


def test_one_file_may_contain_leads_and_outcomes(tmp_path: Path) -> None:
    leads = flat(
        created_on=days(N),
        deal_amount=[10.0 if i % 4 == 0 else None for i in range(N)],
        close_date=[day if i % 2 == 0 else None for i, day in enumerate(days(N, "2024-02-01"))],
    )
    project, records, text = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == "converted"
    assert (project.leads.column_of("created_at"), project.leads.column_of("closed_at")) == (
        "created_on",
        "close_date",
    )
    assert project.leads.column_of("amount") == "deal_amount"
    assert project.learn.horizon_days == 60  # every win came within 31 days
    assert "100% of the wins seen came within 60 days" in text
    assert project.learn.moments_days == [0]
    assert records.has_times


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    leads = pd.DataFrame(flat(created_at=pd.date_range("2024-01-01", periods=N, tz="UTC")))
    leads.to_parquet(tmp_path / "leads.parquet")
    project, records, text = drafted(tmp_path, str(tmp_path / "leads.parquet"))
    assert (project.learn.won, project.learn.lost) == (["true"], ["false"])
    assert records.has_times
    assert "timezone" not in text


def test_gzip_utf_16_semicolons_and_decimal_commas_are_read(tmp_path: Path) -> None:
    leads = flat(
        größe=[f"{i},5" for i in range(N)], stadt=["Köln"] * N, wann=days(N, form="%d.%m.%Y")
    )
    file = write(tmp_path, "leads.csv.gz", leads, sep=";", encoding="utf-16")
    project, records, _ = drafted(tmp_path, file)
    assert project.leads.decimal == ","
    assert records.leads["größe"].iloc[3] == "3.5"


def test_two_tables_that_look_alike_are_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(tmp_path, name, {"id": ["1", "2"], "city": ["x", "y"]})
    with pytest.raises(
        ConfigError,
        match=r"(?s)not clear which file.*a\.csv \(\"id\", \"city\"\).*"
        "activities=calls.csv",
    ):
        draft_project([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], tmp_path)


def test_a_named_table_overrides_the_guess(tmp_path: Path) -> None:
    ids = [f"c{i}" for i in range(20)]
    leads = write(tmp_path, "x.csv", {"id": ids, "status": ["won", "lost"] * 10})
    once = {"id": ids, "type": ["call"] * 20, "date": days(20)}  # one row per lead: not certain
    calls = write(tmp_path, "y.csv", once)
    with pytest.raises(ConfigError, match="not clear which file"):
        draft_project([leads, calls], tmp_path)
    project, records, _ = drafted(tmp_path, [leads, f"activities={calls}"])
    assert project.activities is not None
    assert (project.activities.source, project.leads.column_of("outcome")) == ("y.csv", "status")
    assert records.activities is not None
    assert len(records.activities) == 20


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([], "none is named"),
        (["outcomes=leads.csv"], "not clear which file"),
        (["leads=leads.csv", "leads=leads.csv"], "not clear which file"),
        (["leads.csv"] * 5, "not clear which file"),
        (
            ["leads=leads.csv", "activities=other.csv"],
            r"cannot be the table of activities: no "
            r"column looks like type, occurred_at\. Seen are: \"lead_id\"",
        ),
    ],
)
def test_sources_without_clear_tables_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "leads.csv", flat())
    write(tmp_path, "other.csv", {"lead_id": ["L1", "L1"], "city": ["x", "y"]})
    with pytest.raises(ConfigError, match=message):
        draft_project(sources, tmp_path)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file"):
        draft_project([str(tmp_path / "leads.csv")], tmp_path)
    (tmp_path / "leads.csv").write_text("id,won\n")
    with pytest.raises(SchemaError, match="a header but no rows"):
        draft_project([str(tmp_path / "leads.csv")], tmp_path)


def test_leads_without_an_outcome_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "leads.csv", {"id": range(9), "city": ["x", "y", "z"] * 3})
    with pytest.raises(
        ConfigError, match=r'shows how leads ended. Columns with few values: "city"'
    ):
        draft_project([file], tmp_path)


def test_only_a_sample_is_read_and_the_draft_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "SAMPLE_ROWS", 100)
    _, records, text = draft_of(tmp_path, flat(late=[""] * 200 + ["unknown"] * 200))
    assert "only the first 100 rows" in unwrapped(text)
    assert "unknown" not in text
    assert len(records.leads) == N


# --- roles


@pytest.mark.parametrize(
    ("values", "won", "lost", "still_open"),
    [
        (["1", "0"], [1], [0], []),
        (["1", "-1"], [1], [-1], []),
        (["Y", "n"], ["Y"], ["n"], []),
        (["approved", "declined", "cancelled"], ["approved"], ["declined", "cancelled"], []),
        (["Closed - Won", "Not interested", "New"], ["Closed - Won"], ["Not interested"], ["New"]),
        (["converted", "Select", "lost"], ["converted"], ["lost"], ["Select"]),
        (["won", "other"], ["won"], ["other"], []),
        (["won", "Won ", "no"], ["won"], ["no"], []),
        (["B", "B", "A"], ["A"], ["B"], []),
    ],
)
def test_outcome_values_are_sorted(
    tmp_path: Path, values: list[str], won: list[Any], lost: list[Any], still_open: list[str]
) -> None:
    outcome = (values * N)[:N]
    project, _, text = draft_of(tmp_path, {"lead_id": range(N), "outcome": outcome})
    assert project.learn.won == won
    assert sorted(project.learn.lost) == sorted(lost)
    assert project.learn.open == still_open
    assert ("was taken" in text) == (values[-1] in ("other", "A"))


@pytest.mark.parametrize("name", ["Converted", "is_won", "y", "target", "deal", "Lead Status"])
def test_outcome_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    leads = {"id": range(8), "opt_in": ["yes", "no"] * 4, name: ["yes", "no"] * 4}
    project, _, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == name


@pytest.mark.parametrize("values", [["open", "lost"], ["1", "2", "3"], ["red", "green", "blue"]])
def test_a_status_without_a_win_is_not_an_outcome(tmp_path: Path, values: list[str]) -> None:
    file = write(tmp_path, "leads.csv", {"id": range(30), "status": values * (30 // len(values))})
    with pytest.raises(ConfigError, match="shows how leads ended"):
        draft_project([file], tmp_path)


@pytest.mark.parametrize(
    ("form", "expected", "doubtful"),
    [
        ("%Y-%m-%d %H:%M:%S", None, False),
        ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M", False),
        ("%m/%d/%Y", "%m/%d/%Y", False),
        ("%d.%m.%Y", "%d.%m.%Y", False),
        ("%d %b %Y %I:%M %p", "%d %b %Y %I:%M %p", False),
        ("%d/%m/%Y", "%d/%m/%Y", True),
    ],
)
def test_times_are_read_in_common_formats(
    tmp_path: Path, form: str, expected: str | None, doubtful: bool
) -> None:
    times = days(N, form=form)[:12] if doubtful else days(N, form=form)
    times = [f"{i:02d}/{i:02d}/2024" for i in range(1, 13)] * 40 if doubtful else times
    project, records, text = draft_of(tmp_path, flat(created=times[:N]))
    assert project.leads.column_of("created_at") == "created"
    assert project.leads.time_format == expected
    assert ('"%m/%d/%Y" fits as well' in text) == doubtful
    assert 'timezone = "UTC" # the times have no time zone' in text
    assert records.leads["created_at"].iloc[0] == pd.Timestamp("2024-01-01", tz="UTC")


def test_a_time_with_gaps_or_known_later_is_not_the_creation(tmp_path: Path) -> None:
    gaps = [None, *days(N - 1)]
    project, _, text = draft_of(tmp_path, flat(created=gaps, last_modified=days(N), dob=days(N)))
    assert project.leads.column_of("created_at") is None
    assert project.columns.known_later == ["last_modified"]
    assert project.columns.sensitive == ["dob"]
    assert '# created_at = "…"' in text
    assert "horizon_days" not in text


@pytest.mark.parametrize(
    ("column", "order"),
    [
        (range(900, 900 - N, -1), "n"),
        (np.arange(N) ** 2, "n"),
        (np.arange(N) * 0.5, None),
        (np.arange(N) * 7 % N, None),  # unique, in no order
        (np.arange(N) // 2, None),
    ],
)
def test_a_number_that_grows_with_the_rows_is_the_order(
    tmp_path: Path, column: Any, order: str | None
) -> None:
    project, records, text = draft_of(tmp_path, flat(n=column))
    assert project.leads.column_of("order") == order
    assert records.in_order == (order is not None)
    assert ('# order = "rows"' in text) == (order is None)


def test_a_lead_number_is_the_order_of_shuffled_rows(tmp_path: Path) -> None:
    project, _, _ = draft_of(tmp_path, flat(**{"Lead Number": np.arange(N) * 7 % N}))
    assert project.leads.column_of("order") == "Lead Number"


# --- columns


def test_only_words_for_nothing_that_occur_are_listed(tmp_path: Path) -> None:
    project, _, text = draft_of(
        tmp_path,
        flat(
            city=["Select", "Bonn", "-", "select"] * 100,
            plan=["none", "a", None, "b"] * 100,
            size=["n/a", "1", "?", "2"] * 100,
        ),
    )
    assert {word.casefold() for word in project.columns.nothing} == {"select", "-", "n/a", "?"}
    assert '"none" occurs next to empty cells in "plan"' in unwrapped(text)
    project, _, _ = draft_of(tmp_path, flat(plan=["none", "a", "c", "b"] * 100))
    assert project.columns.nothing == ["none"]


def test_personal_data_and_free_text_are_ignored(tmp_path: Path) -> None:
    n = range(N)
    personal = {
        "contact": [f"p{i}@example.org" for i in n],
        "Mobile Phone": [f"0171 {i:07d}" for i in n],
        "tel": [f"+49 30 {i:07d}" for i in n],
        "LastName": [f"Meier{i}" for i in n],
        "source": [f"https://example.org/{i}" for i in n],
        "host": [f"10.0.0.{i % 250}" for i in n],
        "wish": [f"we would like to have {i} of them quite soon" for i in n],
        "Notes": [f"called {i}" for i in n],
    }
    honest = {
        "email_opt_in": yes_or_no(),
        "phone_calls": [i % 30 for i in n],
        "Do Not Email": ["No"] * N,
        "campaign_name": [f"campaign {i % 9}" for i in n],
        "website_visits": [i * 37 % 101 for i in n],
    }
    project, _, text = draft_of(tmp_path, flat(**personal, **honest))
    assert project.columns.ignore == list(personal)
    assert project.columns.known_later == []
    assert '"contact", # e-mail addresses: personal data' in text
    assert '"wish", # free text' in text


def test_sensitive_columns_are_listed(tmp_path: Path) -> None:
    names = ["age_band", "Gender", "lead_age", "pages", "language", "birthDate", "Account age"]
    leads = flat(**dict.fromkeys(names, yes_or_no()))
    project, _, _ = draft_of(tmp_path, leads)
    assert project.columns.sensitive == ["age_band", "Gender", "birthDate"]


def test_names_that_refer_to_later_are_suspects(tmp_path: Path) -> None:
    names = ["Last Activity", "closedBy", "lost_reason", "conversion page", "lasting", "enclosed"]
    leads = flat(**dict.fromkeys(names, yes_or_no()))
    project, _, text = draft_of(tmp_path, leads)
    assert project.leads.column_of("reason") == "lost_reason"
    assert project.columns.known_later == ["Last Activity", "closedBy", "conversion page"]
    assert '"Last Activity", # Its name contains "last". (LS107)' in text


def test_columns_with_evidence_are_listed_as_known_later(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    won = np.arange(N) % 4 == 0
    noise = random.normal(size=N)
    open_leads = np.arange(N) % 10 == 9
    leads = flat(
        contract=choose(won, "signed", None),
        call=choose((random.random(N) < choose(won, 0.9, 0.4)) & ~open_leads, "x", None),
        seconds=(won * 2 + noise).round(3),
        team=choose(random.random(N) < 0.9, choose(won, "a", "b"), "c"),
        grade=choose(open_leads, None, random.choice(["a", "b"], N)),
        honest=(won * 0.7 + noise).round(3),
        code=random.integers(0, 200, N),
        gaps=choose(random.random(N) < 0.5, "x", None),
    )
    leads["converted"] = choose(open_leads, None, choose(won, "yes", "no"))
    project, _, text = draft_of(tmp_path, leads)
    assert project.columns.known_later == ["contract", "call", "seconds", "team", "grade"]
    comments = {
        name: line.partition(f'"{name}", # ')[2]
        for name in project.columns.known_later
        for line in text.splitlines()
        if f'"{name}", # ' in line
    }
    assert "leads that have it filled were won" in comments["contract"]
    assert "Filled for 0% of the others" not in comments["call"]
    assert "(LS103)" in comments["call"]
    assert "By itself it ranks" in comments["seconds"]
    assert "By itself it ranks" in comments["team"]
    assert "Filled for 100% of 360 closed leads and 0% of 40 open leads" in comments["grade"]


def test_a_column_filled_in_one_period_only_is_a_suspect(tmp_path: Path) -> None:
    early = [*["a", "b"] * 100, *[None] * 200]
    project, _, text = draft_of(tmp_path, flat(score=early, created_at=days(N)))
    assert project.columns.known_later == ["score"]
    assert "Filled for 0% of the leads in one period and 100% in another. (LS105)" in text


def test_a_column_introduced_at_some_time_is_not_a_suspect(tmp_path: Path) -> None:
    late = [*[None] * 200, *["a", "b"] * 100]
    project, _, _ = draft_of(tmp_path, flat(score=late, created_at=days(N)))
    assert project.columns.known_later == []


def test_periods_are_not_compared_without_an_order(tmp_path: Path) -> None:
    early = choose(np.arange(N) < 200, yes_or_no(), None)
    project, _, _ = draft_of(tmp_path, flat(score=early))
    assert project.columns.known_later == []


def test_few_outcomes_allow_only_checks_of_names(tmp_path: Path) -> None:
    leads = {"id": range(40), "won": ["yes"] + ["no"] * 39, "x": ["a"] + [None] * 39}
    project, _, text = draft_of(tmp_path, leads)
    assert project.columns.known_later == []
    assert "Fewer than 10 leads were won, or lost" in unwrapped(text)


def test_numbers_mixed_with_text_become_a_category(tmp_path: Path) -> None:
    mixed = [str(i) if i % 2 else f"about {i}" for i in range(N)]
    few = [str(i % 20) if i % 2 else "some" for i in range(N)]
    project, _, text = draft_of(tmp_path, flat(size=mixed, rooms=few))
    assert project.columns.category == ["size"]
    assert '"size", # 50% numbers, the rest text' in text


# --- the text


HOSTILE = [
    'a "quoted" one',
    "back\\slash",
    "two\nlines\nname = 1",
    "Größe 日本 😀",
    "tab\there",
    "]\n[learn]",
    "# no comment",
    "del\x7f bell\x07",
    "'''",
    "last\u2028line",
    "\\u0041 last",
]


def test_hostile_names_and_values_stay_inside_strings(tmp_path: Path) -> None:
    leads = {"lead_id": range(N), "outcome": ['yes, "won"\\', 'not "won"'] * 200}
    leads |= {name: choose(np.arange(N) % 2 == 0, "x", None) for name in HOSTILE}
    project, records, text = draft_of(tmp_path, leads)
    assert project.columns.known_later == HOSTILE
    assert project.learn.won == ['yes, "won"\\']
    assert set(HOSTILE) <= set(records.leads.columns)
    assert set(tomllib.loads(text)) == {"project", "leads", "learn", "columns"}


def test_hostile_role_and_file_names_stay_inside_strings(tmp_path: Path) -> None:
    folder = tmp_path / 'fol"der\\'
    folder.mkdir()
    columns = {'lead "no"\n id': range(6), 'is\n"won"\\': ["yes", "no"] * 3}
    project, records, _ = drafted(folder, write(folder, 'le"a\\ds\n.csv', columns))
    assert project.leads.column_of("lead_id") == 'lead "no"\n id'
    assert project.leads.source == 'le"a\\ds\n.csv'
    assert len(records.outcomes) == 6


def test_every_section_has_a_comment(tmp_path: Path) -> None:
    _, _, text = drafted(tmp_path, list(crm_tables(tmp_path).values()))
    lines = text.splitlines()
    headers = [number for number, line in enumerate(lines) if line.startswith("[")]
    assert len(headers) == 7
    for number in headers:
        assert lines[number + 1].startswith("# "), lines[number]


def test_every_choice_has_a_comment(tmp_path: Path) -> None:
    _, _, text = drafted(tmp_path, list(crm_tables(tmp_path).values()))
    lines = text.splitlines()
    choices = [line for line in lines if line and not line.startswith(("#", "[", "]"))]
    silent = [line for line in choices if "#" not in line and not line.endswith(("[]", "["))]
    assert [line.split(" ")[0] for line in silent] == ["name", *["source"] * 4, "won", "lost"]


def test_comments_are_wrapped(tmp_path: Path) -> None:
    _, _, text = drafted(tmp_path, list(crm_tables(tmp_path).values()))
    widths = [len(line) for line in text.splitlines() if line.startswith("#")]
    assert 80 < max(widths) <= 100


def test_sources_inside_the_folder_are_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project" / "data").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    inside = write(tmp_path / "project" / "data", "leads.csv", flat())
    outside = write(tmp_path / "elsewhere", "leads.csv", flat())
    monkeypatch.chdir(tmp_path)
    for source in (inside, "project/data/leads.csv"):
        text = draft_project([source], Path("project"))
        assert tomllib.loads(text)["leads"]["source"] == "data/leads.csv"
    text = draft_project([outside], Path("project"))
    assert tomllib.loads(text)["leads"]["source"] == outside
    assert tomllib.loads(text)["project"]["name"] == "project"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Acme Ltd.", "acme-ltd"),
        ("2024", "leads-2024"),
        ("---", "leads"),
        ("x" * 99, "x" * 63),
        ("Maße & Größen_1", "mae-groen_1"),
        ("日本", "leads"),
    ],
)
def test_names_become_valid(tmp_path: Path, name: str, expected: str) -> None:
    project, _, _ = drafted(tmp_path, write(tmp_path, "leads.csv", flat()), name)
    assert project.name == expected


def test_the_same_file_gives_the_same_draft(tmp_path: Path) -> None:
    file = write(tmp_path, "leads.csv", flat(city=["-", "?", "Select", "x"] * 100))
    assert draft_project([file], tmp_path, "a") == draft_project([file], tmp_path, "a")


# --- data whose leaks are known


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_draft_of_a_simulation_equals_its_own_project(
    tmp_path: Path, file_format: Literal["csv", "parquet"], seed: int
) -> None:
    files = simulate(Simulation(leads=2000, seed=seed), tmp_path, file_format=file_format)
    files.pop("truth")
    own = load_project(tmp_path)
    project, records, _ = drafted(tmp_path, [str(file) for file in files.values()])
    assert (project.leads, project.activities) == (own.leads, own.activities)
    assert (project.stages, project.outcomes) == (own.stages, own.outcomes)
    assert (project.learn.won, project.learn.lost) == (own.learn.won, own.learn.lost)
    assert set(project.columns.nothing) == set(own.columns.nothing)
    assert project.columns.ignore == own.columns.ignore
    assert project.columns.known_later == own.columns.known_later
    assert project.columns.sensitive == own.columns.sensitive
    assert len(records.leads) == 2000


@needs_public_data
def test_xeducation_leaks_are_set_aside(tmp_path: Path) -> None:
    project, records, _ = drafted(tmp_path, f"{PUBLIC}/xeducation/Leads.csv")
    own = load_project(Path(__file__).parent.parent / "examples" / "xeducation.toml")
    assert (project.leads.column_of("lead_id"), project.leads.column_of("order")) == (
        "Prospect ID",
        "Lead Number",
    )
    assert (project.leads.column_of("outcome"), project.learn.won, project.learn.lost) == (
        "Converted",
        [1],
        [0],
    )
    filled_during_the_sales_call = {
        "What is your current occupation",
        "What matters most to you in choosing a course",
    }
    assert set(project.columns.known_later) == (
        set(own.columns.known_later) | filled_during_the_sales_call
    )
    assert project.columns.ignore == project.columns.sensitive == []
    assert project.columns.nothing == ["unknown", "Select"]
    assert len(records.outcomes) == 9240


@needs_public_data
def test_bank_marketing_leak_is_set_aside(tmp_path: Path) -> None:
    source = f"{PUBLIC}/bank_marketing/bank-additional-full.csv.gz"
    project, records, text = drafted(tmp_path, source)
    own = load_project(Path(__file__).parent.parent / "examples" / "bank_marketing.toml")
    assert (project.leads.column_of("outcome"), project.leads.column_of("order")) == ("y", None)
    assert '# order = "rows"' in text
    assert project.columns == own.columns
    assert len(records.outcomes) == 41_188


@needs_public_data
def test_bpic2012_tables_are_found(tmp_path: Path) -> None:
    sources = sorted(str(path) for path in Path(str(PUBLIC), "bpic2012").iterdir())
    project, records, text = drafted(tmp_path, sources)
    assert (project.leads.column_of("lead_id"), project.leads.column_of("created_at")) == (
        "case_id",
        "registered_at",
    )
    assert project.activities is not None
    assert project.outcomes is not None
    assert (project.activities.column_of("type"), project.activities.column_of("occurred_at")) == (
        "activity",
        "occurred_at",
    )
    assert (project.outcomes.column_of("outcome"), project.outcomes.column_of("closed_at")) == (
        "outcome",
        "closed_at",
    )
    assert (project.learn.won, project.learn.lost) == (["approved"], ["declined", "cancelled"])
    assert project.columns.known_later == project.columns.ignore == []
    assert "only the first 50,000 rows" in unwrapped(text)
    assert records.activities is not None
    assert len(records.activities) == 262_200
