"""Puts the verdict about the model beside each statement that rests on the model."""

from dataclasses import replace

from reports.content import Figure, Page
from reports.metrics import DEFINITIONS
from reports.model_verdict import ModelVerdict

LEARNED_FROM = "Leads that the model learned from"


def with_verdict(page: Page, verdict: ModelVerdict) -> Page:
    """Return a page whose takeaways and figures that rest on the model contain its verdict.

    A figure rests on the model if a column contains a number or a label from the model, and a
    takeaway does if its figure or its own number does. A figure of leads that the model learned
    from says so first.
    """
    if not verdict.has_model:
        return page
    figures = [figure for section in page.sections for figure in section.figures]
    resting = {figure.name for figure in figures if _rests_on_model(figure)}
    return replace(
        page,
        takeaways=tuple(
            replace(takeaway, sentence=f"{takeaway.sentence} {verdict.beside}")
            if takeaway.figure in resting or _is_of_model(takeaway.metric)
            else takeaway
            for takeaway in page.takeaways
        ),
        sections=tuple(
            replace(
                section,
                figures=tuple(
                    _with_verdict(figure, verdict) if figure.name in resting else figure
                    for figure in section.figures
                ),
            )
            for section in page.sections
        ),
    )


def _with_verdict(figure: Figure, verdict: ModelVerdict) -> Figure:
    finding = f"{LEARNED_FROM}: {figure.finding}" if figure.learned_from else figure.finding
    return replace(figure, finding=finding, note=f"{figure.note} {verdict.beside}".strip())


def _rests_on_model(figure: Figure) -> bool:
    return any(_is_of_model(column.metric) for column in figure.columns)


def _is_of_model(metric: str) -> bool:
    return metric in DEFINITIONS and DEFINITIONS[metric].model
