-- What an analyst asks first, through stock psql.
\pset footer off
\timing on
\echo '\n== How much is there?'
SELECT count(*) AS flights, min(date) AS first, max(date) AS last, count(DISTINCT origin) AS airports FROM flights;

\echo '\n== Which airports start late?'
SELECT a.city AS "城市", a.name AS "机场", count(*) AS "航班数",
       avg(f.delay)::numeric(6, 1) AS "平均延误（分钟）"
FROM flights f JOIN airports a ON a.iata = f.origin
GROUP BY a.city, a.name HAVING count(*) > 20000
ORDER BY avg(f.delay) DESC LIMIT 8;

\echo '\n== When in the day do delays build up?'
SELECT extract(hour FROM date)::integer AS hour, count(*) AS flights, avg(delay)::numeric(6, 1) AS avg_delay,
       repeat('▇', greatest(0, round(avg(delay)))::integer) AS minutes
FROM flights GROUP BY 1 HAVING count(*) > 1000 ORDER BY 1;

\echo '\n== How did the months go?'
SELECT date_trunc('month', date)::date AS month, count(*) AS flights,
       count(*) FILTER (WHERE delay > 60) AS over_an_hour,
       (100.0 * count(*) FILTER (WHERE delay > 15) / count(*))::numeric(4, 1) AS late_percent
FROM flights GROUP BY 1 ORDER BY 1;

\echo '\n== Which routes are worst?'
SELECT origin || ' → ' || destination AS route, count(*) AS flights, avg(delay)::numeric(6, 1) AS avg_delay
FROM flights GROUP BY origin, destination HAVING count(*) >= 500
ORDER BY avg(delay) DESC LIMIT 8;

\echo '\n== Each state''s latest airport (a window over a join)'
SELECT state, iata, avg_delay FROM (
    SELECT a.state, a.iata, avg(f.delay)::numeric(6, 1) AS avg_delay,
           row_number() OVER (PARTITION BY a.state ORDER BY avg(f.delay) DESC) AS place
    FROM flights f JOIN airports a ON a.iata = f.origin
    GROUP BY a.state, a.iata HAVING count(*) > 5000
) ranked WHERE place = 1 ORDER BY avg_delay DESC LIMIT 6;

\echo '\n== One airport in one month: partition and order prune'
SELECT count(*) AS flights, max(delay) AS worst FROM flights
WHERE origin = 'SEA' AND date >= '2001-03-01' AND date < '2001-04-01';
