"""The drafted project file: its text, hostile names, and data sets whose leaks are known."""

import tomllib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from crm.project import Project, load_project
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from drafting.draft import draft_project
from tests.made_drafts import (
    N_LEADS,
    choose,
    crm_tables,
    draft,
    draft_of,
    flat_leads,
    roles_of,
    without_line_breaks,
    write_csv,
)

EXAMPLES = Path(__file__).parent.parent / "examples"

# --- hostile names

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
    is_filled = np.arange(N_LEADS) % 2 == 0
    leads = {"lead_id": range(N_LEADS), "outcome": ['yes, "won"\\', 'not "won"'] * 200}
    leads |= {name: choose(is_filled, "x", None) for name in HOSTILE}
    text, project, records = draft_of(tmp_path, leads)
    assert project.columns.known_later == HOSTILE
    assert project.learn.won == ['yes, "won"\\']
    assert set(HOSTILE) <= set(records.leads.columns)
    assert set(tomllib.loads(text)) == {"project", "leads", "learn", "columns"}


def test_hostile_role_and_file_names_stay_inside_strings(tmp_path: Path) -> None:
    folder = tmp_path / 'fol"der\\'
    folder.mkdir()
    file_name, lead_id, outcome = 'le"a\\ds\n.csv', 'lead "no"\n id', 'is\n"won"\\'
    leads = {lead_id: range(6), outcome: ["yes", "no"] * 3}
    _, project, records = draft(folder, [write_csv(folder, file_name, leads)])
    assert project.leads.source == file_name
    assert project.leads.column_of("lead_id") == lead_id
    assert project.leads.column_of("outcome") == outcome
    assert len(records.outcomes) == 6


# --- comments


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    """Return the lines of a draft with all four tables."""
    return draft(tmp_path, list(crm_tables(tmp_path).values())).text.splitlines()


def test_every_section_has_a_comment(lines: list[str]) -> None:
    headers = [i for i, line in enumerate(lines) if line.startswith("[")]
    assert len(headers) == 7
    for i in headers:
        assert lines[i + 1].startswith("# "), lines[i]


def test_every_choice_has_a_comment(lines: list[str]) -> None:
    choices = [line for line in lines if line and not line.startswith(("#", "[", "]"))]
    uncommented = [line for line in choices if "#" not in line and not line.endswith(("[]", "["))]
    keys = [line.split(" ")[0] for line in uncommented]
    assert keys == ["name", *["source"] * 4]


def test_comments_are_wrapped(lines: list[str]) -> None:
    widths = [len(line) for line in lines if line.startswith("#")]
    assert 80 < max(widths) <= 100


# --- names


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the folders `project/data` and `elsewhere`, each with leads."""
    for folder in (tmp_path / "project" / "data", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
        write_csv(folder, "leads.csv", flat_leads())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("is_absolute", [True, False])
def test_source_inside_the_folder_is_relative(working_directory: Path, is_absolute: bool) -> None:
    source = Path("project/data/leads.csv")
    text = draft_project([str(source.absolute() if is_absolute else source)], Path("project"))
    assert tomllib.loads(text)["leads"]["source"] == "data/leads.csv"


def test_source_outside_of_the_folder_is_absolute(working_directory: Path) -> None:
    text = draft_project(["elsewhere/leads.csv"], Path("project"))
    source = str(working_directory / "elsewhere" / "leads.csv")
    assert tomllib.loads(text)["leads"]["source"] == source


def test_guessed_encoding_has_a_line_and_the_words_as_they_are_read(tmp_path: Path) -> None:
    columns = {"id": range(40), "source": ["Köln", "Web"] * 20, "won": ["yes", "no"] * 20}
    drafted = draft_of(tmp_path, columns, encoding="mac_roman")
    assert drafted.project.leads.encoding == "mac_roman"
    assert (
        'encoding = "mac_roman" # CHECK: a guess from the letters. mac_roman (Western European, '
        'Macintosh) reads "Köln"; cp1252 would read "Kšln".'
    ) in drafted.text
    assert set(drafted.records.leads["source"]) == {"Köln", "Web"}


def test_model_is_named_after_the_folder(working_directory: Path) -> None:
    text = draft_project(["project/data/leads.csv"], Path("project"))
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
def test_name_of_the_model_becomes_valid(tmp_path: Path, name: str, expected: str) -> None:
    file = write_csv(tmp_path, "leads.csv", flat_leads())
    assert draft(tmp_path, [file], name).project.name == expected


def test_same_file_gives_the_same_draft(tmp_path: Path) -> None:
    leads = flat_leads(city=["-", "?", "Select", "x"] * 100)
    file = write_csv(tmp_path, "leads.csv", leads)
    assert draft_project([file], tmp_path, "a") == draft_project([file], tmp_path, "a")


# --- data whose leaks are known


def example(name: str) -> Project:
    """Load the project file that the maintainers wrote for a public data set."""
    return load_project(EXAMPLES / f"{name}.toml")


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draft_of_a_simulation_equals_its_own_project(
    tmp_path: Path, file_format: Literal["csv", "parquet"], seed: int
) -> None:
    files = simulate(Simulation(leads=2_000, seed=seed), tmp_path, file_format=file_format)
    own = load_project(tmp_path)
    tables = [str(path) for table, path in files.items() if table != "truth"]
    _, project, records = draft(tmp_path, tables)
    assert (project.leads, project.activities) == (own.leads, own.activities)
    assert (project.stages, project.outcomes) == (own.stages, own.outcomes)
    assert (project.learn.won, project.learn.lost) == (own.learn.won, own.learn.lost)
    assert set(project.columns.nothing) == set(own.columns.nothing)
    assert project.columns.ignore == own.columns.ignore
    assert project.columns.known_later == own.columns.known_later
    assert project.columns.sensitive == own.columns.sensitive
    assert len(records.leads) == 2_000


def test_xeducation_leaks_are_set_aside(tmp_path: Path, public_data: Path) -> None:
    _, project, _ = draft(tmp_path, [f"{public_data}/xeducation/Leads.csv"])
    filled_during_the_sales_call = {
        "What is your current occupation",
        "What matters most to you in choosing a course",
    }
    of_example = set(example("xeducation").columns.known_later)
    assert set(project.columns.known_later) == of_example | filled_during_the_sales_call
    assert project.columns.ignore == project.columns.sensitive == []
    assert project.columns.nothing == ["unknown", "Select"]


def test_xeducation_roles_are_found(tmp_path: Path, public_data: Path) -> None:
    _, project, records = draft(tmp_path, [f"{public_data}/xeducation/Leads.csv"])
    assert roles_of(project.leads) == {
        "lead_id": "Prospect ID",
        "order": "Lead Number",
        "outcome": "Converted",
    }
    assert (project.learn.won, project.learn.lost) == ([1], [0])
    assert len(records.outcomes) == 9_240


def test_bank_marketing_leak_is_set_aside(tmp_path: Path, public_data: Path) -> None:
    source = f"{public_data}/bank_marketing/bank-additional-full.csv.gz"
    text, project, records = draft(tmp_path, [source])
    assert roles_of(project.leads) == {"outcome": "y"}
    assert '# order = "rows"' in text
    assert project.columns == example("bank_marketing").columns
    assert len(records.outcomes) == 41_188


def test_bpic2012_tables_are_found(tmp_path: Path, public_data: Path) -> None:
    sources = sorted(str(path) for path in (public_data / "bpic2012").iterdir())
    text, project, records = draft(tmp_path, sources)
    leads, activities, outcomes = map(
        roles_of, (project.leads, project.activities, project.outcomes)
    )
    assert (leads["lead_id"], leads["created_at"]) == ("case_id", "registered_at")
    assert (activities["type"], activities["occurred_at"]) == ("activity", "occurred_at")
    assert (outcomes["outcome"], outcomes["closed_at"]) == ("outcome", "closed_at")
    assert (project.learn.won, project.learn.lost) == (["approved"], ["declined", "cancelled"])
    assert project.columns.known_later == project.columns.ignore == []
    assert "only the first 50,000 rows" in without_line_breaks(text)
    assert records.activities is not None
    assert len(records.activities) == 262_200
