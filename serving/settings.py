"""The service's settings, read from the environment and checked at start."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from crm.errors import ConfigError

PREFIX = "LEADSCORE_"


@dataclass(frozen=True)
class Settings:
    """What can be set from outside; each field is `LEADSCORE_<NAME>` in the environment.

    Attributes
    ----------
    max_body_bytes : int
        Largest request body that is read.
    max_leads : int
        Most leads in one request.
    max_string_characters : int
        Longest text in one attribute.

    Examples
    --------
    >>> read_settings({"LEADSCORE_MAX_LEADS": "200"}).max_leads
    200
    >>> read_settings({"LEADSCORE_MAX_LEADS": "many"})
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: LEADSCORE_MAX_LEADS is 'many'. Expected a whole number above 0.
    """

    max_body_bytes: int = 8 * 1024 * 1024
    max_leads: int = 1_000
    max_string_characters: int = 10_000


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    Raises
    ------
    ConfigError
        If a value is not a whole number above 0.
    """
    given: dict[str, int] = {}
    for setting in fields(Settings):
        variable = PREFIX + setting.name.upper()
        text = environ.get(variable)
        if text is None:
            continue
        if not text.isdecimal() or int(text) == 0:
            raise ConfigError(f"{variable} is {text!r}. Expected a whole number above 0.")
        given[setting.name] = int(text)
    return Settings(**given)
