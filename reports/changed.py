"""What differs from the last report by more than chance.

Most leads of this report stood in the last one too. So what is compared is the leads that have
come to a figure since then with those that it rested on then: two sets that share no lead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.intervals import holm
from reports.content import Figure, Page
from reports.metrics import METRICS
from reports.numbers import percent
from reports.statistics import CHANCE, FEWEST_LEADS, two_shares
from reports.telling import interval_row, quoted, share_words

MOST_TOLD = 8
SAME = ("since", "segment", "horizon_days")  # of reports that can be compared
NOT_COMPARED = "age-months"  # a month's share is final


@dataclass(frozen=True)
class Measure:
    """A share in a report: `wins` of `n` leads, named `name` in a figure of a page."""

    page: str
    figure: str
    metric: str
    name: str
    wins: int
    n: int


def measures_of(pages: Sequence[Page]) -> list[dict[str, Any]]:
    """List the shares of all pages, for the next report to be compared with.

    Returns
    -------
    list of dict
        `page`, `figure`, `metric`, `name`, `wins`, `n`.
    """
    return [vars(each) for page in pages for each in _measures(page)]


def _measures(page: Page) -> Iterator[Measure]:
    for section in page.sections:
        for figure in section.figures:
            metric = _metric_of(figure)
            if metric is None or figure.name == NOT_COMPARED:
                continue
            for row in figure.rows:
                n, wins = row.get("n"), row.get("wins")
                if isinstance(n, int) and isinstance(wins, int) and 0 <= wins <= n:
                    yield Measure(page.slug, figure.name, metric, str(row["name"]), wins, n)


def _metric_of(figure: Figure) -> str | None:
    for column in figure.columns:
        if column.key == "value" and column.form == "share" and column.metric:
            return column.metric
    return None


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
            pages, f"The last report, of {when}, is not compared: its filters or horizon differ."
        )
    old = dict(_old_measures(before["measures"]))
    looks = []
    for page in pages:
        for each in _measures(page):
            known = old.get((each.figure, each.metric, each.name))
            if known is None:
                continue
            wins, n = each.wins - known[0], each.n - known[1]
            if 0 <= wins <= n and n >= FEWEST_LEADS <= known[1]:
                looks.append((two_shares(wins, n, *known), each, (wins, n), known))
    found: dict[str, list[tuple[float, str]]] = {page.slug: [] for page in pages}
    for p, (_, each, new, known) in zip(holm([look[0] for look in looks]), looks, strict=True):
        if p < CHANCE:
            found[each.page].append((p, _sentence(each, new, known, when)))
    told = {}
    for page in pages:
        n = sum(look[1].page == page.slug for look in looks)
        sentences = [text for _, text in sorted(found[page.slug])[:MOST_TOLD]]
        nothing = f"No figure here has {FEWEST_LEADS} more leads than in the report of {when}."
        if n:
            nothing = (
                f"Nothing changed by more than chance since the report of {when}; {n:,} "
                f"figure{' was' if n == 1 else 's were'} compared."
            )
        told[page.slug] = tuple(sentences) or (nothing,)
    return told


def _everywhere(pages: Sequence[Page], said: str) -> dict[str, tuple[str, ...]]:
    return {page.slug: (said,) for page in pages}


def _old_measures(rows: Sequence[Any]) -> Iterator[tuple[tuple[str, str, str], tuple[int, int]]]:
    """Read the last report's figures; what is none is passed over."""
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        wins, n = row.get("wins"), row.get("n")
        if isinstance(wins, int) and isinstance(n, int) and 0 <= wins <= n:
            yield (str(row.get("figure")), str(row.get("metric")), str(row.get("name"))), (wins, n)


def _sentence(each: Measure, new: tuple[int, int], old: tuple[int, int], when: str) -> str:
    row = interval_row(each.name, *new)
    title = METRICS[each.metric].title if each.metric in METRICS else each.metric
    way = "up" if row["value"] > old[0] / old[1] else "down"
    return (
        f"{title}, {quoted(each.name)}: {way} to "
        f"{share_words(row['value'], row['low'], row['high'], row['n'])} of the leads that came to "
        f"it since {when}, from {percent(old[0] / old[1])} of the {old[1]:,} before."
    )
