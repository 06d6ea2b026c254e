-- Trade between France and Germany by year.
SELECT supplying, buying, shipped, sum(volume) AS revenue
FROM (
    SELECT n1.n_name AS supplying, n2.n_name AS buying, extract(year FROM l_shipdate) AS shipped,
           l_extendedprice * (1 - l_discount) AS volume
    FROM supplier
    JOIN lineitem ON l_suppkey = s_suppkey
    JOIN orders ON o_orderkey = l_orderkey
    JOIN customer ON c_custkey = o_custkey
    JOIN nation n1 ON n1.n_nationkey = s_nationkey
    JOIN nation n2 ON n2.n_nationkey = c_nationkey
    WHERE ((n1.n_name = 'FRANCE' AND n2.n_name = 'GERMANY') OR (n1.n_name = 'GERMANY' AND n2.n_name = 'FRANCE'))
      AND l_shipdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31') AS trade
GROUP BY supplying, buying, shipped
ORDER BY supplying, buying, shipped
