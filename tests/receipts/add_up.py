"""Checks that receipts add up, from their texts alone.

    python3 tests/receipts/add_up.py < RECEIPTS

reads texts of receipts, one after the other, and prints the id and the total of each that adds up. It ends with an error at the
first one that does not: where the units of the charge are not those of the usage, where a line is not its product rounded half
to even at 12 decimal places, or where the total is not the sum of the lines.
"""

import re
import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction

PLACES = 10**12


def rounded(exact):
    """Half to even, as integers of 10^-12: round() of a fraction does that."""
    return Fraction(round(exact * PLACES), PLACES)


def used(line):
    meter, rest = line.split(None, 1)
    quantity, _, billed = rest.partition(", ")
    numbers = re.split(r" [-=] ", quantity)
    units = int(numbers[0])
    if len(numbers) > 1:
        parts = [int(part.split()[1]) for part in numbers[1:-1]]
        assert units - sum(parts) == int(numbers[-1]), f"the parts do not add up: {line}"
        units = int(numbers[-1])
    if billed == "not billed":
        return None, 0
    return (billed.removeprefix("billed as ") if billed else meter), units


def charged(line):
    pattern = r"(\S+) +(\d+) x (\S+) / (\d+)(?: x \(100 - (\S+)\) / 100)? = (\S+?)( \(rounded half to even\))?(?:, as .*)?"
    found = re.fullmatch(pattern, line)
    assert found, f"not a line of a charge: {line}"
    meter, units, rate, per, percent, cost, was_rounded = found.groups()
    exact = Fraction(int(units)) * Fraction(rate) / int(per) * (100 - Fraction(percent or 0)) / 100
    assert rounded(exact) == Fraction(cost), f"{float(exact)} is charged as {cost}: {line}"
    assert (exact == Fraction(cost)) == (was_rounded is None), f"rounding is not stated: {line}"
    return meter, int(units), Fraction(cost)


def check(receipt):
    call, section, units, billed, total, costs = None, None, Counter(), Counter(), None, Fraction(0)
    for line in receipt.splitlines():
        if line.startswith("Call"):
            call = line.split()[1]
        if not line.startswith("  ") or line.startswith("    "):
            section = line.split()[0] if line.strip() and not line.startswith(" ") else section
            continue
        line = line.strip()
        if section == "Usage" and line != "none":
            meter, number = used(line)
            units[meter] += number
        elif section == "Charge" and line.startswith("total"):
            total = Fraction(line.split("= ")[1])
        elif section == "Charge":
            meter, number, cost = charged(line)
            billed[meter] += number
            costs += cost
    del units[None]
    assert +units == +billed, f"{call}: {dict(units)} was used, and {dict(billed)} billed"
    assert total is None or total == costs, f"{call}: the lines add up to {float(costs)}, not to {total}"
    return call, "none" if total is None else (Decimal(total.numerator) / Decimal(total.denominator)).normalize()


for text in re.split(r"(?m)^(?=Call )", sys.stdin.read()):
    if text.strip():
        name, sum_of_lines = check(text)
        print(name, sum_of_lines if sum_of_lines == "none" else f"{sum_of_lines:f}")
