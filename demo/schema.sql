-- The demo's tables. Parts of `flights` hold one month each and are sorted by airport, so a question about a month or
-- an airport reads little.
CREATE TABLE airports (
    iata text NOT NULL,
    name text,
    city text,
    state text,
    country text,
    latitude double precision,
    longitude double precision
);
COMMENT ON TABLE airports IS 'Airports of the United States (data.gov)';

CREATE TABLE flights (
    date timestamp NOT NULL,
    delay integer NOT NULL,
    distance integer NOT NULL CHECK (distance >= 0),
    origin text NOT NULL,
    destination text NOT NULL
) PARTITION BY month(date) CLUSTER BY (origin, date);
COMMENT ON COLUMN flights.delay IS 'minutes; negative is early';
