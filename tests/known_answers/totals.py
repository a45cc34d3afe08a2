"""The right totals of the public traces, worked out apart from Apex.

    python3 tests/known_answers/totals.py FOLDER

reads the traces in FOLDER and prints, as a line of JSON each, the calls, input, output, cache reads, cache writes and
reasoning of each.

    python3 tests/known_answers/totals.py FOLDER --responses

prints each recorded answer of a call instead, with its file, its number in it, and its usage, which is null if the answer
states none. Needs PyYAML. Each rule is stated where it is applied.
"""

import base64
import collections
import glob
import gzip
import json
import struct
import sys
from decimal import Decimal

FOLDER = sys.argv[1] if len(sys.argv) > 1 else "."
NAMES = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5min_tokens", "reasoning_tokens"]


def load(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def files(pattern):
    return sorted(glob.glob(f"{FOLDER}/{pattern}", recursive=True))


def show(path, calls, cost=None):
    """calls: tuples of input, output, cache read, cache write, reasoning."""
    sums = dict(zip(NAMES, map(sum, zip(*calls))))
    if cost is not None:
        sums["reported_cost"] = f"{cost.normalize():f}"
    print(json.dumps({"path": path, "calls": len(calls), **{name: count for name, count in sums.items() if count}}))


def claude_code():
    # A line for each block of a message: the last one, which has the most output, is its usage. Sub-agents have files of their
    # own; a message in two files is one call.
    found = {}
    for path in files("claude-code-sessions/*.jsonl"):
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        for message in (line["message"] for line in lines if line["type"] == "assistant"):
            usage = message.get("usage")
            if usage and message["model"] != "<synthetic>":
                known = found.get(message["id"])
                counts = (usage["input_tokens"], usage["output_tokens"], usage.get("cache_read_input_tokens") or 0,
                          usage.get("cache_creation_input_tokens") or 0, 0)
                found[message["id"]] = max(known or counts, counts, key=lambda counts: counts[1])
    show("claude-code-sessions", list(found.values()))


def openhands():
    # An action and its observation carry one response: each response id once. prompt_tokens has what was cached inside.
    found = {}
    for path in files("openhands-events/*.json"):
        for event in load(path):
            response = (event.get("tool_call_metadata") or {}).get("model_response")
            if not response:
                continue
            usage = response["usage"]
            read = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            write = usage.get("cache_creation_input_tokens") or 0
            found[response["id"]] = (usage["prompt_tokens"] - read - write, usage["completion_tokens"], read, write, 0)
    show("openhands-events", list(found.values()))


def swe_agent():
    # A run is one call; runs that called no model have zeros.
    for folder in ["swe-agent-traj", "se-agent-traj"]:
        calls, cost = [], Decimal(0)
        for path in files(f"{folder}/*.traj*"):
            stats = load(path)["info"]["model_stats"]
            if stats["tokens_sent"] or stats["tokens_received"]:
                calls.append((stats["tokens_sent"], stats["tokens_received"], 0, 0, 0))
                cost += Decimal(repr(stats["instance_cost"])).quantize(Decimal("1e-12"))
        show(folder, calls, cost)


def langfuse():
    # Only observations with usage that have no descendant with usage.
    calls, cost = [], Decimal(0)
    for path in files("langfuse-framework-traces/*.json"):
        observations = load(path)["observations"]
        parents = {o["id"]: o["parentObservationId"] for o in observations}
        with_usage = [o for o in observations if any(o["usageDetails"].values())]
        covered = set()
        for observation in with_usage:
            above = parents[observation["id"]]
            while above:
                covered.add(above)
                above = parents.get(above)
        for observation in with_usage:
            if observation["id"] in covered:
                continue
            usage = collections.Counter(observation["usageDetails"])
            assert not any(count for key, count in usage.items() if key not in ("input", "output", "total")), usage
            calls.append((usage["input"], usage["output"], 0, 0, 0))
            cost += Decimal(repr(observation["totalCost"]))
    show("langfuse-framework-traces", calls, cost)


def inspect():
    # The sums that the logs themselves state; cached tokens are inside the input, as the totals show.
    calls = 0
    sums = collections.Counter()
    for path in files("inspect-logs/*.json"):
        log = load(path)
        calls += sum(event["event"] == "model" for sample in log["samples"] for event in sample["events"])
        for usage in log["stats"]["model_usage"].values():
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
            sums.update(usage)
    read = sums["input_tokens_cache_read"]
    show("inspect-logs", [(sums["input_tokens"] - read, sums["output_tokens"], read, 0, 0)] + [(0,) * 5] * (calls - 1))


def mooncake():
    with gzip.open(f"{FOLDER}/mooncake-conversation/conversation_trace.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    show("mooncake-conversation/conversation_trace.jsonl.gz", [(row["input_length"], row["output_length"], 0, 0, 0) for row in rows])


def jaeger():
    # Leaf spans with usage.
    spans = [span for trace in load(f"{FOLDER}/otlp-agentevals/helm.json")["data"] for span in trace["spans"]]
    tags = {span["spanID"]: {tag["key"]: tag["value"] for tag in span["tags"]} for span in spans}
    parents = {span["spanID"]: next((r["spanID"] for r in span["references"]), None) for span in spans}
    names = [("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"), ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")]
    usage = {}
    for span, values in tags.items():
        counts = [next((int(values[name]) for name in alternatives if name in values), 0) for alternatives in names]
        if any(counts):
            usage[span] = counts + [int(values.get("gen_ai.usage.cache_read_input_tokens", 0))]
    covered = set()
    for span in usage:
        above = parents[span]
        while above:
            covered.add(above)
            above = parents.get(above)
    show("otlp-agentevals/helm.json", [(i - read, o, read, 0, 0) for span, (i, o, read) in usage.items() if span not in covered])


CALL_PATHS = (
    "/chat/completions", "/completions", "/responses", "/v1/messages", "/complete", "/converse", "/converse-stream", "/invoke",
    "/invoke-with-response-stream", ":generateContent", "/images/generations", "/embeddings", "/runs",
)


def usage_of(body):
    """The usage that a body states, as input, output, cache read, cache write, reasoning; None if it states none."""
    usage = body.get("usage")
    if body.get("type") == "message" and usage:
        return (usage["input_tokens"], usage["output_tokens"], usage.get("cache_read_input_tokens") or 0,
                usage.get("cache_creation_input_tokens") or 0, 0)
    if "usageMetadata" in body:
        usage = collections.Counter(body["usageMetadata"])
        read, thoughts = usage["cachedContentTokenCount"], usage["thoughtsTokenCount"]
        return (usage["promptTokenCount"] - read, usage["candidatesTokenCount"] + thoughts, read, 0, thoughts)
    if usage and "inputTokens" in usage:
        return (usage["inputTokens"], usage.get("outputTokens", 0), usage.get("cacheReadInputTokens") or usage.get("cacheReadInputTokenCount") or 0,
                usage.get("cacheWriteInputTokens") or usage.get("cacheWriteInputTokenCount") or 0, 0)
    if usage and ("prompt_tokens" in usage or "input_tokens" in usage):
        prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
        output = usage.get("completion_tokens", usage.get("output_tokens")) or 0
        inside = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or usage.get("prompt_token_details") or {}
        of_output = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
        read = inside.get("cached_tokens") or 0
        return (prompt - read, output, read, 0, of_output.get("reasoning_tokens") or 0)
    if "amazon-bedrock-invocationMetrics" in body:
        metrics = collections.Counter(body["amazon-bedrock-invocationMetrics"])
        return (metrics["inputTokenCount"], metrics["outputTokenCount"], metrics["cacheReadInputTokenCount"], metrics["cacheWriteInputTokenCount"], 0)
    if "inputTextTokenCount" in body:
        output = sum(result["tokenCount"] for result in body.get("results", [])) or body.get("totalOutputTextTokenCount", 0)
        return (int(body["inputTextTokenCount"]), int(output), 0, 0, 0)
    if "generation_token_count" in body:
        return (body["prompt_token_count"], body["generation_token_count"], 0, 0, 0)
    return None


def usage_of_events(events):
    """The last usage that events state; Anthropic's last event replaces what the first one stated."""
    message, last = {}, None
    for event in events:
        if event.get("type") == "message_start":
            message = dict(event["message"]["usage"])
        elif event.get("type") == "message_delta":
            message.update({key: value for key, value in (event.get("usage") or {}).items() if value is not None})
        elif "response" in event and isinstance(event["response"], dict):
            last = usage_of(event["response"]) or last
        else:
            last = usage_of(event) or last
    return usage_of({"type": "message", "usage": message}) if message else last


def aws_events(content):
    while content:
        length, headers = struct.unpack(">II", content[:8])
        event = json.loads(content[12 + headers : length - 4])
        yield json.loads(base64.b64decode(event["bytes"])) if "bytes" in event else event
        content = content[length:]


def answers():
    """The recorded answers of calls: file, number of the interaction in it, key, usage."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for path in files("cassettes-openllmetry/**/*.yaml"):
        with open(path, encoding="utf-8") as file:
            interactions = yaml.load(file, Loader=loader)["interactions"]
        for number, interaction in enumerate(interactions, 1):
            request, response = interaction["request"], interaction["response"]
            address = request["uri"].split("?")[0].split("#")[0]
            if request["method"] != "POST" or not address.endswith(CALL_PATHS) or response["status"]["code"] != 200:
                continue
            headers = {name.lower(): values[0] for name, values in response["headers"].items()}
            content = response["body"]["string"]
            content = content.encode() if isinstance(content, str) else content
            if content[:2] == b"\x1f\x8b":
                content = gzip.decompress(content)
            kind = headers.get("content-type", "")
            if "eventstream" in kind:
                events = list(aws_events(content))
                body, usage = {}, usage_of_events(events)
            elif "event-stream" in kind:
                data = [line[5:].strip() for line in content.decode().splitlines() if line.startswith("data:")]
                events = [json.loads(line) for line in data if line.startswith("{")]
                body, usage = events[0], usage_of_events(events)
                body = body.get("message") or body.get("response") or body
            else:
                body = json.loads(content)
                usage = usage_of(body)
            if usage is None and "x-amzn-bedrock-input-token-count" in headers:
                usage = (int(headers["x-amzn-bedrock-input-token-count"]), int(headers["x-amzn-bedrock-output-token-count"]), 0, 0, 0)
            # One response may be recorded several times: it is one call.
            key = body.get("id") or headers.get("x-amzn-requestid") or headers.get("x-request-id") or body.get("responseId") or f"{path} {number}"
            yield path, number, address, key, usage


def cassettes():
    calls = {(key, usage) for _, _, _, key, usage in answers() if usage is not None}
    show("cassettes-openllmetry", [usage for _, usage in calls])


def responses():
    for path, number, address, _, usage in answers():
        print(json.dumps({"file": path[len(FOLDER) + 1 :], "item": number, "address": address, "usage": usage}))


if "--responses" in sys.argv[2:]:
    responses()
else:
    for compute in [claude_code, openhands, swe_agent, langfuse, inspect, mooncake, jaeger, cassettes]:
        compute()
