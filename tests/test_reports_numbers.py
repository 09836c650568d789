"""The numbers of the pages, compared with SQL over the raw tables.

The SQL uses nothing of the product but the moment and the horizon of the report.
"""

import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from crm.project import load_project
from crm.reading import read_records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from crm.times import DAY
from models.evaluation.comparisons import FEWEST_LEADS
from reports.content import Page, Row
from reports.pages.activities.looks import look_days
from reports.pages.activities.page import activities_page
from reports.pages.age import age_page
from reports.pages.audience import audience_page
from reports.pages.features.drivers import ended, looks
from reports.pages.funnel.page import funnel_page
from reports.pages.service_levels.page import service_page
from reports.pages.sources.page import sources_page
from reports.rows.building import make_rows
from reports.rows.rows import ReportRows
from tests.made_reports import figure_of

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
BANK_STAGES = ("A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED")
SIMULATED_STAGES = ("new", "marketing_qualified", "sales_accepted", "opportunity")


class Oracle:
    """The raw tables in DuckDB.

    `leads(id, created)`, `events(id, type, content, tm)`, `stages(id, stage, tm)` and
    `outcomes(id, won, amount, closed)`. The table `base` joins leads and outcomes.
    """

    def __init__(self, rows: ReportRows, views: str, stages: tuple[str, ...]) -> None:
        self.rows = rows
        self.sql = duckdb.connect()
        self.sql.execute("SET TimeZone = 'UTC'")
        self.sql.execute(views)
        self.sql.execute(f"""
            CREATE TABLE base AS
            SELECT l.*, o.closed, coalesce(o.won, false) AS won, coalesce(NOT o.won, false) AS lost,
                coalesce(o.won AND o.closed - {rows.horizon} <= created, false) AS in_time,
                created + {rows.horizon} <= {rows.as_of} AS mature
            FROM leads l LEFT JOIN outcomes o USING (id)
            WHERE created <= {rows.as_of}
        """)
        names = ", ".join(f"('{stage}', {i})" for i, stage in enumerate(stages))
        self.sql.execute(
            f"CREATE TABLE funnel AS SELECT * FROM (VALUES {names}) AS t(stage, place)"
        )

    def all(self, query: str) -> list[tuple[Any, ...]]:
        return self.sql.execute(query).fetchall()

    def one(self, query: str) -> tuple[Any, ...]:
        return self.all(query)[0]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    folder = tmp_path_factory.mktemp("report_crm")
    simulate(Simulation(leads=4_000, activities_per_lead=5, seed=7), folder)
    project = load_project(folder)
    rows = make_rows(project, read_records(project, NOW), NOW)
    return Oracle(
        rows,
        f"""
        CREATE VIEW leads AS SELECT lead_id AS id, epoch_us(created_at) AS created, source,
            country FROM read_csv('{folder}/leads.csv');
        CREATE VIEW events AS SELECT lead_id AS id, type, content, epoch_us(occurred_at) AS tm
            FROM read_csv('{folder}/activities.csv') QUALIFY row_number() OVER
            (PARTITION BY lead_id, activity_id ORDER BY occurred_at) = 1;  -- sent twice
        CREATE VIEW stages AS SELECT lead_id AS id, stage, epoch_us(entered_at) AS tm
            FROM read_csv('{folder}/stages.csv');
        CREATE VIEW outcomes AS SELECT lead_id AS id, outcome = 'won' AS won, amount,
            epoch_us(closed_at) AS closed FROM read_csv('{folder}/outcomes.csv');
    """,
        SIMULATED_STAGES,
    )


@pytest.fixture(scope="module")
def bank(public_data: Path) -> Oracle:
    project = load_project(EXAMPLES / "bpic2012.toml")
    rows = make_rows(project, read_records(project, NOW), NOW)
    folder = public_data / "bpic2012"
    return Oracle(
        rows,
        f"""
        CREATE VIEW leads AS SELECT case_id::VARCHAR AS id, epoch_us(registered_at) AS created,
            amount_requested FROM read_csv('{folder}/leads.csv');
        CREATE VIEW events AS SELECT case_id::VARCHAR AS id, activity AS type,
            resource::VARCHAR AS content, epoch_us(occurred_at) AS tm
            FROM read_csv('{folder}/activities.csv.gz');
        CREATE VIEW stages AS SELECT id, type AS stage, tm FROM events WHERE
            type IN {BANK_STAGES};
        CREATE VIEW outcomes AS SELECT case_id::VARCHAR AS id, outcome = 'approved' AS won,
            0.0 AS amount, epoch_us(closed_at) AS closed FROM read_csv('{folder}/outcomes.csv');
    """,
        BANK_STAGES,
    )


@pytest.fixture(params=["simulated", "bank"])
def oracle(request: pytest.FixtureRequest) -> Oracle:
    return request.getfixturevalue(request.param)


def by_name(page: Page, name: str) -> dict[str, Row]:
    return {row["name"]: row for row in figure_of(page, name).rows}


def test_conversion_of_all_mature_leads(oracle: Oracle) -> None:
    wins, n = oracle.one("SELECT sum(in_time::INT), count(*) FROM base WHERE mature")
    assert oracle.rows.rate == (wins, n)
    assert wins > 100


def test_steps_of_the_funnel(oracle: Oracle) -> None:
    rows = oracle.rows
    expected = oracle.all(f"""
        WITH entered AS (
            SELECT s.id, f.place, min(s.tm) AS tm FROM stages s JOIN funnel f USING (stage)
            WHERE s.tm <= {rows.as_of} GROUP BY ALL),
        reached AS (
            SELECT b.id, f.place, coalesce(min(e.tm) <= any_value(b.created) + {rows.horizon},
                false) OR any_value(b.in_time) AS reached
            FROM base b CROSS JOIN funnel f
            LEFT JOIN entered e ON e.id = b.id AND e.place >= f.place
            WHERE b.mature GROUP BY b.id, f.place)
        SELECT place, sum(reached::INT) FROM reached GROUP BY place ORDER BY place
    """)
    actual = figure_of(funnel_page(rows), "funnel-steps").rows
    assert [row["wins"] for row in actual[:-1]] == [count for _, count in expected]
    assert actual[-1]["wins"] == rows.rate[0]
    assert [row["n"] for row in actual] == [rows.rate[1], *(r["wins"] for r in actual[:-1])]


def test_median_days_of_each_step(oracle: Oracle) -> None:
    expected = oracle.all(f"""
        WITH entries AS (
            SELECT id, place, min(tm) AS tm FROM stages JOIN funnel USING (stage) GROUP BY ALL
            UNION ALL SELECT id, -1, created FROM base
            UNION ALL SELECT id, (SELECT count(*) FROM funnel), closed FROM base WHERE in_time)
        SELECT a.place + 1, count(*), median((b.tm - a.tm) / {DAY}),
            quantile_disc((b.tm - a.tm) / {DAY}, 0.9)
        FROM base JOIN entries a USING (id) JOIN entries b USING (id)
        WHERE b.place = a.place + 1 AND mature AND a.tm <= b.tm
            AND b.tm - created <= {oracle.rows.horizon}
        GROUP BY a.place ORDER BY a.place
    """)
    actual = figure_of(funnel_page(oracle.rows), "funnel-steps").rows
    assert len(actual) == len(expected) > 4
    for row, (_, n, median, late) in zip(actual, expected, strict=True):
        assert row["n_days"] == n
        assert (row["days"], row["days_late"]) == pytest.approx((median, late), abs=1e-6)


def test_conversion_of_leads_open_at_an_age(oracle: Oracle) -> None:
    rows = oracle.rows
    actual = [
        row for row in figure_of(age_page(rows), "age-ages").rows if row["x"] in (0, 1, 7, 14)
    ]
    assert len(actual) == 4
    for row in actual:
        at = f"(created + {int(row['x'] * DAY)})"
        n, wins = oracle.one(f"""
            SELECT count(*), sum((won AND closed <= {at} + {rows.horizon})::INT) FROM base
            WHERE (closed IS NULL OR closed > {at}) AND {at} + {rows.horizon} <= {rows.as_of}
        """)
        assert (row["n"], row["wins"]) == (n, wins)


def test_outcomes_of_pairs_count_leads_of_one_age(oracle: Oracle) -> None:
    rows, week = oracle.rows, 7 * DAY
    expected = oracle.one(f"""
        SELECT count(*), count(*) FILTER (won AND closed <= created + {week} + {rows.horizon})
        FROM base WHERE (closed IS NULL OR closed > created + {week})
            AND created + {week} + {rows.horizon} <= {rows.as_of}
    """)
    lead = np.arange(len(rows))
    is_known, won = ended(rows, lead, *looks(rows, lead))
    assert (is_known.sum(), won[is_known].sum()) == expected


def test_conversion_by_month(oracle: Oracle) -> None:
    expected = oracle.all("""
        SELECT strftime(make_timestamp(created), '%Y-%m') AS month, count(*), bool_and(mature),
            sum((mature AND in_time)::INT) FROM base GROUP BY month ORDER BY month
    """)
    actual = figure_of(age_page(oracle.rows), "age-months").rows
    assert [
        (row["name"], row["n"], row["mature"].startswith("yes"), row["wins"]) for row in actual
    ] == [(month, n, whole, wins if whole else None) for month, n, whole, wins in expected]
    assert [row["value"] for row in actual] == [
        pytest.approx(wins / n) if whole and n >= FEWEST_LEADS else None
        for _, n, whole, wins in expected
    ]
    assert not all(whole for _, _, whole, _ in expected)


def test_activities_on_the_same_day_of_each_leads_life(oracle: Oracle) -> None:
    rows = oracle.rows
    at = f"(b.created + {int(look_days(rows) * DAY)})"
    expected = oracle.all(f"""
        SELECT e.type, count(DISTINCT b.id),
            count(DISTINCT b.id) FILTER (b.won AND b.closed <= {at} + {rows.horizon})
        FROM base b JOIN events e ON e.id = b.id AND e.tm <= {at}
        WHERE (b.closed IS NULL OR b.closed > {at}) AND {at} + {rows.horizon} <= {rows.as_of}
        GROUP BY e.type
    """)
    actual = {
        (row["name"], row["n"], row["wins"])
        for row in figure_of(activities_page(rows), "activities-0").rows
    }
    assert len(actual) > 8
    assert actual == {row for row in expected if row[0] not in BANK_STAGES}


def test_wins_divided_among_activities(oracle: Oracle) -> None:
    rows = oracle.rows
    assert rows.log is not None
    touch = [kind for kind, is_touch in zip(rows.log.types, rows.is_touch, strict=True) if is_touch]
    expected = oracle.all(f"""
        WITH t AS (
            SELECT e.id, e.type, b.closed - e.tm AS before, 1.0 / count(*) OVER w AS even,
                pow(2, -(b.closed - e.tm) / {7.0 * DAY}) AS weight
            FROM base b JOIN events e ON e.id = b.id AND e.tm <= b.closed
            WHERE b.won AND e.type IN {tuple(touch)} WINDOW w AS (PARTITION BY e.id)),
        parts AS (SELECT *, weight / sum(weight) OVER (PARTITION BY id) AS decay FROM t)
        SELECT type, sum(even) / (SELECT count(DISTINCT id) FROM t),
            sum(decay) / (SELECT count(DISTINCT id) FROM t) FROM parts GROUP BY type
    """)
    actual = by_name(activities_page(rows), "attribution-type")
    assert len(actual) == len(expected) > 8
    for kind, even, decay in expected:
        assert actual[kind]["linear_share"] == pytest.approx(even)
        assert actual[kind]["decay_share"] == pytest.approx(decay)
    assert sum(row["first_touch_share"] for row in actual.values()) == pytest.approx(1)
    assert sum(row["last_touch_share"] for row in actual.values()) == pytest.approx(1)


def test_sources_of_the_simulated_leads(simulated: Oracle) -> None:
    expected = simulated.all("""
        SELECT b.source, count(*), sum(in_time::INT), sum(if(in_time, o.amount, 0))
        FROM base b LEFT JOIN outcomes o USING (id) WHERE mature GROUP BY b.source
    """)
    page = sources_page(simulated.rows)
    won, revenue = by_name(page, "sources-won"), by_name(page, "sources-revenue")
    assert len(expected) == len(won) == 8
    for source, n, wins, amount in expected:
        assert (won[source]["n"], won[source]["wins"]) == (n, wins)
        assert revenue[source]["revenue"] == pytest.approx(amount)


def test_days_to_win_of_the_simulated_sources(simulated: Oracle) -> None:
    expected = simulated.all(f"""
        SELECT source, count(*), median((closed - created) / {DAY}) FROM base
        WHERE mature AND in_time GROUP BY source
    """)
    page = sources_page(simulated.rows)
    actual = by_name(page, "sources-speed")
    assert sum(n % 2 == 0 for _, n, _ in expected) >= 2
    for source, n, median in expected:
        assert actual[source]["n"] == n
        assert actual[source]["value"] == pytest.approx(median)
    (all_wins,) = simulated.one(f"SELECT median((closed - created) / {DAY}) FROM base WHERE won")
    text = " ".join(text for section in page.sections for text in section.paragraphs)
    assert f"half come within {all_wins:.1f} days" in text


def test_qualified_leads_of_the_simulated_sources(simulated: Oracle) -> None:
    expected = dict(
        simulated.all(f"""
        SELECT b.source, count(*) FILTER (b.in_time OR s.tm <= b.created + {simulated.rows.horizon})
        FROM base b LEFT JOIN (SELECT id, min(tm) AS tm FROM stages
            WHERE stage IN ('sales_accepted', 'opportunity') GROUP BY id) s USING (id)
        WHERE mature GROUP BY b.source
    """)
    )
    actual = by_name(sources_page(simulated.rows), "sources-way")
    assert {name: row["qualified"] for name, row in actual.items()} == expected


def test_audience_of_the_simulated_leads(simulated: Oracle) -> None:
    expected = simulated.all(
        "SELECT country, count(*), sum(in_time::INT) FROM base WHERE mature GROUP BY country"
    )
    page = audience_page(simulated.rows)
    column = [groups.column for groups in simulated.rows.audience].index("country")
    actual = by_name(page, f"audience-{column + 1}")
    assert {(name, row["n"], row["wins"]) for name, row in actual.items()} == set(expected)


def test_service_levels_of_the_simulated_leads(simulated: Oracle) -> None:
    rows = simulated.rows
    (until,) = simulated.one(f"SELECT epoch_us(date_trunc('week', make_timestamp({rows.as_of})))")
    n, worked, old_enough = simulated.one(f"""
        WITH handed AS (SELECT id, min(tm) AS tm FROM stages
            WHERE stage IN ('sales_accepted', 'opportunity') GROUP BY id),
        recent AS (SELECT * FROM handed WHERE tm >= {until - 91 * DAY} AND tm < {until}),
        touched AS (SELECT r.id, min(e.tm) AS first FROM recent r JOIN events e ON e.id = r.id
            AND e.tm >= r.tm AND e.type IN ('call', 'meeting') GROUP BY r.id)
        SELECT count(*), count(*) FILTER (first - tm <= {7 * DAY} AND tm + {7 * DAY} <=
            {rows.as_of}), count(*) FILTER (tm + {7 * DAY} <= {rows.as_of})
        FROM recent LEFT JOIN touched USING (id)
    """)
    page = service_page(rows)
    (row,) = figure_of(page, "service-grades").rows
    assert (row["handed"], row["wins"], row["n"]) == (n, worked, old_enough)
    assert n > 100
    expected = simulated.all(f"""
        WITH handed AS (SELECT id, min(tm) AS tm FROM stages
            WHERE stage IN ('sales_accepted', 'opportunity') GROUP BY id)
        SELECT count(*), count(*) FILTER (b.won AND b.closed > tm AND b.closed <= tm +
            {rows.horizon}) FROM handed JOIN base b USING (id)
        WHERE tm + {rows.horizon} >= {until - 91 * DAY} AND tm + {rows.horizon} < {until}
        GROUP BY (tm + {rows.horizon} - {until}) // {7 * DAY} ORDER BY min(tm)
    """)
    weeks = figure_of(page, "service-weeks").rows
    assert [(week["mature"], week["won"]) for week in weeks] == expected
    assert sum(won for _, won in expected) > 20


def test_bands_of_the_amount_at_the_bank(bank: Oracle) -> None:
    actual = figure_of(audience_page(bank.rows), "audience-1").rows
    assert len(actual) == 4
    for row in actual:
        low, high = row["name"].replace(",", "").split(" to ")
        n, wins = bank.one(f"""SELECT count(*), sum(in_time::INT) FROM base
            WHERE mature AND amount_requested BETWEEN {low} AND {high}""")
        assert (row["n"], row["wins"]) == (n, wins)
