"""Tests of who may call what, and how often."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import RequestError
from serving.http.contract_pages import CONTRACT_PAGES
from serving.http.keys import KeyRing, KeyRole, add_key, revoke_key
from serving.http.security import NEEDED_ROLE, Guard, RateLimit, needed_role
from tests.made_keys import CREATED_AT, ROLES, Post, poster, service_with_keys

# `ROLES` are in the order of their rights, so the numbers of `KeyRole` do not matter here.
NEEDED = [
    ("/score", "score"),
    ("/score_lead", "score"),
    ("/lead", "score"),
    ("/model", "score"),
    ("/report", "score"),
    ("/activities", "write"),
    ("/stages", "write"),
    ("/outcomes", "write"),
    ("/erase", "admin"),
    ("/metrics", "admin"),
    *((page, "score") for page in sorted(CONTRACT_PAGES)),
    ("/anything/new", "admin"),
]


@pytest.fixture
def ring(keys_file: Path) -> KeyRing:
    """Return the keys in the file; none if there is no file."""
    return KeyRing(keys_file)


@pytest.fixture
def guard(ring: KeyRing) -> Guard:
    """Return a guard of these keys; only `/livez` needs no key."""
    return Guard(ring, RateLimit(per_second=100, burst=100), frozenset({"/livez"}))


@pytest.fixture
def guard_of_keys(keys: dict[str, str], guard: Guard) -> Guard:
    """Return a guard of one key for each role."""
    return guard


def admitted(guard: Guard, path: str, key: str = "", server: str = "10.0.0.5") -> str | int:
    """Return the name of the key that is admitted, "" without one; a refusal's status."""
    headers = {b"x-api-key": key.encode()} if key else {}
    try:
        owner = guard.identify(path, headers, server)
        if owner is None:
            return ""
        guard.admit(owner, path, 0.0)
    except RequestError as error:
        return error.status
    return owner.name


@pytest.mark.parametrize(("path", "role"), NEEDED)
def test_each_role_has_its_rights(
    guard_of_keys: Guard, keys: dict[str, str], path: str, role: str
) -> None:
    results = {name: admitted(guard_of_keys, path, keys[name]) for name in ROLES}
    assert results == {
        name: f"the-{name}" if ROLES.index(name) >= ROLES.index(role) else 403 for name in ROLES
    }


def test_table_of_roles_is_complete() -> None:
    assert len(NEEDED) == 19
    assert set(NEEDED_ROLE) == {path for path, role in NEEDED if role != "admin"}


def test_path_without_a_role_needs_the_admin_role() -> None:
    assert needed_role("/contract/openapi-4.0.json") is KeyRole.ADMIN


def test_every_path_but_health_needs_a_key(guard_of_keys: Guard) -> None:
    assert {admitted(guard_of_keys, path) for path, _ in NEEDED} == {401}
    assert admitted(guard_of_keys, "/livez") == ""


def test_invalid_key_is_refused(guard_of_keys: Guard, keys: dict[str, str]) -> None:
    assert admitted(guard_of_keys, "/score", keys["score"][:-1] + "?") == 401


def test_loopback_needs_a_key_if_there_are_keys(guard_of_keys: Guard) -> None:
    assert admitted(guard_of_keys, "/score", server="127.0.0.1") == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"authorization", "Bearer {}"),
        (b"authorization", "bearer  {} "),
        (b"x-api-key", "{}"),
    ],
)
def test_key_is_accepted_as_bearer_or_x_api_key(
    guard_of_keys: Guard, keys: dict[str, str], name: bytes, value: str
) -> None:
    headers = {name: value.format(keys["score"]).encode()}
    owner = guard_of_keys.identify("/score", headers, "10.0.0.5")
    assert owner is not None
    assert owner.name == "the-score"


@pytest.mark.parametrize(
    ("server", "expected"),
    [("127.0.0.1", ""), ("::1", ""), ("", ""), ("10.0.0.5", 401), ("203.0.113.9", 401)],
)
def test_without_a_keys_file_only_loopback_is_answered(
    guard: Guard, server: str, expected: str | int
) -> None:
    assert admitted(guard, "/score", server=server) == expected


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b"http://localhost:3000"])
def test_without_a_keys_file_web_pages_are_refused(guard: Guard, origin: bytes) -> None:
    with pytest.raises(RequestError, match="pages of other sites may not") as refusal:
        guard.identify("/erase", {b"origin": origin}, "127.0.0.1")
    assert refusal.value.status == 403


def test_loopback_needs_a_key_from_the_first_key_on_even_after_it_is_revoked(
    keys_file: Path, ring: KeyRing, guard: Guard
) -> None:
    assert admitted(guard, "/score", server="127.0.0.1") == ""
    key = add_key(keys_file, "crm", "score", CREATED_AT)
    ring.refresh()
    assert admitted(guard, "/score", server="127.0.0.1") == 401
    assert admitted(guard, "/score", key) == "crm"
    revoke_key(keys_file, "crm")
    ring.refresh()
    assert admitted(guard, "/score", key) == 401
    assert admitted(guard, "/score", server="127.0.0.1") == 401


def test_deleted_keys_file_opens_nothing(
    keys_file: Path, keys: dict[str, str], ring: KeyRing, guard_of_keys: Guard
) -> None:
    keys_file.unlink()
    ring.refresh()
    assert "is gone" in str(guard_of_keys.fault)
    assert admitted(guard_of_keys, "/score", keys["score"]) == 401
    assert admitted(guard_of_keys, "/score", server="127.0.0.1") == 401


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:3000", "http://localhost:3000", 0),
        ("127.0.0.1:3000", "http://127.0.0.1:3000", 0),
        ("localhost:3000", "http://localhost:8000", 403),
        ("localhost:3000", "http://127.0.0.1:3000", 403),
        ("evil.example:3000", "http://evil.example:3000", 403),
        ("localhost:3000", "null", 403),
        ("", "http://", 403),
    ],
)
def test_without_keys_only_the_services_own_pages_may_call(
    guard: Guard, host: str, origin: str, status: int
) -> None:
    headers = {b"host": host.encode(), b"origin": origin.encode()}
    try:
        assert guard.identify("/score", headers, "127.0.0.1") is None
        answered = 0
    except RequestError as error:
        answered = error.status
    assert answered == status


def test_rate_limit_applies_to_each_key(keys: dict[str, str], ring: KeyRing) -> None:
    guard = Guard(ring, RateLimit(per_second=2, burst=3), frozenset())

    def call(role: str, now: float) -> tuple[int, int | None]:
        """Return the status and the seconds of Retry-After."""
        owner = guard.identify("/score", {b"x-api-key": keys[role].encode()}, "")
        assert owner is not None
        try:
            guard.admit(owner, "/score", now)
        except RequestError as error:
            return error.status, error.retry_after
        return 200, None

    three_admitted = [(200, None)] * 3 + [(429, 1)]
    assert [call("score", 0.0) for _ in range(4)] == three_admitted
    assert call("write", 0.0) == (200, None)
    assert [call("score", 0.5), call("score", 0.5)] == [(200, None), (429, 1)]
    assert [call("score", 99.0) for _ in range(4)] == three_admitted


@pytest.fixture
def post(keys_file: Path, keys: dict[str, str], tmp_path: Path) -> Iterator[Post]:
    """Return a function that posts to a service with keys."""
    with (tmp_path / "access.log").open("wb") as log:
        yield poster(service_with_keys(keys_file, log))


def test_call_without_a_key_gets_401_in_the_common_format(post: Post) -> None:
    response = post("/score")
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.json()["error"]["code"] == "unauthorized"


def test_method_is_checked_before_the_key(post: Post, keys: dict[str, str]) -> None:
    assert post("/metrics", x_api_key=keys["score"]).status_code == 405


def test_too_frequent_calls_get_429_with_retry_after(post: Post, keys: dict[str, str]) -> None:
    for _ in range(20):
        post("/score", x_api_key=keys["score"])
    response = post("/score", x_api_key=keys["score"])
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    to_hubspot = post("/score", x_api_key=keys["score"], x_hubspot_signature="of version 2")
    assert (to_hubspot.status_code, to_hubspot.headers["retry-after"]) == (429, "1000")
