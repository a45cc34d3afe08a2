"""The asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID

import httpx

from . import reserving
from .attributes import Attributes
from .call import LOG, CallBase, Ending, Outcome, Settled
from .client import MAX_BACKGROUND, MAX_CONNECTIONS, retry_after_s
from .errors import ApexError, Unavailable
from .known_budgets import KnownBudgets
from .protocol import MAX_REPLY_BYTES, Deadline, Pause, Reply, Send, Steps
from .reserving import Progress, ReserveRequest
from .settings import Settings
from .usage import Usage

T = TypeVar("T")


class AsyncCall(CallBase):
    """A call that may be made. As an asynchronous context manager, it ends the reservation however its block ends."""

    def __init__(self, apex: AsyncApex, attributes: Attributes, usage: Usage, granted: reserving.Granted | None, sent: bool) -> None:
        super().__init__(apex.settings, attributes, usage, granted, sent)
        self._apex = apex

    async def settle(
        self,
        usage: Usage | None = None,
        *,
        response: Any = None,
        outcome: Outcome = "OK",
        model: str | None = None,
        response_id: str | None = None,
        error: str | None = None,
    ) -> Settled | None:
        """As ``Call.settle``. If the task is cancelled meanwhile, it goes on in the background."""
        ending = Ending(usage, response, outcome, model, response_id, error)
        return await self._apex._shielded(self._apex._settle(self, ending))

    async def release(self) -> None:
        """Releases the reservation: the call was not made, or cost nothing."""
        await self._apex._shielded(self._apex._run(self._release()))

    async def mark_sent(self) -> None:
        """Says that the call is sent, of one that was reserved with ``sent=False``: from now on it is charged when it expires."""
        await self._apex._run(self._extend(None, None, True))

    async def extend(self, usage: Usage | None = None, expires_at: datetime | None = None) -> None:
        """Reserves for more usage, all of it, or for longer. Raises Refused if it does not fit: the reservation stays as it is."""
        await self._apex._run(self._extend(usage, expires_at, False))

    async def __aenter__(self) -> AsyncCall:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            await self._apex._shielded(self._apex._run(self._leave(error)))
        except ApexError as failed:
            if error is None:
                raise
            LOG.warning("a call was not settled, its reservation expires and is charged in full: %s", failed)


class Reserving(Awaitable[AsyncCall]):
    """A reservation that is asked for when it is awaited, or when its block is entered."""

    def __init__(self, reserving_: Coroutine[Any, Any, AsyncCall]) -> None:
        self._reserving = reserving_
        self._call: AsyncCall | None = None

    def __await__(self) -> Generator[Any, None, AsyncCall]:
        return self._reserving.__await__()

    async def __aenter__(self) -> AsyncCall:
        self._call = await self._reserving
        return self._call

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._call is not None:
            await self._call.__aexit__(kind, error, trace)


class AsyncApex:
    """A client of Apex for one event loop."""

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
        self._http = httpx.AsyncClient(headers=self.settings.headers, verify=self.settings.verify(), limits=limits)
        self._known = KnownBudgets()
        self._background: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[Any]] = set()

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
    ) -> Reserving:
        """As ``Apex.reserve``: ``async with apex.reserve(…) as call``, or ``call = await apex.reserve(…)``."""
        attributes = Attributes(
            model, provider, tool, agent, task, dag, conversation, user, team, key, service_tier, speed, region, dict(tags or {})
        )
        request = ReserveRequest.create(attributes, usage, min_output_tokens, command_id, expires_at, sent)
        return Reserving(self._reserve(request))

    async def close(self, timeout_s: float | None = None) -> None:
        """Waits for what is done in the background, up to a time, and closes the connections."""
        if tasks := self._background | self._ending:
            await asyncio.wait(tasks, timeout=self.settings.timeout_s if timeout_s is None else timeout_s)
        await self._http.aclose()

    async def __aenter__(self) -> AsyncApex:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _reserve(self, request: ReserveRequest) -> AsyncCall:
        progress = Progress(request)
        settings, attributes = self.settings, request.attributes
        try:
            granted = await self._run(reserving.reserve(request, progress, Deadline(settings.timeout_s), settings.attempt_timeout_s))
        except ApexError as error:
            if not isinstance(error, Unavailable):
                raise
            error.reservation_id = str(progress.last_id)
            passes = settings.fail_open and self._known.may_pass(attributes)
            if passes or not request.is_repeatable:
                self._release_if_made(str(progress.last_id))
            if passes:
                LOG.warning("a call is made without a reservation: %s", error)
                return AsyncCall(self, attributes, request.usage, None, request.sent)
            raise
        except asyncio.CancelledError:
            # It may have been reserved nevertheless.
            if not request.is_repeatable:
                self._release_if_made(str(progress.last_id))
            raise
        if settings.fail_open and self._known.is_due():
            refreshing = self._run(self._known.refresh(granted.position, Deadline(settings.timeout_s), settings.attempt_timeout_s))
            await self._shielded(refreshing)
        return AsyncCall(self, attributes, request.usage, granted, request.sent)

    async def _settle(self, call: AsyncCall, ending: Ending) -> Settled | None:
        try:
            return await self._run(call._settle(ending))
        except Unavailable as error:
            if call.is_reserved:
                raise
            LOG.warning("a call without a reservation is reported in the background: %s", error)
            deadline = Deadline(self.settings.report_timeout_s)
            self._start("report", self._run(call._settle(ending, deadline)))
            return None

    def _release_if_made(self, reservation_id: str) -> None:
        settings = self.settings
        limits = (Deadline(settings.release_timeout_s), settings.attempt_timeout_s)
        self._start("release", self._run(reserving.release_if_made(reservation_id, *limits)))

    async def _shielded(self, doing: Coroutine[Any, Any, T]) -> T:
        """Does something that goes on in the background if the task is cancelled."""
        task = self._keep(doing)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise

    def _keep(self, doing: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Does something that ends a call, of which there are as many as calls."""
        task = asyncio.ensure_future(doing)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    def _start(self, what: str, doing: Coroutine[Any, Any, Any]) -> None:
        if len(self._background) >= MAX_BACKGROUND:
            doing.close()
            LOG.warning("%s: %d commands are tried in the background, no more are", what, MAX_BACKGROUND)
            return

        async def run() -> None:
            try:
                await doing
            except ApexError as error:
                LOG.warning("%s in the background: %s", what, error)

        task = asyncio.ensure_future(run())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _run(self, steps: Steps[T]) -> T:
        reply: Reply | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                reply = None
            else:
                reply = await self._send(step)

    async def _send(self, step: Send) -> Reply:
        try:
            return await asyncio.wait_for(self._receive(step), step.timeout_s)
        except (httpx.HTTPError, asyncio.TimeoutError, TimeoutError) as error:
            return Reply(failure=f"{type(error).__name__}: {error}")

    async def _receive(self, step: Send) -> Reply:
        body = bytearray()
        async with self._http.stream("POST", self.settings.endpoint, content=step.body, timeout=step.timeout_s) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_REPLY_BYTES:
                    return Reply(failure="the response is too large")
            return Reply(response.status_code, bytes(body), retry_after_s(response.headers))


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        LOG.warning("in the background: %s", error)
