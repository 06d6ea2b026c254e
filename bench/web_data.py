"""Hits of web pages as a counter on them would log them: 105 columns, many of them small numbers or empty texts.

Users make sessions on sites; a site, its pages, their titles and what a user has are hashes of their numbers, so that they
repeat as they would. A month of rows is sorted by site, day, user and time, as such logs are kept. Of 5 million rows about
a fifth as many users, 40 % as many URLs, 12 % as many titles; 13 % have a search phrase."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

import made
from made import mix, pair, positive, skewed, take, unit, when

SITES = 6400
# The site that queries ask for, by its rank: about 0.8 % of all rows.
SITE, SITE_RANK = 62, 12
START = np.datetime64("2026-07-01", "s").astype(np.int64)
DAYS = 31
DAY = 86400
WORDS = 4000
TOP_PAGES = 200
# How busy each hour of a day is.
HOURS = np.array([3, 2, 1, 1, 1, 2, 3, 5, 7, 9, 10, 10, 9, 9, 10, 10, 9, 9, 9, 10, 11, 10, 8, 5], float)

# Columns of small numbers: type, how many values beside 0, the share of 0, and what they belong to.
SMALL = {
    "java_enable": ("smallint", 1, 0.3, "user"), "javascript_enable": ("smallint", 1, 0.02, "user"), "cookie_enable": ("smallint", 1, 0.01, "user"),
    "net_major": ("smallint", 4, 0.9, "user"), "net_minor": ("smallint", 5, 0.9, "user"), "flash_major": ("smallint", 12, 0.3, "user"),
    "flash_minor": ("smallint", 8, 0.5, "user"), "silverlight_1": ("smallint", 5, 0.8, "user"), "silverlight_2": ("smallint", 3, 0.9, "user"),
    "silverlight_3": ("integer", 60000, 0.85, "user"), "silverlight_4": ("smallint", 2, 0.95, "user"), "mobile_phone": ("smallint", 80, 0.93, "user"),
    "is_mobile": ("smallint", 1, 0.9, "user"), "os": ("smallint", 90, 0.01, "user"), "user_agent": ("smallint", 80, 0.01, "user"),
    "user_agent_major": ("smallint", 60, 0.02, "user"), "resolution_depth": ("smallint", 5, 0.05, "user"), "sex": ("smallint", 2, 0.5, "user"),
    "age": ("smallint", 60, 0.4, "user"), "income": ("smallint", 4, 0.4, "user"), "interests": ("smallint", 30000, 0.5, "user"),
    "robotness": ("smallint", 300, 0.9, "user"), "ip_network_id": ("integer", 4000, 0.02, "user"), "timezone": ("smallint", 26, 0.02, "user"),
    "code_version": ("integer", 180, 0.01, "site"), "counter_class": ("smallint", 2, 0.3, "site"), "clid": ("integer", 900, 0.8, "site"),
    "url_category_id": ("smallint", 9000, 0.4, "page"), "url_region_id": ("integer", 1200, 0.2, "site"), "referer_category_id": ("integer", 9000, 0.5, "row"),
    "referer_region_id": ("integer", 1200, 0.4, "row"), "http_error": ("smallint", 20, 0.99, "row"), "is_refresh": ("smallint", 1, 0.87, "row"),
    "is_link": ("smallint", 1, 0.93, "row"), "is_download": ("smallint", 1, 0.995, "row"), "is_not_bounce": ("smallint", 1, 0.4, "row"),
    "is_event": ("smallint", 1, 0.97, "row"), "is_parameter": ("smallint", 1, 0.99, "row"), "is_old_counter": ("smallint", 1, 0.98, "site"),
    "is_artificial": ("smallint", 1, 0.96, "row"), "dont_count_hits": ("smallint", 1, 0.9, "row"), "with_hash": ("smallint", 1, 0.97, "row"),
    "has_click_id": ("smallint", 1, 0.99, "row"), "good_event": ("smallint", 1, 0.0, "row"), "history_length": ("smallint", 50, 0.1, "row"),
    "search_engine_id": ("smallint", 60, 0.0, "search"), "adv_engine_id": ("smallint", 30, 0.9937, "row"), "social_source_id": ("smallint", 12, 0.98, "row"),
    "window_name": ("integer", 100_000, 0.6, "row"), "opener_name": ("integer", 100_000, 0.8, "row"), "hour_of_visit": ("smallint", 23, 0.1, "row"),
    "send_timing": ("integer", 30_000, 0.5, "row"), "dns_timing": ("integer", 800, 0.7, "row"), "connect_timing": ("integer", 1500, 0.6, "row"),
    "response_start": ("integer", 5000, 0.4, "row"), "response_end": ("integer", 9000, 0.4, "row"), "fetch_timing": ("integer", 20_000, 0.4, "row"),
    "param_price": ("bigint", 500_000, 0.97, "row"), "param_currency_id": ("smallint", 3, 0.97, "row"), "goal_id": ("integer", 4000, 0.95, "row"),
}
# Columns of texts that are mostly empty: the share of those that are not, how many different ones, and what they begin with.
SPARSE = {
    "social_network": (0.01, 12, "net-"), "social_action": (0.01, 6, "act "), "social_page": (0.004, 5000, "https://social.example/p/"),
    "param_order_id": (0.004, 10**9, "ord-"), "param_currency": (0.03, 4, "C"), "openstat_service": (0.004, 40, "svc"),
    "openstat_campaign": (0.004, 3000, "cmp:"), "openstat_ad": (0.004, 20_000, "ad:"), "openstat_source": (0.004, 700, "src:"),
    "utm_source": (0.03, 300, "source_"), "utm_medium": (0.03, 20, "medium_"), "utm_campaign": (0.025, 4000, "campaign_"),
    "utm_content": (0.01, 20_000, "content_"), "utm_term": (0.008, 50_000, "term_"), "from_tag": (0.006, 500, "tag"),
    "params": (0.02, 100_000, '{"a": "b", "n": '), "original_url": (0.06, 400_000, "http://redirect.example/go?to="), "href": (0.0, 1, ""),
}
COLUMNS = {
    "watch_id": "bigint", "counter_id": "integer", "event_date": "date", "user_id": "bigint", "event_time": "timestamp",
    "url": "text", "title": "text", "referer": "text", "url_hash": "bigint", "referer_hash": "bigint", "search_phrase": "text",
    "traffic_source_id": "smallint", "region_id": "integer", "client_ip": "integer", "remote_ip": "integer",
    "client_event_time": "timestamp", "local_event_time": "timestamp", "resolution_width": "smallint", "resolution_height": "smallint",
    "window_width": "smallint", "window_height": "smallint", "mobile_phone_model": "text", "user_agent_minor": "text",
    "browser_language": "text", "browser_country": "text", "page_charset": "text", "first_visit_id": "bigint",
} | {name: ty for name, (ty, *_) in SMALL.items()} | dict.fromkeys(SPARSE, "text")
ARROW = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64(), "text": pa.string(), "date": pa.date32(), "timestamp": pa.timestamp("us")}
SCHEMA = pa.schema([pa.field(name, ARROW[ty], nullable=False) for name, ty in COLUMNS.items()])
assert len(COLUMNS) == 105, len(COLUMNS)

CREATE = "CREATE TABLE hits (" + ", ".join(f"{name} {ty} NOT NULL" for name, ty in COLUMNS.items()) + ");\n"


def user_id(user):
    return positive(mix(user, 101))


def page_hash(page):
    return positive(mix(page, 102))


def page_of(site, rank):
    """What a page is hashed from: its site and its rank there."""
    return pair(site, rank, 7)


def facts(rows):
    """Values that queries ask for."""
    one = lambda v: int(np.asarray(v).reshape(-1)[0])
    page = page_of(np.array([SITE]), np.array([0]))
    return {"site": SITE, "user": one(user_id(np.array([3]))), "url_hash": one(page_hash(page)), "referer_hash": one(page_hash(page)),
            "many": max(1, rows // 1000)}


class Words:
    """All vocabularies: one list of words in three languages, and the names of hosts."""

    def __init__(self):
        self.latin = made.words(made.LATIN, WORDS, 4, 1)
        self.all = made.words(made.CYRILLIC, WORDS, 5, 3) + self.latin + made.words(made.CHINESE, WORDS, 3, 5)
        self.paths = [f"{w}/" for w in self.latin[:600]] + [f"{a}-{b}/" for a, b in zip(self.latin, self.latin[600:])]
        endings = [".example", ".test", ".ru.example", ".com.example", ".cn.example"]
        self.hosts = [f"{'www.' if i % 3 else ''}{self.latin[i % WORDS]}{self.latin[i * 7 % 997]}{endings[i % 5]}/" for i in range(SITES)]
        # Two hosts whose name is looked for.
        for site in site_numbers()[[2500, 4000]]:
            self.hosts[site - 1] = f"maps.google.{self.hosts[site - 1].removeprefix('www.')}"


def language(site):
    """Where the site's language begins in the list of words."""
    return np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])[(mix(site, 11) % np.uint64(10)).astype(int)] * WORDS


def visits(rows):
    """Site, user number and second of each row, sorted."""
    rng = np.random.default_rng([made.SEED, 0])
    sessions = max(1, int(rows / 2.4))
    lengths = np.minimum(rng.geometric(0.4, sessions), 200)
    lengths[-1] += max(0, rows - lengths.sum())
    users = 2000 + (rng.random(sessions) * rows * 0.3).astype(np.int64)
    regulars = rng.random(sessions) < 0.05
    users[regulars] = made.zipf(rng, 2000, regulars.sum(), 0.8)
    ranks = made.zipf(rng, SITES, sessions, 0.95)
    hours = np.searchsorted(np.cumsum(HOURS) / HOURS.sum(), rng.random(sessions), side="right")
    days = skewed(rng.random(sessions), DAYS, 1.05)
    starts = START + days * DAY + hours * 3600 + (rng.random(sessions) * 3600).astype(np.int64)
    session = np.repeat(np.arange(sessions), lengths)[:rows]
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    nth = np.arange(rows) - firsts[session]
    seconds = starts[session] + nth * (10 + mix(session, 21) % np.uint64(90)).astype(np.int64) + (rng.random(rows) * 9).astype(np.int64)
    seconds = np.minimum(seconds, START + DAYS * DAY - 1)
    site, user = site_numbers()[ranks[session]], users[session]
    order = np.lexsort((seconds, user_id(user), seconds // DAY, site))
    return site[order], user[order], seconds[order]


def site_numbers():
    """The number of the site of each rank."""
    numbers = np.random.default_rng([made.SEED, 1]).permutation(SITES) + 1
    numbers[numbers == SITE] = numbers[SITE_RANK]
    numbers[SITE_RANK] = SITE
    return numbers.astype(np.int64)


def ranks_of_pages(rng, n):
    """Half of the hits go to the top pages of a site, the others anywhere."""
    top = skewed(rng.random(n), TOP_PAGES, 4.0)
    return np.where(rng.random(n) < 0.6, top, TOP_PAGES + skewed(rng.random(n), 100_000, 2.5))


def urls(words, site, page, rare):
    """The URL of each page; a few rows have a word that queries look for."""
    h = lambda salt: mix(page, salt)
    scheme = take(["http://", "https://"], (unit(mix(site, 30)) < 0.4).astype(int))
    folders = [take(words.paths, (h(s) % np.uint64(len(words.paths))).astype(np.int64)) for s in (31, 32)]
    name = take(words.latin, (h(33) % np.uint64(WORDS)).astype(np.int64))
    numbered = made.joined("-", made.number(h(34) % np.uint64(10**7)), ".html")
    query = made.joined("?id=", made.number(h(35) % np.uint64(10**8)), "&section=", take(words.latin, (h(36) % np.uint64(300)).astype(np.int64)))
    more = made.joined("&sort=", take(["price", "name", "date", "rating"], (h(37) % np.uint64(4)).astype(int)), "&page=", made.number(h(38) % np.uint64(40)))
    rest = [when(unit(h(39)) < 0.6, numbered), when(unit(h(40)) < 0.7, query), when(unit(h(41)) < 0.5, more), when(rare, "&from=google.search")]
    return made.joined(scheme, take(words.hosts, site - 1), *folders, name, *rest)


def titles(words, site, rank):
    """Titles of 4 to 9 words in the site's language; pages far down share them."""
    page = pair(site, np.where(rank < TOP_PAGES, rank // 4, TOP_PAGES + rank // 16 % 300), 50)
    start = language(site)
    word = lambda salt: take(words.all, start + skewed(unit(mix(page, salt)), WORDS, 1.6))
    count = mix(page, 51) % np.uint64(6)
    some = [made.joined(*(word(52 + i) for i in range(4)), separator=" ")]
    some += [when(count > i, made.joined(" ", word(56 + i))) for i in range(5)]
    rare = when(unit(mix(page, 70)) < 0.0004, " Google")
    title = made.joined(*some, rare, " — ", take(words.latin, site % WORDS))
    return when(unit(mix(page, 71)) < 0.86, title)


def phrases(words, key):
    """Two to five words that are searched for."""
    start = np.array([0, 0, 1, 2])[(mix(key, 80) % np.uint64(4)).astype(int)] * WORDS
    count = mix(key, 81) % np.uint64(4)
    word = lambda salt: take(words.all, start + skewed(unit(mix(key, salt)), WORDS, 1.3))
    return made.joined(word(82), *(when(count >= i, made.joined(" ", word(83 + i))) if i else made.joined(" ", word(83)) for i in range(4)))


def small(name, salt, hashes, kind):
    _, values, zero, _ = SMALL[name]
    u = unit(mix(hashes, salt))
    return np.where(u < zero, 0, 1 + skewed(np.clip((u - zero) / max(1 - zero, 1e-9), 0, 0.999999), values, 2.5 if kind != "page" else 1.0))


def chunk(words, number, site, user, seconds):
    """One table of rows."""
    rng, n = np.random.default_rng([made.SEED, 2, number]), len(site)
    row = rng.integers(0, 2**63, n).astype(np.uint64)
    rank = ranks_of_pages(rng, n)
    page = page_of(site, rank)
    from_rank = ranks_of_pages(rng, n)
    searched = rng.random(n) < 0.132
    key = np.where(rng.random(n) < 0.5, rng.integers(10**4, 10**9, n), made.zipf(rng, 20_000, n, 0.7))
    phrase = when(searched, phrases(words, key))
    source = rng.random(n)
    inner, outer = source < 0.5, (source >= 0.5) & (source < 0.72)
    from_site = np.where(inner, site, 1 + skewed(rng.random(n), SITES, 3.0))
    referer_page = page_of(from_site, from_rank)
    never = np.zeros(n, bool)
    searching = made.joined("https://search.example/find?q=", phrase)
    referer = when(searched, searching, when(inner | outer, urls(words, from_site, referer_page, never)))
    of = lambda salt: mix(user, salt)
    pick = lambda values, hashes, power=2.0: np.array(values)[skewed(unit(hashes), len(values), power)]
    width = pick([1366, 1920, 1280, 1440, 1024, 1600, 1680, 360, 2560, 800, 412, 1152], of(201))
    models = [""] + [f"{w.title()} {m}" for w, m in zip(words.latin[100:220], np.arange(120) * 7 % 900)]
    shift = (of(203) % np.uint64(26)).astype(np.int64) - 12
    micros = lambda s: pa.array(s * 1_000_000).cast(pa.timestamp("us"))
    data = {
        "watch_id": positive(row), "counter_id": site, "event_date": pa.array((seconds // DAY).astype(np.int32)).cast(pa.date32()),
        "user_id": user_id(user), "event_time": micros(seconds), "url": urls(words, site, page, rng.random(n) < 0.00016),
        "title": titles(words, site, rank), "referer": referer, "url_hash": page_hash(page),
        "referer_hash": np.where(inner | outer, page_hash(referer_page), positive(mix(key, 103)) * searched), "search_phrase": phrase,
        "traffic_source_id": np.where(searched, 2, np.where(inner, -1, np.where(outer, 1, pick([0, 3, 4, 5, 6, 7], row, 2.0)))),
        "region_id": 1 + skewed(unit(of(204)), 9000, 4.0), "client_ip": (of(205) % np.uint64(2**31)).astype(np.int64) ^ (row % np.uint64(4)).astype(np.int64) * (unit(of(206)) < 0.2),
        "remote_ip": (of(207) % np.uint64(2**20)).astype(np.int64) * 2048, "client_event_time": micros(seconds - (row % np.uint64(7)).astype(np.int64)),
        "local_event_time": micros(seconds + shift * 3600), "resolution_width": width, "resolution_height": width * 9 // 16,
        "window_width": width - (of(208) % np.uint64(40)).astype(np.int64), "window_height": width * 9 // 16 - 80 - (row % np.uint64(60)).astype(np.int64),
        "mobile_phone_model": take(models, np.where(unit(of(209)) < 0.055, 1 + skewed(unit(of(210)), 120), 0)),
        "user_agent_minor": take(["", "0", "1", "2", "4", "D", "s", "18", "c"], skewed(unit(of(211)), 9)),
        "browser_language": take(["ru", "zh", "en", "uk", "de", "tr", "be"], skewed(unit(of(212)), 7)),
        "browser_country": take(["RU", "CN", "US", "UA", "DE", "TR", "BY", ""], skewed(unit(of(213)), 8)),
        "page_charset": take(["utf-8", "windows-1251", "gb18030", ""], skewed(unit(mix(site, 214)), 4)), "first_visit_id": positive(of(215)),
    }
    bases = {"user": user, "site": site, "page": page, "row": row}
    for i, (name, (_, _, _, kind)) in enumerate(SMALL.items()):
        data[name] = small(name, 300 + i, bases.get(kind, row), kind)
    data["search_engine_id"] = data["search_engine_id"] * searched
    for i, (name, (share, values, prefix)) in enumerate(SPARSE.items()):
        text = made.joined(prefix, made.number(skewed(unit(mix(row, 500 + i)), values, 1.5)))
        data[name] = when(unit(mix(row, 400 + i)) < share, text)
    return pa.table({f.name: data[f.name] if isinstance(data[f.name], (pa.Array, pa.ChunkedArray)) else pa.array(data[f.name]).cast(f.type) for f in SCHEMA})


def main():
    path, rows = Path(sys.argv[1]), int(sys.argv[2])
    words, (site, user, seconds) = Words(), visits(rows)
    steps = range(0, rows, made.CHUNK_ROWS)
    cut = lambda values, at: values[at:at + made.CHUNK_ROWS]
    made.write(path, SCHEMA, (chunk(words, i, cut(site, at), cut(user, at), cut(seconds, at)) for i, at in enumerate(steps)))


if __name__ == "__main__":
    main()
