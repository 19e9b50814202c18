"""Asking a server for a file: only by http and https, with time limits, redirections looked at one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from value_nb.getting.errors import LocationError

if TYPE_CHECKING:
    import requests

SCHEMES = ("http", "https")
REDIRECTIONS = 10


@dataclass(frozen=True, slots=True)
class Wire:
    """How patient to be.

    Attributes
    ----------
    timeout
        Seconds without a byte (or without a connection) before a location counts as stalled.
    attempts
        How often in a row a location may be cut, stall or answer that it is busy without a single new byte
        coming, before the next location is tried.
    pause
        Seconds before the second attempt; twice as many before each further one.
    limit
        Most bytes that are taken from a location that does not say how large its file is.
    """

    timeout: float = 60.0
    attempts: int = 4
    pause: float = 1.0
    limit: int = 100 * 10**9


@contextmanager
def answer(url: str, headers: Mapping[str, str], wire: Wire) -> Iterator[requests.Response]:
    """Yield the server's answer to GET, its body unread, after at most ten redirections.

    Raises
    ------
    LocationError
        At an address that is neither http nor https, also one that the server redirects to; where a
        redirection leads from https to http; after too many redirections.
    """
    import requests

    with requests.Session() as session:
        for _ in range(REDIRECTIONS + 1):
            check_scheme(url, "the address is")
            response = session.get(
                url, headers=dict(headers), stream=True, timeout=wire.timeout, allow_redirects=False
            )
            with response:
                if not response.is_redirect:
                    yield response
                    return
                target = urljoin(url, response.headers["location"])
            check_scheme(target, "redirects to")
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
                raise LocationError(f"redirects from https to {target}, which is not encrypted: not followed")
            url = target
    raise LocationError(f"redirects more than {REDIRECTIONS} times")


def check_scheme(url: str, how: str) -> None:
    """Raise LocationError unless an address begins with http:// or https:// and names a host."""
    address = urlsplit(url)
    if address.scheme not in SCHEMES or not address.hostname:
        raise LocationError(f"{how} {url!r}, which is neither http nor https: not followed")
