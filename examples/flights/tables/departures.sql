/* ---
description: A flight left, and its departure delay becomes a fact at that moment.
grain: [leg]
time: departed_at
known: departed_at
contract:
  columns:
    dep_delay: {null_share: 0}
--- */
SELECT leg, carrier, flight, tailnum, origin, dest, scheduled_departure, scheduled_arrival, block_minutes, dep_delay, departed_at
FROM flight_legs
WHERE departed_at IS NOT NULL
