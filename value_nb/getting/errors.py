"""What can go wrong while something is fetched."""

from __future__ import annotations


class FetchError(Exception):
    """Something could not be fetched; the message says what was tried, what came, and what to do."""


class OfflineError(FetchError):
    """The network is needed, and an environment variable says not to touch it."""


class FormNeeded(FetchError):
    """What is asked for is only given to people who ask for it by hand: by a form, or on a page."""


class DiskFullError(FetchError):
    """The disk has no room. What was brought so far stays, and the next call goes on from there."""


class LocationError(FetchError):
    """One location did not give the file; the next one is tried."""


class ChecksumError(LocationError):
    """The bytes that came are not those that were expected."""


class ArchiveError(LocationError):
    """An archive that is not whole, or that holds what no honest archive of data holds."""


class ManifestError(ValueError):
    """The list of what can be fetched is not as it should be."""
