"""The effects on simulated leads, and the names of their values: tables only.

Effects are in log-odds of being won within the horizon; weights need not sum to 1.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from crm.arrays import Floats, Ints


class Choice:
    """Values that are drawn by their weights, each with an effect on the log-odds.

    None is a missing value.
    """

    def __init__(self, table: Mapping[Any, tuple[float, float]]) -> None:
        self.names = list(table)
        weights, effects = np.array(list(table.values())).T
        self.shares, self.effects = weights / weights.sum(), effects

    def changes(self, table: Mapping[Any, float]) -> Floats:
        """Return the change of each value in `names`, 0 for those that the table does not name."""
        unknown = table.keys() - set(self.names)
        if unknown:
            raise KeyError(f"{sorted(unknown)} are not values of {self.names}")
        return np.array([table.get(name, 0.0) for name in self.names])

    def draw(self, rng: np.random.Generator, size: int) -> Ints:
        """Draw positions in `names`, shape (size,)."""
        return rng.choice(len(self.names), size, p=self.shares)


def draw_rows(rng: np.random.Generator, weights: Floats) -> Ints:
    """Draw a position in each row, by the weights of the row.

    If all rows are the shares of a `Choice`, they are the positions that it draws.

    Parameters
    ----------
    rng : Generator
    weights : array of float64, shape (n, n_positions)

    Returns
    -------
    array of int64, shape (n,)

    Examples
    --------
    >>> draw_rows(np.random.default_rng(0), np.array([[1.0, 0.0], [0.0, 1.0]]))
    array([0, 1])
    """
    cumulative = weights.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    return (cumulative <= rng.random((len(weights), 1))).sum(axis=1)


# Each value has a weight and an effect on the log-odds of a win within 90 days.
INTERCEPT = -3.15
CHOICES = {
    "source": Choice(
        {
            "Webinar": (14, 0.5),
            "Organic search": (20, 0.2),
            "Paid search": (18, 0.5),
            "Referral": (8, 1.1),
            "Partner": (8, 0.8),
            "Trade fair": (9, 0.1),
            "Cold list": (11, -1.2),
            "Content download": (12, -0.5),
        }
    ),
    "industry": Choice(
        {
            "Manufacturing": (20, 0.8),
            "Software": (14, 0.6),
            "Retail": (12, -0.4),
            "Healthcare": (10, 0.1),
            "Finance": (9, 0.3),
            "Logistics": (9, 0.2),
            "Construction": (8, -0.3),
            "Education": (6, -0.9),
            "Energy": (6, 0.5),
            "Public sector": (6, -0.8),
            None: (0, -0.5),
        }
    ),
    "country": Choice(
        {
            "DE": (40, 0.1),
            "AT": (10, 0.2),
            "CH": (10, 0.3),
            "FR": (10, -0.2),
            "NL": (8, 0.0),
            "GB": (8, -0.1),
            "PL": (7, -0.2),
            "US": (7, -0.5),
        }
    ),
    "preferred_channel": Choice(
        {
            "email": (50, 0.0),
            "phone": (18, 0.4),
            "none": (14, -0.5),
            None: (18, -0.1),
        }
    ),
    "email_opt_in": Choice({"yes": (52, 0.25), "no": (28, -0.35), None: (20, 0.0)}),
    "phone_opt_in": Choice({"yes": (22, 0.5), "no": (48, -0.15), None: (30, 0.0)}),
}
REGIONS = ["North", "Middle", "South"]
# A job title joins a level and a function: 12 x 25 titles.
LEVELS = Choice(
    {
        "Director {}": (5, 0.8),
        "VP {}": (3, 0.8),
        "Head of {}": (12, 0.9),
        "Senior Manager {}": (8, 0.6),
        "Manager {}": (16, 0.4),
        "Team Lead {}": (12, 0.2),
        "{} Specialist": (14, -0.1),
        "{} Consultant": (6, -0.4),
        "{} Analyst": (8, -0.3),
        "{} Assistant": (7, -0.6),
        "{} Intern": (4, -1.2),
        "{} Student": (3, -1.5),
    }
)
FUNCTIONS = Choice(
    {
        "Purchasing": (8, 0.4),
        "Marketing": (9, 0.3),
        "Sales": (9, 0.4),
        "IT": (9, 0.2),
        "Operations": (7, 0.2),
        "Finance": (5, 0.0),
        "HR": (4, -0.5),
        "Logistics": (4, 0.1),
        "Quality": (3, 0.0),
        "Production": (4, 0.2),
        "Engineering": (5, 0.0),
        "Legal": (2, -0.6),
        "Controlling": (3, 0.1),
        "Service": (4, 0.1),
        "Research": (2, -0.5),
        "Data": (3, 0.3),
        "Security": (2, 0.0),
        "Facility": (2, -0.3),
        "Supply Chain": (3, 0.2),
        "Product": (3, 0.2),
        "E-Commerce": (3, 0.4),
        "Communications": (2, -0.2),
        "Training": (1, -0.4),
        "Strategy": (2, 0.1),
        "Maintenance": (1, -0.1),
    }
)
TITLES = [level.format(name) for level in LEVELS.names for name in FUNCTIONS.names] + [None]
TITLE_EFFECTS = np.append(np.add.outer(LEVELS.effects, FUNCTIONS.effects), -0.4)
# Eight campaigns of each source, with fixed effects; the last is missing.
CAMPAIGNS = [f"{s} {n:02d}" for n in range(1, 9) for s in CHOICES["source"].names] + [None]
CAMPAIGN_EFFECTS = np.append(np.random.default_rng(60).normal(0, 0.25, 64), 0.0)
MONTH_EFFECTS = np.array([0.2, 0.2, 0.3, 0.1, 0, -0.1, -0.4, -0.5, 0.1, 0.2, 0.1, -0.4])
# After the drift: the base rate falls, and the effects of paid search and manufacturing turn
# negative.
DRIFT = {"base": -0.25, "Paid search": -1.6, "Manufacturing": -1.6}
# What each kind of drift changes at strength 1. See `crm.simulation.drift`.
# Factors of the weights of sources, as logarithms, and how much less likely larger companies are.
COVARIATE_MIX = CHOICES["source"].changes(
    {"Paid search": 0.9, "Cold list": 1.2, "Webinar": -0.5, "Referral": -0.7}
)
COVARIATE_SIZE = -0.5
CONCEPT_BASE = -1.0
# These changes of effects nearly cancel out over all leads.
CONCEPT = {
    "source": CHOICES["source"].changes({"Referral": -1.8, "Content download": 1.2}),
    "industry": CHOICES["industry"].changes(
        {"Manufacturing": -1.2, "Retail": 1.0, "Healthcare": 1.0}
    ),
}
DELAY = 1.0  # how much longer closings take, as a share
BROKEN_TYPE = "email_open"
DROPPED = "budget_eur"
RENAMED = {"source": ("Organic search", "SEO"), "country": ("DE", "Germany")}
# The yearly cycle at seasonality 1, for its highest point: factors as logarithms, and log-odds.
SEASON_VOLUME, SEASON_BASE = 0.4, 0.5
SEASON_MIX = CHOICES["source"].changes(
    {"Trade fair": 1.0, "Webinar": 0.4, "Content download": -0.4}
)
SEASON_PEAK = 0.25  # the share of the year after which it is highest
SURGE_SOURCE, SURGE_DAYS, SURGE_FACTOR = "Paid search", 14, 3.0
# These have no effect on the outcome: contract types (the planted leak), ages (sensitive),
# reasons, domains of e-mail.
CONTRACTS = ["Standard 12 months", "Standard 24 months", "Framework", "Pilot", None]
AGES = ["under 30", "30-39", "40-49", "50-59", "60 and over", None]
REASONS = ["no budget", "competitor", "no answer", "bad timing", "not a fit", None]
FREE_MAIL = ["gmail.com", "outlook.com", "gmx.de", "yahoo.com"]
DISPOSABLE_MAIL = ["throwaway.example", "ten-minutes.example"]
NAMES = ["Nordwerk", "Alpina", "Rheintal", "Hansa", "Lumen", "Kestrel", "Orbis", "Talwind"]
LEGAL_FORMS = ["GmbH", "AG", "Ltd", "SA", "BV"]
# Four spellings of each industry, then four spellings of a missing value.
SPELLED = [s for i in CHOICES["industry"].names[:-1] for s in (i, i.lower(), i.upper(), i + "  ")]
SPELLED += ["unknown", "-", "Select", None]

CONTENTS = {
    "mail": [f"Newsletter {n:02d}" for n in range(1, 31)],
    "page": ["/pricing", "/demo", "/cases", "/blog", *(f"/product/{n:02d}" for n in range(1, 17))],
    "webinar": [f"Webinar {n:02d}" for n in range(1, 13)],
    "file": [f"White paper {n:02d}" for n in range(1, 13)],
    "talk": ["first call", "follow-up call", "question", "video meeting", "visit"],
    "service": ["onboarding call"],
}
# type: channel, contents, weight (for most, for winners, for winners near closing), usual value.
TYPES: dict[str, tuple[str, str, tuple[float, float, float], float]] = {
    "email_open": ("email", "mail", (34, 26, 16), np.nan),
    "email_click": ("email", "mail", (12, 14, 10), np.nan),
    "page_view": ("web", "page", (30, 28, 24), 45.0),  # seconds
    "form_submit": ("web", "page", (4, 5, 5), np.nan),
    "webinar_attended": ("event", "webinar", (3, 5, 4), 40.0),  # minutes
    "call": ("phone", "talk", (7, 9, 15), 8.0),  # minutes
    "meeting": ("event", "talk", (1.5, 4, 12), 45.0),  # minutes
    "demo_request": ("web", "page", (1, 3, 8), np.nan),
    "content_download": ("web", "file", (5, 5.5, 5.5), np.nan),
    "unsubscribe": ("email", "mail", (2.5, 0.5, 0.5), np.nan),
}
TYPE_NAMES = list(TYPES)
CHANNELS = [row[0] for row in TYPES.values()]
TYPE_CDF = np.cumsum([row[2] for row in TYPES.values()], axis=0).T
TYPE_CDF /= TYPE_CDF[:, -1:]
CONTENT_NAMES = list(itertools.chain.from_iterable(CONTENTS.values()))
CONTENT_START = np.array([CONTENT_NAMES.index(CONTENTS[row[1]][0]) for row in TYPES.values()])
CONTENT_COUNT = np.array([len(CONTENTS[row[1]]) for row in TYPES.values()])
USUAL_VALUE = np.array([row[3] for row in TYPES.values()])
STAGES = ["new", "marketing_qualified", "sales_accepted", "opportunity", "lost", "won"]
