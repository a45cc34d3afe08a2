"""Writes the price table of the package genai-prices as JSON, in the format in which its project publishes it, reduced to
what prices depend on, with its source, licence and date. Decimals are written digit by digit; no float is made."""

import argparse
import importlib.metadata
import json
import re
import sys
from datetime import date, time
from decimal import Decimal

from genai_prices import types
from genai_prices.data import providers


def number(decimal: Decimal) -> str:
    """A decimal as a text that `with_numbers` writes digit by digit."""
    return f"<<{decimal:f}>>"


def with_numbers(text: str) -> str:
    return re.sub(r'"<<([0-9.]+)>>"', r"\1", text)


def clause(match) -> dict:
    """How a table says which names are those of a model."""
    names = {
        types.ClauseStartsWith: "starts_with",
        types.ClauseEndsWith: "ends_with",
        types.ClauseContains: "contains",
        types.ClauseRegex: "regex",
        types.ClauseEquals: "equals",
    }
    if isinstance(match, types.ClauseOr):
        return {"or": [clause(one) for one in match.or_]}
    if isinstance(match, types.ClauseAnd):
        return {"and": [clause(one) for one in match.and_]}
    name = names[type(match)]
    return {name: getattr(match, name)}


def rate(value):
    if isinstance(value, types.TieredPrices):
        tiers = [{"start": tier.start, "price": number(tier.price)} for tier in value.tiers]
        return {"base": number(value.base), "tiers": tiers}
    return number(value)


def prices(model_price: types.ModelPrice) -> dict:
    return {key: rate(value) for key, value in model_price.__dict__.items() if value is not None}


def constraint(given) -> dict:
    if given is None:
        return {}
    if isinstance(given, types.StartDateConstraint):
        return {"constraint": {"start_date": given.start_date.isoformat()}}
    times = {"start_time": given.start_time, "end_time": given.end_time}
    return {"constraint": {name: utc(value) for name, value in times.items()}}


def utc(value: time) -> str:
    offset = value.utcoffset()
    if offset is not None and offset.total_seconds() != 0:
        raise ValueError(f"{value} is not in UTC")
    return f"{value.hour:02}:{value.minute:02}:{value.second:02}Z"


def model(given: types.ModelInfo) -> dict:
    entry = {"id": given.id, "match": clause(given.match)}
    if isinstance(given.prices, list):
        entry["prices"] = [{**constraint(one.constraint), "prices": prices(one.prices)} for one in given.prices]
    else:
        entry["prices"] = prices(given.prices)
    if given.price_variants:
        entry["price_variants"] = [
            {"when": one.when, **constraint(one.constraint), "prices": prices(one.prices)} for one in given.price_variants
        ]
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dated", required=True, help="the day on which the package was retrieved")
    parser.add_argument("--providers", help="a file with the ids of the providers to write, one a line [default: all]")
    arguments = parser.parse_args()
    wanted = None
    if arguments.providers:
        lines = open(arguments.providers, encoding="utf-8").read().splitlines()
        wanted = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
        unknown = wanted - {provider.id for provider in providers}
        if unknown:
            sys.exit(f"the table has no such providers: {', '.join(sorted(unknown))}")
    written = []
    for provider in providers:
        if wanted is not None and provider.id not in wanted:
            continue
        entry = {"id": provider.id}
        if provider.fallback_model_providers:
            entry["fallback_model_providers"] = provider.fallback_model_providers
        entry["models"] = [model(given) for given in provider.models]
        written.append(entry)
    version = importlib.metadata.version("genai-prices")
    table = {
        "source": f"genai-prices {version}",
        "licence": "MIT",
        "dated": date.fromisoformat(arguments.dated).isoformat(),
        "providers": written,
    }
    sys.stdout.write(with_numbers(json.dumps(table, separators=(",", ":"), ensure_ascii=False)))
    print(f"{len(written)} providers, {sum(len(entry['models']) for entry in written)} models", file=sys.stderr)


if __name__ == "__main__":
    main()
