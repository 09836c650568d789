"""Tests of the service's settings: which values of environment variables are valid."""

import pytest

from crm.errors import ConfigError
from serving.settings import read_settings


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MAX_LEADS", "0", "whole number from 1"),
        ("MAX_LEADS", "-5", "whole number"),
        ("MAX_LEADS", "9" * 40, "whole number"),
        ("DRAIN_SECONDS", "x", "whole number from 0"),
        ("ACCESS_LOG", "yes", "Expected on or off"),
        ("TAKEOVER", "", "Expected on or off"),
        ("MAX_LEAD", "5", "Did you mean LEADSCORE_MAX_LEADS"),
        ("PUBLIC_URL", "scores.example.com", "http:// or https://, a host"),
        ("PUBLIC_URL", "https:///v1", "a host"),
        ("PUBLIC_URL", "ftp://x.example", "https://"),
        ("PUBLIC_URL", "https://x.example/?a=b", "a host"),
        ("SHADOW", "champion", "Expected the number of a version, or challenger"),
        ("SHADOW", "0", "Expected the number of a version, or challenger"),
        ("SHADOW", "4", "The shadow model 4 needs a ledger"),
        ("CONTROL_SHARE", "5%", "Expected a number from 0 to 0.5"),
        ("CONTROL_SHARE", "nan", "Expected a number from 0 to 0.5"),
        ("CONTROL_SHARE", "0.51", "Expected a number from 0 to 0.5"),
        ("CONTROL_SHARE", "-0.01", "Expected a number from 0 to 0.5"),
        ("CONTROL_SHARE", "0.05", "share of 0.05, but there is no ledger"),
    ],
)
def test_invalid_settings_are_refused(variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings({f"LEADSCORE_{variable}": value})


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:3000", "https://scores.example.com/v1/"])
def test_valid_addresses_are_accepted(url: str) -> None:
    assert read_settings({"LEADSCORE_PUBLIC_URL": url}).public_url == url


def test_control_group_with_a_ledger_is_accepted() -> None:
    share = {"LEADSCORE_CONTROL_SHARE": "0.5", "LEADSCORE_LEDGER_URL": "sqlite:////l.db"}
    assert read_settings(share).control_share == 0.5
    assert read_settings({"LEADSCORE_CONTROL_SHARE": "0"}).control_share == 0


@pytest.mark.parametrize("shadow", ["4", "challenger"])
def test_shadow_with_a_ledger_is_accepted(shadow: str) -> None:
    settings = {"LEADSCORE_SHADOW": shadow, "LEADSCORE_LEDGER_URL": "sqlite:////l.db"}
    assert read_settings(settings).shadow == shadow
