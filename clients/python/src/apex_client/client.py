"""The synchronous client."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID

import httpx

from . import reserving
from .attributes import Attributes
from .call import LOG, CallBase, Ending, Outcome, Settled
from .errors import ApexError, Unavailable
from .known_budgets import KnownBudgets
from .protocol import MAX_REPLY_BYTES, Deadline, Pause, Reply, Send, Steps
from .reserving import Progress, ReserveRequest
from .settings import Settings
from .usage import Usage

#: Commands that are tried in the background at the same time. Beyond it, a reservation is left to expire.
MAX_BACKGROUND = 64
MAX_CONNECTIONS = 100

T = TypeVar("T")


class Call(CallBase):
    """A call that may be made. As a context manager, it ends the reservation however its block ends."""

    def __init__(self, apex: Apex, attributes: Attributes, usage: Usage, granted: reserving.Granted | None, sent: bool) -> None:
        super().__init__(apex.settings, attributes, usage, granted, sent)
        self._apex = apex

    def settle(
        self,
        usage: Usage | None = None,
        *,
        response: Any = None,
        outcome: Outcome = "OK",
        model: str | None = None,
        response_id: str | None = None,
        error: str | None = None,
    ) -> Settled | None:
        """Charges what the call used instead of what was reserved, and records the call.

        Give the usage, or the response of the provider. With neither, or a response without usage, it is charged what was reserved, marked
        as assumed. Settling again with the same values has no effect; with others, it is Rejected.

        Raises Unavailable if Apex did not answer in time: then settle again, or the reservation is charged in full when it expires. None is
        returned if the call had no reservation and is reported in the background.
        """
        return self._apex._settle(self, Ending(usage, response, outcome, model, response_id, error))

    def release(self) -> None:
        """Releases the reservation: the call was not made, or cost nothing."""
        self._apex._run(self._release())

    def mark_sent(self) -> None:
        """Says that the call is sent, of one that was reserved with ``sent=False``: from now on it is charged when it expires."""
        self._apex._run(self._extend(None, None, True))

    def extend(self, usage: Usage | None = None, expires_at: datetime | None = None) -> None:
        """Reserves for more usage, all of it, or for longer. Raises Refused if it does not fit: the reservation stays as it is."""
        self._apex._run(self._extend(usage, expires_at, False))

    def __enter__(self) -> Call:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._apex._run(self._leave(error))
        except ApexError as failed:
            if error is None:
                raise
            LOG.warning("a call was not settled, its reservation expires and is charged in full: %s", failed)


class Apex:
    """A client of Apex. It may be used by several threads at once."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        ca_file: str | None = None,
        insecure_http: bool | None = None,
        timeout_s: float | None = None,
        attempt_timeout_s: float | None = None,
        release_timeout_s: float | None = None,
        report_timeout_s: float | None = None,
        fail_open: bool = False,
    ) -> None:
        """Raises ConfigurationError if a setting is missing or not valid. Settings has the meaning of each."""
        self.settings = Settings.create(
            url,
            token,
            ca_file=ca_file,
            insecure_http=insecure_http,
            timeout_s=timeout_s,
            attempt_timeout_s=attempt_timeout_s,
            release_timeout_s=release_timeout_s,
            report_timeout_s=report_timeout_s,
            fail_open=fail_open,
        )
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
        self._http = httpx.Client(headers=self.settings.headers, verify=self.settings.verify(), limits=limits)
        self._known = KnownBudgets()
        self._background: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def reserve(
        self,
        *,
        usage: Usage,
        model: str | None = None,
        provider: str | None = None,
        tool: str | None = None,
        agent: str | None = None,
        task: str | None = None,
        dag: str | None = None,
        conversation: str | None = None,
        user: str | None = None,
        team: str | None = None,
        key: str | None = None,
        service_tier: str | None = None,
        speed: str | None = None,
        region: str | None = None,
        tags: Mapping[str, str] | None = None,
        min_output_tokens: int | None = None,
        command_id: UUID | str | None = None,
        expires_at: datetime | None = None,
        sent: bool = True,
    ) -> Call:
        """Reserves the most that a call may use in every budget that applies: all of them grant it, or none.

        ``usage`` is the input counted, or bounded by ``input_bound``, and the output limit. With ``min_output_tokens``, less output may be
        granted: send ``call.output_limit`` to the provider. ``command_id`` makes it safe to ask again, also from another process. With
        ``sent=False``, a reservation that expires before ``call.mark_sent()`` is released, not charged.

        Raises BudgetExceeded, Undeclared, Unpriced or Counting if a budget refuses; Unavailable if Apex did not answer in time; NotHeld,
        Rejected, Forbidden, Unauthenticated or RequestError if the request is not as it must be.
        """
        attributes = Attributes(
            model, provider, tool, agent, task, dag, conversation, user, team, key, service_tier, speed, region, dict(tags or {})
        )
        request = ReserveRequest.create(attributes, usage, min_output_tokens, command_id, expires_at, sent)
        progress = Progress(request)
        settings = self.settings
        try:
            granted = self._run(reserving.reserve(request, progress, Deadline(settings.timeout_s), settings.attempt_timeout_s))
        except ApexError as error:
            if not isinstance(error, Unavailable):
                raise
            error.reservation_id = str(progress.last_id)
            passes = settings.fail_open and self._known.may_pass(attributes)
            if passes or not request.is_repeatable:
                self._release_if_made(str(progress.last_id))
            if passes:
                LOG.warning("a call is made without a reservation: %s", error)
                return Call(self, attributes, usage, None, sent)
            raise
        except BaseException:
            # The caller gave up, such as by Ctrl-C.
            if not request.is_repeatable:
                self._release_if_made(str(progress.last_id))
            raise
        if settings.fail_open and self._known.is_due():
            self._run(self._known.refresh(granted.position, Deadline(settings.timeout_s), settings.attempt_timeout_s))
        return Call(self, attributes, usage, granted, sent)

    def close(self, timeout_s: float | None = None) -> None:
        """Waits for what is done in the background, up to a time, and closes the connections."""
        deadline = Deadline(self.settings.timeout_s if timeout_s is None else timeout_s)
        with self._lock:
            threads = list(self._background)
        for thread in threads:
            thread.join(max(deadline.left_s, 0))
        self._http.close()

    def __enter__(self) -> Apex:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _settle(self, call: Call, ending: Ending) -> Settled | None:
        try:
            return self._run(call._settle(ending))
        except Unavailable as error:
            if call.is_reserved:
                raise
            LOG.warning("a call without a reservation is reported in the background: %s", error)
            deadline = Deadline(self.settings.report_timeout_s)
            self._start("report", call._settle(ending, deadline))
            return None

    def _release_if_made(self, reservation_id: str) -> None:
        settings = self.settings
        limits = (Deadline(settings.release_timeout_s), settings.attempt_timeout_s)
        self._start("release", reserving.release_if_made(reservation_id, *limits))

    def _start(self, what: str, steps: Steps[Any]) -> None:
        """Does something in the background. The thread does not keep the program from ending."""

        def run() -> None:
            try:
                self._run(steps)
            except (ApexError, RuntimeError) as error:
                LOG.warning("%s in the background: %s", what, error)
            finally:
                with self._lock:
                    self._background.discard(threading.current_thread())

        with self._lock:
            if len(self._background) >= MAX_BACKGROUND:
                LOG.warning("%s: %d commands are tried in the background, no more are", what, MAX_BACKGROUND)
                return
            thread = threading.Thread(target=run, name=f"apex {what}", daemon=True)
            self._background.add(thread)
        thread.start()

    def _run(self, steps: Steps[T]) -> T:
        reply: Reply | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                reply = None
            else:
                reply = self._send(step)

    def _send(self, step: Send) -> Reply:
        deadline = Deadline(step.timeout_s)
        body = bytearray()
        try:
            with self._http.stream("POST", self.settings.endpoint, content=step.body, timeout=step.timeout_s) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_REPLY_BYTES or deadline.left_s < 0:
                        return Reply(failure="the response is too large or too slow")
                return Reply(response.status_code, bytes(body), retry_after_s(response.headers))
        except httpx.HTTPError as error:
            return Reply(failure=f"{type(error).__name__}: {error}")


def retry_after_s(headers: httpx.Headers) -> float | None:
    """The seconds after which the server wants to be asked again."""
    try:
        return float(headers.get("retry-after", ""))
    except ValueError:
        return None
