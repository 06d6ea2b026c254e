"""What users of a shop do in 30 days: 1,000 users, 10,000 products, and of the events 60 % views, 25 % clicks, 10 % into
the cart, 4 % purchases, 1 % ratings. Users are not equally busy, few products are most wanted, nights are quiet, and a
session has some events. Rows come in the order of time, as events do."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

import made
from made import mix, positive, skewed, take, unit

USERS, PRODUCTS, DAYS = 1000, 10_000, 30
TYPES = ["view", "click", "cart", "purchase", "rate"]
SHARES = [0.60, 0.25, 0.10, 0.04, 0.01]
COUNTRIES = ["CN", "DE", "US", "FR", "RU", "BR", "IN", "JP", "NL", "PL", "ES", "IT"]
START_US = int(np.datetime64("2026-06-01", "us").astype(np.int64))
SPAN_US = DAYS * 86_400_000_000
# What a user does in this time is a session: so short that all of them are more groups than a hash table likes.
SESSION_US = 120_000_000
LAST = "2026-06-30 23:00:00"

COLUMNS = {
    "event_id": "bigint", "event_time": "timestamp", "session_id": "bigint", "user_id": "integer", "product_id": "integer", "category_id": "smallint",
    "event_type": "text", "price": "numeric(10,2)", "quantity": "smallint", "rating": "smallint", "country": "text", "device": "text",
}
NULLABLE = {"rating"}
ARROW = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64(), "text": pa.string(), "timestamp": pa.timestamp("us"), "numeric(10,2)": pa.decimal128(10, 2)}
SCHEMA = pa.schema([pa.field(name, ARROW[ty], nullable=name in NULLABLE) for name, ty in COLUMNS.items()])
CREATE = "CREATE TABLE events (" + ", ".join(f"{n} {ty}{'' if n in NULLABLE else ' NOT NULL'}" for n, ty in COLUMNS.items()) + ");\n"


def wave(day):
    """The share of a day's events that lies before a part of it: nights are quiet."""
    return day - 0.09 * np.sin(2 * np.pi * day)


def times(rng, first, n, rows):
    """Microseconds of the rows from the first one: in order, and thinner at night."""
    at = (np.sort(rng.random(n)) * n + first) / rows * DAYS
    whole = np.floor(at)
    hours = np.linspace(0, 1, 1441)
    day = np.interp(at - whole, wave(hours), hours)
    return START_US + np.minimum(((whole + day) * 86_400_000_000).astype(np.int64), SPAN_US - 1)


def decimals(cents):
    """Cents as numeric(10,2): Arrow's form of it is 128 bits."""
    wide = np.zeros((len(cents), 2), "<i8")
    wide[:, 0] = cents
    return pa.Array.from_buffers(ARROW["numeric(10,2)"], len(cents), [None, pa.py_buffer(wide.tobytes())])


def chunk(number, n, rows):
    rng = np.random.default_rng([made.SEED, 9, number])
    first = number * made.CHUNK_ROWS
    at = times(rng, first, n, rows)
    user = skewed(rng.random(n), USERS, 1.6)
    product = skewed(rng.random(n), PRODUCTS, 2.2)
    kind = np.searchsorted(np.cumsum(SHARES)[:-1], rng.random(n), side="right")
    session = positive(mix(at // SESSION_US * USERS + user, 1))
    cents = 99 + skewed(unit(mix(product, 2)), 100_000, 3.0)
    bought = np.isin(kind, [2, 3])
    data = {
        "event_id": (first + np.arange(n)) * 16 + (rng.random(n) * 16).astype(np.int64), "event_time": pa.array(at).cast(pa.timestamp("us")),
        "session_id": session, "user_id": 1 + user, "product_id": 1 + product, "category_id": 1 + (mix(product, 3) % np.uint64(200)).astype(np.int64),
        "event_type": take(TYPES, kind), "price": decimals(cents), "quantity": np.where(bought, 1 + skewed(rng.random(n), 5, 3.0), 0),
        "rating": pa.array(1 + skewed(rng.random(n), 5, 0.7), mask=kind != 4).cast(pa.int16()), "country": take(COUNTRIES, skewed(unit(mix(user, 4)), 12)),
        "device": take(["phone", "desktop", "tablet", "app"], skewed(unit(mix(session, 5)), 4)),
    }
    return pa.table({f.name: data[f.name] if isinstance(data[f.name], (pa.Array, pa.ChunkedArray)) else pa.array(data[f.name]).cast(f.type) for f in SCHEMA})


def main():
    path, rows = Path(sys.argv[1]), int(sys.argv[2])
    steps = range(0, rows, made.CHUNK_ROWS)
    made.write(path, SCHEMA, (chunk(i, min(made.CHUNK_ROWS, rows - at), rows) for i, at in enumerate(steps)))


if __name__ == "__main__":
    main()
