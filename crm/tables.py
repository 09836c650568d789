"""The tables of leads, activities, stages and outcomes, declared once.

Other modules use this declaration: the keys of the project file (`crm.project_keys`), the checks of
tables (`crm.contracts`), the ledger's tables (`crm.ledger.schema`), the ledger's export
(`crm.ledger.export`), and the requests to the service (`serving.payloads`). So a new optional
column needs one edit: one more `DeclaredColumn`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

Kind = Literal["id", "text", "value", "time", "number"]


@dataclass(frozen=True)
class DeclaredColumn:
    """One column of a table.

    Attributes
    ----------
    name : str
    kind : {"id", "text", "value", "time", "number"}
        The kind of its cells. A "value" may be a text, a number, true or false.
    description : str
        One sentence. The service's contract contains it.
    required : bool
        Whether a table and an event must have it. The ledger never lacks a required value.
    nullable : bool
        Whether cells of a file may be empty.
    identifies : bool
        Whether different values mean different events. This decides whether a file and the
        ledger have the same event, if at least one of the two events has no id.
    in_files : bool
        Whether a file can have the column, so that the project file can name it. The ledger, its
        export and the service have every column.
    ends_day : bool
        Whether a day without a clock is stored as its last moment. Only times have it.
    """

    name: str
    kind: Kind
    description: str
    required: bool = False
    nullable: bool = True
    identifies: bool = False
    in_files: bool = True
    ends_day: bool = False


@dataclass(frozen=True)
class DeclaredTable:
    """One table: its name, a description of a row, and its columns.

    The first column is the lead's id.
    """

    name: str
    description: str
    columns: tuple[DeclaredColumn, ...]

    @cached_property
    def file_columns(self) -> tuple[DeclaredColumn, ...]:
        """The columns that a file can have."""
        return tuple(column for column in self.columns if column.in_files)

    @cached_property
    def event_id(self) -> str:
        """The column of an event's own id."""
        return next(column.name for column in self.columns[1:] if column.kind == "id")

    @cached_property
    def event_time(self) -> str:
        """The column of the time at which an event happened: the first column of times."""
        return next(column.name for column in self.columns if column.kind == "time")

    @cached_property
    def content(self) -> tuple[DeclaredColumn, ...]:
        """The columns that describe an event: all but the ids."""
        return tuple(column for column in self.columns if column.kind != "id")


def _lead_id(required: bool = True) -> DeclaredColumn:
    return DeclaredColumn(
        "lead_id", "id", "The lead's id, as the CRM has it.", required, nullable=False
    )


TABLES: Final = {
    table.name: table
    for table in (
        DeclaredTable(
            "leads",
            "One lead.",
            (
                _lead_id(required=False),
                DeclaredColumn(
                    "created_at", "time", "When the lead entered the CRM.", nullable=False
                ),
            ),
        ),
        DeclaredTable(
            "activities",
            "One activity of one lead.",
            (
                _lead_id(),
                DeclaredColumn(
                    "type",
                    "text",
                    "What happened, such as an e-mail opened or a call.",
                    required=True,
                    nullable=False,
                    identifies=True,
                ),
                DeclaredColumn(
                    "occurred_at",
                    "time",
                    "When it happened. A day without a clock counts from its end.",
                    required=True,
                    nullable=False,
                    identifies=True,
                    ends_day=True,
                ),
                DeclaredColumn(
                    "activity_id",
                    "id",
                    "The activity's id. An id that was sent before is the same activity.",
                ),
                DeclaredColumn(
                    "content",
                    "text",
                    "What it was about, such as a page, a form or a mailing.",
                    identifies=True,
                ),
                DeclaredColumn(
                    "channel", "text", "The channel, such as web or phone.", identifies=True
                ),
                DeclaredColumn(
                    "value", "number", "A number, such as minutes of a call.", identifies=True
                ),
            ),
        ),
        DeclaredTable(
            "stages",
            "One lead's entry into a stage of the funnel.",
            (
                _lead_id(),
                DeclaredColumn(
                    "stage",
                    "text",
                    "The stage that the lead entered.",
                    required=True,
                    nullable=False,
                    identifies=True,
                ),
                DeclaredColumn(
                    "entered_at",
                    "time",
                    "When the lead entered the stage. A day without a clock counts from its end.",
                    required=True,
                    nullable=False,
                    identifies=True,
                    ends_day=True,
                ),
                DeclaredColumn(
                    "stage_id",
                    "id",
                    "The entry's id. An id that was sent before is the same entry.",
                    in_files=False,
                ),
            ),
        ),
        DeclaredTable(
            "outcomes",
            "How one lead ended.",
            (
                _lead_id(),
                DeclaredColumn(
                    "outcome",
                    "value",
                    "How the lead ended, in the CRM's own value. The project file declares which "
                    "values mean won and lost.",
                    required=True,
                    identifies=True,
                ),
                DeclaredColumn(
                    "closed_at",
                    "time",
                    "When the lead was closed. A day without a clock is any moment of the day.",
                    identifies=True,
                ),
                DeclaredColumn(
                    "outcome_id",
                    "id",
                    "The outcome's id. An id that was sent before is the same outcome.",
                    in_files=False,
                ),
                DeclaredColumn("amount", "number", "The revenue of the lead."),
                DeclaredColumn("reason", "text", "Why the lead was won or lost."),
            ),
        ),
    )
}
EVENT_TABLES: Final = {name: table for name, table in TABLES.items() if name != "leads"}
