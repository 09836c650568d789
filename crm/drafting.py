"""Drafts a first `leadscore.toml` from the data, for a person to check.

Roles are found from the columns' names and confirmed by their cells. What may be known
only after the outcome is set aside on the same evidence that the leak audit uses, and
every decision is written beside its line, so that a person can overrule it.
"""

import itertools
import math
import os.path
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from crm.cells import cell_number, number_column, text_column
from crm.errors import ConfigError, SchemaError
from crm.project import TableKeys
from crm.records import CONTRACTS, Role, parse_times
from crm.sources import iter_table

SAMPLE_ROWS = 50_000
MIN_OUTCOMES = 20  # of the rarer kind; with fewer, fields are judged by name only
MIN_ROWS_PER_VALUE = 20

# Which names play which role, the best first; searched in the name's lower-case words.
_OWNER = r"(lead|prospect|contact|customer|client|case|person|deal|opportunity|applica\w+|user)s?"
_WHEN = r"(at|on|date|time|datetime|timestamp|day)"
ROLE_NAMES: dict[str, tuple[str, ...]] = {
    "lead_id": (r"^lead id$", rf"^{_OWNER} (id|uuid|guid|key)$", rf"^{_OWNER} (number|no|nr|ref)$",
                r"^(id|uuid|guid|key|index)$", r"\bid$"),
    "created_at": (r"^created at$", rf"\b(created?|creation) {_WHEN}\b|\b{_WHEN} created\b",
                   r"\bcreated\b", rf"\b(registered|submitted|received|sign ?up|lead) {_WHEN}\b",
                   rf"^{_WHEN}$"),
    "type": (r"^type$", r"\b(activity|event|interaction|action|touch\w*) (type|name|kind)\b",
             r"^(activity|event|interaction|action|kind)$", r"\btype$"),
    "occurred_at": (r"^occurred at$", r"\b(occurred|happened)\b",
                    rf"\b(activity|event|interaction|action) {_WHEN}\b", rf"^{_WHEN}$",
                    rf"\bcreated\b|\b{_WHEN}$"),
    "activity_id": (r"^activity id$", r"^(event|interaction|action|touch\w*) (id|key|number)$",
                    r"^(id|uuid|guid)$"),
    "content": (r"^content$", r"\b(content|page|url|asset|subject|title|campaign)\b"),
    "channel": (r"^channel$", r"\b(channel|medium)\b"),
    "value": (r"^value$", r"\b(value|duration|seconds|minutes|amount)\b"),
    "stage": (r"^stage$", r"\b(to|new) (stage|status)\b", r"\bstage\b",
              r"\b(status|phase|step|state)\b"),
    "entered_at": (r"^entered at$", r"\b(entered|entry)\b", r"\b(changed|moved)\b",
                   rf"^{_WHEN}$", rf"\b{_WHEN}$"),
    "outcome": (r"^outcome$", r"^(is )?(converted|conversion|won)$",
                r"(?<!previous )(?<!prior )(?<!last )\b(outcome|converted|won)$",
                r"^(y|target|label|class|response|success|subscribed|purchased|deal)$",
                r"^(\w+ )?(status|result|stage)$"),
    "closed_at": (r"^closed at$", rf"\b(closed?|closing|won|decided|decision|converted|"
                  rf"conversion|ended) {_WHEN}\b", rf"\b{_WHEN} (closed|won|converted)\b",
                  rf"^{_WHEN}$"),
    "amount": (r"^amount$", r"^(deal|won|closed|sales?|order|contract) (amount|value|size)$",
               r"^revenue$"),
    "reason": (r"^reason$", r"\breason\b"),
}  # fmt: skip
GUESSABLE_OUTCOME_NAMES = 4  # under the first of these names, two unknown values are an outcome
FILE_HINTS = {
    "leads": r"\b(leads?|contacts?|prospects?)\b",
    "activities": r"\b(activit\w+|events?|interactions?|touch\w*|engagements?)\b",
    "stages": r"\b(stages?|funnel|pipeline|history)\b",
    "outcomes": r"\b(outcomes?|deals?|results?|opportunit\w+|sales)\b",
}
WON_VALUE = (r"^(yes|y|true|t|ok)$|\b(won|win|approved|converted|accepted|sold|customer|signed|"
             r"purchased|bought|subscribed|enrolled|granted|funded|success(ful)?)\b")  # fmt: skip
LOST_VALUE = (r"^(no|n|false|f|dead|junk)$|\b(not|non|never|lost|declined|rejected|refused|"
              r"cancell?ed|denied|disqualified|unqualified|unsuccessful|failed|failure|abandoned|"
              r"expired|withdrawn|churned)\b")  # fmt: skip
OPEN_VALUE = r"\b(open|pending|new|progress|working|active|hold|waiting|negotiation)\b"
NOTHING = frozenset("""select|unknown|n/a|na|#n/a|none|null|nil|nan|-|--|---|?|.|nonexistent|
not available|not specified|unspecified|undefined|(blank)|inf|-inf|keine angabe""".replace("\n", "")
                    .split("|"))  # fmt: skip
LATER_NAME = re.compile(r"\b(last|latest|modified|updated|closed?|closing|won|lost|convert\w*|"
                        r"conversion|reason|disposition|churn\w*|signed|invoiced?)\b")  # fmt: skip
SENSITIVE_NAME = re.compile(
    r"(?<!lead )(?<!account )(?<!domain )(?<!company )\bage\b(?! (in )?days)|"
    r"\b(gender|sex|sexual|marital|married|nationality|citizenship|religio\w+|ethnic\w*|race|"
    r"birth\w*|born|dob|disab\w+|pregnan\w+|political|health)\b"
)
PERSON_NAME = re.compile(
    r"\b(first|last|middle|full|given|family|contact|person|customer|client|lead|user|company|"
    r"account)s? ?name\b|^((sur)?name|company)$|\b(street|address)\b")  # fmt: skip
PHONE_NAME = re.compile(r"\b(tele)?(phone|mobile|fax|cell|whatsapp)\b")
TEXT_NAME = re.compile(r"\b(comments?|notes?|remarks?|messages?|descriptions?|feedback)\b")
PERSONAL_CELLS = {
    "e-mail addresses": r"\S+@\S+\.\S+",
    "web addresses": r"(https?://|www\.)\S+",
    "IP addresses": r"\d{1,3}(\.\d{1,3}){3}",
    "phone numbers": r"\+\d[\d ()/.-]{6,18}",
}
DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%d.%m.%y",
        "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y")  # fmt: skip
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
TIME_FORMATS = tuple(day + clock for day in DAYS for clock in CLOCKS)

HEADINGS = {
    "leads": "One row per lead. Every column that this file does not name is an attribute: "
    "something to learn from.",
    "activities": "What leads did and what was done with them: many rows per lead.",
    "stages": "The way through the funnel: one row for each stage that a lead entered.",
    "outcomes": "How it ended. A lead without a row here is still open.",
}
LATER_HEADING = (
    "Never a feature, because it may be filled or changed after the moment of scoring: a model "
    "that sees it looks perfect and is useless on new leads. Suspects stand here as well; take "
    "out what you can vouch for."
)
FEW_HEADING = f" Fewer than {MIN_OUTCOMES} were won, or lost, so only names were judged."
ROLE_NOTES = {
    "lead_id": "tells leads apart, and ties the tables together",
    "created_at": "when the lead became known; nothing recorded later is used to score it then",
    "outcome": "how it ended; an empty cell means still open",
    "closed_at": "when it ended",
    "amount": "what it was worth; for the reports, never a feature",
    "reason": "why; for the reports, never a feature",
    "type": "what happened",
    "occurred_at": "when it happened",
    "activity_id": "rows that repeat it are kept once",
    "content": "which page, mail, webinar",
    "channel": "by which way",
    "value": "a number that belongs to it, such as seconds or minutes",
    "stage": "which stage",
    "entered_at": "when the lead entered it",
}


def draft_project(sources: Sequence[str], folder: Path, name: str | None = None) -> str:
    r"""Write the text of a first project file from the data itself.

    At most the first 50,000 rows of each table are looked at.

    Parameters
    ----------
    sources : sequence of str
        Files, CSV or Parquet, relative to the working directory. Each may say which
        table it is: `activities=calls.csv`.
    folder : Path
        Where the project file will stand; files inside it are named relative to it.
    name : str, optional
        Of the model; the folder's name otherwise. Made fit for a model's name.

    Returns
    -------
    str
        TOML that `crm.project.load_project` accepts, every choice with a comment.

    Raises
    ------
    ConfigError
        If it cannot be told which file is which table, or where the outcome is.
    SourceError, SchemaError
        If a file cannot be read, or has no rows.

    Examples
    --------
    >>> import tempfile, tomllib
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.csv").write_text('id,size,won\n1,-,yes\n2,L,no\n')
    >>> draft = tomllib.loads(draft_project([str(folder / "a.csv")], folder, name="Acme Ltd."))
    >>> draft["project"], draft["leads"]
    ({'name': 'acme-ltd'}, {'source': 'a.csv', 'lead_id': 'id', 'outcome': 'won', 'order': 'id'})
    >>> draft["learn"]["won"], draft["columns"]["nothing"]
    (['yes'], ['-'])
    """
    tables = [_sample(source, folder) for source in sources]
    assigned = _assign(tables)
    leads = assigned["leads"]
    roles = {kind: _roles_of(table, kind) for kind, table in assigned.items()}
    for (kind, table), column in zip(assigned.items(), _link(assigned), strict=True):
        kept = {role: found for role, found in roles[kind].items() if found is not column}
        roles[kind] = ({"lead_id": column} if column else {}) | kept
        _refuse_missing(table, kind, roles[kind])
    if "outcomes" not in assigned:
        roles["leads"] |= _flat_outcome(leads, roles["leads"])
    values = _settle(roles.get("outcomes", roles["leads"])["outcome"])
    assert values is not None
    ended = _ended(assigned, roles, values)
    order = None if "created_at" in roles["leads"] else _order(leads)
    played = [*roles["leads"].values(), order]
    attributes = [column for column in leads.columns if column not in played]
    times = "created_at" in roles["leads"]
    lines = _comment(
        "A first draft by `leadscore init`, from "
        + _listed(_quote(table.path.name) for table in tables)
        + ("" if all(table.is_whole for table in tables)
           else f" (only the first {SAMPLE_ROWS:,} rows of the longer ones were looked at)")
        + ". It was guessed from names and cells: read it once from top to bottom, and change "
        "what is not so. The comments say what each line is for, and what to check."
    )  # fmt: skip
    lines += ["", *_comment("The model's name, in the registry and in every answer."), "[project]"]
    lines += [f"name = {_quote(_model_name(name or folder.resolve().name))}"]
    for kind in (kind for kind in CONTRACTS if kind in assigned):
        lines += ["", *_comment(HEADINGS[kind]), f"[{kind}]"]
        lines += _table_lines(assigned[kind], roles[kind])
        if kind == "leads" and not times:
            lines += _order_lines(order, attributes)
    lines += ["", *_learn_lines(values)]
    lines += _horizon_lines(roles, ended) if times else []
    judge = _Judge(ended, order)
    return "\n".join([*lines, "", *_column_lines(attributes, judge), ""])


# -- what a file holds ---------------------------------------------------------------------


class _Column:
    """A column of a sample, and what can be seen of it."""

    def __init__(self, cells: pd.Series) -> None:
        self.name, self.cells, self.words = str(cells.name), cells, _words(str(cells.name))
        self.texts, self.numbers = text_column(cells), number_column(cells)
        self.counts = pd.Series(self.texts, dtype=object).value_counts()
        self.has_gaps = int(self.counts.sum()) < len(cells)
        self.is_key = not self.has_gaps and len(self.counts) == len(cells)
        self.is_number = bool(self.counts.sum() and np.isfinite(self.numbers[self.filled()]).all())

    def filled(self, nothing: Iterable[str] = ()) -> NDArray[np.bool_]:
        """Tell which rows hold something, shape (n,)."""
        empty = {text for text in self.counts.index if text.casefold() in set(nothing)}
        return np.array([text is not None and text not in empty for text in self.texts], bool)

    def share(self, pattern: str) -> float:
        """Share of the distinct cells that are wholly of a pattern."""
        cells = self.counts.index[:2_000].tolist()
        return sum(re.fullmatch(pattern, cell) is not None for cell in cells) / max(1, len(cells))

    @cached_property
    def time_formats(self) -> list[str | None]:
        """Formats that read every filled cell as a time; None is ISO 8601, or typed times."""
        if pd.api.types.is_datetime64_any_dtype(self.cells.dtype):
            return [None, *TIME_FORMATS]
        cells = pd.Series(self.counts.index, dtype="str")
        if cells.empty or not cells.head(20).str.match(r"\d{1,4}[-/. ]\w{1,3}[-/. ]\d{2}").all():
            return []
        formats: Sequence[str | None]
        formats = [None] if cells.str.match(r"\d{4}-\d{2}-\d{2}").all() else TIME_FORMATS
        for some in (cells.head(100), cells):
            formats = [form for form in formats if self.times(form, some).notna().all()]
        return list(formats)

    def times(self, form: str | None, cells: pd.Series | None = None) -> pd.Series:
        """Read the cells as times, UTC."""
        keys = TableKeys(source="", time_format=form)
        return parse_times(self.cells if cells is None else cells, keys, self.name)[0]


class _Values(NamedTuple):
    """What an outcome's values mean, and what of that was guessed."""

    won: list[str]
    lost: list[str]
    still_open: list[str]
    guess: str


@dataclass(frozen=True)
class _Table:
    """A file, the first rows of it, and which table it was said to be."""

    path: Path
    source: str
    keys: TableKeys
    kind: str | None
    columns: list[_Column]
    rows: int

    @property
    def is_whole(self) -> bool:
        return self.rows < SAMPLE_ROWS


def _sample(source: str, folder: Path) -> _Table:
    said, _, rest = source.partition("=")
    kind = said if rest and said in CONTRACTS else None
    path = Path(os.path.abspath(Path(rest if kind else source).expanduser()))
    home = Path(os.path.abspath(folder))
    written = path.relative_to(home) if path.is_relative_to(home) else path
    keys = TableKeys(source=str(path))
    rows = next(iter_table(keys, folder, SAMPLE_ROWS), None)
    if rows is None:
        raise SchemaError(path.name, ["it has a header but no rows. Expected at least one."])
    columns = [_Column(rows[column]) for column in rows.columns]
    if not any(column.share(r"[+-]?\d+\.\d+") > 0.5 for column in columns) and any(
        column.share(r"[+-]?[\d.]*\d,(\d{1,2}|\d{4,})") > 0.5 for column in columns
    ):
        keys = TableKeys(source=str(path), decimal=",")
        rows = next(iter_table(keys, folder, SAMPLE_ROWS))
        columns = [_Column(rows[column]) for column in rows.columns]
    return _Table(path, written.as_posix(), keys, kind, columns, len(rows))


# -- which file is which table, which column plays which role ------------------------------


def _assign(tables: list[_Table]) -> dict[str, _Table]:
    """Decide which file is which table; the leads come first."""
    looks = {(id(t), kind): _likeness(t, kind, len(tables)) for t in tables for kind in CONTRACTS}
    ranked = []
    for kinds in itertools.permutations(CONTRACTS, len(tables)):
        chosen = dict(zip(kinds, tables, strict=True))
        scores = [looks[id(table), kind] for kind, table in chosen.items()]
        if "leads" in chosen and all(scores):
            chosen = {"leads": chosen.pop("leads")} | chosen
            if all(_link(chosen)[1:]):
                ranked.append((sum(scores), chosen))
    ranked.sort(key=lambda pair: -pair[0])
    if ranked and (len(ranked) == 1 or ranked[0][0] - ranked[1][0] >= 0.1):
        return ranked[0][1]
    seen = [f"{t.path.name} ({_listed(_quote(c.name) for c in t.columns)})" for t in tables]
    raise ConfigError(
        f"It is not clear which file is which table: {'; '.join(seen) or 'none is named'}. "
        "Expected one file of leads, one row each, and at most one each of activities, stages "
        "(a type or stage and a time, many rows per lead) and outcomes that share the leads' ids. "
        "Say which is which, as in: leads=people.csv activities=calls.csv"
    )


def _likeness(table: _Table, kind: str, files: int) -> float:
    """How much a file looks like a table, 0 if it cannot be it."""
    if table.kind is not None or (kind == "leads" and files == 1):
        return float(table.kind in (None, kind))
    said = 0.5 * bool(re.search(FILE_HINTS[kind], _words(table.path.name.partition(".")[0])))
    others = {other: _share_in_roles(table, other) for other in CONTRACTS if other != "leads"}
    if kind == "leads":
        rest = said + 1.05 - max(others.values())
        return rest if rest >= 0.3 and any(column.is_key for column in table.columns) else 0.0
    return said + others[kind] if others[kind] else 0.0


def _share_in_roles(table: _Table, kind: str) -> float:
    found = _roles_of(table, kind)
    if not {role.name for role in CONTRACTS[kind][1:] if role.required} <= set(found):
        return 0.0
    strength = sum(1 - 0.1 * _rank(name, column) for name, column in found.items())
    return strength / max(1, len(table.columns) - 1)


def _roles_of(table: _Table, kind: str) -> dict[str, _Column]:
    """Find the columns for a table's roles, but for the leads' id."""
    found: dict[str, _Column] = {}
    for role in CONTRACTS[kind][1:]:
        free = [column for column in table.columns if column not in found.values()]
        fit = sorted(
            (column for column in free if _can_play(role, column)),
            key=lambda column: _rank(role.name, column),
        )
        only_time = len(fit) == 1 and role.kind == "time" and kind != "leads"
        if fit and (_rank(role.name, fit[0]) < 9 or only_time):
            found[role.name] = fit[0]
    return found


def _refuse_missing(table: _Table, kind: str, roles: dict[str, _Column]) -> None:
    missing = [role.name for role in CONTRACTS[kind] if role.required and role.name not in roles]
    if missing:
        raise ConfigError(
            f"{table.path.name} cannot be the table of {kind}: no column looks like "
            f"{_listed(missing)}. Seen are: {_listed(_quote(c.name) for c in table.columns)}. "
            "Rename the columns in the export, or leave the file out."
        )


def _can_play(role: Role, column: _Column) -> bool:
    values = len(column.counts)
    if values == 0 or (column.has_gaps and not role.nullable):
        return False
    if role.kind == "time":
        other = SENSITIVE_NAME.search(column.words)
        if role.name == "created_at":
            other = other or LATER_NAME.search(column.words)
        return bool(column.time_formats) and not other
    if role.kind == "number":
        return column.is_number
    if role.name == "outcome":
        settled = _settle(column)
        strong = _rank("outcome", column) < GUESSABLE_OUTCOME_NAMES
        return settled is not None and (strong or not settled.guess)
    if role.name in ("type", "stage"):
        return values <= max(12, min(500, len(column.cells) // 2))
    return role.name != "activity_id" or values >= 0.95 * len(column.cells)


def _rank(role: str, column: _Column) -> int:
    """Place of a column's name among those that tell of a role; 9 if it does not."""
    patterns = enumerate(ROLE_NAMES[role])
    return next((place for place, name in patterns if re.search(name, column.words)), 9)


def _link(tables: dict[str, _Table]) -> list[_Column | None]:
    """Find the leads' id in each table; the leads come first."""
    (_, leads), *others = tables.items()
    keys = sorted(
        (column for column in leads.columns if column.is_key), key=lambda c: _rank("lead_id", c)
    )
    if not others:
        named = [key for key in keys if _rank("lead_id", key) < 9]
        return [named[0] if named else None]
    links = [[key, *(_shared(key, leads, kind, other) for kind, other in others)] for key in keys]
    return max(links, key=lambda link: sum(map(bool, link)), default=[None] * len(tables))


def _shared(key: _Column, leads: _Table, kind: str, other: _Table) -> _Column | None:
    """Find the column of another table that holds the leads' ids."""
    ids, best = set(key.counts.index), []
    for column in other.columns:
        repeats = len(column.counts) < len(column.cells) or kind == "outcomes" or bool(other.kind)
        share = float(column.counts.index.isin(ids).mean()) if len(column.counts) else 0.0
        likely = share >= 0.5 or (share > 0 and (column.name == key.name or not leads.is_whole))
        if repeats and likely and not column.has_gaps:
            best.append((-_rank("lead_id", column), column.name == key.name, share, column))
    return max(best, key=lambda row: row[:3])[3] if best else None


def _flat_outcome(leads: _Table, roles: dict[str, _Column]) -> dict[str, _Column]:
    """Find the outcome in the leads table itself."""
    rest = [column for column in leads.columns if column not in roles.values()]
    found = _roles_of(_Table(leads.path, "", leads.keys, None, rest, leads.rows), "outcomes")
    if "outcome" not in found:
        few = [_quote(c.name) for c in rest if 2 <= len(c.counts) <= 20]
        raise ConfigError(
            f"No column of {leads.path.name} tells how leads ended; few values have: "
            f"{_listed(few) or 'none'}. Expected one called such as converted, won, outcome or "
            "status, with values such as yes and no. Rename it to `outcome`, or name a further "
            "file as outcomes=FILE."
        )
    created = roles.get("created_at")
    for name, column in list(found.items()):
        one_format = not created or set(created.time_formats) & set(column.time_formats)
        if name == "closed_at" and (_rank(name, column) > 2 or not one_format):
            del found[name]
        elif name == "amount" and _rank(name, column) == 0:
            del found[name]  # may be what the lead asked for
    return found


def _meaning(value: str, binary: bool) -> str | None:
    """Say whether an outcome's value means won or lost; None if it does not say."""
    if np.isfinite(number := cell_number(value)):
        return ("won" if number == 1 else "lost") if binary else None
    words = _words(value)
    if re.search(LOST_VALUE, words):
        return "lost"
    return "won" if re.search(WON_VALUE, words) else None


def _settle(column: _Column) -> _Values | None:
    """Sort an outcome's values into won, lost and open; None if nothing says won."""
    if len(column.counts) > 30:
        return None
    spelled = {value.casefold(): value for value in column.counts.index[::-1]}  # the most frequent
    values = list(spelled.values())[::-1]
    binary = {cell_number(value) for value in values} <= {-1.0, 0.0, 1.0}
    means = {value: _meaning(value, binary) for value in values}
    won, lost, unclear = ([v for v in values if means[v] == word] for word in ("won", "lost", None))
    guess = ""
    if not won and unclear and len(values) == 2 and not re.search(OPEN_VALUE, _words(unclear[-1])):
        won, guess = [unclear.pop()], "no value says won, so the rarer unclear one was taken"
    if won and not lost and len(unclear) == 1 and unclear[0].casefold() not in NOTHING:
        lost, unclear, guess = unclear, [], guess or "no value says lost, so the other was taken"
    return _Values(won, lost, unclear, guess) if won else None


def _order(leads: _Table) -> _Column | None:
    """Find a number that grows with time, for leads without one."""
    rows = np.arange(leads.rows)
    for column in leads.columns:
        whole = column.is_key and column.is_number and (column.numbers % 1 == 0).all()
        if whole and not _personal(column) and leads.rows > 1:
            runs = abs(np.corrcoef(rows, rankdata(column.numbers))[0, 1]) >= 0.99
            counts = re.search(r"\b(number|no|nr|seq\w*|serial|index|order)\b", column.words)
            if runs or counts:
                return column
    return None


# -- what may be known only later ----------------------------------------------------------


def _ended(
    tables: dict[str, _Table], roles: dict[str, dict[str, _Column]], values: _Values
) -> pd.DataFrame:
    """Tell how each lead of the sample ended.

    `won` is 1, 0 or missing; `is_open` tells where missing surely means open; `created` and
    `closed` are times, `days` lie between them.
    """
    leads, table = roles["leads"], roles.get("outcomes", roles["leads"])
    words = dict.fromkeys(map(str.casefold, values.lost), 0.0)
    words |= dict.fromkeys(map(str.casefold, values.won), 1.0)
    texts = pd.Series(table["outcome"].texts, dtype=object)
    ended = pd.DataFrame({"won": texts.str.casefold().map(words).astype(float)})
    ended["closed"] = _times(table, "closed_at", len(ended))
    if "outcomes" in roles:
        ended.index = pd.Index(table["lead_id"].texts)
        ended = ended[~ended.index.duplicated()].reindex(leads["lead_id"].texts)
    ended = ended.reset_index(drop=True)
    ended["is_open"] = ended["won"].isna() & (
        "outcomes" not in roles or tables["outcomes"].is_whole
    )
    ended["created"] = _times(leads, "created_at", len(ended))
    ended["days"] = (ended["closed"] - ended["created"]).dt.total_seconds() / 86_400
    return ended


def _times(roles: dict[str, _Column], role: str, rows: int) -> pd.Series:
    if role not in roles:
        return pd.Series(pd.NaT, index=range(rows), dtype="datetime64[us, UTC]")
    return roles[role].times(_format(roles)).reset_index(drop=True)


def _format(roles: dict[str, _Column]) -> str | None:
    formats = [column.time_formats for column in roles.values() if column.time_formats]
    return next(f for f in formats[0] if all(f in others for others in formats))


class _Judge:
    """Judges which columns may be known only after the outcome, from the sample."""

    def __init__(self, ended: pd.DataFrame, order: _Column | None) -> None:
        self.won, self.is_open = ended["won"].to_numpy(), ended["is_open"].to_numpy()
        self.closed = np.isfinite(self.won)
        rarer = min((self.won == 1).sum(), (self.won == 0).sum())
        self.can_tell = bool(rarer >= MIN_OUTCOMES)
        time = ended["created"] if order is None else pd.Series(order.numbers)
        self.in_time = bool(time.notna().all())
        place = time.rank(method="first").to_numpy() - 1 if self.in_time else np.zeros(len(time))
        self.slices = (place * 10 // len(time)).astype(int)

    def evidence(self, column: _Column, nothing: set[str]) -> str:
        """Say what makes a column a suspect; empty if nothing does."""
        filled = column.filled(nothing)
        if not self.can_tell or not filled.any():
            return ""
        closed, share = self.closed, filled.mean()
        found = []
        with_it = filled & closed
        wins = self.won[with_it].mean() if with_it.any() else 0.0
        if share < 0.95 and with_it.sum() >= 30 and wins >= 0.95:
            found.append(f"filled for {share:.0%} of leads, {wins:.0%} of those that ended won")
        before = filled[self.is_open].mean() if self.is_open.sum() >= 30 else math.nan
        after = filled[closed].mean()
        both = (filled, column.filled())  # a word for nothing may also be what nobody changed
        alone = max(self._auc(each[closed].astype(float)) for each in both)
        if alone >= 0.65 and not before > 0.8 * after:
            found.append(f"being filled or not tells won from lost in {alone:.0%} of pairs")
        if after >= 0.1 and before < 0.02:
            found.append(f"filled for {after:.0%} of ended leads, {before:.0%} of open ones")
        tenths = pd.Series(filled).groupby(self.slices).mean()
        if self.in_time and tenths.max() - tenths.min() >= 0.5:
            found.append(f"filled for {tenths.min():.0%} of leads in one tenth of the time, "
                         f"{tenths.max():.0%} in another")  # fmt: skip
        if (alone := self._auc(self._rates(column, filled))) >= 0.8:
            found.append(f"by itself it tells won from lost in {alone:.0%} of pairs")
        return "; ".join(found[:2])

    def _rates(self, column: _Column, filled: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Each ended lead's share of wins among leads of its value; rare values are pooled."""
        cells, numbers = pd.Series(column.texts, dtype=object).str.casefold(), column.numbers
        if np.isfinite(numbers[filled]).mean() >= 0.99 and len(column.counts) > 20:
            parts = int(np.clip(self.closed.sum() / (2 * MIN_ROWS_PER_VALUE), 2, 20))
            edges = np.nanquantile(numbers[filled], np.arange(1, parts) / parts)
            cells = pd.Series(np.digitize(numbers, np.unique(edges)).astype(str), dtype=object)
        cells = cells.where(filled, "\0nothing")[self.closed]
        cells = cells.where(cells.map(cells.value_counts()) >= MIN_ROWS_PER_VALUE, "\0rare")
        won = pd.Series(self.won[self.closed], index=cells.index)
        return won.groupby(cells).transform("mean").to_numpy(dtype=float)

    def _auc(self, scores: NDArray[np.float64]) -> float:
        """Share of pairs of won and lost, within a tenth of the time, that scores rank alike."""
        right, pairs = 0.0, 0.0
        for part in range(10):
            inside = self.slices[self.closed] == part
            won, ranks = self.won[self.closed][inside] == 1, rankdata(scores[inside])
            right += ranks[won].sum() - won.sum() * (won.sum() + 1) / 2
            pairs += won.sum() * (~won).sum()
        return max(right, pairs - right) / pairs if pairs else 0.5


def _personal(column: _Column) -> str | None:
    """Say why a column is personal data or free text; None if it is not."""
    for what, pattern in PERSONAL_CELLS.items():
        if column.share(pattern) >= 0.3:
            return f"{what}: personal data"
    filled, values = int(column.counts.sum()), column.counts.index
    if PHONE_NAME.search(column.words) and column.share(r"(\D*\d){6,16}\D*") >= 0.5:
        return "phone numbers: personal data"
    various = len(values) >= min(20, 0.5 * filled) and not column.is_number
    if PERSON_NAME.search(column.words) and various:
        return "names or addresses: personal data"
    words = float(np.mean([value.count(" ") + 1 for value in values])) if filled else 0.0
    noted = TEXT_NAME.search(column.words) and words >= 2 and len(values) >= 0.2 * filled
    if various and (noted or (words >= 6 and len(values) >= 0.5 * filled)):
        return "free text: may hold anything, personal data too"
    return None


# -- the text ------------------------------------------------------------------------------


def _table_lines(table: _Table, roles: dict[str, _Column]) -> list[str]:
    lines = [f"source = {_quote(table.source)}"]
    if table.keys.decimal != ".":
        lines.append(f"decimal = {_quote(table.keys.decimal)}  # as in 1.234,50")
    timed = [column for column in roles.values() if column.time_formats]
    if timed:
        form = _format(roles)
        keys = TableKeys(source="", time_format=form)
        if any(parse_times(column.cells, keys, "")[1] for column in timed):
            lines.append('timezone = "UTC"  # times name no zone; such as "Europe/Berlin" if local')
        if form is not None:
            other = [_quote(str(f)) for f in timed[0].time_formats if f != form]
            doubt = f"; {other[0]} fits as well: compare a date that you know" if other else ""
            lines.append(f"time_format = {_quote(form)}  # fits every time of this table{doubt}")
    if "lead_id" not in roles:
        lines.append('# lead_id = "…"  # no id was found: leads are numbered as they stand')
    for role, column in roles.items():
        lines.append(f"{role} = {_quote(column.name)}  # {ROLE_NOTES[role]}")
    return lines


def _order_lines(order: _Column | None, attributes: list[_Column]) -> list[str]:
    timed = [column.name for column in attributes if column.time_formats]
    asked = "If one of these tells when leads came, with no gaps, name it: "
    lines = _comment(asked + _listed(map(_quote, timed))) if timed else []
    lines += ['# created_at = "…"'] if timed else []
    if order is not None:
        note = "no time of creation was found; this number seems to grow with time: does it?"
        return [*lines, f"order = {_quote(order.name)}  # {note}"]
    ask = "If the rows stand in the order of time, oldest first, take the mark off the next line:"
    return [*lines, *_comment(f"No time of creation was found. {ask}"), '# order = "rows"']


def _learn_lines(values: _Values) -> list[str]:
    heading = "What is learned: the chance of a win. Each value of the outcome stands in one list."
    lines = [*_comment(heading), "[learn]"]
    lines.append(f"won = {_plain(values.won)}" + (values.guess and f"  # CHECK: {values.guess}"))
    lines.append(f"lost = {_plain(values.lost)}" + ("" if values.lost else "  # CHECK: none seen"))
    if values.still_open:
        lines.append(f"open = {_plain(values.still_open)}  # CHECK: these say neither won nor lost")
    return [*lines, "test_share = 0.2  # the newest leads, kept apart to test the model"]


def _horizon_lines(roles: dict[str, dict[str, _Column]], ended: pd.DataFrame) -> list[str]:
    days = ended["days"][(ended["won"] == 1) & (ended["days"] >= 0)].to_numpy()
    horizon, note = 90, "a win counts within so many days"
    if len(days) >= MIN_OUTCOMES:
        ladder = (7, 14, 30, 60, 90, 180, 365)
        horizon = next((step for step in ladder if (days <= step).mean() >= 0.9), ladder[-1])
        note += f"; {(days <= horizon).mean():.0%} of the wins seen came within {horizon}"
    ages = "[0, 7, 30]" if {"activities", "stages"} & set(roles) else "[0]"
    note_ages = "learn from leads at these ages; 0 is at creation"
    return [f"horizon_days = {horizon}  # {note}", f"moments_days = {ages}  # {note_ages}"]


def _column_lines(attributes: list[_Column], judge: _Judge) -> list[str]:
    """Write the rules for the attributes: what means nothing, and what is set aside."""
    nothing, doubt = _nothing(attributes)
    later: dict[str, str] = {}
    ignore: dict[str, str] = {}
    sensitive: dict[str, str] = {}
    category: dict[str, str] = {}
    for column in attributes:
        word = LATER_NAME.search(column.words)
        evidence = judge.evidence(column, set(nothing))
        filled = column.filled(nothing)
        numbers = float(np.isfinite(column.numbers[filled]).mean()) if filled.any() else 0.0
        if reason := _personal(column):
            ignore[column.name] = reason
        elif word or evidence:
            named = [f"{_quote(word[0])} in its name"] if word else []
            later[column.name] = "; ".join([*named, *filter(None, [evidence])])
        elif SENSITIVE_NAME.search(column.words):
            sensitive[column.name] = "about the person, not about their interest"
        elif 0.05 <= numbers <= 0.95 and len(column.counts) > 50:
            category[column.name] = f"{numbers:.0%} numbers, the rest text"
    spelled = {word: f"in {_listed(map(_quote, columns))}" for word, columns in nothing.values()}
    lines = [*_comment("Rules for the attributes of the leads table."), "[columns]"]
    lines += _list("nothing", spelled, "What is written where there is no value. Is it so?")
    if doubt:
        lines += _comment(f'"none" stands beside empty cells in {_listed(map(_quote, doubt))}: '
                          "it may be an answer there, so it is not listed.")  # fmt: skip
    lines += _list("ignore", ignore, "Never read: personal data, names, free text.")
    lines += _list("known_later", later, LATER_HEADING + ("" if judge.can_tell else FEW_HEADING))
    lines += _list("sensitive", sensitive, "No feature; used to compare how groups of people fare.")
    if category:
        lines += _list("category", category, "Numbers and text mixed: read as text. If the text "
                       "means nothing there, name the column in a list `number`.")  # fmt: skip
    return lines


def _nothing(columns: list[_Column]) -> tuple[dict[str, tuple[str, list[str]]], list[str]]:
    """Find the words for "no value": each folded word's spelling and columns; where in doubt."""
    found: dict[str, tuple[str, list[str]]] = {}
    for column in columns:
        for text in column.counts.index:
            if text.casefold() in NOTHING:
                found.setdefault(text.casefold(), (text, []))[1].append(column.name)
    gappy = {column.name for column in columns if column.has_gaps}
    doubt = [name for name in found.get("none", ("", []))[1] if name in gappy]
    if doubt:
        del found["none"]
    return found, doubt


def _list(key: str, items: dict[str, str], heading: str) -> list[str]:
    if not items:
        return [*_comment(heading), f"{key} = []"]
    entries = [f"    {_quote(name)},  # {note}" for name, note in items.items()]
    return [*_comment(heading), f"{key} = [", *entries, "]"]


def _plain(values: list[str]) -> str:
    """Write outcome values; whole numbers as such."""
    whole = r"0|-?[1-9]\d{0,8}"
    return f"[{', '.join(v if re.fullmatch(whole, v) else _quote(v) for v in values)}]"


def _quote(text: str) -> str:
    r"""Write a TOML basic string that also may stand in a comment: nothing breaks out.

    >>> print(_quote('a "b" \\ \n \x7f ü'))
    "a \"b\" \\ \u000A \u007F ü"
    """

    def escape(character: str) -> str:
        if character in '"\\':
            return "\\" + character
        code = ord(character)
        if character.isprintable():
            return character
        return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"

    return '"' + "".join(map(escape, text)) + '"'


def _comment(text: str) -> list[str]:
    """Wrap a comment; names in it are quoted, so it holds no line breaks of its own."""
    lines: list[str] = []
    line = "#"
    for word in text.split(" "):
        if len(line) + len(word) > 95 and line != "#":
            lines, line = [*lines, line], "#"
        line += " " + word
    return [*lines, line]


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def _words(name: str) -> str:
    """Split a name into lower-case words: `ClosedAt`, `closed_at` and `Closed at` are the same."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", split)).casefold()


def _model_name(name: str) -> str:
    """Make a name fit for a model.

    >>> _model_name("2024 Märkte & Co."), _model_name("日本")
    ('leads-2024-markte-co', 'leads')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")
    return (plain if re.match("[a-z]", plain) else f"leads-{plain}")[:63].rstrip("-_")
