/* ---
description: A flight arrived, and its arrival delay becomes a fact at that moment.
grain: [leg]
time: arrived_at
known: arrived_at
contract:
  columns:
    arr_delay: {null_share: 0}
--- */
SELECT
  leg, carrier, flight, tailnum, origin, dest, block_minutes, dep_delay, arr_delay, departed_at, arrived_at,
  arr_delay - dep_delay AS lost_in_air,
  date_diff('minute', departed_at, arrived_at) AS elapsed_minutes
FROM flight_legs
WHERE arrived_at IS NOT NULL
