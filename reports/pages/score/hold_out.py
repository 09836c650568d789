"""The score on leads that the model had not seen: the figures of the model card."""

from models.card import ModelCard
from reports.charts.card import grades_chart
from reports.content import Figure, Section, Takeaway
from reports.pages.score.grades import GradeRow, best_and_worst, curves, grades_figure, misstated
from reports.text import printable


def hold_out_section(card: ModelCard, is_part: bool) -> tuple[Section, list[Takeaway]]:
    """Show the figures of the hold-out, whose leads the evaluated model had not seen.

    The figures describe all leads, so a report about a part of the leads does not show them.
    """
    heading, test = "On leads that it had not seen", card.test
    if is_part:
        text = (
            "The model was tested on leads of all kinds. These figures are not shown here, because "
            "this report is about some of the leads only. The report about all leads shows them."
        )
        return Section(heading, (text,)), []
    text = (
        "From the model card: the model was evaluated on leads that it had not learned from, then "
        "fitted again on all leads."
    )
    n, n_scores = test.get("n_leads", 0), test.get("n", 0)
    about = f"{printable(test.get('how', 'test leads'))}, n = {n:,} leads"
    if n_scores > n:
        about += f", scored {n_scores:,} times at several ages"
    figures: list[Figure] = []
    takeaways: list[Takeaway] = []
    grades = [GradeRow.of(row) for row in test.get("by_grade", ())]
    if grades:
        chart = grades_chart(test["by_grade"], about)
        figure = grades_figure(grades, "score-test-grades", about, chart)
        takeaways = best_and_worst(grades, figure) + misstated(grades, figure)
        figures.append(figure)
    figures += curves(
        test.get("reliability", ()),
        test.get("gains", ()),
        "score-test",
        about,
        of_scores=card.counts_scores,
    )
    if not figures:
        return Section(heading, needs="Figures of a test. This model card has none."), []
    return Section(heading, (text,), tuple(figures)), takeaways
