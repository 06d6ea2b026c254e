-- What a shop asks of its events. `answers.py` says what the headers mean.

-- 0 by 1: the last hour by minute
SELECT date_trunc('minute', event_time) AS m, count(*) AS events, count(DISTINCT user_id) AS users
FROM events WHERE event_time >= TIMESTAMP '{last}' GROUP BY date_trunc('minute', event_time) ORDER BY m;

-- 1: kinds of events
SELECT event_type, count(*), count(DISTINCT user_id), count(DISTINCT product_id) FROM events GROUP BY event_type;

-- 2 by 1: revenue by day
SELECT CAST(event_time AS date) AS day, count(*) AS purchases, sum(price * quantity) AS revenue, count(DISTINCT user_id) AS users
FROM events WHERE event_type = 'purchase' GROUP BY CAST(event_time AS date) ORDER BY day;

-- 3 by 2: the products of a week that sold best
SELECT product_id, sum(quantity) AS sold, sum(price * quantity) AS revenue
FROM events WHERE event_type = 'purchase' AND event_time >= TIMESTAMP '2026-06-08' AND event_time < TIMESTAMP '2026-06-15'
GROUP BY product_id ORDER BY sold DESC LIMIT 10;

-- 4 by 1: a user's timeline
SELECT event_time, event_id, event_type, product_id, price
FROM events WHERE user_id = 777 ORDER BY event_time DESC LIMIT 50;

-- 5 by 1: how many of a day's users get how far
SELECT CAST(event_time AS date) AS day, count(DISTINCT CASE WHEN event_type = 'view' THEN user_id END) AS viewed,
    count(DISTINCT CASE WHEN event_type = 'cart' THEN user_id END) AS carted,
    count(DISTINCT CASE WHEN event_type = 'purchase' THEN user_id END) AS bought
FROM events GROUP BY CAST(event_time AS date) ORDER BY day;

-- 6 by 2: the best rated products
SELECT product_id, avg(rating) AS r, count(rating) AS n
FROM events WHERE event_type = 'rate' GROUP BY product_id HAVING count(rating) >= 3 ORDER BY r DESC LIMIT 20;

-- 7: a day by hour, country and kind
SELECT extract(hour FROM event_time) AS h, country, event_type, count(*), sum(price)
FROM events WHERE event_time >= TIMESTAMP '2026-06-20' AND event_time < TIMESTAMP '2026-06-21'
GROUP BY h, country, event_type;

-- 8 by 1: how long sessions are
SELECT n, count(*) AS sessions FROM (SELECT session_id, count(*) AS n FROM events GROUP BY session_id) AS s
GROUP BY n ORDER BY n LIMIT 100;

-- 9 by 4: products that are looked at and not bought
SELECT product_id, sum(CASE WHEN event_type = 'view' THEN 1 ELSE 0 END) AS views, sum(CASE WHEN event_type = 'purchase' THEN 1 ELSE 0 END) AS purchases,
    sum(CASE WHEN event_type = 'view' THEN 1 ELSE 0 END) - 15 * sum(CASE WHEN event_type = 'purchase' THEN 1 ELSE 0 END) AS missed
FROM events GROUP BY product_id ORDER BY missed DESC LIMIT 20;

-- 10 by 3: what is bought by those who bought the product that sells best
SELECT b.product_id, count(*) AS together, count(DISTINCT b.user_id) AS users
FROM events AS a JOIN events AS b ON a.session_id = b.session_id AND a.product_id <> b.product_id
WHERE a.event_type = 'purchase' AND b.event_type = 'purchase' AND a.product_id = 1
GROUP BY b.product_id ORDER BY users DESC LIMIT 10;

-- 11 by 1: what each day's revenue adds up to
SELECT day, revenue, sum(revenue) OVER (ORDER BY day) AS so_far
FROM (SELECT CAST(event_time AS date) AS day, sum(price * quantity) AS revenue FROM events WHERE event_type = 'purchase'
    GROUP BY CAST(event_time AS date)) AS d ORDER BY day;
