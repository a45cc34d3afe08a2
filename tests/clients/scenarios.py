"""What a client does, with the package of `clients/python`: scenarios.py SCENARIO ARGUMENTS, the arguments as JSON.

Writes a line of JSON with what it saw. Where it has to wait, it writes one before, and waits for a line. `scenarios.mjs` does the same.
"""

import asyncio
import json
import os
import sys

import httpx
from apex_client import (
    Apex,
    ApexError,
    AsyncApex,
    BudgetExceeded,
    NotHeld,
    NotSent,
    Refused,
    Rejected,
    Unavailable,
    Usage,
    input_bound,
    usage_of,
)

MILLION = 1_000_000
#: On a busy machine, too.
LIMITS = {"timeout_s": 100, "attempt_timeout_s": 100}
MODEL = {"provider": "p", "model": "m"}


def say(**seen):
    print(json.dumps(seen), flush=True)


def wait(**seen):
    say(**seen)
    sys.stdin.readline()


async def wait_async(**seen):
    await asyncio.to_thread(wait, **seen)


def request(arguments, output=MILLION, input_tokens=0, **more):
    usage = Usage(input=input_tokens, output=output)
    return {**MODEL, "usage": usage, "tags": arguments.get("tags", {}), **more}


def refusal(apex, arguments, **more):
    try:
        apex.reserve(**{**request(arguments, 100 * MILLION), **more})
    except Refused as refused:
        left, dimension = getattr(refused, "left", None), getattr(refused, "dimension", None)
        renews_at = None if refused.renews_at is None else int(refused.renews_at.timestamp())
        name = type(refused).__name__
        left = None if left is None else str(left)
        return {"name": name, "budget": refused.budget, "left": left, "dimension": dimension, "renewsAt": renews_at}
    raise AssertionError("nothing was refused")


def followed_up(arguments):
    """What follows the refusal of each of some models."""
    seen = {}
    with Apex(**LIMITS) as apex:
        for model in arguments["models"]:
            try:
                given = {**request(arguments, 100 * MILLION), "model": model, "agent": arguments["agent"]}
                apex.reserve(**given).release()
                seen[model] = "granted"
            except BudgetExceeded as refused:
                cheaper, approval = refused.degrade, refused.approval
                seen[model] = {
                    "degrade": None if cheaper is None else [cheaper.model, str(cheaper.amount)],
                    "approval": None if approval is None else [approval.id, int(approval.expires_at.timestamp())],
                    "pausedAgent": refused.paused_agent,
                }
    say(**seen)


def granted(arguments):
    with Apex(**LIMITS) as apex, apex.reserve(**request(arguments, input_tokens=1000)) as call:
        settled = call.settle(Usage(output=MILLION // 2))
        say(partly=call.partly, outputLimit=call.output_limit, cost=str(call.cost), settled=None if settled.cost is None else str(settled.cost), callId=settled.call_id)


async def partly(arguments):
    async with AsyncApex(**LIMITS) as apex:
        call = await apex.reserve(**request(arguments, 10 * MILLION, min_output_tokens=1))
        seen = {"partly": call.partly, "outputLimit": call.output_limit}
        try:
            await call.extend(Usage(output=10 * MILLION))
        except Refused as refused:
            seen["extended"] = type(refused).__name__
        await call.release()
        say(**seen)


def refusals(arguments):
    with Apex(**LIMITS) as apex:
        say(
            exceeded=refusal(apex, arguments),
            undeclared=refusal(apex, arguments, tags={}),
            unpriced=refusal(apex, arguments, model="without a price"),
        )


def retries(arguments):
    with Apex(**LIMITS) as apex:
        call = apex.reserve(**request(arguments, command_id=arguments["commandId"]))
        settled = call.settle(Usage(output=MILLION // 2))
        try:
            apex.reserve(**request(arguments, command_id=arguments["commandId"]))
        except NotHeld as not_held:
            say(reservation=call.reservation_id, settled=str(settled.cost), again=not_held.status)


def settle_twice(arguments):
    with Apex(**LIMITS) as apex:
        call = apex.reserve(**request(arguments))
        costs = [str(call.settle(Usage(output=MILLION // 2)).cost) for _ in range(2)]
        try:
            call.settle(Usage(output=MILLION))
        except Rejected as rejected:
            code = rejected.code
        # A provider that is asked again by the same idempotency key repeats its response.
        response = {"id": arguments["responseId"], "usage": {"prompt_tokens": 0, "completion_tokens": MILLION // 2}}
        repeated = [str(apex.reserve(**request(arguments)).settle(response=response).cost) for _ in range(2)]
        say(costs=costs, code=code, repeated=repeated)


def held(arguments):
    call = Apex(**LIMITS).reserve(**request(arguments, command_id=arguments["commandId"]))
    wait(reservation=call.reservation_id)


def resumed(arguments):
    with Apex(**LIMITS) as apex, apex.reserve(**request(arguments, command_id=arguments["commandId"])) as call:
        say(reservation=call.reservation_id, settled=str(call.settle(Usage(output=MILLION // 2)).cost))


async def race(arguments):
    async def client():
        async with AsyncApex(**LIMITS) as apex:
            try:
                call = await apex.reserve(**request(arguments))
            except Refused:
                return False
            await call.settle(Usage(output=MILLION))
            return True

    await wait_async(ready=True)
    won = await asyncio.gather(*(client() for _ in range(arguments["clients"])))
    say(granted=sum(won), refused=len(won) - sum(won))


async def race_by_checking(arguments):
    """The control: clients that check first what is left, and count later."""
    query = "query ($id: ID!) { budgetPeriod(id: $id) { left } }"
    report = "mutation ($input: ReportCallInput!) { reportCall(input: $input) { error { code } } }"
    url = f"{os.environ['APEX_URL']}/graphql"
    async with httpx.AsyncClient(timeout=100) as http:

        async def ask(document, variables):
            return (await http.post(url, json={"query": document, "variables": variables})).json()["data"]

        checks = [ask(query, {"id": arguments["budget"]}) for _ in range(arguments["clients"])]
        may_call = [float(found["budgetPeriod"]["left"]) >= 1 for found in await asyncio.gather(*checks)]
        tags = [{"key": key, "value": value} for key, value in arguments["tags"].items()]
        call = {"input": {**MODEL, "tags": tags, "usage": {"output": MILLION}}}
        await asyncio.gather(*(ask(report, call) for may in may_call if may))
    say(granted=sum(may_call), refused=len(may_call) - sum(may_call))


async def cancelled(arguments):
    async with AsyncApex(**LIMITS) as apex:
        entered = asyncio.Semaphore(0)

        async def call():
            async with apex.reserve(**request(arguments, 1000)):
                entered.release()
                await asyncio.Event().wait()

        calls = [asyncio.ensure_future(call()) for _ in range(arguments["calls"])]
        for _ in calls:
            await entered.acquire()
        for task in calls:
            task.cancel()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        say(cancelled=sum(isinstance(error, asyncio.CancelledError) for error in ended))


async def cancelled_while_reserving(arguments):
    async with AsyncApex(**LIMITS) as apex:
        async def reserve():
            return await apex.reserve(**request(arguments))

        reserving = asyncio.ensure_future(reserve())
        await wait_async(asking=True)
        reserving.cancel()
        ended = await asyncio.gather(reserving, return_exceptions=True)
        await wait_async(cancelled=isinstance(ended[0], asyncio.CancelledError))
    say(closed=True)


def failures(arguments):
    provider = arguments["provider"]

    def call(url, user):
        httpx.post(f"{url}/v1/chat/completions", json={"model": "m", "user": user, "messages": []}, timeout=100).raise_for_status()

    def never_sent():
        raise NotSent("the prompt was empty")

    kinds = {
        "answered": lambda: call(provider, "status 500"),
        "broken": lambda: call(provider, "break"),
        "refused": lambda: call(arguments["closed"], "ok"),
        "unsent": never_sent,
        "unsettled": lambda: None,
    }
    raised = {}
    with Apex(**LIMITS) as apex:
        for kind, make in kinds.items():
            try:
                with apex.reserve(**request({"tags": {**arguments["tags"], "kind": kind}}, 1000)):
                    make()
                raised[kind] = False
            except (httpx.HTTPError, NotSent):
                raised[kind] = True
        # It is not sent until it says so.
        with apex.reserve(**request({"tags": {**arguments["tags"], "kind": "unmarked"}}, 1000, sent=False)):
            raised["unmarked"] = False
        with apex.reserve(**request({"tags": {**arguments["tags"], "kind": "marked"}}, 1000, sent=False)) as marked:
            marked.mark_sent()
            raised["marked"] = False
    say(raised=raised)


def unavailable(arguments):
    with Apex(timeout_s=5, release_timeout_s=100, report_timeout_s=100, fail_open=arguments["failOpen"]) as apex:
        apex.reserve(**request(arguments)).settle(Usage(output=1))
        wait(ready=True)
        try:
            call = apex.reserve(**request(arguments))
        except Unavailable:
            wait(passed=False)
            say(reported=None)
            return
        call.settle(Usage(output=MILLION // 2))
        wait(passed=not call.is_reserved)
        apex.close(100)
        say(reported=True)


def usages(arguments):
    found = [usage_of(response) for response in arguments["responses"]]
    bound = input_bound([{"role": "user", "content": "Grüße"}])
    say(usages=[None if usage is None else usage.to_input() for usage in found], bound=bound)


def errors(arguments):
    def code_of(reserve):
        try:
            reserve()
        except ApexError as error:
            return f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
        return None

    with Apex(**LIMITS) as apex, Apex(token="apex_none", **LIMITS) as stranger:
        say(
            unauthenticated=code_of(lambda: stranger.reserve(**request(arguments))),
            fixed=code_of(lambda: apex.reserve(**request(arguments, key="01900000-0000-7000-8000-000000000000"))),
            badMinimum=code_of(lambda: apex.reserve(**request(arguments, 10, min_output_tokens=11))),
            insecure=code_of(lambda: Apex("http://192.0.2.1")),
        )


scenario = globals()[sys.argv[1]]
found = scenario(json.loads(sys.argv[2]))
if asyncio.iscoroutine(found):
    asyncio.run(found)
