/* ---
description: What the timetable says, cancelled flights included; it was published months before.
grain: [leg]
time: scheduled_departure
known: scheduled_departure        # far too careful: what counts is that nothing here tells how a flight went
--- */
SELECT leg, carrier, origin, dest, scheduled_departure
FROM flight_legs
