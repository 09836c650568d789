"""The activities and the contents of leads up to some days after creation, also before it."""

from dataclasses import dataclass

from models.evaluation.comparisons import Contrast, share_of
from reports.content import Section, Takeaway
from reports.pages.activities.looks import Look, Reported, twins
from reports.pages.groups import RatesLabels, contrast_rows, finding_of, rates_figure, strongest
from reports.pages.phrases import ratio_words
from reports.rows.rows import ReportRows
from reports.text import quoted_name

MOST_EARLY_TAKEAWAYS = 3


@dataclass(frozen=True)
class Early:
    """The activities, or the contents, of leads up to some days after creation, also before it.

    Attributes
    ----------
    heading, slug : str
    kind : tuple of str
        The words for one activity or content, and for several.
    names : list of str
    look : Look
        With corrected contrasts.
    column : str
        The CRM's own name of the column; empty if it needs no mention.
    about : str
    days : float
    n_all : int
        The number of activities or contents, also of those that are too rare to be compared.
    """

    heading: str
    slug: str
    kind: tuple[str, str]
    names: list[str]
    look: Look
    column: str
    about: str
    days: float
    n_all: int

    def section(self) -> Section:
        """Return the figure, the highest conversions first."""
        names, contrasts = self.names, self.look.contrasts
        prefix = f"{quoted_name(self.column)} " if self.column else ""
        base = share_of(self.look.wins, self.look.n)
        order = sorted(range(len(names)), key=lambda i: -(contrasts[i].ratio or 0))
        figure = rates_figure(
            self.slug,
            finding_of(f"Leads with {prefix}".rstrip(), names, contrasts, base),
            self.about,
            contrast_rows([names[i] for i in order], [contrasts[i] for i in order]),
            RatesLabels(
                group="Leads with",
                value="Conversion with it",
                metric="with_activity_share",
                ratio_metric="activity_ratio",
            ),
            base=base.value,
            note="An activity before a win need not be its cause: a lead that is about to buy also "
            "does more.",
        )
        paragraphs = [*filter(None, [self._left_out()])]
        if self.column:
            paragraphs.insert(0, f"“Content” means the column {quoted_name(self.column)}.")
        return Section(self.heading, tuple(paragraphs), (figure,))

    def _left_out(self) -> str:
        """Format how many activities or contents are not compared, and why."""
        one, several = self.kind
        parts = []
        n_left_out = self.n_all - len(self.names)
        if n_left_out:
            parts.append(
                f"The {len(self.names):,} most frequent of {self.n_all:,} {several} are compared; "
                f"{n_left_out:,} {'is' if n_left_out == 1 else 'are'} left out."
            )
        n_absent = sum(not group.n for group in self.look.contrasts)
        if n_absent:
            counted = f"1 {one} is" if n_absent == 1 else f"{n_absent:,} {several} are"
            parts.append(
                f"{counted} not shown, because none of the compared leads had "
                f"{'it' if n_absent == 1 else 'them'} up to {self.days:g} days after creation."
            )
        return " ".join(parts)

    def takeaways(self, reported: Reported) -> list[Takeaway]:
        """Return the clearest differences, each group of leads once."""
        prefix = f"{quoted_name(self.column)} " if self.column else ""
        place = {name: i for i, name in enumerate(self.names)}

        def sentence(name: str, group: Contrast) -> str:
            return (
                f"Leads with {prefix}{twins(self.names, self.look.had, place[name])} up to "
                f"{self.days:g} days after creation, or before it, are won {ratio_words(group)}."
            )

        clear = strongest(
            zip(self.names, self.look.contrasts, strict=True),
            sentence,
            "activity_ratio",
            self.slug,
            most=len(self.names),
        )
        return [
            takeaway
            for takeaway in clear
            if reported.is_news(self.look.had[place[takeaway.evidence["name"]]])
        ][:MOST_EARLY_TAKEAWAYS]


def contents_needed(rows: ReportRows) -> str:
    """Return what the section about contents needs."""
    if rows.project.report.content_is_people:
        return (
            "Contents, such as pages, mails and webinars. The content column of the activities "
            "names people ([report] content_is_people), who are not ranked here."
        )
    return "Contents, such as pages, mails and webinars: map [activities] content."


def content_column(rows: ReportRows) -> str:
    """Return the CRM's own name of the content column; empty if it is also "content"."""
    activities = rows.project.activities
    name = None if activities is None else activities.column_of("content")
    return "" if name is None or name.casefold() == "content" else name
