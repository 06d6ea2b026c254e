-- Profit on green parts by nation and year.
SELECT nation, ordered, sum(amount) AS profit
FROM (
    SELECT n_name AS nation, extract(year FROM o_orderdate) AS ordered,
           l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity AS amount
    FROM part
    JOIN lineitem ON l_partkey = p_partkey
    JOIN supplier ON s_suppkey = l_suppkey
    JOIN partsupp ON ps_partkey = l_partkey AND ps_suppkey = l_suppkey
    JOIN orders ON o_orderkey = l_orderkey
    JOIN nation ON n_nationkey = s_nationkey
    WHERE p_name LIKE '%green%') AS profits
GROUP BY nation, ordered
ORDER BY nation, ordered DESC
