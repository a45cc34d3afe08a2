"""Validates a file by the official validator of FOCUS, and prints its report. Fails if a rule failed.

The validator reads its rules from its own package, and ends with 0 whatever it found: what counts is the total in its report.

validate.py FILE
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import focus_validator

# What Apex supports. It knows no commitments, capacity reservations, zones, resources that are provisioned, other currencies, and
# one kind each of accounts and of prices.
CRITERIA = [
    "ACCOUNT_NAMING_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "REGION_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
]
# The validator has a rule by which InvoiceId must be null, and one by which it must not, both without their conditions: any file with
# rows breaks one of them.
CONTRADICTION = {"InvoiceId-C-005-C"}
# A run that checks nothing fails no rule.
MIN_PASSED = 240


def main():
    (path,) = sys.argv[1:]
    packages = pathlib.Path(focus_validator.__file__).parent.parent
    program = pathlib.Path(sys.executable).with_name("focus-validator")
    arguments = ["--validate-version", "1.2", "--focus-dataset", "CostAndUsage", "--block-download", "--show-violations"]
    arguments += ["--applicability-criteria", ",".join(CRITERIA)]
    command = [program, "--data-file", pathlib.Path(path).resolve(), *arguments]
    run = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=False)
    report = run.stdout + run.stderr
    print(report)
    total = re.search(r"^Total: (\d+) \| Pass: (\d+) \| Fail: (\d+) \|", report, re.MULTILINE)
    failed = set(re.findall(r"^\S+ (\S+): FAIL ", report, re.MULTILINE))
    if not total or int(total[2]) < MIN_PASSED or int(total[3]) != len(failed) or failed != CONTRADICTION:
        sys.exit(f"rules that failed: {sorted(failed)}; the validator says: {total and total[0]}")


main()
