/* ---
description: >
  The question as it is asked, one hour before each scheduled departure, with its answer. Cancelled and diverted
  flights have no answer and no row: their tail number is often missing, which would give them away.
grain: [leg]
contract:
  columns:
    late: {null_share: 0}
--- */
SELECT
  leg, carrier, flight, tailnum, origin, dest, distance, scheduled_departure, scheduled_arrival,
  scheduled_departure - INTERVAL 1 HOUR AS predicted_at,
  arrived_at,
  arr_delay > 15 AS late
FROM flight_legs
WHERE arr_delay IS NOT NULL
