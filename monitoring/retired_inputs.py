"""Adds to the checks of features which retired names they leave out, and which occur again."""

from collections.abc import Sequence

from crm.cells import folded_words
from crm.project import Project
from crm.records import Records
from crm.times import microseconds
from features.named import source_candidates
from models.scorer import LeadScorer
from monitoring.check import Check
from monitoring.gaps import back_again, until_of
from monitoring.retired import (
    ACTIVITIES,
    COLUMNS,
    VALUES,
    Retired,
    not_expected,
    rows_filled,
    rows_with_value,
    value_name,
    with_retired,
)


def with_retired_inputs(
    checks: Sequence[Check],
    scorer: LeadScorer,
    records: Records,
    project: Project,
    retired: Retired,
) -> list[Check]:
    """Add to the checks of features what they leave out as retired, and what of it is back."""
    created = microseconds(records.leads["created_at"])
    until = until_of(records)
    nothing = folded_words(project.columns.nothing)
    sources = source_candidates(records.leads, project)[:1]  # LM304 checks the values of sources
    columns = [
        back_again(f"`{column}`", created[rows_filled(records, column, nothing)], until)
        for column in retired.columns
    ]
    values = [
        back_again(
            value_name(column, name),
            created[rows_with_value(records, scorer.pipeline, column, key)],
            until,
        )
        for column, names in retired.values.items()
        if column not in sources
        for key, name in names.items()
    ]
    of_columns = not_expected(COLUMNS, [f"`{column}`" for column in retired.columns])
    of_values = not_expected(
        VALUES,
        [
            value_name(column, name)
            for column, names in retired.values.items()
            for name in names.values()
        ],
    )
    of_types = not_expected(ACTIVITIES, [f'"{name}"' for name in retired.activities.values()])
    left_out = {
        "LM301": (of_columns, columns),
        "LM302": (of_values, values),
        "LM303": (" ".join(filter(None, [of_columns, of_values, of_types])), []),
    }
    return [with_retired(check, *left_out[check.number]) for check in checks]
