"""The service's settings, read from the environment and checked at start."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from crm.control_share import check_has_ledger, read_share
from crm.errors import ConfigError

PREFIX = "LEADSCORE_"
KEYS_FILE = "LEADSCORE_KEYS_FILE"
ON_OFF = {"on": True, "off": False}
SHADOW_NAME = re.compile("challenger|[1-9][0-9]{0,8}")
PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9_.-]+(:[0-9]{1,5})?(/[A-Za-z0-9_.~%/-]*)?")


@dataclass(frozen=True)
class Settings:
    """The settings. Each field is the environment variable `LEADSCORE_<NAME>`.

    Attributes
    ----------
    max_body_bytes : int
        Size of the largest request body that is accepted.
    max_leads : int
        Largest number of leads in one request.
    max_string_characters : int
        Length of the longest text in one attribute.
    max_requests_at_once : int
        Largest number of requests in progress in one worker. Further ones get the status 503.
    requests_per_second, request_burst : int
        Number of requests that one worker accepts from one key per second in the long run, and
        at once.
    body_seconds : int
        Seconds within which a request must arrive.
    answer_seconds : int
        Seconds within which a request must be answered once it has arrived.
    drain_seconds : int
        Seconds for which the service still answers after SIGTERM, while `/readyz` answers 503.
    workers : int
        Number of worker processes.
    takeover : bool
        Whether a newly promoted champion is taken over without a restart.
    access_log : bool
        Whether the log gets a line for each request.
    metrics_open, contract_open : bool
        Whether `/metrics` and `/contract/…` need no key.
    keys_file : str
        The file of the API keys, which must exist if it is named; by default
        `leadscore/keys.json` in BentoML's home.
    host : str
        The address that the service listens on, as `leadscore serve` sets it.
    public_url : str
        The URL at which callers reach the service, for the contract and HubSpot's signatures.
    ledger_url : str
        The database that stores what callers send and every score; empty: nothing is stored.
    shadow : str
        The version, or "challenger", that scores leads behind the answers; empty: none. It needs a
        ledger.
    control_share : float
        The share of leads that are not prioritised, 0 to 0.5. It needs a ledger.
    report_dir : str
        The folder of the report that `/report/` shows, or a folder of such folders, of which the
        newest is shown; empty: no report.
    hubspot_secret : str
        The secret of the HubSpot app whose signed calls need no key.

    Examples
    --------
    >>> read_settings({"LEADSCORE_MAX_LEADS": "200", "LEADSCORE_TAKEOVER": "on"}).max_leads
    200
    >>> read_settings({"LEADSCORE_MAX_LEADS": "many"})
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: LEADSCORE_MAX_LEADS is 'many'. Expected a whole number from 1.
    """

    max_body_bytes: int = 8 * 1024 * 1024
    max_leads: int = 1_000
    max_string_characters: int = 10_000
    max_requests_at_once: int = 256
    requests_per_second: int = 100
    request_burst: int = 200
    body_seconds: int = 10
    answer_seconds: int = 10
    drain_seconds: int = field(default=5, metadata={"least": 0})
    workers: int = 1
    takeover: bool = False
    access_log: bool = True
    metrics_open: bool = False
    contract_open: bool = True
    keys_file: str = ""
    host: str = ""
    public_url: str = ""
    ledger_url: str = field(default="", repr=False)
    shadow: str = ""
    control_share: float = 0.0
    report_dir: str = ""
    hubspot_secret: str = field(default="", repr=False)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    Raises
    ------
    ConfigError
        If a value is not of its setting's type, the file of keys is named by an empty text, a
        setting lacks another one that it needs, or a variable looks like a misspelt setting.
    """
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        variable = PREFIX + setting.name.upper()
        if variable in environ:
            least = setting.metadata.get("least", 1)
            values[setting.name] = _value(variable, environ[variable], setting.default, least)
    _check_names(environ)
    settings = Settings(**values)
    if settings.public_url and not PUBLIC_URL.fullmatch(settings.public_url):
        raise ConfigError(
            f"LEADSCORE_PUBLIC_URL is {settings.public_url[:60]!r}. Expected http:// or https://, "
            "a host, and perhaps a port and a path, such as https://scores.example.com."
        )
    if KEYS_FILE in environ and not settings.keys_file.strip():
        raise ConfigError(
            f"{KEYS_FILE} is empty. Set it to the path of the file of API keys, or remove the "
            "variable to use the file in BentoML's home."
        )
    if settings.hubspot_secret and not settings.public_url:
        raise ConfigError(
            "LEADSCORE_HUBSPOT_SECRET is set without LEADSCORE_PUBLIC_URL. HubSpot signs the "
            "address that it calls. Set LEADSCORE_PUBLIC_URL, such as https://scores.example.com."
        )
    check_has_ledger(settings.control_share, settings.ledger_url)
    check_shadow(settings.shadow, settings.ledger_url)
    return settings


def check_shadow(shadow: str, ledger_url: str | None) -> None:
    """Check the name of a shadow model, and that there is a ledger for its scores.

    Raises
    ------
    ConfigError
        If the name is neither a version nor "challenger", or there is no ledger.

    Examples
    --------
    >>> check_shadow("challenger", "sqlite:///ledger.db")
    """
    if shadow and not SHADOW_NAME.fullmatch(shadow):
        raise ConfigError(
            f"The shadow model is {shadow[:60]!r}. Expected the number of a version, or challenger."
        )
    if shadow and not ledger_url:
        raise ConfigError(
            f"The shadow model {shadow} needs a ledger, which stores its scores. Set "
            "LEADSCORE_LEDGER_URL, or remove LEADSCORE_SHADOW."
        )


def home_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder in BentoML's home that contains the service's own files."""
    home = environ.get("BENTOML_HOME") or Path("~/bentoml").expanduser()
    return Path(home) / "leadscore"


def keys_file(settings: Settings, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the file of the API keys."""
    return Path(settings.keys_file or home_folder(environ) / "keys.json")


def check_keys_file(settings: Settings) -> None:
    """Check that the file of API keys exists, if a setting names it.

    Without the file, the service would answer callers without a key.

    Raises
    ------
    ConfigError
        If it does not exist, or its path is relative. The service changes its working folder.

    Examples
    --------
    >>> check_keys_file(Settings(keys_file=""))
    """
    path = Path(settings.keys_file)
    if settings.keys_file and not (path.is_absolute() and os.path.exists(path)):
        raise ConfigError(
            f"{KEYS_FILE} is {settings.keys_file[:200]!r}. Expected the absolute path of a file of "
            "API keys that exists and that this user may reach. Create it with `leadscore keys "
            "add`, or remove the variable to use the file in BentoML's home."
        )


def _value(variable: str, text: str, default: object, least: int) -> float | bool | str:
    if isinstance(default, str):
        return text
    if isinstance(default, float):
        return read_share(text)  # the only setting that is not a whole number
    if isinstance(default, bool):
        if text not in ON_OFF:
            raise ConfigError(f"{variable} is {text[:60]!r}. Expected on or off.")
        return ON_OFF[text]
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and int(text) >= least):
        raise ConfigError(f"{variable} is {text[:60]!r}. Expected a whole number from {least}.")
    return int(text)


def _check_names(environ: Mapping[str, str]) -> None:
    names = [PREFIX + setting.name.upper() for setting in fields(Settings)]
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in names:
            matches = difflib.get_close_matches(variable, names, n=1, cutoff=0.85)
            if matches:
                raise ConfigError(f"{variable} is not a setting. Did you mean {matches[0]}?")
