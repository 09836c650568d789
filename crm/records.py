"""The four tables: what each must look like, and how they are read for a project.

A table is read whole, brought into the product's own column names and types, and
checked against its contract. All failures of a table come in one message; if there
is one, nothing is kept.
"""

import datetime
import hashlib
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crm.cells import cell_text, number_column, read_column, text_column, text_series
from crm.errors import ConfigError, SchemaError
from crm.ledger import Ledger
from crm.ledger_records import events_table, leads_table, project_ledger, with_events
from crm.project import LEDGER, LearnKeys, OutcomesKeys, Project, TableKeys, nearest
from crm.sources import name_of, read_table

TIME_DTYPE: Final = "datetime64[us, UTC]"


@dataclass(frozen=True)
class Role:
    """One column of a contract: its name, what it holds, and whether it must be there."""

    name: str
    kind: str  # "id" | "text" | "time" | "number"
    required: bool = False
    nullable: bool = False


CONTRACTS: dict[str, tuple[Role, ...]] = {
    "leads": (
        Role("lead_id", "id"),
        Role("created_at", "time"),
    ),
    "activities": (
        Role("lead_id", "id", required=True),
        Role("type", "text", required=True),
        Role("occurred_at", "time", required=True),
        Role("activity_id", "text", nullable=True),
        Role("content", "text", nullable=True),
        Role("channel", "text", nullable=True),
        Role("value", "number", nullable=True),
    ),
    "stages": (
        Role("lead_id", "id", required=True),
        Role("stage", "text", required=True),
        Role("entered_at", "time", required=True),
    ),
    "outcomes": (
        Role("lead_id", "id", required=True),
        Role("outcome", "text", required=True, nullable=True),
        Role("closed_at", "time", nullable=True),
        Role("amount", "number", nullable=True),
        Role("reason", "text", nullable=True),
    ),
}


@dataclass(frozen=True)
class Records:
    """The CRM's records, checked, under the product's own names.

    Attributes
    ----------
    leads : DataFrame, one row per lead
        `lead_id` (text, unique), `created_at` (datetime64, UTC) if the project has
        it, and every other column of the source as an attribute, as it was read.
        In the order of time where there is one, else as in the source.
    activities, stages : DataFrame or None
        As in `CONTRACTS`, sorted by lead and time.
    outcomes : DataFrame
        `lead_id`, `outcome` ("won" or "lost"), `closed_at` (datetime64, UTC, missing
        if the project has no such column), `amount` (float), `reason` (text).
    observed_until : Timestamp or None
        The moment up to which the records were watched; None without times.
    in_order : bool
        True if the leads stand in the order of time.
    notes : list of str
        What was repaired or left out while reading, in sentences for a person.
    """

    leads: pd.DataFrame
    outcomes: pd.DataFrame
    activities: pd.DataFrame | None = None
    stages: pd.DataFrame | None = None
    observed_until: pd.Timestamp | None = None
    in_order: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def has_times(self) -> bool:
        """True if the leads have a time of creation."""
        return "created_at" in self.leads.columns

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each table's content; seconds where there are millions of rows."""
        tables = {
            name: getattr(self, name) for name in ("leads", "activities", "stages", "outcomes")
        }
        return {name: digest(table) for name, table in tables.items() if table is not None}


def read_records(project: Project, now: datetime.datetime | None = None) -> Records:
    """Read the tables that a project names and check them.

    Parameters
    ----------
    project : Project
    now : datetime, timezone-aware, optional
        Times after it, such as planned meetings, do not extend the time that was watched.

    Returns
    -------
    Records

    Raises
    ------
    SourceError
        If a table cannot be read.
    SchemaError
        If a table breaks its contract; the message lists every failure of that table.
    ConfigError
        If the project file names columns that are not there.
    """
    notes: list[str] = []
    with project_ledger(project) as ledger:
        leads, leads_raw, outcomes, erased = _read_leads(project, ledger, notes)
    known = pa.Array.from_pandas(leads["lead_id"]).cast(pa.large_string())
    tables: dict[str, pd.DataFrame | None] = {
        "outcomes": outcomes,
        **read_events(project, notes),
    }
    for name, shaped in tables.items():
        if shaped is not None:
            shaped = shaped[~shaped["lead_id"].isin(erased)] if erased else shaped
            tables[name] = _of_known_leads(name, shaped, known, notes)
    leads, in_order = _in_order_of_time(leads_raw, leads, project)
    assert tables["outcomes"] is not None
    records = Records(
        leads=leads,
        outcomes=tables["outcomes"],
        activities=tables["activities"],
        stages=tables["stages"],
        observed_until=_observed_until(project, leads, tables, now, notes),
        in_order=in_order,
        notes=notes,
    )
    _check_outcomes_follow_creation(records, project)
    return records


def _read_leads(
    project: Project, ledger: Ledger | None, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame, set[str]]:
    """Read the leads and their outcomes, from the file, the ledger, or both.

    Returns
    -------
    leads : DataFrame
    leads_raw : DataFrame or None
        The file's, as read; without rows of other leads.
    outcomes : DataFrame
        Settled.
    erased : set of str
        Leads of the file that were erased.
    """
    leads_raw = leads = outcomes = None
    erased: set[str] = set()
    if project.leads.source != LEDGER:
        leads_raw = read_table(project.leads, project.folder)
        leads = shape_leads(leads_raw, project, notes)
        if ledger is not None:
            erased = ledger.erased(leads["lead_id"].tolist())
            keep = ~leads["lead_id"].isin(erased)
            if not keep.all():
                notes.append(f"leads: {int((~keep).sum()):,} were erased and are left out.")
            leads_raw, leads = (
                frame[keep.to_numpy()].reset_index(drop=True) for frame in (leads_raw, leads)
            )
    if project.outcomes is not None:
        outcomes = _shape(project.outcomes, "outcomes", project, notes)
    elif leads is not None and leads_raw is not None and project.leads.outcome is not None:
        outcomes = _flat_outcomes(leads_raw, leads["lead_id"], project, notes)
    if ledger is not None:
        outcomes = with_events("outcomes", outcomes, events_table(ledger, "outcomes"))
    assert outcomes is not None
    outcomes = _settle(outcomes, project.learn, name_of(project.outcomes or project.leads))
    if ledger is not None:
        leads = _with_sent_leads(project, ledger, leads, outcomes, notes)
    assert leads is not None
    columns = [] if leads_raw is None else list(leads_raw.columns)
    if ledger is not None:
        columns += [column for column in leads.columns if column not in columns]
    _check_named_columns(project, columns)
    return leads, leads_raw, outcomes, erased


def _with_sent_leads(
    project: Project,
    ledger: Ledger,
    leads: pd.DataFrame | None,
    outcomes: pd.DataFrame,
    notes: list[str],
) -> pd.DataFrame:
    """Add the leads that only the ledger knows; without times of creation only it can be alone."""
    keys = project.leads
    roles = {role: getattr(keys, role) for role in (
        "lead_id", "created_at", "outcome", "closed_at", "amount", "reason")}  # fmt: skip
    closed = outcomes.dropna(subset="closed_at").groupby("lead_id")["closed_at"].min()
    closed_at = dict(zip(closed.index, closed.astype(TIME_DTYPE).astype("int64"), strict=True))
    sent = leads_table(ledger, roles, closed_at)
    if leads is None and not sent["created_at"].notna().any():
        sent = sent.drop(columns="created_at")
    elif leads is not None and "created_at" not in leads:
        sent = sent.iloc[:0]
    else:
        without = int(sent["created_at"].isna().sum())
        if without:
            notes.append(f"ledger: {without:,} leads without a time of creation are left out.")
        sent = sent[sent["created_at"].notna()]
    if leads is None:
        if sent.empty:
            raise SchemaError("the ledger", ["it holds no leads. Score some through the service."])
        return sent.reset_index(drop=True)
    new = sent[~sent["lead_id"].isin(leads["lead_id"])]
    notes.append(f"ledger: {len(new):,} leads that the file does not have.")
    return leads if new.empty else pd.concat([leads, new], ignore_index=True)


def read_events(project: Project, notes: list[str]) -> dict[str, pd.DataFrame | None]:
    """Read the activities and stages that a project names, sorted by lead and time.

    Parameters
    ----------
    project : Project
    notes : list of str
        Receives what was assumed or left out.

    Returns
    -------
    dict of str to DataFrame or None
        `activities` and `stages`; None where the project has no such table. An activity
        that comes again for the same lead with the same id is there once, the earliest.
    """
    tables: dict[str, pd.DataFrame | None] = {}
    with project_ledger(project) as ledger:
        for name, keys, time in (
            ("activities", project.activities, "occurred_at"),
            ("stages", project.stages, "entered_at"),
        ):
            table = None if keys is None else _shape(keys, name, project, notes)
            if ledger is not None:
                held = events_table(ledger, name)
                table = with_events(name, table, held) if len(held) else table
            tables[name] = None if table is None else _in_order(name, table, time, notes)
    return tables


def _in_order(name: str, table: pd.DataFrame, time: str, notes: list[str]) -> pd.DataFrame:
    """Sort events by lead and time; of one lead's activities with the same id keep the earliest."""
    lead = pd.factorize(table["lead_id"], sort=True)[0]  # half the time of `sort_values`
    order = np.lexsort((table[time].to_numpy(dtype="datetime64[us]"), lead))
    table = table.iloc[order].reset_index(drop=True)
    if name == "activities" and "activity_id" in table:
        repeated = table["activity_id"].notna() & table["activity_id"].duplicated(keep=False)
        repeated[repeated] = table.loc[repeated, ["lead_id", "activity_id"]].duplicated()
        if repeated.any():
            notes.append(f"activities: {int(repeated.sum()):,} repeated ids, each kept once.")
            table = table[~repeated].reset_index(drop=True)
    return table


def shape_leads(table: pd.DataFrame, project: Project, notes: list[str]) -> pd.DataFrame:
    """Bring a raw leads table into the product's names, types and checks.

    Columns that play another role (outcome, closing date, order) and the ones that
    the project ignores or knows to be later knowledge stay: leaving them out of the
    features is the pipeline's decision.
    """
    keys = project.leads
    if keys.lead_id is None and "lead_id" not in table.columns:
        table = table.assign(lead_id=[f"row-{i}" for i in range(1, len(table) + 1)])
        notes.append("leads: no id column is named, so leads are numbered as they stand.")
    shaped = shape_table(table, "leads", keys, notes)
    roles = {getattr(keys, role.name) or role.name for role in CONTRACTS["leads"]}
    attributes = table[[column for column in table.columns if column not in roles]]
    clash = sorted(set(attributes.columns) & set(shaped.columns))
    if clash:
        raise SchemaError(
            name_of(keys),
            [
                f"an attribute is called {clash}, which is a role that another column plays. "
                "Rename it in the export."
            ],
        )
    return pd.concat([shaped, attributes], axis=1)


def shape_table(table: pd.DataFrame, name: str, keys: TableKeys, notes: list[str]) -> pd.DataFrame:
    """Map a raw table's columns to its contract's roles, parse them, and check them.

    Parameters
    ----------
    table : DataFrame
        As read, under the source's own column names.
    name : str
        Which contract: "leads", "activities", "stages" or "outcomes".
    keys : TableKeys
        Which column plays which role; a role without a key takes the column of its name.
    notes : list of str
        Receives what was assumed, such as the zone of times without one.

    Returns
    -------
    DataFrame
        The contract's columns only; optional ones where the source has them.

    Raises
    ------
    SchemaError
        With every failure of the table.
    """
    found, problems = _find_roles(table, name, keys)
    if problems:
        raise SchemaError(name_of(keys), problems)
    shaped: dict[str, Any] = {}
    for role, column in found.items():
        cells = table[column]
        if role.kind == "time":
            shaped[role.name], assumed = parse_times(cells, keys, name_of(keys))
            if assumed:
                notes.append(
                    f"{name}: times in `{column}` name no zone; read as {keys.timezone} "
                    "(set the table's `timezone` to change that)."
                )
        elif role.kind == "number":
            shaped[role.name] = number_column(cells)
        else:
            shaped[role.name] = text_series(cells)
    result = pd.DataFrame(shaped, index=table.index)
    problems = list(_contract_failures(table, result, name, found))
    if problems:
        raise SchemaError(name_of(keys), problems)
    return result


def parse_times(column: pd.Series, keys: TableKeys, subject: str) -> tuple[pd.Series, bool]:
    """Parse times to UTC; what cannot be parsed becomes missing.

    Times without a zone are taken to be in the table's `timezone`. Where clocks were
    turned back, the ambiguous hour is read as the earlier one (before the change);
    an hour that a clock change skipped is read as the hour after it.

    Returns
    -------
    Series of datetime64, UTC
    bool
        True if any time came without a zone.

    Examples
    --------
    >>> keys = TableKeys(source="leads.csv", timezone="Europe/Berlin")
    >>> parse_times(pd.Series(["2025-01-01 08:00", "2025-01-01T08:00Z", "soon"]), keys, "leads")
    (0   2025-01-01 07:00:00+00:00
    1   2025-01-01 08:00:00+00:00
    2                         NaT
    dtype: datetime64[us, UTC], True)
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return pd.Series(pd.NaT, index=column.index, dtype=TIME_DTYPE), False
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").astype(TIME_DTYPE), False
    if pd.api.types.is_datetime64_dtype(column.dtype):
        return _localize(column, keys.timezone, subject), bool(column.notna().any())
    if keys.time_format is not None:
        text = text_series(column)
        is_zoned = "%z" in keys.time_format.lower()
        try:
            parsed = pd.to_datetime(text, format=keys.time_format, errors="coerce", utc=is_zoned)
        except ValueError as error:
            raise ConfigError(
                f"{subject}: `{keys.time_format}` cannot be read as a time_format: {error}. "
                "Expected directives such as %d.%m.%Y %H:%M."
            ) from None
        if is_zoned:
            return parsed.astype(TIME_DTYPE), False
        return _localize(parsed, keys.timezone, subject), bool(parsed.notna().any())
    text = text_series(column)
    text = text.where(text.str.match(r"\d{4}-\d|\d{8}(?:[T ]|$)", na=False))  # else pandas guesses
    zoned = text.str.contains(r"\d[T ].*(?:Z|[+-][\d:]+)$", regex=True, na=False).astype(bool)
    result = pd.Series(pd.NaT, index=column.index, dtype=TIME_DTYPE)
    if zoned.any():
        with_zone = pd.to_datetime(text[zoned], format="ISO8601", errors="coerce", utc=True)
        result[zoned] = with_zone.astype(TIME_DTYPE)
    if (~zoned).any():
        bare = pd.to_datetime(text[~zoned], format="ISO8601", errors="coerce")
        result[~zoned] = _localize(bare, keys.timezone, subject)
    return result, bool((~zoned & result.notna()).any())


def _localize(times: pd.Series, zone: str, subject: str) -> pd.Series:
    try:
        aware = times.dt.tz_localize(
            zone,
            ambiguous=np.ones(len(times), dtype=bool),
            nonexistent="shift_forward",
        )
    except (LookupError, ValueError, OSError):
        raise ConfigError(
            f"{subject}: `{zone}` is no time zone. Expected a name such as Europe/Berlin or UTC."
        ) from None
    return aware.dt.tz_convert("UTC").astype(TIME_DTYPE)


def _find_roles(
    table: pd.DataFrame, name: str, keys: TableKeys
) -> tuple[dict[Role, str], list[str]]:
    columns = list(table.columns)
    found, problems = {}, []
    for role in CONTRACTS[name]:
        wanted = getattr(keys, role.name, None)
        column = wanted or role.name
        if column in columns:
            found[role] = column
        elif wanted is not None or role.required or role.name == "lead_id":
            hint = nearest(column, columns)
            if len(columns) == 1:
                hint = (
                    "The file has one column only: name its `delimiter`, "
                    "and make sure its first line is the header."
                )
            problems.append(f"there is no column `{column}` for the role `{role.name}`. {hint}")
    return found, problems


def _contract_failures(
    raw: pd.DataFrame, shaped: pd.DataFrame, name: str, found: dict[Role, str]
) -> Iterator[str]:
    """Check the shaped table with pandera and say each failure in one sentence."""
    import pandera.pandas as pandera  # a second to import, and never needed to score a request

    checks: dict[str, pandera.Column] = {}
    unparsed: dict[str, pd.Series] = {}
    for role in found:
        is_unparsed = shaped[role.name].isna()  # and yet the cell says something
        is_unparsed[is_unparsed] = pd.notna(text_column(raw[found[role]][is_unparsed]))
        unparsed[role.name] = is_unparsed
        parsed = pandera.Check(
            lambda column, no=is_unparsed: ~no.reindex(column.index, fill_value=False),
            name="parses",
            ignore_na=False,
        )
        checks[role.name] = pandera.Column(
            nullable=role.nullable,
            unique=name == "leads" and role.kind == "id",
            checks=[parsed] if role.kind in ("time", "number") else [],
        )
    try:
        pandera.DataFrameSchema(checks).validate(shaped, lazy=True)
    except pandera.errors.SchemaErrors as failure:
        cases = failure.failure_cases
        for (column, check), rows in cases.groupby(["column", "check"], sort=True):
            role = next(role for role in found if role.name == column)
            positions = np.sort(rows["index"].to_numpy(dtype=np.int64))
            if check == "not_nullable":  # a cell that says something is not missing
                positions = positions[~unparsed[role.name].to_numpy()[positions]]
            if len(positions):
                yield _failure_sentence(str(check), role, found[role], raw, positions)


def _failure_sentence(
    check: str, role: Role, column: str, raw: pd.DataFrame, positions: NDArray[np.int64]
) -> str:
    where = f"{len(positions):,} of {len(raw):,} rows (row {_listed(positions + 1)})"
    examples = _listed(raw[column].iloc[positions[:3]].tolist())
    if check == "not_nullable":
        return f"`{column}` is missing in {where}. Every row needs its {role.name}."
    if check.startswith("field_uniqueness"):
        return (
            f"`{column}` repeats in {where}: {examples}. Each lead may stand there once; "
            "keep one row of each, or name another id column."
        )
    if role.kind == "time":
        return (
            f"`{column}` is no time in {where}: {examples}. Expected ISO 8601 such as "
            "2025-03-01T08:00:00Z, not seconds since 1970; name another `time_format` otherwise."
        )
    return (
        f"`{column}` is no finite number in {where}: {examples}. Expected numbers or empty cells; "
        'set the table\'s decimal = "," if they are written with a comma.'
    )


def _listed(values: Any) -> str:
    texts = [reprlib.repr(value) if isinstance(value, str) else str(value) for value in values]
    return ", ".join(texts[:5]) + (", …" if len(texts) > 5 else "")


def _shape(keys: TableKeys, name: str, project: Project, notes: list[str]) -> pd.DataFrame:
    return shape_table(read_table(keys, project.folder), name, keys, notes)


def _flat_outcomes(
    raw: pd.DataFrame, lead_id: pd.Series, project: Project, notes: list[str]
) -> pd.DataFrame:
    keys = project.leads
    named = {
        role.name: column
        for role in CONTRACTS["outcomes"]
        if role.name != "lead_id" and (column := getattr(keys, role.name)) is not None
    }
    missing = [column for column in named.values() if column not in raw.columns]
    if missing:
        raise SchemaError(
            name_of(keys),
            [
                f"there is no column `{column}` ([leads]). {nearest(column, list(raw.columns))}"
                for column in missing
            ],
        )
    flat = raw[list(dict.fromkeys(named.values()))].assign(lead_id=lead_id.to_numpy())
    roles = OutcomesKeys(
        source=keys.source,
        table=keys.table,
        query=keys.query,
        timezone=keys.timezone,
        time_format=keys.time_format,
        **named,
    )
    return shape_table(flat, "outcomes", roles, notes)


def _settle(outcomes: pd.DataFrame, learn: LearnKeys, subject: str) -> pd.DataFrame:
    """Turn the CRM's outcome values into won and lost; open and empty ones are no outcome."""
    meaning: dict[str, str] = {}
    for word, values in (("won", learn.won), ("lost", learn.lost), ("open", learn.open)):
        meaning.update({str(cell_text(value)).casefold(): word for value in values})

    def read(cell: Any) -> str | None:
        text = cell_text(cell)
        return None if text is None else meaning.get(text.casefold(), "undeclared")

    settled = read_column(outcomes["outcome"], read, object)
    undeclared = settled == "undeclared"
    if undeclared.any():
        values = outcomes["outcome"][undeclared].value_counts()
        named = ", ".join(
            f"{reprlib.repr(value)} ({count:,} rows)" for value, count in values.head(8).items()
        )
        raise SchemaError(
            subject,
            [
                f"outcome values that nobody declared: {named}. "
                "Put each into won, lost or open in [learn]."
            ],
        )
    outcomes = outcomes.assign(outcome=settled)
    outcomes = outcomes[outcomes["outcome"].isin(["won", "lost"])]
    absent: dict[str, Any] = {
        "closed_at": pd.Series(pd.NaT, index=outcomes.index, dtype=TIME_DTYPE),
        "amount": np.nan,
        "reason": None,
    }
    outcomes = outcomes.assign(**{k: v for k, v in absent.items() if k not in outcomes})
    return outcomes.reset_index(drop=True)[[role.name for role in CONTRACTS["outcomes"]]]


def _of_known_leads(
    name: str, table: pd.DataFrame, known: pa.Array, notes: list[str]
) -> pd.DataFrame:
    # Arrow's own look-up takes an eighth of the time that pandas' takes on text.
    ids = pa.Array.from_pandas(table["lead_id"]).cast(pa.large_string())
    is_known = pc.is_in(ids, value_set=known).to_numpy(zero_copy_only=False)
    strangers = int((~is_known).sum())
    if strangers and strangers == len(table):
        raise SchemaError(
            name,
            [
                f"none of its {len(table):,} rows belongs to a lead of the leads table, such as "
                f"{_listed(table['lead_id'].head(3).tolist())}. Do both name the same id column?"
            ],
        )
    if strangers:
        notes.append(f"{name}: {strangers:,} rows of unknown leads are left out.")
    return table[is_known].reset_index(drop=True) if strangers else table


def _in_order_of_time(
    raw: pd.DataFrame | None, leads: pd.DataFrame, project: Project
) -> tuple[pd.DataFrame, bool]:
    order = project.leads.order
    if "created_at" in leads:
        return leads.sort_values(["created_at", "lead_id"], ignore_index=True), True
    if order is None or raw is None:
        return leads, False
    if order == "rows":
        return leads, True
    numbers = number_column(raw[order])
    if np.isnan(numbers).any():
        raise SchemaError(
            name_of(project.leads),
            [
                f"the order column `{order}` has {int(np.isnan(numbers).sum()):,} cells that are "
                'no number. Expected a number that grows with time, or order = "rows".'
            ],
        )
    return leads.iloc[np.argsort(numbers, kind="stable")].reset_index(drop=True), True


def _observed_until(
    project: Project,
    leads: pd.DataFrame,
    tables: dict[str, pd.DataFrame | None],
    now: datetime.datetime | None,
    notes: list[str],
) -> pd.Timestamp | None:
    """Find the end of the time that was watched: declared, or the newest time that has come."""
    declared = project.learn.observed_until
    if declared is not None:
        moment = parse_times(pd.Series([declared]), TableKeys(source=""), "")[0].iloc[0]
        if pd.isna(moment):
            raise ConfigError(
                f"[learn] observed_until = {declared!r} is no time. Expected ISO 8601."
            )
        return moment
    if "created_at" not in leads:
        return None
    columns = {"outcomes": "closed_at", "activities": "occurred_at", "stages": "entered_at"}
    times = pd.concat(
        [leads["created_at"]]
        + [table[columns[name]] for name, table in tables.items() if table is not None]
    ).dropna()
    in_future = times > now if now is not None else times.isna()
    if in_future.any():
        notes.append(
            f"{int(in_future.sum()):,} times lie in the future, the last at {times.max()}; "
            "they do not count as watched."
        )
    watched = times[~in_future]
    return watched.max() if len(watched) else None


def _check_outcomes_follow_creation(records: Records, project: Project) -> None:
    if not records.has_times:
        return
    created = records.leads.set_index("lead_id")["created_at"]
    outcomes = records.outcomes
    early = (outcomes["closed_at"] < outcomes["lead_id"].map(created)).to_numpy()
    share = early.sum() / max(1, len(outcomes))
    if share > 0.5:
        raise SchemaError(
            name_of(project.outcomes or project.leads),
            [
                f"{int(early.sum()):,} of {len(outcomes):,} outcomes lie before their lead's "
                "creation. Are `created_at` and `closed_at` mapped to the right columns?"
            ],
        )
    if early.any():
        records.notes.append(
            f"outcomes: {int(early.sum()):,} lie before their lead's creation; "
            "these leads have no moment to learn from."
        )


def _check_named_columns(project: Project, columns: list[str]) -> None:
    rules = project.columns
    problems = []
    if project.leads.order not in (None, "rows", *columns):
        problems.append(f"[leads] order: `{project.leads.order}`.")
    for key in (
        "ignore", "known_later", "known_in_time", "sensitive", "number", "category"
    ):  # fmt: skip
        problems += [
            f"[columns] {key}: `{column}`. {nearest(column, columns)}"
            for column in getattr(rules, key)
            if column not in columns
        ]
    report = project.report
    problems += [
        f"[report] {key}: `{column}`. {nearest(column, columns)}"
        for key, named in (("source", [report.source]), ("audience", report.audience))
        for column in named
        if column is not None and column not in columns
    ]
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(
            f"{project.path.name} names columns that {name_of(project.leads)} "
            f"does not have:\n{lines}"
        )


def digest(table: pd.DataFrame) -> str:
    """SHA-256 of a table's columns, types and cells; the index does not count.

    Examples
    --------
    >>> digest(pd.DataFrame({"a": [1, 2]}))[:12] == digest(pd.DataFrame({"a": [1, 2]}))[:12]
    True
    """
    sha = hashlib.sha256(
        repr(list(zip(table.columns, map(str, table.dtypes), strict=True))).encode()
    )
    sha.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return sha.hexdigest()
