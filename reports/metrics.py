"""Reads the definitions of the metrics, `metrics.toml`, and writes them as a page."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

HEAD = """# Metrics

Every number of a report, defined once, for marketing and for sales. Generated from
`reports/metrics.toml` by `make docs`; a report links each number to its definition.

A report is as of one moment: the newest time in the records, or now if that is earlier. Nothing
that was recorded later counts. The *horizon* is `[learn] horizon_days` of the project file. A
lead is *mature* when its whole horizon has passed. The newest leads are not mature. They are left
out of every average, because leads that will still be won would count as not won. If the outcomes
begin much later than the leads (`leadscore check`, LC102), it is not known how the leads created
before then ended. They are not mature either. Where leads have no time of creation, leads with an
outcome count as mature, and the definitions in the report do not mention time.

Intervals are at 95 %. A difference is called clear only if it is more than chance after Holm's
correction for all values compared together, and only among groups of at least 30 leads. A heading
contains a share only if it is of at least 30 leads. Each share has its counts beside it.
"""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """The definition of one metric.

    Attributes
    ----------
    title : str
        The name that people use.
    definition : str
        What is counted.
    denominator : str
        The leads, or other things, that the share is of.
    window : str
        The period.
    maturity : str
        The leads that are old enough to count.
    model : bool
        True if the number comes from a model, so that it is worth as much as the model.
    """

    title: str
    definition: str
    denominator: str
    window: str
    maturity: str
    model: bool = False


class _Definitions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `metrics.toml`."""

    phrases: dict[str, str | tuple[str, str]]
    metrics: dict[str, Metric]

    def fill_in(self, has_times: bool) -> dict[str, Metric]:
        """Replace the names of phrases by the phrases for leads with times, or without."""
        phrases = {
            name: phrase if isinstance(phrase, str) else phrase[0 if has_times else 1]
            for name, phrase in self.phrases.items()
        }
        return {
            name: Metric(
                title=metric.title.format_map(phrases),
                definition=metric.definition.format_map(phrases),
                denominator=metric.denominator.format_map(phrases),
                window=metric.window.format_map(phrases),
                maturity=metric.maturity.format_map(phrases),
                model=metric.model,
            )
            for name, metric in self.metrics.items()
        }


_DEFINITIONS = msgspec.toml.decode(
    Path(__file__).with_suffix(".toml").read_bytes(), type=_Definitions
)
DEFINITIONS: Mapping[str, Metric] = _DEFINITIONS.fill_in(has_times=True)
DEFINITIONS_WITHOUT_TIMES: Mapping[str, Metric] = _DEFINITIONS.fill_in(has_times=False)

SHARED_COLUMNS = {  # columns that mean the same in every table, and their metrics
    "n": "counted",
    "n_leads": "counted",
    "wins": "counted_wins",
    "ratio": "against_all",
    "lift": "lift",
}
INTERVAL_ENDS = ("low", "high")


def shared_metric(column: str) -> str:
    """Return the metric of a column that means the same in every table; empty for other columns.

    Examples
    --------
    >>> shared_metric("wins"), shared_metric("ratio_low"), shared_metric("stage")
    ('counted_wins', 'interval', '')
    """
    if column.split("_")[-1] in INTERVAL_ENDS:
        return "interval"
    return SHARED_COLUMNS.get(column, "")


def definitions(has_times: bool = True) -> list[dict[str, str]]:
    """Return all definitions as plain data.

    Parameters
    ----------
    has_times : bool
        True if the leads have a time of creation. If not, no definition mentions time.

    Examples
    --------
    >>> conversion = definitions(has_times=False)[2]
    >>> conversion["definition"], conversion["denominator"]
    ('leads won', 'leads with an outcome')
    """
    metrics = DEFINITIONS if has_times else DEFINITIONS_WITHOUT_TIMES
    texts = ("title", "definition", "denominator", "window", "maturity")
    return [
        {"name": name, **{text: getattr(metric, text) for text in texts}}
        for name, metric in metrics.items()
    ]


def metrics_page() -> str:
    """Format the definitions as Markdown."""
    parts = [HEAD]
    for name, metric in DEFINITIONS.items():
        parts.append(
            f'## <a id="{name}"></a>{metric.title} (`{name}`)\n\n'
            f"{_sentence(metric.definition)}\n\n"
            f"- of: {metric.denominator}\n- over: {metric.window}\n- counts: {metric.maturity}\n"
        )
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
