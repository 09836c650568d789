"""What the titles and takeaways of pages may say of what their tables hold."""

import datetime
from dataclasses import replace

import numpy as np
import pytest

from crm.project import load_project
from crm.records import read_records
from reports.pages_funnel import funnel_page
from reports.rows import make_rows

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def rows(simulated_crm):
    project = load_project(simulated_crm)
    return make_rows(project, read_records(project), NOW)


def figure_of(page, name):
    (found,) = (f for section in page.sections for f in section.figures if f.name == name)
    return found


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((60, 30), "Named most often is “price” for 66.7\u00a0% of the lost leads with a reason"),
        (
            (33, 30),
            "No reason is named most by more than chance: “price” for 52.4\u00a0% of the lost "
            "leads, “time” for 47.6\u00a0%",
        ),
    ],
)
def test_a_reason_is_the_most_frequent_only_beyond_chance(rows, counts, said) -> None:
    reason = np.full(len(rows), None, dtype=object)
    lost = np.flatnonzero(rows.is_lost)
    reason[lost[: sum(counts)]] = np.repeat(["price", "time"], counts)
    page = funnel_page(replace(rows, reason=reason))
    assert figure_of(page, "funnel-reasons").finding == said
