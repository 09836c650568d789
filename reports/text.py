"""Formats texts from data for a report: cut, visible, and columns by their labels."""

import re
import unicodedata

NO_BREAK = "\u00a0"
MOST_CHARACTERS = 200  # of a text from data
MOST_PROSE = 1_000  # characters of any text
MOST_IN_SENTENCE = 60  # characters of a name from data in a sentence
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn")  # control, format, surrogate, private and unassigned
ACRONYMS = (
    "API ARR B2B B2C CEO CFO CRM CTO ERP GDPR HR ID IDs IP MQL MRR NPS PDF PPC ROI SaaS SDR SEM "
    "SEO SLA SMS SQL UK URL URLs USA UTC UTM VAT"
)
CURRENCIES = "AUD BRL CAD CHF CNY CZK DKK EUR GBP HUF INR JPY MXN NOK NZD PLN RON SEK SGD USD ZAR"
SPELLINGS = {word.casefold(): word for word in f"{ACRONYMS} {CURRENCIES}".split()}
UNITS = {"percent": "%", "pct": "%", **{code.casefold(): code for code in CURRENCIES.split()}}
SALESFORCE_SUFFIX = "__c"  # of each column that a company has added
IDENTIFIER = re.compile(r"[\w.-]+")
CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def printable(text: object, most: int = MOST_CHARACTERS) -> str:
    r"""Format a text from data for display: on one line, cut, without invisible characters.

    Marks that turn the direction of writing are removed: they would turn the rest of the
    page as well.

    Examples
    --------
    >>> printable("Paid\nsearch \u202eevil", most=12)
    'Paid search…'
    """
    start = str(text)[: 4 * most]  # so that a text of megabytes costs nothing
    line = " ".join(filter(None, visible(start).split(" ")))
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def visible(text: str) -> str:
    """Remove invisible characters; every white space but the no-break space becomes a space."""
    return "".join(
        character if character == NO_BREAK else " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in UNSEEN
    )


def column_label(name: str) -> str:
    """Format the name of a column for a heading or a sentence.

    A name that contains spaces or signs is a label already: only its first letter changes.

    Examples
    --------
    >>> [column_label(name) for name in ("company_size", "budget_eur", "crm_id", "utm_source")]
    ['Company size', 'Budget (EUR)', 'CRM ID', 'UTM source']
    >>> column_label("AnnualRevenue"), column_label("websiteURL"), column_label("discount_pct")
    ('Annual revenue', 'Website URL', 'Discount (%)')
    >>> column_label("age of the lead"), column_label("Total Time Spent on Website")
    ('Age of the lead', 'Total Time Spent on Website')
    """
    words = re.findall(r"[^\W_]+", CAMEL_CASE.sub(" ", name.removesuffix(SALESFORCE_SUFFIX)))
    if not words or not IDENTIFIER.fullmatch(name):
        return name[:1].upper() + name[1:]
    words = [word.casefold() for word in words]
    spelled = [SPELLINGS.get(word, word) for word in words]
    if len(words) > 1 and words[-1] in UNITS:
        spelled[-1] = f"({UNITS[words[-1]]})"
    label = " ".join(spelled)
    return label[:1].upper() + label[1:]


def currency_of_name(name: str) -> str:
    """Return the currency that the name of a column ends with; empty without one.

    Examples
    --------
    >>> currency_of_name("amount_eur"), currency_of_name("AmountUSD"), currency_of_name("amount")
    ('EUR', 'USD', '')
    """
    words = re.findall(r"[^\W_]+", CAMEL_CASE.sub(" ", name.removesuffix(SALESFORCE_SUFFIX)))
    last = words[-1].upper() if words else ""
    return last if last in CURRENCIES.split() else ""


def quoted_name(name: object) -> str:
    """Format a name from data for a sentence: cut, and in quotation marks."""
    return f"“{printable(name, MOST_IN_SENTENCE)}”"


def quoted_column(name: str) -> str:
    """Format the label of a column for a sentence, in quotation marks."""
    return quoted_name(column_label(name))
