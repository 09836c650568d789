"""The share of leads in the control group: read, and checked. `crm.lanes` decides which leads."""

import os
from typing import Final

from crm.errors import ConfigError

CONTROL_SHARE: Final = "LEADSCORE_CONTROL_SHARE"
MOST_CONTROL: Final = 0.5  # a larger control group would be the rule, not the exception


def read_share(text: str) -> float:
    """Read the share of the control group as an environment variable has it.

    Raises
    ------
    ConfigError
        If it is not a number from 0 to 0.5.

    Examples
    --------
    >>> read_share("0.05")
    0.05
    >>> read_share("5%")
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: LEADSCORE_CONTROL_SHARE is '5%'. Expected a number from 0 to 0.5, \
such as 0.05.
    """
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= MOST_CONTROL:
        raise ConfigError(
            f"{CONTROL_SHARE} is {text[:60]!r}. Expected a number from 0 to {MOST_CONTROL}, such "
            "as 0.05."
        )
    return share


def share_of_environment() -> float:
    """Return the share that the environment names; 0 without one."""
    return read_share(os.environ.get(CONTROL_SHARE, "0"))


def check_has_ledger(share: float, ledger_url: str | None) -> None:
    """Check that a control group has a ledger, which stores the lanes and their key.

    Raises
    ------
    ConfigError
        If there is a control group without a ledger.

    Examples
    --------
    >>> check_has_ledger(0.05, "sqlite:///ledger.db")
    """
    if share and not ledger_url:
        raise ConfigError(
            f"The control group has a share of {share:g}, but there is no ledger, so nothing would "
            "store which leads are in it. Set LEADSCORE_LEDGER_URL, or remove [control] share and "
            f"{CONTROL_SHARE}."
        )
