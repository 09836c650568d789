"""Compares a report with the last one: which shares clearly changed.

Most leads of this report were in the last one too. So the comparison is between the leads that a
figure has gained since then and those that it counted then: two sets that share no lead.

That holds only for figures that keep the leads that they once counted. The figures of some pages
do not: they move on with the weeks, or with the model and the leads that it scores. They are not
compared (`Page.keeps_leads`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crm.text import words_of
from features.groups import NOT_ALIKE
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Share, share_of
from models.evaluation.differences import shares_differ
from models.evaluation.intervals import holm
from reports.content import ChangeKind, ChangeNote, Comparison, Figure, Page
from reports.metrics import DEFINITIONS
from reports.pages.phrases import of_words, share_words
from reports.text import printable, quoted_name

MOST_CHANGES = 8  # on a page
SAME = (  # of reports that can be compared
    "project",
    "since",
    "segment",
    "horizon_days",
    "outcomes_from",
)

Changes = dict[str, tuple[ChangeNote, ...]]
Key = tuple[str, str, str, str]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A share in a report: `wins` of `n` leads, named `name` under `label` in a figure."""

    page: str
    figure: str
    metric: str
    label: str
    name: str
    wins: int
    n: int

    @property
    def key(self) -> Key:
        """The key that the same share has in every report."""
        return _key(self.figure, self.metric, self.label, self.name)


@dataclass(frozen=True, kw_only=True)
class _Change:
    """A share of the leads that are new since the last report, and of the earlier leads.

    Attributes
    ----------
    measure : Measure
        The share in this report.
    comparison : Comparison
        How its figure is compared.
    new, old : Share
    p : float
        The p-value of their difference, corrected for all shares compared.
    """

    measure: Measure
    comparison: Comparison
    new: Share
    old: Share
    p: float

    def sentence(self, when: str) -> str:
        """Format the change as a sentence."""
        definition = DEFINITIONS.get(self.measure.metric)
        title = self.measure.metric if definition is None else definition.title
        direction = "up" if self.new.value > self.old.value else "down"
        return (
            f"{title}, {printable(self.measure.label, 60)} {quoted_name(self.measure.name)}: "
            f"{direction} to {share_words(self.new)} of the leads that the report of {when} did "
            f"not count yet, from {of_words(self.old)} of those that it counted."
        )


def measures_of(pages: Sequence[Page]) -> list[dict[str, Any]]:
    """List the shares of all pages, so that the next report can be compared with this one.

    Returns
    -------
    list of dict
        `page`, `figure`, `metric`, `label`, `name`, `wins`, `n`.
    """
    return [asdict(measure) for page in pages for measure, _ in _measures(page)]


def _measures(page: Page) -> Iterator[tuple[Measure, Comparison]]:
    """Yield the shares of a page that can be compared, each once."""
    if not page.keeps_leads:
        return
    known: set[tuple[str, str, str, int, int]] = set()
    for section in page.sections:
        for figure in section.figures:
            for measure in _measures_of_figure(page, figure):
                content = (measure.metric, measure.label, measure.name, measure.wins, measure.n)
                if content not in known:
                    known.add(content)
                    yield measure, figure.comparison


def _measures_of_figure(page: Page, figure: Figure) -> Iterator[Measure]:
    columns = {column.key: column for column in figure.columns}
    if figure.comparison == Comparison.NONE or not {"name", "value"} <= columns.keys():
        return
    label, value = columns["name"].title, columns["value"]
    if value.form != "share" or not value.metric:
        return
    for row in figure.rows:
        n, wins, name = row.get("n"), row.get("wins"), str(row["name"])
        if not (isinstance(n, int) and isinstance(wins, int)):
            continue
        if 0 <= wins <= n and name not in NOT_ALIKE:
            yield Measure(
                page=page.slug,
                figure=figure.name,
                metric=value.metric,
                label=label,
                name=name,
                wins=wins,
                n=n,
            )


def what_changed(
    pages: Sequence[Page], about: Mapping[str, Any], previous: Mapping[str, Any] | None
) -> Changes:
    """Compare the pages with the last report.

    Parameters
    ----------
    pages : sequence of Page
    about : mapping
        The `about` of this report.
    previous : mapping or None
        The last report's `report.json`; its `about` contains `measures`.

    Returns
    -------
    dict of str to tuple of ChangeNote
        Notes by slug; empty if there was no last report.
    """
    if previous is None:
        return {}
    before = previous.get("about")
    if not isinstance(before, Mapping) or not isinstance(before.get("measures"), Sequence):
        return _on_all_pages(
            pages, "The last report cannot be compared with this one: it contains no figures."
        )
    when = str(previous.get("as_of", "an unknown time"))[:10]
    if any(before.get(key) != about.get(key) for key in SAME):
        return _on_all_pages(
            pages,
            f"The report of {when} is not compared with this one: its project, filters, horizon or "
            "first outcomes differ.",
        )
    changes = _changes(pages, dict(_old_measures(before["measures"])))
    return {
        page.slug: _notes(page, [c for c in changes if c.measure.page == page.slug], when)
        for page in pages
    }


def _changes(pages: Sequence[Page], old: Mapping[Key, tuple[int, int]]) -> list[_Change]:
    """Compare each share of the pages with the last report's, the most certain change first."""
    compared: list[tuple[Measure, Comparison, Share, Share]] = []
    for page in pages:
        for measure, comparison in _measures(page):
            old_wins, old_n = old.get(measure.key, (0, 0))
            wins, n = measure.wins - old_wins, measure.n - old_n
            if 0 <= wins <= n and min(n, old_n) >= FEWEST_LEADS:
                compared.append((measure, comparison, share_of(wins, n), share_of(old_wins, old_n)))
    ps = holm([shares_differ(new.wins, new.n, old.wins, old.n) for _, _, new, old in compared])
    changes = [
        _Change(measure=measure, comparison=comparison, new=new, old=before, p=p)
        for (measure, comparison, new, before), p in zip(compared, ps, strict=True)
    ]
    return sorted(changes, key=lambda change: change.p)


def _notes(page: Page, changes: Sequence[_Change], when: str) -> tuple[ChangeNote, ...]:
    """Return the clear changes of a page, or a note that there are none."""
    if not page.keeps_leads:
        text = (
            f"Not compared with the report of {when}: each report counts other leads here, "
            "because the weeks or the model have changed."
        )
        return (ChangeNote(text, ChangeKind.NOT_COMPARED),)
    sentences: list[str] = []
    single_figures: set[str] = set()  # that have reported their one row
    for change in changes:
        if change.p >= CHANCE or change.measure.figure in single_figures:
            continue
        if change.comparison == Comparison.ONE_ROW:
            single_figures.add(change.measure.figure)
        sentences.append(change.sentence(when))
    if sentences:
        return tuple(ChangeNote(sentence) for sentence in sentences[:MOST_CHANGES])
    if not changes:
        text = f"No figure here has {FEWEST_LEADS} more leads than in the report of {when}."
        return (ChangeNote(text, ChangeKind.NOT_COMPARED),)
    figures = "1 figure was" if len(changes) == 1 else f"{len(changes):,} figures were"
    text = f"No clear change since the report of {when}; {figures} compared."
    return (ChangeNote(text, ChangeKind.UNCHANGED),)


def _on_all_pages(pages: Sequence[Page], sentence: str) -> Changes:
    return {page.slug: (ChangeNote(sentence, ChangeKind.NOT_COMPARED),) for page in pages}


def _old_measures(rows: Sequence[Any]) -> Iterator[tuple[Key, tuple[int, int]]]:
    """Read the last report's shares; invalid rows are skipped."""
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        wins, n = row.get("wins"), row.get("n")
        if isinstance(wins, int) and isinstance(n, int) and 0 <= wins <= n:
            parts = [str(row.get(part)) for part in ("figure", "metric", "label", "name")]
            yield _key(*parts), (wins, n)


def _key(figure: str, metric: str, label: str, name: str) -> Key:
    """Return the key of a share; older reports wrote labels of columns in another style."""
    return figure, metric, words_of(label), name.replace("_", " ").casefold()
