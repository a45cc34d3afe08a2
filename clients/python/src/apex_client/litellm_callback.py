"""A callback of LiteLLM that holds its calls within the budgets of Apex: ``litellm.callbacks = [ApexBudgets()]``.

It reserves before each attempt that is sent to a provider, in LiteLLM's hook for that, and settles when LiteLLM logs how the attempt ended.
An attempt of which LiteLLM logs nothing, because its task was cancelled or its stream was abandoned, is settled as cancelled.

LiteLLM's synchronous functions ignore what its callbacks raise: only its asynchronous functions, its router and its proxy are held.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import litellm
from litellm.integrations.custom_logger import CustomLogger

from .aio import AsyncApex, AsyncCall
from .call import LOG, Ending
from .errors import ApexError, Refused, Unavailable
from .failure import MAX_CAUSES, CallFailure, failure_of
from .litellm_bounds import OUTPUT_FIELDS, Bounds, with_limit
from .settings import Settings
from .usage import Usage

#: Calls of a process that are open at the same time. Further ones are refused.
MAX_OPEN_CALLS = 10_000
#: How long LiteLLM may take to log how an attempt ended whose task was cancelled.
LOGGING_TIMEOUT_S = 1.0
#: The status of the error that LiteLLM's proxy answers with. At others, such as 402, 429 and 503, its router would take a deployment out of
#: service, or send the request again.
REFUSED_STATUS = 403
UNAVAILABLE_STATUS = 424

#: Errors of HTTP clients after a request was sent, by the names of their bases in httpx and aiohttp.
_TRANSPORT = frozenset({"TransportError", "ClientError"})
#: Service tiers by which the provider chooses.
_OPEN_TIERS = frozenset({"auto", "default"})

Attribution = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def attribution_of(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a request says of itself: the object ``apex`` of its metadata, with arguments of ``reserve`` such as ``tags`` or ``task``."""
    for name in ("metadata", "litellm_metadata"):
        metadata = request.get(name)
        stated = metadata.get("apex") if isinstance(metadata, Mapping) else None
        if isinstance(stated, Mapping):
            return stated
    return {}


class TooManyCalls(ApexError):
    """More than 10,000 calls of the process are open."""


@dataclass(frozen=True)
class _Open:
    """A call that is not settled, and what ends the watch over it."""

    call: AsyncCall
    unwatch: Callable[[], None]


class ApexBudgets(CustomLogger):  # type: ignore[misc]
    """The callback. It may be used by several event loops: each has a client of its own.

    ``settings`` are those of AsyncApex. ``attribution`` says whose a request is. ``output_tokens`` is the output limit of requests that have
    none, ``min_output_tokens`` the fewest that would do where less is granted than asked for (none: all, or nothing).
    """

    def __init__(
        self,
        *,
        output_tokens: int = 4096,
        max_input_tokens: int = 1_048_576,
        min_output_tokens: int | None = None,
        attribution: Attribution = attribution_of,
        **settings: Any,
    ) -> None:
        super().__init__()
        self._bounds = Bounds(output_tokens, max_input_tokens)
        self._min_output_tokens = min_output_tokens
        self._attribution = attribution
        self._settings = settings
        # A mistake in the settings is raised here, and not in the first call.
        checked = dict(settings)
        Settings.create(checked.pop("url", None), checked.pop("token", None), **checked).verify()
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncApex] = weakref.WeakKeyDictionary()
        self._open: dict[str, _Open] = {}
        self._has_warned = False

    async def close(self, timeout_s: float = 10.0) -> None:
        """Waits up to a time until the calls of this process are settled, and closes the client of this event loop."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while self._open and loop.time() < end:
            await asyncio.sleep(0.01)
        client = self._clients.pop(loop, None)
        if client is not None:
            await client.close(max(end - loop.time(), 0.1))

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Reserves before an attempt is sent. What this raises ends the attempt."""
        kind = str(getattr(call_type, "value", call_type))
        if kind not in OUTPUT_FIELDS:
            return None
        call_id = str(kwargs["litellm_call_id"])
        earlier = self._take(call_id)
        if earlier is not None:
            await self._end(earlier, Ending(outcome="ERROR"))
        if len(self._open) >= MAX_OPEN_CALLS:
            raise _with_status(TooManyCalls(f"{MAX_OPEN_CALLS} calls are open: wait until some have ended"), UNAVAILABLE_STATUS)
        call = await self._reserve(kind, kwargs)
        self._open[call_id] = _Open(call, self._watch(call_id, call, kwargs))
        changed = dict(kwargs)
        with_limit(kind, changed, call.output_limit)
        if kind == "acompletion" and changed.get("stream") and changed.get("stream_options") is None:
            # Without it, LiteLLM guesses the usage of a stream.
            changed["stream_options"] = {"include_usage": True}
        return changed

    async def async_post_call_failure_deployment_hook(
        self, request_data: Mapping[str, Any], exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        """An attempt failed before its response began."""
        call = self._take(request_data.get("litellm_call_id"))
        if call is None:
            return
        failure = failure_of_attempt(exception)
        if failure.kind == "unsent":
            await self._release(call)
            return
        usage = Usage() if failure.kind == "answered" else None
        await self._end(call, Ending(usage=usage, outcome=failure.outcome, error=type(exception).__name__))

    async def async_log_success_event(self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """An attempt succeeded, its stream to the end."""
        call = self._take(kwargs.get("litellm_call_id"))
        if call is None:
            return
        if kwargs.get("cache_hit"):
            # No provider was called.
            await self._release(call)
            return
        await self._end(call, Ending(response=response_obj))

    async def async_log_failure_event(self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """A stream failed after it had begun: what it has used is not known."""
        call = self._take(kwargs.get("litellm_call_id"))
        if call is not None:
            await self._end(call, Ending(outcome="ERROR", error=type(kwargs.get("exception")).__name__))

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Mapping[str, Any]) -> None:
        """Says once that a call is not held by budgets: it is a synchronous one."""
        if str(kwargs.get("litellm_call_id")) not in self._open and not self._has_warned:
            self._has_warned = True
            LOG.error("a call of LiteLLM is not held by budgets: call its asynchronous functions, or Apex.reserve around the call")

    def _client(self) -> AsyncApex:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = AsyncApex(**self._settings)
        return client

    async def _reserve(self, kind: str, request: Mapping[str, Any]) -> AsyncCall:
        model, provider = _model_of(request)
        usage = self._bounds.usage_of(kind, request)
        minimum = self._min_output_tokens
        arguments: dict[str, Any] = {"model": model, "provider": provider, **self._attribution(request)}
        tier = request.get("service_tier")
        if isinstance(tier, str) and tier not in _OPEN_TIERS:
            arguments.setdefault("service_tier", tier)
        if minimum is not None and minimum < usage.output:
            arguments.setdefault("min_output_tokens", minimum)
        try:
            return await self._client().reserve(usage=usage, **arguments)
        except Refused as refused:
            raise _with_status(refused, REFUSED_STATUS)
        except Unavailable as unavailable:
            raise _with_status(unavailable, UNAVAILABLE_STATUS)

    async def _end(self, call: AsyncCall, ending: Ending) -> None:
        try:
            await call.settle(ending.usage, response=ending.response, outcome=ending.outcome, error=ending.error)
        except ApexError as error:
            LOG.warning("a call was not settled, its reservation expires and is charged in full: %s", error)

    async def _release(self, call: AsyncCall) -> None:
        try:
            await call.release()
        except ApexError as error:
            LOG.warning("a call was not released, its reservation expires and is charged in full: %s", error)

    def _take(self, call_id: object) -> AsyncCall | None:
        """The call that an attempt ended; None if it has none, or it was taken before."""
        taken = self._open.pop(str(call_id), None)
        if taken is None:
            return None
        taken.unwatch()
        return taken.call

    def _watch(self, call_id: str, call: AsyncCall, request: Mapping[str, Any]) -> Callable[[], None]:
        """Settles a call as cancelled of which nothing is logged: its task is cancelled, or nothing refers to its request any more.

        Returns what ends the watch: a task may make any number of calls.
        """
        loop = asyncio.get_running_loop()
        callback = weakref.ref(self)

        def abandon() -> None:
            budgets = callback()
            found = None if budgets is None else budgets._open.get(call_id)
            if budgets is not None and found is not None and found.call is call:
                budgets._take(call_id)
                call._apex._keep(budgets._end(call, Ending(outcome="CANCELLED")))

        def when_done(task: asyncio.Task[Any]) -> None:
            if task.cancelled() and not loop.is_closed():
                # The attempt may have succeeded before, and LiteLLM logs later.
                loop.call_later(LOGGING_TIMEOUT_S, abandon)

        def when_collected() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(abandon)

        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(when_done)
        logged = request.get("litellm_logging_obj")
        finalizer = None if logged is None else weakref.finalize(logged, when_collected)
        if finalizer is not None:
            finalizer.atexit = False

        def unwatch() -> None:
            if task is not None:
                task.remove_done_callback(when_done)
            if finalizer is not None:
                finalizer.detach()

        return unwatch


def failure_of_attempt(error: BaseException) -> CallFailure:
    """What an error of LiteLLM says: it names statuses that no provider answered with, so that the first error of HTTP that caused it decides.

    Behind that may be the error of an earlier attempt.
    """
    for cause in _chain(error):
        kinds = {kind.__name__ for kind in type(cause).__mro__}
        if failure_of(cause).kind == "unsent":
            return CallFailure("unsent")
        if "HTTPStatusError" in kinds:
            return CallFailure("answered")
        if not kinds.isdisjoint(_TRANSPORT):
            return CallFailure("unknown", "TIMEOUT" if "Timeout" in type(error).__name__ else "ERROR")
    if "Timeout" in type(error).__name__:
        return CallFailure("unknown", "TIMEOUT")
    status = getattr(error, "status_code", None)
    is_answered = isinstance(status, int) and 400 <= status < 500
    return CallFailure("answered" if is_answered else "unknown")


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _model_of(request: Mapping[str, Any]) -> tuple[str, str | None]:
    """The model and its provider, by the names of the price tables."""
    model = str(request.get("model"))
    try:
        found = litellm.get_llm_provider(model, request.get("custom_llm_provider"), request.get("api_base"))
    except Exception:  # LiteLLM raises an error of its own for the call, which is not sent.
        return model, None
    return cast(str, found[0]), cast("str | None", found[1])


def _with_status(error: ApexError, status: int) -> ApexError:
    """The error with what LiteLLM's proxy answers with."""
    error.status_code = status  # type: ignore[attr-defined]
    error.message = str(error)  # type: ignore[attr-defined]
    return error
