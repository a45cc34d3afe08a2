"""Reads an export and prints its rows as JSON, each value as text, so that the formats can be compared.

read.py FORMAT FILE
"""

import csv
import datetime
import decimal
import json
import sys
import uuid


def text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, decimal.Decimal):
        plain = f"{value:f}"
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, datetime.datetime):
        assert value.utcoffset() == datetime.timedelta(0), value
        micros = value.microsecond
        timespec = "microseconds" if micros % 1000 else "milliseconds" if micros else "seconds"
        return value.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    assert not isinstance(value, float), value
    return str(value)


def rows(form, path):
    if form == "csv":
        with open(path, encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            yield reader.fieldnames
            for row in reader:
                assert None not in row and None not in row.values(), row
                yield row
    elif form == "ndjson":
        names = None
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line, parse_float=decimal.Decimal)
                if names is None:
                    names = list(row)
                    yield names
                assert list(row) == names, line
                yield row
        if names is None:
            yield []
    else:
        import pyarrow.parquet

        file = pyarrow.parquet.ParquetFile(path)
        yield file.schema_arrow.names
        for batch in file.iter_batches():
            yield from batch.to_pylist()


def main():
    form, path = sys.argv[1:]
    found = rows(form, path)
    names = next(found)
    printed = [{name: text(row[name]) for name in names} for row in found]
    position = None
    if form == "parquet":
        import pyarrow.parquet

        position = pyarrow.parquet.read_metadata(path).metadata[b"apex.position"].decode()
    json.dump({"columns": names, "rows": printed, "position": position}, sys.stdout)


main()
