"""Calls of LiteLLM that are held within budgets by the callback of `clients/python`: litellm_calls.py SCENARIO ARGUMENTS.

Writes a line of JSON with what it saw. How the stub of a provider answers is said by the name of the user.
"""

import asyncio
import json
import sys

import litellm
from apex_client import Refused
from apex_client.litellm_callback import ApexBudgets

litellm.suppress_debug_info = True
GIVEN = json.loads(sys.argv[2])
#: What is sent to a provider as it is.
CALL = {
    "model": "openai/m",
    "api_key": "none",
    "max_retries": 0,
    "messages": [{"role": "user", "content": "Weather?"}],
    "max_tokens": 1000,
}


def arguments(user, kind=None, **more):
    tags = {**GIVEN["tags"], **({} if kind is None else {"kind": kind})}
    given = {"api_base": f"{GIVEN['provider']}/v1", "extra_body": {"user": user}, "metadata": {"apex": {"tags": tags}}}
    return {**CALL, **given, **more}


async def call(user, kind=None, **more):
    """The name of the error with which a call ended; None if it succeeded."""
    try:
        answered = await litellm.acompletion(**arguments(user, kind, **more))
        if more.get("stream"):
            return "".join([chunk.choices[0].delta.content or "" async for chunk in answered if chunk.choices])
        return answered.choices[0].message.content
    except Exception as error:
        return type(error).__name__


async def race():
    calls = [asyncio.ensure_future(call("hold")) for _ in range(GIVEN["calls"])]
    while sum(task.done() for task in calls) < GIVEN["calls"] - GIVEN["fit"]:
        await asyncio.sleep(0.01)
    # The others wait for the provider.
    print(json.dumps({"held": sum(not task.done() for task in calls)}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    ended = await asyncio.gather(*calls)
    return {"granted": ended.count("Sunny."), "refused": ended.count("BudgetExceeded")}


async def cancelled():
    calls = [asyncio.ensure_future(call("hold")) for _ in range(GIVEN["calls"])]
    print(json.dumps({"held": True}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in calls:
        task.cancel()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    return {"cancelled": sum(isinstance(error, asyncio.CancelledError) for error in ended)}


async def failures():
    ended = {
        "ok": await call("ok", "ok"),
        "streamed": await call("ok", "streamed", stream=True),
        "status": await call("status 500", "status"),
        "broken": await call("break", "broken"),
        "stream": await call("break stream", "stream", stream=True),
        "slow": await call("hold", "slow", timeout=0.5),
        "refused": await call("ok", "refused", api_base=GIVEN["closed"]),
    }
    abandoned = await litellm.acompletion(**arguments("hold stream", "abandoned", stream=True))
    async for _ in abandoned:
        break
    await abandoned.aclose()
    del abandoned
    return ended


async def router():
    deployment = {"model_name": "group", "litellm_params": {name: CALL[name] for name in ("model", "api_key", "max_retries")}}
    deployment["litellm_params"]["api_base"] = f"{GIVEN['provider']}/v1"
    calls = litellm.Router(model_list=[deployment, deployment], num_retries=2, retry_after=0)
    # One that asks a deployment again that has failed.
    persistent = litellm.Router(model_list=[deployment], num_retries=2, retry_after=0, disable_cooldowns=True)

    # Its first deployment cannot be reached, and its second one breaks off.
    closed = {"model_name": "closed", "litellm_params": {**deployment["litellm_params"], "api_base": GIVEN["closed"]}}
    falling = litellm.Router(model_list=[closed, deployment], fallbacks=[{"closed": ["group"]}], num_retries=0)

    async def ask(calls, user, kind, group="group", **more):
        given = {**arguments(user, kind, **more), "model": group}
        for name in ("api_base", "api_key", "max_retries"):
            del given[name]
        try:
            return (await calls.acompletion(**given)).choices[0].message.content
        except Refused as refused:
            return type(refused).__name__
        except litellm.InternalServerError as error:
            return type(error).__name__

    return {
        # More than is left, several times: no deployment is taken out of service for it.
        "refused": [await ask(calls, "ok", "refused", max_tokens=100_000_000) for _ in range(4)],
        "served": await ask(calls, "ok", "served"),
        "retried": await ask(persistent, "status 500", "retried"),
        "fallen": await ask(falling, "break", "fallen", "closed"),
    }


async def main():
    budgets = ApexBudgets(timeout_s=100, attempt_timeout_s=100)
    litellm.callbacks = [budgets]
    seen = await globals()[sys.argv[1]]()
    await budgets.close(100)
    print(json.dumps(seen), flush=True)


asyncio.run(main())
