"""Which callers may call what, and how often."""

import base64
import math
from collections.abc import Mapping

from serving.errors import RequestError
from serving.http.contract_pages import CONTRACT_PAGES
from serving.http.keys import ApiKey, KeyRing, KeyRole
from serving.http.report_files import REPORT
from serving.http.request_head import is_own_host

BROWSER_PAGES = CONTRACT_PAGES | {REPORT}
NEEDED_ROLE = {
    **dict.fromkeys(CONTRACT_PAGES, KeyRole.SCORE),
    "/score": KeyRole.SCORE,
    "/score_lead": KeyRole.SCORE,
    "/lead": KeyRole.SCORE,
    "/model": KeyRole.SCORE,
    REPORT: KeyRole.SCORE,
    "/activities": KeyRole.WRITE,
    "/stages": KeyRole.WRITE,
    "/outcomes": KeyRole.WRITE,
}  # every other path needs ADMIN


class RateLimit:
    """A token bucket for each key: `burst` requests at once, then `per_second` in the long run.

    Parameters
    ----------
    per_second, burst : int

    Examples
    --------
    >>> limit = RateLimit(per_second=2, burst=1)
    >>> limit.wait("crm", 10.0), limit.wait("crm", 10.0), limit.wait("crm", 10.5)
    (0.0, 0.5, 0.0)
    """

    def __init__(self, per_second: int, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, name: str, now: float) -> float:
        """Take one token. Return 0 if there was one, else the seconds until the next.

        Parameters
        ----------
        name : str
        now : float
            Seconds of a monotonic clock.
        """
        tokens, at = self._buckets.get(name, (float(self._burst), now))
        tokens = min(tokens + (now - at) * self._per_second, self._burst)
        if tokens >= 1.0:
            self._buckets[name] = (tokens - 1.0, now)
            return 0.0
        self._buckets[name] = (tokens, now)
        return (1.0 - tokens) / self._per_second


class Guard:
    """Admits requests, or refuses them with a reason.

    Parameters
    ----------
    keys : KeyRing or None
        None if there is no file of keys; then callers on loopback need no key.
    limit : RateLimit
    open_paths : frozenset of str
        The paths that need no key.
    """

    def __init__(self, keys: KeyRing | None, limit: RateLimit, open_paths: frozenset[str]) -> None:
        self._keys = keys
        self._limit = limit
        self._open = open_paths

    @property
    def fault(self) -> str | None:
        """The problem with the keys, without internals; None if there is none."""
        return self._keys.fault if self._keys is not None else None

    @property
    def needs_keys(self) -> bool:
        """Whether callers need a key, except on the open paths."""
        return self._keys is not None and self._keys.is_needed

    def identify(self, path: str, headers: Mapping[bytes, bytes], server: str) -> ApiKey | None:
        """Return the owner of a request's key; None if the request needs no key.

        Parameters
        ----------
        path : str
            A path that the service answers.
        headers : mapping of bytes to bytes
            Names in lower case.
        server : str
            The address that the caller reached.

        Raises
        ------
        RequestError
            401 without a valid key, 403 if a page of another site calls a service without keys.
        """
        if path in self._open:
            return None
        if self._keys is None or not self._keys.is_needed:
            if b"origin" in headers and not _is_from_own_page(headers):
                raise RequestError(
                    403,
                    "Without API keys, pages of other sites may not call this service. Call it "
                    "from a server.",
                )
            if is_loopback(server):
                return None
            raise RequestError(
                401,
                "This service has no API keys yet, so it answers callers on its own machine only. "
                "Add one with `leadscore keys add`.",
            )
        key = _sent_key(headers, is_page=path in BROWSER_PAGES)
        owner = self._keys.owner(key) if key else None
        if owner is None:
            raise RequestError(401, "")
        return owner

    def admit(self, owner: ApiKey, path: str, now: float) -> None:
        """Check a key's role and its rate.

        Parameters
        ----------
        owner : ApiKey
        path : str
        now : float
            Seconds of a monotonic clock.

        Raises
        ------
        RequestError
            403 if its role is not sufficient, 429 if it called too often.
        """
        if KeyRole[owner.role.upper()] < needed_role(path):
            needed = needed_role(path).name.lower()
            raise RequestError(
                403,
                f"This key has the role {owner.role}; {path} needs the role {needed}. Use such a "
                f"key, or create one with `leadscore keys add NAME --role {needed}`.",
            )
        self.limit(owner.name, now)

    def limit(self, name: str, now: float) -> None:
        """Count one request against a caller's rate limit.

        Raises
        ------
        RequestError
            429 if the caller has used it up.
        """
        wait = self._limit.wait(name, now)
        if wait:
            raise RequestError(
                429,
                "This key calls too often. Wait for the seconds in the header Retry-After. Then "
                "call less often, or send more leads in one request.",
                retry_after=math.ceil(wait),
            )


def needed_role(path: str) -> KeyRole:
    """Return the lowest role that may call a path."""
    return NEEDED_ROLE.get(path, KeyRole.ADMIN)


def is_loopback(address: str) -> bool:
    """Check whether an address is this machine's own. An empty one is a Unix socket.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("10.0.0.5")
    (True, True, False)
    """
    return address in ("", "::1", "localhost") or address.startswith(("127.", "::ffff:127."))


def _is_from_own_page(headers: Mapping[bytes, bytes]) -> bool:
    """Check whether a browser sent a request from a page of this service, such as Swagger UI."""
    host = headers.get(b"host", b"")
    return headers[b"origin"] in (b"http://" + host, b"https://" + host) and is_own_host(headers)


def _sent_key(headers: Mapping[bytes, bytes], is_page: bool) -> str:
    """Return the key that a request was sent with, or "".

    A browser that opens a page sends the key as a password. Passwords count for pages only, because
    a browser also sends them with what another site makes it post.
    """
    sent = headers.get(b"authorization", b"")
    if sent[:7].lower() == b"bearer ":
        return sent[7:].strip().decode("latin-1")
    if is_page and sent[:6].lower() == b"basic ":
        try:
            user_and_password = base64.b64decode(sent[6:].strip(), validate=True)
        except ValueError:
            return ""
        return user_and_password.partition(b":")[2].decode("latin-1")
    return headers.get(b"x-api-key", b"").strip().decode("latin-1")
