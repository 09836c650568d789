"""Compares a report with the last one: which shares clearly changed.

Most leads of this report were in the last one too. So the comparison is between the leads that a
figure has gained since then and those that it counted then: two sets that share no lead.

That holds only for shares of leads, in figures that keep the leads that they once counted. The
figures of some pages do not: they move on with the weeks, or with the model and the leads that it
scores. They are not compared (`Page.keeps_leads`). Each page says how many of its shares were
compared, and why the others were not. The first page says how many leads and wins, and how much
revenue, came since the last report.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from crm.text import words_of
from features.groups import NOT_ALIKE
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Share, share_of
from models.evaluation.differences import shares_differ
from models.evaluation.intervals import holm
from reports.content import ChangeKind, ChangeNote, Comparison, Figure, Page
from reports.metrics import DEFINITIONS
from reports.numbers import money
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

TOTALS = {  # the keys of `totals` in the `about` of a report, and their words
    "leads": ("lead", "leads"),
    "wins": ("win", "wins"),
    "revenue": ("revenue", "revenue"),
}

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


class _Left(Enum):
    """Why a share is not compared, in words that follow a number of shares."""

    FEW_NEW = f"with fewer than {FEWEST_LEADS} leads that the last report did not count"
    FEW_OLD = f"of fewer than {FEWEST_LEADS} leads in the last report, or not in it"
    OTHER_LEADS = "of leads or outcomes that have changed since"


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


_Compared = tuple[Measure, Comparison, Share, Share]  # of the new leads, and of the earlier ones


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
    """Yield each share of a figure that has its counts; ends of intervals have none."""
    label = next((column.title for column in figure.columns if column.key == "name"), None)
    if figure.comparison == Comparison.NONE or label is None:
        return
    shares = [c for c in figure.columns if c.form == "share" and c.metric and c.of]
    for row in figure.rows:
        name = str(row["name"])
        for column in shares:
            wins, n = (row.get(key) for key in column.of or ())
            if not (isinstance(n, int) and isinstance(wins, int)):
                continue
            if 0 <= wins <= n and name not in NOT_ALIKE:
                yield Measure(
                    page=page.slug,
                    figure=figure.name,
                    metric=column.metric,
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
        Notes by slug; empty if there was no last report. The first page has the totals and the
        changes of all pages.
    """
    if previous is None:
        return {}
    before = previous.get("about")
    if not isinstance(before, Mapping) or not isinstance(before.get("measures"), Sequence):
        return _on_all_pages(
            pages, "The last report cannot be compared with this one: it contains no figures."
        )
    when = str(previous.get("as_of") or previous.get("written_at") or "an unknown time")[:10]
    if any(before.get(key) != about.get(key) for key in SAME):
        return _on_all_pages(
            pages,
            f"The report of {when} is not compared with this one: its project, filters, horizon or "
            "first outcomes differ.",
        )
    old = dict(_old_measures(before["measures"]))
    compared = [(page, *_sorted_out(page, old)) for page in pages]
    changes = _changes([part for _, parts, _ in compared for part in parts])
    notes = {
        page.slug: _notes(
            page, [change for change in changes if change.measure.page == page.slug], left, when
        )
        for page, _, left in compared
    }
    if not pages:
        return notes
    first, all_notes = pages[0].slug, [note for page in pages for note in notes[page.slug]]
    changed = [note for note in all_notes if note.kind == ChangeKind.CHANGED]
    none_on_any = [] if changed else [_none_on_any_page(changes, when)]
    totals = filter(None, [_totals(about, before, when)])
    return notes | {first: tuple(dict.fromkeys([*totals, *changed, *none_on_any]))}


def _sorted_out(
    page: Page, old: Mapping[Key, tuple[int, int]]
) -> tuple[list[_Compared], Counter[_Left]]:
    """Return the shares of a page with new and earlier leads, and why the others are left."""
    compared: list[_Compared] = []
    left: Counter[_Left] = Counter()
    for measure, comparison in _measures(page):
        old_wins, old_n = old.get(measure.key, (0, 0))
        wins, n = measure.wins - old_wins, measure.n - old_n
        if old_n < FEWEST_LEADS:
            left[_Left.FEW_OLD] += 1
        elif not 0 <= wins <= n:
            left[_Left.OTHER_LEADS] += 1
        elif n < FEWEST_LEADS:
            left[_Left.FEW_NEW] += 1
        else:
            new, earlier = share_of(wins, n), share_of(old_wins, old_n)
            compared.append((measure, comparison, new, earlier))
    return compared, left


def _changes(compared: Sequence[_Compared]) -> list[_Change]:
    """Compare the shares of all pages together, the most certain change first."""
    ps = holm([shares_differ(new.wins, new.n, old.wins, old.n) for _, _, new, old in compared])
    changes = [
        _Change(measure=measure, comparison=comparison, new=new, old=before, p=p)
        for (measure, comparison, new, before), p in zip(compared, ps, strict=True)
    ]
    return sorted(changes, key=lambda change: change.p)


def _notes(
    page: Page, changes: Sequence[_Change], left: Counter[_Left], when: str
) -> tuple[ChangeNote, ...]:
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
        more = len(sentences) - MOST_CHANGES
        notes = [ChangeNote(sentence) for sentence in sentences[:MOST_CHANGES]]
        if more > 0:
            shares = "1 more share has" if more == 1 else f"{more:,} more shares have"
            notes.append(ChangeNote(f"{page.title}: {shares} clearly changed."))
        return tuple(notes)
    if not changes and not left:
        text = (
            f"Not compared with the report of {when}: this page has no share of leads that can be "
            "compared between reports."
        )
        return (ChangeNote(text, ChangeKind.NOT_COMPARED),)
    n = len(changes) + left.total()
    shares = "the 1 share" if n == 1 else f"the {n:,} shares"
    reasons = ", ".join(f"{count:,} {why.value}" for why, count in sorted(left.items(), key=_order))
    not_compared = f" Not compared: {reasons}." if left else ""
    if not changes:
        text = f"None of {shares} of leads on this page is compared with the report of {when}."
        return (ChangeNote(text + not_compared, ChangeKind.NOT_COMPARED),)
    text = (
        f"No clear change since the report of {when}: {len(changes):,} of {shares} of leads on "
        f"this page {'was' if len(changes) == 1 else 'were'} compared."
    )
    return (ChangeNote(text + not_compared, ChangeKind.UNCHANGED),)


def _order(item: tuple[_Left, int]) -> int:
    return list(_Left).index(item[0])


def _none_on_any_page(changes: Sequence[_Change], when: str) -> ChangeNote:
    """Return the note that no share has clearly changed on any page."""
    if not changes:
        text = f"No share of leads is compared with the report of {when}; each page says why."
        return ChangeNote(text, ChangeKind.NOT_COMPARED)
    n = len(changes)
    were = "1 share of leads was" if n == 1 else f"{n:,} shares of leads were"
    text = f"No clear change on any page since the report of {when}: {were} compared."
    return ChangeNote(text, ChangeKind.UNCHANGED)


def _totals(about: Mapping[str, Any], before: Mapping[str, Any], when: str) -> ChangeNote | None:
    """Describe how many leads and wins, and how much revenue, came since the last report."""
    new, old = about.get("totals"), before.get("totals")
    if not (isinstance(new, Mapping) and isinstance(old, Mapping)):
        return None
    parts = []
    for key, (one, many) in TOTALS.items():
        value, earlier = new.get(key), old.get(key)
        if not (isinstance(value, int | float) and isinstance(earlier, int | float)):
            continue
        more, unit = (
            round(value - earlier),
            str(new.get("currency", "")) if key == "revenue" else "",
        )
        direction = "more" if more >= 0 else "fewer" if key != "revenue" else "less"
        parts.append(
            f"{money(abs(more), unit)} {direction} {one if abs(more) == 1 else many} "
            f"({money(value, unit)} now)"
        )
    if not parts:
        return None
    return ChangeNote(f"Since the report of {when}: {', '.join(parts)}.", ChangeKind.COUNTED)


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
