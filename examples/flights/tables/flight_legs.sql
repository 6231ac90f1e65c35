/* ---
description: One row a scheduled flight, with clocks turned into instants by the airports' time zones.
grain: [leg]
contract:
  columns:
    scheduled_departure: {type: timestamptz, null_share: 0}
    scheduled_arrival: {type: timestamptz, null_share: 0}    # null where a destination's zone is not declared
--- */
WITH clocks AS (
  SELECT
    f.*,
    make_timestamp(f.year, f.month, f.day, 0, 0, 0)
      + to_minutes((f.sched_dep_time // 100) * 60 + f.sched_dep_time % 100) AS departure_clock,
    make_timestamp(f.year, f.month, f.day, 0, 0, 0)
      + to_minutes((f.sched_arr_time // 100) * 60 + f.sched_arr_time % 100) AS arrival_clock,
    o.tzone AS origin_zone,
    d.tzone AS dest_zone
  FROM flights AS f
  LEFT JOIN airport_zones AS o ON o.faa = f.origin
  LEFT JOIN airport_zones AS d ON d.faa = f.dest
),
instants AS (
  SELECT
    *,
    timezone(origin_zone, departure_clock) AS scheduled_departure,
    timezone(dest_zone, arrival_clock) AS arrival_that_day,
    timezone(dest_zone, arrival_clock + INTERVAL 1 DAY) AS arrival_next_day
  FROM clocks
),
scheduled AS (
  SELECT
    *,
    CASE WHEN arrival_that_day > scheduled_departure THEN arrival_that_day ELSE arrival_next_day END AS scheduled_arrival
  FROM instants
)
SELECT
  strftime(departure_clock, '%Y%m%d-%H%M') || '-' || carrier || '-' || flight || '-' || origin AS leg,
  carrier, flight, tailnum, origin, dest, distance,
  scheduled_departure,
  scheduled_arrival,
  date_diff('minute', scheduled_departure, scheduled_arrival) AS block_minutes,
  dep_delay,
  arr_delay,
  scheduled_departure + to_minutes(dep_delay) AS departed_at,
  scheduled_arrival + to_minutes(arr_delay) AS arrived_at
FROM scheduled
