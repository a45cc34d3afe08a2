"""Writes usages of models with what they cost by the library genai-prices, one JSON object a line, for a test that compares
them with the charges of Apex. The choices are pseudo-random and always the same. Costs are decimals, digit by digit."""

import argparse
import json
import random
import sys
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, getcontext

from genai_prices import Usage, calc_price, types
from genai_prices.data import providers
from genai_prices.data_units import unit_data

# Enough that only the quotient of a rate by an hour is rounded, far behind the twelfth place.
getcontext().prec = 60

TIMES = [
    datetime(2024, 3, 5, 12, 0, tzinfo=UTC),
    datetime(2025, 7, 1, 3, 30, tzinfo=UTC),
    datetime(2026, 8, 20, 9, 15, tzinfo=UTC),
    datetime(2026, 11, 29, 2, 0, tzinfo=UTC),
    datetime(2026, 11, 29, 18, 45, tzinfo=UTC),
    datetime(2027, 1, 2, 0, 0, tzinfo=UTC),
]

# The names of a call's attributes at the library and at Apex.
CONTEXTS = [
    ({}, {}),
    ({"processing": "batch"}, {"service_tier": "batch"}),
    ({"service_tier": "flex"}, {"service_tier": "flex"}),
    ({"service_tier": "priority"}, {"service_tier": "priority"}),
    ({"service_tier": "default"}, {"service_tier": "default"}),
    ({"speed": "fast"}, {"speed": "fast"}),
]


def names(match, model_id: str) -> list[str]:
    """Names that a clause matches: the id, and one for each kind of clause."""
    found = [model_id]
    clauses = match.or_ if isinstance(match, types.ClauseOr) else [match]
    for clause in clauses:
        if isinstance(clause, types.ClauseEquals):
            found.append(clause.equals)
        elif isinstance(clause, types.ClauseStartsWith):
            found += [clause.starts_with, clause.starts_with + "-20260101"]
        elif isinstance(clause, types.ClauseEndsWith):
            found.append("some-" + clause.ends_with)
        elif isinstance(clause, types.ClauseContains):
            found.append("some-" + clause.contains + "-x")
    return list(dict.fromkeys(found))


def usage(chance: random.Random, is_large: bool) -> tuple[dict, dict]:
    """The usage of a call as the library counts it, and as Apex does."""
    size = chance.choice([210_000, 300_000, 1_000_000] if is_large else [0, 7, 1_234, 99_999])
    part = lambda whole, of: chance.randint(0, whole // of)  # noqa: E731
    plain, read, write = size, part(size, 3), part(size, 5)
    hour = part(write, 2)
    audio, image = (part(plain, 4), part(plain, 4)) if chance.random() < 0.3 else (0, 0)
    output = chance.choice([0, 1, 333, 8_192])
    reasoning = part(output, 2)
    audio_out = part(output - reasoning, 3) if chance.random() < 0.3 else 0
    searches, seconds = chance.choice([0, 0, 3]), chance.choice([0, 0, 61, 3_600])
    characters = chance.choice([0, 0, 5_000])
    theirs = {
        "input_tokens": plain + read + write,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "cache_write_1h_tokens": hour,
        "cache_write_5m_tokens": write - hour,
        "input_audio_tokens": audio,
        "input_image_tokens": image,
        "output_tokens": output,
        "output_reasoning_tokens": reasoning,
        "output_audio_tokens": audio_out,
        "web_searches": searches,
        "audio_seconds": seconds,
        "input_audio_seconds": seconds,
        "input_characters": characters,
    }
    ours = {
        "input": plain,
        "cache_read": read,
        "cache_write_5min": write - hour,
        "cache_write_1hour": hour,
        "audio_input": audio,
        "image_input": image,
        "output": output,
        "reasoning": reasoning,
        "audio_output": audio_out,
        "searches": searches,
        "media_ms": seconds * 1000,
        "characters": characters,
    }
    return theirs, {meter: number for meter, number in ours.items() if number}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--providers", required=True, help="a file with the ids of the providers, one a line")
    parser.add_argument("--seed", type=int, default=20261129)
    arguments = parser.parse_args()
    lines = open(arguments.providers, encoding="utf-8").read().splitlines()
    wanted = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    chance = random.Random(arguments.seed)
    for provider in providers:
        if provider.id not in wanted:
            continue
        for model in provider.models:
            contexts = CONTEXTS if model.price_variants else CONTEXTS[:2]
            for name in names(model.match, model.id):
                context, attributes = chance.choice(contexts)
                at = chance.choice(TIMES)
                theirs, ours = usage(chance, chance.random() < 0.4)
                case = {"provider": provider.id, "model": name, "at": at.isoformat().replace("+00:00", "Z"), "usage": ours}
                case |= attributes
                try:
                    price = calc_price(
                        # The library asks for each kind of usage that its prices know.
                        Usage(**(dict.fromkeys(unit_data.keys() - {"requests"}, 0) | theirs)),
                        name,
                        provider_id=provider.id,
                        genai_request_timestamp=at,
                        price_context=context or None,
                    )
                    case["cost"] = f"{price.total_price.quantize(Decimal('1e-12'), rounding=ROUND_HALF_EVEN):f}"
                    case["found"] = price.model.id
                except LookupError as error:
                    case["error"] = str(error)
                print(json.dumps(case, ensure_ascii=False))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
