"""E-mail addresses: the type of their domain."""

from typing import Any

import pytest

from features.attributes.email import DISPOSABLE_MAIL, FREE_MAIL, EmailAttribute
from features.cell_warnings import cell_warning
from tests.made_attributes import MISSING_CELLS, NOTHING

MAIL = EmailAttribute("email", NOTHING)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        *((cell, "missing") for cell in MISSING_CELLS),
        ("somebody", "no address"),
        ("@", "no address"),
        ("a@localhost", "no address"),
        (12, "no address"),
        ("gmail.com", "no address"),
        ("a@acme.example", "company"),
        ("A.B+c@Sub.Acme.co.uk", "company"),
        ("a@notgmail.com", "company"),
        ("a@gmail.com.acme.example", "company"),
        ("a@gmail.com", "free"),
        (" A@GMail.COM ", "free"),
        ("x@web.de", "free"),
        ('"a@b"@yahoo.com', "free"),
        ("a@mailinator.com", "disposable"),
        ("a@YOPmail.com", "disposable"),
    ],
)
def test_address_has_the_type_of_its_domain(cell: Any, kind: str) -> None:
    assert ("missing", "no address", *MAIL.vocabulary)[int(MAIL.encode(cell))] == kind
    expected = cell_warning("not_an_email_address", "email") if kind == "no address" else None
    assert MAIL.warning(cell) == expected


def test_a_domain_has_one_type() -> None:
    assert not FREE_MAIL & DISPOSABLE_MAIL
    assert all(domain == domain.casefold() and "." in domain for domain in FREE_MAIL)
    assert all(domain == domain.casefold() and "." in domain for domain in DISPOSABLE_MAIL)
