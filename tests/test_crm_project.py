"""The project file: what is read, and which message each invalid file gets."""

import re
from pathlib import Path
from typing import Any

import pytest

from crm.errors import ConfigError
from crm.project import PROJECT_FILE, TableKeys, expand_variables, load_project
from tests.made_projects import ONE_TABLE

WHOLE = """
[project]
name = "acme"
[leads]
source = "leads.csv"
created_at = "Created"
[outcomes]
source = "outcomes.csv"
[learn]
won = ["yes"]
lost = ["no"]
horizon_days = 30
"""


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Return a function that writes a project file and loads it."""

    def load(text: str) -> Any:
        (tmp_path / PROJECT_FILE).write_text(text, encoding="utf-8")
        return load_project(tmp_path)

    return load


def test_complete_project_file_is_read(load: Any, tmp_path: Path) -> None:
    project = load(WHOLE)
    assert (project.name, project.simulated) == ("acme", False)
    assert project.leads.column_of("created_at") == "Created"
    assert project.outcomes.source == "outcomes.csv"
    assert project.activities is None
    assert project.learn.horizon_days == 30
    assert project.learn.moments_days == [0]
    assert project.text == WHOLE
    assert project.folder == tmp_path.resolve()


def test_learning_and_scale_have_defaults(load: Any) -> None:
    project = load(WHOLE)
    assert project.learn.half_life_days is None
    assert project.learn.rising == project.learn.falling == []
    assert project.scale.base_rate is None
    assert project.scale.grades is None


def test_learning_and_scale_are_read(load: Any) -> None:
    text = WHOLE + (
        'half_life_days = 180\nrising = ["size"]\nfalling = ["age", "activity.count"]\n'
        "[scale]\nbase_rate = 0.15\ngrades = {A = 70, B = 55}\n"
    )
    project = load(text)
    assert project.learn.half_life_days == 180
    assert project.learn.rising == ["size"]
    assert project.learn.falling == ["age", "activity.count"]
    assert project.scale.base_rate == 0.15
    assert project.scale.grades == {"A": 70, "B": 55}


def test_project_file_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(WHOLE)
    assert load_project(tmp_path / "acme.toml").name == "acme"


def test_byte_order_mark_is_skipped(load: Any) -> None:
    assert load("\ufeff" + WHOLE).name == "acme"


def test_missing_project_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no project file .*leadscore init FILE"):
        load_project(tmp_path)


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / PROJECT_FILE).write_bytes("name = 'Köln'".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"cannot be read as UTF-8 text"):
        load_project(tmp_path)


REFUSED = {
    "invalid TOML": (("[learn]", "[learn"), r"leadscore\.toml is not valid TOML: .*line 9"),
    "an unknown key": (
        ("horizon_days", "horizont_days"),
        r"unknown key `horizont_days` in \[learn\]\.\nDid you mean `horizon_days`\?",
    ),
    "an unknown key without a similar one": (
        ("horizon_days", "zzz"),
        r"unknown key `zzz` in \[learn\]\.\nExpected one of: won, lost, open, horizon_days,",
    ),
    "an unknown section": (
        ("[outcomes]", "[outcome]"),
        r"unknown section \[outcome\]\.\nDid you mean `outcomes`\?",
    ),
    "a value in place of a section": (
        ("\n[project]", "leads = 5\n[project]", "[leads]", "[leed]"),
        r"`leads` must be a section, \[leads\], not a single value",
    ),
    "a section is missing": (
        ("[project]\n", "", 'name = "acme"\n', ""),
        r"the section \[project\] is missing\. It is required",
    ),
    "a required key is missing": (
        ('source = "leads.csv"\n', ""),
        r"\[leads\]: missing required key `source`",
    ),
    "a text in place of a number": (
        ("= 30", '= "thirty"'),
        r"\[learn\] horizon_days: Expected a number, got text in quotes",
    ),
    "a number in place of a text": (
        ('"leads.csv"', "5"),
        r"\[leads\] source: Expected text in quotes, got a whole number",
    ),
    "a text in place of a list": (
        ('["yes"]', '"yes"'),
        r"\[learn\] won: Expected a list in brackets, got text in quotes",
    ),
    "a date in place of a text": (
        ("= 30", "= 30\nobserved_until = 2025-05-01"),
        r"observed_until: Expected text in quotes, got a date without quotes",
    ),
    "a name with invalid characters": (
        ('"acme"', '"Acme Ltd"'),
        r"\[project\] name: Expected text in quotes of a-z, 0-9, - and _, a letter first",
    ),
    "two characters for a delimiter": (
        ('"leads.csv"', '"leads.csv"\ndelimiter = ";;"'),
        r"\[leads\] delimiter: Expected text in quotes of length <= 1",
    ),
    "a horizon below zero": (("= 30", "= -1"), r"horizon_days: Expected a number > 0"),
    "a horizon that is not a number": (("= 30", "= nan"), r"horizon_days: Expected a number > 0"),
    "an infinite horizon": (("= 30", "= inf"), r"horizon_days: Expected a number <= 36525"),
    "a moment before creation": (
        ("= 30", "= 30\nmoments_days = [0, -1]"),
        r"moments_days\[1\]: Expected a number >= 0",
    ),
    "no won value": (('["yes"]', "[]"), r"\[learn\] won: Expected a list in brackets of length >="),
    "outcomes in two places": (
        ("[outcomes]", 'outcome = "won"\n[outcomes]'),
        r"outcomes are named twice, by the section `\[outcomes\]` and by `outcome` in",
    ),
    "outcomes in no place": (
        ('[outcomes]\nsource = "outcomes.csv"\n', ""),
        r"no outcomes are named\. Add a section `\[outcomes\]`, or set `outcome` in `\[leads\]`",
    ),
    "won and lost overlap": (
        ('["no"]', '["no", " YES "]'),
        r"`\[learn\]` lists \['yes'\] more than once in `won`, `lost` and `open`",
    ),
    "won and lost overlap as numbers": (
        ('["yes"]\nlost = ["no"]', '[1]\nlost = ["1"]'),
        r"`\[learn\]` lists \['1'\] more than once",
    ),
    "an empty text means lost": (
        ('["no"]', '["no", " "]'),
        r"lists an empty value\. An empty cell always means that the lead is still open\.",
    ),
    "a missing number means lost": (
        ('["no"]', "[nan]"),
        r"`won`, `lost` or `open` in `\[learn\]` lists an empty",
    ),
    "a database without a table": (
        ('"leads.csv"', '"sqlite:///crm.db"'),
        r"\[leads\] reads from a database and needs either `table` or `query`",
    ),
    "a database with table and query": (
        ('"leads.csv"', '"sqlite:///crm.db"\ntable = "a"\nquery = "b"'),
        r"\[leads\] reads from a database and needs either `table` or `query`",
    ),
    "a file with a table": (
        ('"leads.csv"', '"leads.csv"\ntable = "leads"'),
        r"\[leads\] has `table` or `query`, but its source is a file\. Set `source` to the URL",
    ),
    "a sensitive column allowed that is not listed": (
        ("= 30", '= 30\n[columns]\nallow_sensitive = ["Age"]'),
        r"`allow_sensitive` in `\[columns\]` names \['Age'\], which `sensitive` does not list",
    ),
    "a half-life of zero": (
        ("= 30", "= 30\nhalf_life_days = 0"),
        r"\[learn\] half_life_days: Expected a number > 0",
    ),
    "a half-life in words": (
        ("= 30", '= 30\nhalf_life_days = "a year"'),
        r"\[learn\] half_life_days: Expected a number, got text in quotes",
    ),
    "a half-life above a century": (
        ("= 30", "= 30\nhalf_life_days = 36526"),
        r"half_life_days: Expected a number <= 36525",
    ),
    "a direction that is not a list": (
        ("= 30", '= 30\nrising = "size"'),
        r"\[learn\] rising: Expected a list in brackets, got text in quotes",
    ),
    "a decimal sign of no language": (
        ("[learn]", 'decimal = ";"\n[learn]'),
        r"\[outcomes\] decimal: Expected one of '\.', ','; got ';'\.",
    ),
    "a policy that is none": (
        ("[learn]", '[retrain]\nwhen = "always"\n[learn]'),
        r"\[retrain\] when: Expected one of 'schedule', 'drift', 'either'; got 'always'\.",
    ),
    "a direction of a column that is a number": (
        ("= 30", "= 30\nfalling = [1]"),
        r"\[learn\] falling\[0\]: Expected text in quotes, got a whole number",
    ),
    "a column that rises and falls": (
        ("= 30", '= 30\nrising = ["size", "age"]\nfalling = ["size"]'),
        r"\['size'\] cannot be in both `rising` and `falling` of `\[learn\]`",
    ),
    "a base rate of zero": (
        ("= 30", "= 30\n[scale]\nbase_rate = 0"),
        r"\[scale\] base_rate: Expected a number > 0",
    ),
    "a base rate of one": (
        ("= 30", "= 30\n[scale]\nbase_rate = 1"),
        r"\[scale\] base_rate: Expected a number < 1",
    ),
    "a base rate in per cent": (
        ("= 30", '= 30\n[scale]\nbase_rate = "15 %"'),
        r"\[scale\] base_rate: Expected a number, got text in quotes",
    ),
    "grades that are not a section": (
        ("= 30", "= 30\n[scale]\ngrades = [65, 50]"),
        r"\[scale\] grades: Expected a section, got a list in brackets",
    ),
    "a grade in half points": (
        ("= 30", "= 30\n[scale]\ngrades = {A = 65.5}"),
        r"\[scale\] grades\[\.\.\.\]: Expected a whole number, got a number",
    ),
    "an unknown key of the scale": (
        ("= 30", "= 30\n[scale]\nbase = 0.1"),
        r"unknown key `base` in \[scale\]\.\nDid you mean `base_rate`\?",
    ),
    "an unknown setting of the trees": (
        ("= 30", "= 30\n[learn.trees]\nmax_leaves = 7"),
        r"unknown key `max_leaves` in \[learn\.trees\]\.\nDid you mean `num_leaves`\?",
    ),
    "an unknown target": (
        ("= 30", "= 30\n[report.targets]\nwon_shares = {A = 0.2}"),
        r"unknown key `won_shares` in \[report\.targets\]\.\nDid you mean `won_share`\?",
    ),
    "too high a learning rate": (
        ("= 30", "= 30\n[learn.trees]\nlearning_rate = 1.5"),
        r"leadscore\.toml: \[learn\.trees\] learning_rate: Expected a number <= 1\.0, got 1\.5\.",
    ),
    "half a leaf": (
        ("= 30", "= 30\n[learn.trees]\nnum_leaves = 7.5"),
        r"\[learn\.trees\] num_leaves: Expected a whole number, got a number\.",
    ),
    "a single leaf": (
        ("= 30", "= 30\ntrees = {num_leaves = 1}"),
        r"\[learn\.trees\] num_leaves: Expected a whole number >= 2, got 1\.",
    ),
    "trees that are not a section": (
        ("= 30", "= 30\ntrees = 7"),
        r"\[learn\] trees: Expected a section, got a whole number",
    ),
    "a column of two kinds": (
        ("= 30", '= 30\n[columns]\nnumber = ["Age"]\ncategory = ["Age"]'),
        r"\['Age'\] cannot be in both `number` and `category` of `\[columns\]`",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_invalid_file_is_refused(load: Any, changes: tuple[str, ...], message: str) -> None:
    text = WHOLE
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(ConfigError, match=message) as refusal:
        load(text)
    assert refusal.value.exit_code == 2
    assert not re.search(r"`(str|int|float|array|null)`", str(refusal.value))


def test_variables_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_HOME", "/data")
    monkeypatch.setenv("NAME_2", "leads")
    assert expand_variables("${CRM_HOME}/${NAME_2}.csv") == "/data/leads.csv"


def test_other_uses_of_the_dollar_sign_are_not_changed() -> None:
    assert expand_variables("$CRM_HOME ${} {CRM_HOME}") == "$CRM_HOME ${} {CRM_HOME}"


def test_empty_variable_counts_as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    assert expand_variables("a${EMPTY}b") == "ab"


def test_unset_variable_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    message = r"uses \$\{NO_SUCH\}, which is not set\.\nSet the environment variable, or write"
    with pytest.raises(ConfigError, match=message):
        expand_variables("${NO_SUCH}/leads.csv")


def test_variable_may_contain_a_database_url(load: Any) -> None:
    project = load(WHOLE.replace('"leads.csv"', '"${CRM_URL}"\ntable = "leads"'))
    assert project.leads.table == "leads"


def test_table_keys_can_be_compared() -> None:
    assert TableKeys("a.csv") == TableKeys(source="a.csv", decimal=None, timezone="UTC")


def test_control_share_of_the_file_counts_before_the_environment(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(WHOLE).control_share == 0
    monkeypatch.setenv("LEADSCORE_CONTROL_SHARE", "0.2")
    assert load(WHOLE).control_share == 0.2
    assert load(WHOLE + "[control]\nshare = 0.05\n").control_share == 0.05
    assert load(WHOLE + "[control]\nshare = 0\n").control_share == 0


@pytest.mark.parametrize("share", [-0.01, 0.51, "true"])
def test_control_share_out_of_range_is_refused(load: Any, share: Any) -> None:
    with pytest.raises(ConfigError, match=r"\[control\] share: [Ee]xpected"):
        load(WHOLE + f"[control]\nshare = {share}\n")


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ('slack = "https://hooks.slack.com/services/SECRET"', "`slack` in `[notify]` is a secret"),
        ('teams = "https://prod.example.com/SECRET"', "`teams` in `[notify]` is a secret"),
        ('webhook = "https://a.example"\nsecret = "whsec_SECRET"', "`secret` in `[notify]` is a"),
        ('webhook = "https://a.example"\nsecret = "whsec_SECRET${S}"', "`secret` in `[notify]` is"),
        ('webhook = "https://a.example"', "`[notify]` has `webhook`, but not `secret`"),
        ('secret = "${S}"', "`[notify]` has `secret`, but not `webhook`"),
        (
            'on = ["grade_b"]',
            "[notify] on[0]: Expected one of 'check', 'promoted', 'refused', 'waiting', 'failed', "
            "'grade_a'; got 'grade_b'.",
        ),
        ('slak = "${S}"', "unknown key `slak` in [notify]"),
    ],
)
def test_notifications_that_cannot_be_sent_are_refused(
    section: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "leadscore.toml").write_text(f"{ONE_TABLE}[notify]\n{section}\n")
    with pytest.raises(ConfigError, match=re.escape(problem)) as raised:
        load_project(tmp_path)
    assert "SECRET" not in str(raised.value).replace("LEADSCORE_SECRET", "")


def test_variables_of_notifications_are_read_only_when_something_is_sent(tmp_path: Path) -> None:
    section = 'slack = "https://hooks.slack.com/${NOT_SET}"\nwebhook = "https://a.example/${B}"\n'
    section += 'secret = "${NEW_SECRET} ${OLD_SECRET}"\n'
    (tmp_path / "leadscore.toml").write_text(f"{ONE_TABLE}[notify]\n{section}")
    notify = load_project(tmp_path).notify
    assert notify.slack == "https://hooks.slack.com/${NOT_SET}"
    assert notify.on == ["check", "promoted", "refused", "waiting", "failed", "grade_a"]
