"""Usage reports, worked out from the log apart from Apex.

    apex replay | python3 tests/reports/fold.py REPORTS

reads the events of the log, keeps the last state of each call, and prints a line of JSON for each report of the file REPORTS:
the rows, and the total. A report is an object with

    by       the dimensions, in order
    filters  pairs of a dimension and a value or null
    zone     the IANA name of the time zone
    from, to the time range, each a time in UTC, a day of the zone, or null
    base     the time range that it is compared with, or null
    top      the number of rows before the rest, or null

Times are computed with the time zones of Python's zoneinfo. Each rule is stated where it is applied.
"""

import json
import sys
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal, getcontext
from zoneinfo import ZoneInfo

getcontext().prec = 100
FAILURES = {"error", "timeout", "refused"}
TIMES = ["minute", "quarter_hour", "hour", "day", "week", "month", "quarter", "year"]
STEPS = {"minute": 1, "quarter_hour": 15, "hour": 60}
FIELDS = {"agent": "agent_id", "task": "task_id", "dag": "dag_id"}
METERS = {"input": "input_tokens", "output": "output_tokens", "cache_read": "cache_read_tokens"}
SUMS = ["calls", "tool_calls", "failed_calls", "unpriced_calls", "assumed_calls", *METERS.values(), "cost", "reported_cost"]


def states():
    """The calls as the last event of each says. A call that was voided into another or reversed is none."""
    calls = {}
    for line in sys.stdin:
        event = json.loads(line)
        if event["category"] != "call":
            continue
        if event["type"] in ("call.voided", "call.reversed"):
            calls.pop(event["stream_id"], None)
        elif event["type"] == "call.recorded" and "after" not in event["payload"]:
            calls[event["stream_id"]] = event["payload"]
        elif "after" in event["payload"]:
            calls[event["stream_id"]] = event["payload"]["after"]
    return list(calls.values())


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def limit(text, zone):
    """A day begins at its first time: midnight before clocks are put back, or when they are put forward."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(timezone.utc) if len(text) == 10 else instant(text)


def offset(local):
    seconds = int(local.utcoffset().total_seconds())
    if seconds == 0:
        return "Z"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}"


def clock(dimension, at, zone):
    """A period of minutes begins at a multiple of them, or where the offset changed within it."""
    local = at.astimezone(zone)
    begin = at - timedelta(minutes=local.minute % STEPS[dimension], seconds=local.second, microseconds=local.microsecond)
    while begin.astimezone(zone).utcoffset() != local.utcoffset():
        begin += timedelta(minutes=1)
    shown = begin.astimezone(zone)
    return f"{shown:%Y-%m-%dT%H:%M}{offset(shown)}", begin


def calendar(dimension, at, zone):
    day = at.astimezone(zone).date()
    quarter = (day.month - 1) // 3
    year, week, weekday = day.isocalendar()
    return {
        "day": (f"{day}", day),
        "week": (f"{year:04}-W{week:02}", day - timedelta(days=weekday - 1)),
        "month": (f"{day:%Y-%m}", day.replace(day=1)),
        "quarter": (f"{day.year:04}-Q{quarter + 1}", day.replace(month=quarter * 3 + 1, day=1)),
        "year": (f"{day.year:04}", day.replace(month=1, day=1)),
    }[dimension]


def period(dimension, call, zone):
    at = instant(call["started_at"])
    return clock(dimension, at, zone) if dimension in STEPS else calendar(dimension, at, zone)


def value(dimension, call, zone):
    if dimension in TIMES:
        return period(dimension, call, zone)[0]
    if dimension.startswith("tag:"):
        return call.get("tags", {}).get(dimension.removeprefix("tag:"))
    return call.get(FIELDS.get(dimension, dimension))


def amount(of):
    return None if of is None else Decimal(of["amount"])


def counted(call):
    is_llm, usage = call["kind"] == "llm", call.get("usage", {})
    cost, reported = amount(call.get("charge")), amount(call.get("reported_cost"))
    failed = call["outcome"] in FAILURES if "outcome" in call else "error" in call
    return {
        "calls": int(is_llm),
        "tool_calls": int(not is_llm),
        "failed_calls": int(failed),
        "unpriced_calls": int(is_llm and cost is None),
        "assumed_calls": int(call.get("usage_assumed", False)),
        **{column: usage.get(meter, 0) for meter, column in METERS.items()},
        "cost": cost or Decimal(0),
        "reported_cost": reported or Decimal(0),
    }


def add(sums, call):
    for name, number in counted(call).items():
        sums[name] += number


def zero():
    return {name: Decimal(0) if name.endswith("cost") else 0 for name in SUMS}


def is_in(call, time_range, zone):
    at, (start, end) = instant(call["started_at"]), time_range
    return (start is None or at >= limit(start, zone)) and (end is None or at < limit(end, zone))


def meets(call, filters, zone):
    """Filters on one dimension are alternatives, those on several must all be met."""
    allowed = defaultdict(set)
    for dimension, wanted in filters:
        allowed[dimension].add(wanted)
    return all(value(dimension, call, zone) in wanted for dimension, wanted in allowed.items())


def order(row, by):
    """By time, the rest last, then the highest cost, the most calls, and the keys, with none last."""
    keys = [key for dimension, key in zip(by, row["keys"]) if dimension not in TIMES]
    ties = [(key is None, (key or "").encode()) for key in keys]
    return row["times"], row["is_rest"], -row["sums"]["cost"], -row["sums"]["calls"], ties


def sort_times(by):
    """Rows are sorted by the shortest period; weeks are no parts of months."""
    times = sorted((dimension for dimension in by if dimension in TIMES), key=TIMES.index)
    return times[:2] if times[:1] == ["week"] else times[:1]


def report(calls, spec):
    by, zone = spec["by"], ZoneInfo(spec["zone"])
    selected = [call for call in calls if meets(call, spec["filters"], zone)]
    rows, total, base_total = {}, zero(), zero()
    for name, time_range, of_total in [("sums", (spec["from"], spec["to"]), total), ("base", spec["base"], base_total)]:
        for call in selected if time_range else []:
            if not is_in(call, time_range, zone):
                continue
            add(of_total, call)
            keys = tuple(value(dimension, call, zone) for dimension in by)
            times = [period(dimension, call, zone)[1] for dimension in sort_times(by)]
            row = rows.setdefault(keys, {"keys": keys, "times": times, "is_rest": False, "sums": zero(), "base": zero()})
            add(row[name], call)
    rows = sorted(rows.values() if by else [], key=lambda row: order(row, by))
    if spec["top"]:
        rows = with_rest(rows, by, spec["top"])
    shown = [shown_row(row, by, spec) for row in rows]
    return {"rows": shown, "total": text(total), **({"base": text(base_total)} if spec["base"] else {})}


def with_rest(rows, by, top):
    kept, rests, counts = [], {}, defaultdict(int)
    for row in rows:
        of_period = tuple(map(str, row["times"]))
        counts[of_period] += 1
        if counts[of_period] <= top:
            kept.append(row)
            continue
        keys = tuple(key if dimension in TIMES else None for dimension, key in zip(by, row["keys"]))
        rest = rests.setdefault(of_period, {**row, "keys": keys, "is_rest": True, "sums": zero(), "base": zero()})
        for sums in ("sums", "base"):
            for name in SUMS:
                rest[sums][name] += row[sums][name]
    return sorted(kept + list(rests.values()), key=lambda row: order(row, by))


def text(sums):
    """Numbers of money as strings, without trailing zeros. A cost is not known if there are calls and none has a price."""
    plain = lambda number: f"{number.normalize():f}" if number else "0"
    texts = {name: plain(number) if name.endswith("cost") else number for name, number in sums.items()}
    return {**texts, "cost": None} if sums["calls"] and sums["unpriced_calls"] == sums["calls"] else texts


def shown_row(row, by, spec):
    shown = {**dict(zip(by, row["keys"])), **text(row["sums"])}
    if spec["top"]:
        shown["is_rest"] = row["is_rest"]
    if spec["base"]:
        shown["base"] = text(row["base"])
    return shown


if __name__ == "__main__":
    CALLS = states()
    with open(sys.argv[1], encoding="utf-8") as file:
        for one in json.load(file):
            print(json.dumps(report(CALLS, one)))
