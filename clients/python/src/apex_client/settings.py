"""Where Apex is, and how long it is waited for."""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .errors import ConfigurationError


@dataclass(frozen=True)
class Settings:
    """The server, the credential and the limits of a client. The environment variables are those of the command line of Apex."""

    #: ``https``, or ``http`` on loopback. Default: ``APEX_URL``.
    url: str = ""
    #: An API key. Default: ``APEX_TOKEN``.
    token: str | None = field(default=None, repr=False)
    #: Further authorities in PEM. Default: ``APEX_CA_FILE``.
    ca_file: str | None = None
    #: Whether the credential may be sent over plain HTTP to another machine. Default: ``APEX_INSECURE_HTTP``.
    insecure_http: bool | None = None
    #: How long an operation may take, with all its attempts, in seconds.
    timeout_s: float = 10.0
    #: How long an attempt may take, in seconds.
    attempt_timeout_s: float = 5.0
    #: How long a reservation that was not answered is tried to be released in the background, in seconds.
    release_timeout_s: float = 60.0
    #: How long a call that was made while Apex could not be reached is tried to be reported in the background, in seconds.
    report_timeout_s: float = 600.0
    #: Whether calls are made without a reservation while Apex cannot be reached, if no hard budget may apply to them.
    fail_open: bool = False

    @classmethod
    def create(cls, url: str | None, token: str | None, **more: object) -> Settings:
        """The settings with what the environment adds.

        Raises ConfigurationError if there is no URL, or it is not one that credentials may be sent to.
        """
        known = {name: value for name, value in more.items() if value is not None}
        environment = os.environ
        insecure = known.pop("insecure_http", None)
        if insecure is None:
            insecure = environment.get("APEX_INSECURE_HTTP", "").lower() in ("1", "true")
        settings = cls(
            url=(url or environment.get("APEX_URL", "")).rstrip("/"),
            token=token or environment.get("APEX_TOKEN") or None,
            ca_file=str(known.pop("ca_file", "")) or environment.get("APEX_CA_FILE") or None,
            insecure_http=bool(insecure),
            **known,  # type: ignore[arg-type]
        )
        settings._check()
        return settings

    def _check(self) -> None:
        if not self.url:
            raise ConfigurationError("the URL of Apex is not known: set APEX_URL, or pass `url`")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{self.url!r} is not a URL of a server, such as https://apex.example.com")
        if parts.scheme == "http" and not self.insecure_http and not _is_loopback(parts.hostname):
            raise ConfigurationError(f"{self.url!r} is plain HTTP to another machine: use https, or set APEX_INSECURE_HTTP=true")
        for name in ("timeout_s", "attempt_timeout_s", "release_timeout_s", "report_timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"`{name}` must be greater than 0")

    @property
    def endpoint(self) -> str:
        """The URL of GraphQL."""
        return f"{self.url}/graphql"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of each request."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token}"
        return headers

    def verify(self) -> ssl.SSLContext | bool:
        """The authorities that are trusted."""
        if self.ca_file is None:
            return True
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"the authorities in {self.ca_file!r} cannot be read: {error}") from error
        return context


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
