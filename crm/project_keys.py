"""The content of the project file: its sections and keys, and `Project`, which contains them.

Other modules import these names from `crm.project`.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast, get_args

import msgspec
from msgspec import Meta, Struct, field

from crm.control_share import MOST_CONTROL
from crm.tables import TABLES, DeclaredTable

LEDGER_URL = "LEADSCORE_LEDGER_URL"
LEDGER = "ledger"  # the `source` of leads that come from the ledger alone

CENTURY = 36_525  # days; the end of a far longer horizon could not be stored as a time
Horizon = Annotated[float, Meta(gt=0, le=CENTURY)]
Age = Annotated[float, Meta(ge=0, le=CENTURY)]
Share = Annotated[float, Meta(ge=0.05, le=0.5)]
OneCharacter = Annotated[str, Meta(min_length=1, max_length=1)]
NAME_PATTERN = "^[a-z][a-z0-9_-]{0,62}$"
ModelName = Annotated[str, Meta(pattern=NAME_PATTERN)]
CellValue = str | int | float | bool


class ProjectKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[project]`: the model's name, and whether its records are simulated."""

    name: ModelName
    simulated: bool = False


class TableKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys that every table has: where it is and how it is stored.

    The keys that name the columns are derived from `crm.tables`; `column_of` reads them.
    """

    source: str
    table: str | None = None
    query: str | None = None
    sheet: str | None = None
    delimiter: OneCharacter | None = None
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    timezone: str = "UTC"
    time_format: str | None = None
    formats: dict[str, str] = field(default_factory=dict)

    def column_of(self, role: str) -> str | None:
        """Return the name of the column that plays a role; None if the keys do not name it."""
        named: str | None = getattr(self, role, None)
        return named


def _table_keys(table: DeclaredTable) -> type[TableKeys]:
    roles = [column.name for column in table.file_columns]
    if table.name == "leads":  # a flat export has its outcomes in the same table
        roles += ["order", *(column.name for column in TABLES["outcomes"].file_columns[1:])]
    if table.name == "outcomes":  # a file of wins has no column of outcomes
        roles.append("every_row")
    keys = msgspec.defstruct(
        f"{table.name.title()}Keys",
        [(role, str | None, None) for role in roles],
        bases=(TableKeys,),
        frozen=True,
        forbid_unknown_fields=True,
    )
    return cast(type[TableKeys], keys)


TABLE_KEYS: Final = {name: _table_keys(table) for name, table in TABLES.items()}


class LedgerKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[ledger]`: the service's own database. Training reads it alone or together with files."""

    url: str | None = None


class ControlKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[control]`: the share of leads that are not prioritised."""

    share: Annotated[float, Meta(ge=0, le=MOST_CONTROL)] | None = None


class TreesKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[learn.trees]`: settings of the boosted trees, in place of the defaults.

    Tuning searches them. The names are those of LightGBM's parameters.
    """

    learning_rate: Annotated[float, Meta(ge=0.001, le=1)] | None = None
    num_leaves: Annotated[int, Meta(ge=2, le=256)] | None = None
    min_data_in_leaf: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    feature_fraction: Annotated[float, Meta(ge=0.01, le=1)] | None = None
    bagging_fraction: Annotated[float, Meta(ge=0.1, le=1)] | None = None
    lambda_l2: Annotated[float, Meta(ge=0, le=10_000)] | None = None
    cat_smooth: Annotated[float, Meta(ge=0, le=10_000)] | None = None
    max_cat_to_onehot: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    extra_trees: bool | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that the file sets."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not None}


class LearnKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[learn]`: what counts as won, within how many days, from which moments."""

    won: Annotated[list[CellValue], Meta(min_length=1)]
    lost: list[CellValue] = field(default_factory=list)
    open: list[CellValue] = field(default_factory=list)
    horizon_days: Horizon = 90.0
    moments_days: Annotated[list[Age], Meta(min_length=1)] = field(default_factory=lambda: [0.0])
    observed_until: str | None = None
    test_share: Share = 0.2
    half_life_days: Horizon | None = None
    remedies: bool = True
    rising: list[str] = field(default_factory=list)
    falling: list[str] = field(default_factory=list)
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    trees: TreesKeys = field(default_factory=TreesKeys)


class RetrainKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[retrain]`: when `leadscore retrain` trains, and whether it promotes by itself."""

    every_days: Annotated[float, Meta(ge=1, le=3650)] = 30.0
    when: Literal["schedule", "drift", "either"] = "either"
    promote: Literal["auto", "ask"] = "auto"
    tune_minutes: Annotated[float, Meta(ge=0.01, le=1440)] | None = None
    shadow_days: Annotated[float, Meta(ge=0, le=365)] = 0.0


class MonitorKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[monitor]`: what is gone on purpose, so that no check expects it."""

    retired_activities: list[str] = field(default_factory=list)
    retired_columns: list[str] = field(default_factory=list)
    retired_values: dict[str, list[CellValue]] = field(default_factory=dict)


class MlflowKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[mlflow]`: what a training stores in its MLflow run."""

    keep_tables: bool = False


class ScaleKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[scale]`: the share of wins that scores 50, and the lowest score of each grade."""

    base_rate: Annotated[float, Meta(gt=0, lt=1)] | None = None
    grades: dict[str, int] | None = None


class ColumnsKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[columns]`: rules for the attributes of the leads table."""

    nothing: list[str] = field(default_factory=list)
    ignore: list[str] = field(default_factory=list)
    known_later: list[str] = field(default_factory=list)
    known_in_time: list[str] = field(default_factory=list)
    sensitive: list[str] = field(default_factory=list)
    allow_sensitive: list[str] = field(default_factory=list)
    number: list[str] = field(default_factory=list)
    category: list[str] = field(default_factory=list)


NotificationKind = Literal["check", "promoted", "refused", "waiting", "failed", "grade_a"]


class NotifyKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[notify]`: the targets of notifications, their kinds, and the file of those that wait.

    The addresses and the secret may contain `${NAME}`; `notifying.targets` reads the variables.
    """

    webhook: str | None = None
    secret: str | None = None
    slack: str | None = None
    teams: str | None = None
    on: list[NotificationKind] = field(default_factory=lambda: list(get_args(NotificationKind)))
    numeric_ids: bool = False
    outbox: str = "notifications.db"


Amount = Annotated[float, Meta(ge=0)]
GradeAmounts = dict[str, Amount]


class TargetKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[report.targets]`: what marketing and sales promise each other, by grade or by week."""

    leads_per_week: GradeAmounts = field(default_factory=dict)
    first_touch_hours: GradeAmounts = field(default_factory=dict)
    worked_share: GradeAmounts = field(default_factory=dict)
    won_share: GradeAmounts = field(default_factory=dict)
    revenue_per_week: Amount | None = None


class ReportKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[report]`: the columns, stages and activities that have a meaning in the report."""

    source: str | None = None
    audience: Annotated[list[str], Meta(max_length=12)] = field(default_factory=list)
    qualified_stage: str | None = None
    stage_activities: list[str] = field(default_factory=list)
    sales_activities: list[str] = field(default_factory=list)
    content_is_people: bool = False
    sales_channels: list[str] = field(default_factory=list)
    leads_per_week: Annotated[int, Meta(ge=1)] | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    targets: TargetKeys = field(default_factory=TargetKeys)


class SettingsSections(Struct, frozen=True, forbid_unknown_fields=True):
    """The sections of the project file that are not tables."""

    project: ProjectKeys
    learn: LearnKeys
    ledger: LedgerKeys = field(default_factory=LedgerKeys)
    control: ControlKeys = field(default_factory=ControlKeys)
    columns: ColumnsKeys = field(default_factory=ColumnsKeys)
    scale: ScaleKeys = field(default_factory=ScaleKeys)
    report: ReportKeys = field(default_factory=ReportKeys)
    mlflow: MlflowKeys = field(default_factory=MlflowKeys)
    monitor: MonitorKeys = field(default_factory=MonitorKeys)
    retrain: RetrainKeys = field(default_factory=RetrainKeys)
    notify: NotifyKeys = field(default_factory=NotifyKeys)


TABLE_SECTIONS: Final = msgspec.defstruct(
    "_TableSections", [(name, keys | None, None) for name, keys in TABLE_KEYS.items()]
)


@dataclass(frozen=True)
class Project:
    """The checked `leadscore.toml`.

    Attributes
    ----------
    path : Path
        The project file. Relative sources are relative to its folder.
    text : str
        The content of the file. MLflow stores it with each run.
    name : str
        The model's name in the registry and in every answer.
    simulated : bool
        Whether the records are made up. Every score and figure shows it.
    leads, activities, stages, outcomes : table keys, or None where the table is absent
    learn : LearnKeys
    columns : ColumnsKeys
    scale : ScaleKeys
    report : ReportKeys
    mlflow : MlflowKeys
    monitor : MonitorKeys
    retrain : RetrainKeys
    notify : NotifyKeys
    ledger_url : str or None
        The address of the ledger: `[ledger] url`, or the setting `LEADSCORE_LEDGER_URL`.
    control_share : float
        The share of leads in the control group: `[control] share`, or the setting
        `LEADSCORE_CONTROL_SHARE`.
    """

    path: Path
    text: str
    name: str
    simulated: bool
    leads: TableKeys
    activities: TableKeys | None
    stages: TableKeys | None
    outcomes: TableKeys | None
    learn: LearnKeys
    columns: ColumnsKeys
    scale: ScaleKeys = ScaleKeys()
    report: ReportKeys = ReportKeys()
    mlflow: MlflowKeys = MlflowKeys()
    monitor: MonitorKeys = MonitorKeys()
    retrain: RetrainKeys = RetrainKeys()
    notify: NotifyKeys = NotifyKeys()
    ledger_url: str | None = dataclasses.field(default=None, repr=False)
    control_share: float = 0.0

    def __repr__(self) -> str:
        simulated = " (simulated)" if self.simulated else ""
        tables = [table for table in TABLES if getattr(self, table)]
        return f"<Project {self.name!r}{simulated}: {', '.join(tables)}; {self.path}>"

    @property
    def folder(self) -> Path:
        """The folder of the project file."""
        return self.path.parent
