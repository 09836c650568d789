"""What differs from the last report by more than chance.

Most leads of this report stood in the last one too. So what is compared is the leads that have
come to a figure since then with those that it rested on then: two sets that share no lead.

That holds only for figures that keep the leads they once had. Those of the score come from a
model that may be another one now, and move on with the leads that are scored; those of the last
weeks move on with the weeks. They are not compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.groups import NOT_ALIKE
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, two_shares
from models.evaluation.intervals import holm
from reports.content import Page
from reports.metrics import DEFINITIONS
from reports.numbers import percent
from reports.pages.phrases import interval_row, share_words
from reports.text import printable, quoted_name

MOST_TOLD = 8
SAME = ("project", "since", "segment", "horizon_days")  # of reports that can be compared
MOVING = ("score", "capacity", "service-levels")  # pages whose figures lose leads
FINAL = "age-months"  # a month's share stays as it is
OVERLAPPING = "age-ages"  # nearly the same leads in each row: one is told


@dataclass(frozen=True)
class Measure:
    """A share in a report: `wins` of `n` leads, named `name` under `label` in a figure."""

    page: str
    figure: str
    metric: str
    label: str
    name: str
    wins: int
    n: int


def measures_of(pages: Sequence[Page]) -> list[dict[str, Any]]:
    """List the shares of all pages, for the next report to be compared with.

    Returns
    -------
    list of dict
        `page`, `figure`, `metric`, `label`, `name`, `wins`, `n`.
    """
    return [vars(each) for page in pages for each in _measures(page)]


def _measures(page: Page) -> Iterator[Measure]:
    """Give the shares of a page that can be compared, each once."""
    if page.slug in MOVING:
        return
    given = set()
    for section in page.sections:
        for figure in section.figures:
            columns = {column.key: column for column in figure.columns}
            if figure.name == FINAL or not {"name", "value"} <= columns.keys():
                continue
            label, value = columns["name"].title, columns["value"]
            if value.form != "share" or not value.metric:
                continue
            for row in figure.rows:
                n, wins, name = row.get("n"), row.get("wins"), str(row["name"])
                if not (isinstance(n, int) and isinstance(wins, int) and 0 <= wins <= n):
                    continue
                said = value.metric, label, name, wins, n
                if name not in NOT_ALIKE and said not in given:
                    given.add(said)
                    yield Measure(page.slug, figure.name, *said)


def what_changed(
    pages: Sequence[Page], about: Mapping[str, Any], previous: Mapping[str, Any] | None
) -> dict[str, tuple[str, ...]]:
    """Say what changed since the last report, by page.

    Parameters
    ----------
    pages : sequence of Page
    about : mapping
        Of this report.
    previous : mapping or None
        The last report's `report.json`; its `about` holds `measures`.

    Returns
    -------
    dict of str to tuple of str
        Sentences by slug; empty where there was no last report.
    """
    if previous is None:
        return {}
    before = previous.get("about")
    if not isinstance(before, Mapping) or not isinstance(before.get("measures"), Sequence):
        return _everywhere(pages, "The last report cannot be compared with: it holds no figures.")
    when = str(previous.get("as_of", "an unknown time"))[:10]
    if any(before.get(key) != about.get(key) for key in SAME):
        return _everywhere(
            pages,
            f"The last report, of {when}, is not compared: its project, filters or horizon differ.",
        )
    old = dict(_old_measures(before["measures"]))
    looks = []
    for page in pages:
        for each in _measures(page):
            known = old.get((each.figure, each.metric, each.label, each.name))
            if known is None:
                continue
            wins, n = each.wins - known[0], each.n - known[1]
            if 0 <= wins <= n and n >= FEWEST_LEADS <= known[1]:
                looks.append((two_shares(wins, n, *known), each, (wins, n), known))
    found: dict[str, list[str]] = {page.slug: [] for page in pages}
    by_p = sorted(zip(holm([look[0] for look in looks]), looks, strict=True), key=lambda x: x[0])
    is_told = False
    for p, (_, each, new, known) in by_p:
        if p < CHANCE and not (each.figure == OVERLAPPING and is_told):
            is_told |= each.figure == OVERLAPPING
            found[each.page].append(_sentence(each, new, known, when))
    told: dict[str, tuple[str, ...]] = {}
    for page in pages:
        if page.slug in MOVING:
            told[page.slug] = (
                f"Not compared with the report of {when}: these figures move on with the weeks, or "
                "with the model, and do not keep the leads they had.",
            )
            continue
        n = sum(look[1].page == page.slug for look in looks)
        nothing = f"No figure here has {FEWEST_LEADS} more leads than in the report of {when}."
        if n:
            nothing = (
                f"Nothing changed by more than chance since the report of {when}; {n:,} "
                f"figure{' was' if n == 1 else 's were'} compared."
            )
        told[page.slug] = tuple(found[page.slug][:MOST_TOLD]) or (nothing,)
    return told


def _everywhere(pages: Sequence[Page], said: str) -> dict[str, tuple[str, ...]]:
    return {page.slug: (said,) for page in pages}


def _old_measures(
    rows: Sequence[Any],
) -> Iterator[tuple[tuple[str, str, str, str], tuple[int, int]]]:
    """Read the last report's figures; what is none is passed over."""
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        wins, n = row.get("wins"), row.get("n")
        if isinstance(wins, int) and isinstance(n, int) and 0 <= wins <= n:
            figure, metric, label, name = (
                str(row.get(part)) for part in ("figure", "metric", "label", "name")
            )
            yield (figure, metric, label, name), (wins, n)


def _sentence(each: Measure, new: tuple[int, int], old: tuple[int, int], when: str) -> str:
    row = interval_row(each.name, *new)
    title = DEFINITIONS[each.metric].title if each.metric in DEFINITIONS else each.metric
    way = "up" if row["value"] > old[0] / old[1] else "down"
    return (
        f"{title}, {printable(each.label, 60)} {quoted_name(each.name)}: {way} to "
        f"{share_words(row['value'], row['low'], row['high'], row['n'])} of the leads that came to "
        f"it since {when}, from {percent(old[0] / old[1])} of the {old[1]:,} before."
    )
