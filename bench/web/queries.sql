-- What people ask of a table of hits, from a count to the longest report: 43 questions of the kinds that ClickBench made
-- customary, over columns of our own. `answers.py` says what the headers mean, `web_data.facts` what stands in braces.

-- 0: rows
SELECT count(*) FROM hits;

-- 1: rows from advertisements
SELECT count(*) FROM hits WHERE adv_engine_id <> 0;

-- 2: three plain aggregates
SELECT sum(adv_engine_id), count(*), avg(resolution_width) FROM hits;

-- 3: an average of large numbers
SELECT avg(user_id) FROM hits;

-- 4: users
SELECT count(DISTINCT user_id) FROM hits;

-- 5: phrases
SELECT count(DISTINCT search_phrase) FROM hits;

-- 6: the days
SELECT min(event_date), max(event_date) FROM hits;

-- 7: advertisements by engine
SELECT adv_engine_id, count(*) AS c FROM hits WHERE adv_engine_id <> 0 GROUP BY adv_engine_id ORDER BY c DESC;

-- 8 by 2: regions with the most users
SELECT region_id, count(DISTINCT user_id) AS u FROM hits GROUP BY region_id ORDER BY u DESC LIMIT 10;

-- 9 by 3: the busiest regions, with much about each
SELECT region_id, sum(adv_engine_id), count(*) AS c, avg(resolution_width), count(DISTINCT user_id)
FROM hits GROUP BY region_id ORDER BY c DESC LIMIT 10;

-- 10 by 2: models of phones with the most users
SELECT mobile_phone_model, count(DISTINCT user_id) AS u
FROM hits WHERE mobile_phone_model <> '' GROUP BY mobile_phone_model ORDER BY u DESC LIMIT 10;

-- 11 by 3: kinds and models of phones with the most users
SELECT mobile_phone, mobile_phone_model, count(DISTINCT user_id) AS u
FROM hits WHERE mobile_phone_model <> '' GROUP BY mobile_phone, mobile_phone_model ORDER BY u DESC LIMIT 10;

-- 12 by 2: the most frequent phrases
SELECT search_phrase, count(*) AS c FROM hits WHERE search_phrase <> '' GROUP BY search_phrase ORDER BY c DESC LIMIT 10;

-- 13 by 2: the phrases of the most users
SELECT search_phrase, count(DISTINCT user_id) AS u
FROM hits WHERE search_phrase <> '' GROUP BY search_phrase ORDER BY u DESC LIMIT 10;

-- 14 by 3: the most frequent phrases by search engine
SELECT search_engine_id, search_phrase, count(*) AS c
FROM hits WHERE search_phrase <> '' GROUP BY search_engine_id, search_phrase ORDER BY c DESC LIMIT 10;

-- 15 by 2: the busiest users
SELECT user_id, count(*) AS c FROM hits GROUP BY user_id ORDER BY c DESC LIMIT 10;

-- 16 by 3: the busiest users and their phrases
SELECT user_id, search_phrase, count(*) AS c FROM hits GROUP BY user_id, search_phrase ORDER BY c DESC LIMIT 10;

-- 17 any: some users and their phrases
SELECT user_id, search_phrase, count(*) AS c FROM hits GROUP BY user_id, search_phrase LIMIT 10;

-- 18 by 4: users, minutes of an hour and phrases
SELECT user_id, extract(minute FROM event_time) AS m, search_phrase, count(*) AS c
FROM hits GROUP BY user_id, m, search_phrase ORDER BY c DESC LIMIT 10;

-- 19: one user
SELECT user_id FROM hits WHERE user_id = {user};

-- 20: a word in the URL
SELECT count(*) FROM hits WHERE url LIKE '%google%';

-- 21 by 3: what was searched for before such a page
SELECT search_phrase, min(url), count(*) AS c
FROM hits WHERE url LIKE '%google%' AND search_phrase <> '' GROUP BY search_phrase ORDER BY c DESC LIMIT 10;

-- 22 by 4: a word in the title that is not in the host
SELECT search_phrase, min(url), min(title), count(*) AS c, count(DISTINCT user_id)
FROM hits WHERE title LIKE '%Google%' AND url NOT LIKE '%.google.%' AND search_phrase <> ''
GROUP BY search_phrase ORDER BY c DESC LIMIT 10;

-- 23 by 5: whole rows, the first in time
SELECT * FROM hits WHERE url LIKE '%google%' ORDER BY event_time LIMIT 10;

-- 24 by 1: the first phrases in time
SELECT event_time, search_phrase FROM hits WHERE search_phrase <> '' ORDER BY event_time LIMIT 10;

-- 25 by 1: the first phrases of the alphabet
SELECT search_phrase FROM hits WHERE search_phrase <> '' ORDER BY search_phrase LIMIT 10;

-- 26 by 1: the first phrases in time, then of the alphabet
SELECT search_phrase FROM hits WHERE search_phrase <> '' ORDER BY event_time, search_phrase LIMIT 10;

-- 27 by 2: sites with the longest URLs
SELECT counter_id, avg(length(url)) AS l, count(*) AS c
FROM hits WHERE url <> '' GROUP BY counter_id HAVING count(*) > {many} ORDER BY l DESC LIMIT 25;

-- 28 by 2: hosts with the longest referers
SELECT regexp_replace(referer, '^https?://(?:www\.)?([^/]+)/.*$', '\1') AS host, avg(length(referer)) AS l, count(*) AS c, min(referer)
FROM hits WHERE referer <> '' GROUP BY host HAVING count(*) > {many} ORDER BY l DESC LIMIT 25;

-- 29: ninety sums over one column
SELECT {sums} FROM hits;

-- 30 by 3: search engines and addresses
SELECT search_engine_id, client_ip, count(*) AS c, sum(is_refresh), avg(resolution_width)
FROM hits WHERE search_phrase <> '' GROUP BY search_engine_id, client_ip ORDER BY c DESC LIMIT 10;

-- 31 by 3: hits with a phrase, one by one
SELECT watch_id, client_ip, count(*) AS c, sum(is_refresh), avg(resolution_width)
FROM hits WHERE search_phrase <> '' GROUP BY watch_id, client_ip ORDER BY c DESC LIMIT 10;

-- 32 by 3: hits one by one
SELECT watch_id, client_ip, count(*) AS c, sum(is_refresh), avg(resolution_width)
FROM hits GROUP BY watch_id, client_ip ORDER BY c DESC LIMIT 10;

-- 33 by 2: the most seen pages
SELECT url, count(*) AS c FROM hits GROUP BY url ORDER BY c DESC LIMIT 10;

-- 34 by 3: the same, with a constant among the keys
SELECT 1, url, count(*) AS c FROM hits GROUP BY 1, url ORDER BY c DESC LIMIT 10;

-- 35 by 5: keys that follow from each other
SELECT client_ip, client_ip - 1, client_ip - 2, client_ip - 3, count(*) AS c
FROM hits GROUP BY client_ip, client_ip - 1, client_ip - 2, client_ip - 3 ORDER BY c DESC LIMIT 10;

-- 36 by 2: the most seen pages of a site in a month
SELECT url, count(*) AS views
FROM hits WHERE counter_id = {site} AND event_date >= DATE '2026-07-01' AND event_date <= DATE '2026-07-31'
    AND dont_count_hits = 0 AND is_refresh = 0 AND url <> ''
GROUP BY url ORDER BY views DESC LIMIT 10;

-- 37 by 2: its most seen titles
SELECT title, count(*) AS views
FROM hits WHERE counter_id = {site} AND event_date >= DATE '2026-07-01' AND event_date <= DATE '2026-07-31'
    AND dont_count_hits = 0 AND is_refresh = 0 AND title <> ''
GROUP BY title ORDER BY views DESC LIMIT 10;

-- 38 by 2: its links, far down the list
SELECT url, count(*) AS views
FROM hits WHERE counter_id = {site} AND event_date >= DATE '2026-07-01' AND event_date <= DATE '2026-07-31'
    AND is_refresh = 0 AND is_link <> 0 AND is_download = 0
GROUP BY url ORDER BY views DESC LIMIT 10 OFFSET 1000;

-- 39 by 6: where its visitors came from
SELECT traffic_source_id, search_engine_id, adv_engine_id,
    CASE WHEN search_engine_id = 0 AND adv_engine_id = 0 THEN referer ELSE '' END AS source, url AS target, count(*) AS views
FROM hits WHERE counter_id = {site} AND event_date >= DATE '2026-07-01' AND event_date <= DATE '2026-07-31' AND is_refresh = 0
GROUP BY traffic_source_id, search_engine_id, adv_engine_id, source, target ORDER BY views DESC LIMIT 10 OFFSET 1000;

-- 40 by 3: days of the pages that one page led to
SELECT url_hash, event_date, count(*) AS views
FROM hits WHERE counter_id = {site} AND event_date >= DATE '2026-07-01' AND event_date <= DATE '2026-07-31'
    AND is_refresh = 0 AND traffic_source_id IN (-1, 6) AND referer_hash = {referer_hash}
GROUP BY url_hash, event_date ORDER BY views DESC LIMIT 10 OFFSET 100;

-- 41 by 3: sizes of the windows that one page was seen in
SELECT window_width, window_height, count(*) AS views
FROM hits WHERE counter_id = {site} AND event_date >= DATE '2026-07-01' AND event_date <= DATE '2026-07-31'
    AND is_refresh = 0 AND dont_count_hits = 0 AND url_hash = {url_hash}
GROUP BY window_width, window_height ORDER BY views DESC LIMIT 10 OFFSET 1000;

-- 42 by 1: two days of it by minute
SELECT date_trunc('minute', event_time) AS m, count(*) AS views
FROM hits WHERE counter_id = {site} AND event_date >= DATE '2026-07-14' AND event_date <= DATE '2026-07-15'
    AND is_refresh = 0 AND dont_count_hits = 0
GROUP BY date_trunc('minute', event_time) ORDER BY date_trunc('minute', event_time) LIMIT 10 OFFSET 1000;
