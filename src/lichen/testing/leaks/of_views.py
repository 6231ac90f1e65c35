"""Leaks in feature views over tables."""

from __future__ import annotations

from lichen.testing.leaks.shipping import (
    BASE,
    DELIVERIES,
    HISTORY,
    MODEL,
    PARCEL,
    PAST,
    PAST_VIEW,
    ROUTE,
    Pair,
    latest_of,
    model,
    parcel,
    table,
)

DELIVERED = BASE[DELIVERIES]


def history(known: str) -> str:
    """The view of a carrier's deliveries, with another `known`."""
    return (
        f"entity: {{carrier: varchar}}\nfrom: deliveries\ntime: delivered_at\nknown: {known}\n"
        "aggregates: {delay: avg(delay)}\nwindows: [14d]\n"
    )


def twice(other: str) -> str:
    """The deliveries, each with the instant of the shipment of this number."""
    return table(
        "SELECT a.shipment, a.carrier, a.hub, a.delay, b.delivered_at\n"
        f"FROM shipments AS a JOIN shipments AS b ON b.shipment = {other}\nWHERE a.delivered_at IS NOT NULL",
        "grain: [shipment]\ntime: delivered_at\nknown: delivered_at",
    )


def so_far(order: str) -> str:
    """The mean delay of each carrier's deliveries up to one, in an order."""
    return table(
        "SELECT shipment, carrier, delivered_at,\n"
        f"  avg(delay) OVER (PARTITION BY carrier ORDER BY {order}) AS delay\nFROM deliveries",
        "time: delivered_at\nknown: delivered_at",
    )


def lagged(by: int) -> str:
    """The delay of each carrier's delivery so many before one."""
    return table(
        "SELECT shipment, carrier, delivered_at,\n"
        f"  lag(delay, {by}) OVER w AS delay\nFROM deliveries\n"
        "WINDOW w AS (PARTITION BY carrier ORDER BY delivered_at)",
        "time: delivered_at\nknown: delivered_at",
    )


def typical(bound: str = "", shown: str = "avg(d.delay)") -> str:
    """What a carrier's deliveries are like, beside each booking; `bound` is a condition more on them."""
    return table(
        "SELECT s.shipment, s.booked_at,\n"
        f"  (SELECT {shown} FROM deliveries AS d WHERE d.carrier = s.carrier{bound}) AS delay\n"
        "FROM shipments AS s",
        "grain: [shipment]\ntime: booked_at\nknown: booked_at",
    )


def arrived(condition: str) -> str:
    """The bookings with whether they were delivered, known at the delivery or else at the booking."""
    return table(
        "SELECT shipment, carrier, (delivered_at IS NOT NULL)::INT AS delay,\n"
        f"  coalesce(delivered_at, booked_at) AS seen_at\nFROM shipments WHERE {condition}",
        "time: seen_at\nknown: seen_at",
    )


VIEWS: tuple[Pair, ...] = (
    Pair(
        "target_encoding",
        "the share of late shipments of each hub over all rows, as a static view",
        "lineage",
        "LCH-2524",
        "shipments.delay\n         -> hubs.late_share (tables/hubs.sql:1)\n         -> hub.late_share "
        "(features/hub.yaml:4)",
        {
            "tables/hubs.sql": table("SELECT hub, avg((delay > 60)::int) AS late_share FROM shipments GROUP BY hub"),
            ROUTE: "entity: {hub: varchar}\nfrom: hubs\nstatic: true\nlatest: [late_share]\n",
            MODEL: model("hub, parcel"),
        },
        {
            ROUTE: "entity: {hub: varchar}\nfrom: deliveries\naggregates: {late_share: avg((delay > 60)::int)}\n"
            "windows: [all]\n",
            MODEL: model("hub, parcel"),
        },
    ),
    Pair(
        "late_ones_counted",
        "a static count of each carrier's late shipments: the delay decides what is counted and is in no value",
        "lineage",
        "LCH-2524",
        "shipments.delay",
        {
            "tables/counted.sql": table(
                "SELECT carrier, count(*) FILTER (WHERE delay > 60) AS late_ones FROM shipments GROUP BY carrier"
            ),
            PAST_VIEW: latest_of(source="counted", column="late_ones", more="static: true\n"),
            MODEL: model("past, parcel"),
        },
        {
            "tables/counted.sql": table(
                "SELECT carrier, count(*) FILTER (WHERE weight > 5) AS late_ones FROM shipments GROUP BY carrier"
            ),
            PAST_VIEW: latest_of(source="counted", column="late_ones", more="static: true\n"),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "through_a_union",
        "old and new shipments are put together again and taken as known always",
        "lineage",
        "LCH-2524",
        "shipments.delay\n         -> past.delay (tables/past.sql:",
        {
            PAST: table(
                "SELECT shipment, carrier, delay FROM shipments WHERE weight > 3\nUNION ALL\n"
                "SELECT shipment, carrier, delay FROM shipments WHERE weight <= 3"
            ),
            PAST_VIEW: latest_of(more="static: true\n"),
            MODEL: model("past, parcel"),
        },
        {
            PAST: table(
                "SELECT shipment, carrier, delay, delivered_at FROM shipments WHERE weight > 3\nUNION ALL\n"
                "SELECT shipment, carrier, delay, delivered_at FROM shipments WHERE weight <= 3",
                "grain: [shipment]\ntime: delivered_at\nknown: delivered_at",
            ),
            PAST_VIEW: latest_of(),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "known_too_early",
        "deliveries are said to be known when they were booked",
        "lineage",
        "LCH-2525",
        "`known: booked_at` is not when that became known",
        {
            DELIVERIES: table(
                "SELECT shipment, carrier, hub, delay, booked_at FROM shipments WHERE delivered_at IS NOT NULL",
                "grain: [shipment]\ntime: booked_at\nknown: booked_at",
            )
        },
    ),
    Pair(
        "known_hours_before",
        "deliveries are said to be known half a day before they happened",
        "lineage",
        "LCH-2525",
        "`known: delivered_at - INTERVAL 12 HOUR` is not when that became known",
        {
            HISTORY: "entity: {carrier: varchar}\nfrom: deliveries\ntime: delivered_at\n"
            "known: delivered_at - INTERVAL 12 HOUR\naggregates: {delay: avg(delay)}\nwindows: [14d]\n"
        },
        {
            HISTORY: "entity: {carrier: varchar}\nfrom: deliveries\ntime: delivered_at\n"
            "known: delivered_at + INTERVAL 12 HOUR\naggregates: {delay: avg(delay)}\nwindows: [14d]\n"
        },
    ),
    Pair(
        "of_everybody",
        "a view without an entity sees every delivery from its promise on",
        "lineage",
        "LCH-2525",
        "`known: promised_at` is not when that became known",
        {
            "features/all.yaml": "entity: {}\nfrom: promised\naggregates: {delay: avg(delay)}\nwindows: [7d]\n",
            "tables/promised.sql": table(
                "SELECT shipment, delay, promised_at FROM shipments", "time: promised_at\nknown: promised_at"
            ),
            MODEL: model("all, parcel"),
        },
        {
            "features/all.yaml": "entity: {}\nfrom: deliveries\naggregates: {delay: avg(delay)}\nwindows: [7d]\n",
            MODEL: model("all, parcel"),
        },
    ),
    Pair(
        "day_not_over",
        "a day's mean delay is said to be known at the beginning of that day",
        "lineage",
        "LCH-2525",
        "`known: day` is not when that became known",
        {
            PAST: table(
                "SELECT carrier, date_trunc('day', delivered_at) AS day, avg(delay) AS delay FROM deliveries GROUP "
                "BY 1, 2",
                "grain: [carrier, day]\ntime: day\nknown: day",
            ),
            PAST_VIEW: latest_of(),
            MODEL: model("past, parcel"),
        },
        {
            PAST: table(
                "SELECT carrier, date_trunc('day', delivered_at) AS day, avg(delay) AS delay FROM deliveries GROUP "
                "BY 1, 2",
                "grain: [carrier, day]\ntime: day\nknown: day + INTERVAL 1 DAY",
            ),
            PAST_VIEW: latest_of(),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "window_without_frame",
        "each delivery carries its carrier's mean over all deliveries, later ones too",
        "lineage",
        "LCH-2526",
        "shipments.delay\n         -> deliveries.delay (tables/deliveries.sql:6)\n         -> past.delay "
        "(tables/past.sql:6)",
        {
            PAST: table(
                "SELECT shipment, carrier, delivered_at,\n  avg(delay) OVER (PARTITION BY carrier) AS delay\nFROM "
                "deliveries",
                "time: delivered_at\nknown: delivered_at",
            ),
            PAST_VIEW: latest_of(),
            MODEL: model("past, parcel"),
        },
        {
            PAST: table(
                "SELECT shipment, carrier, delivered_at,\n  avg(delay) OVER (PARTITION BY carrier ORDER BY "
                "delivered_at "
                "ROWS BETWEEN 20 PRECEDING AND CURRENT ROW) AS delay\nFROM deliveries",
                "time: delivered_at\nknown: delivered_at",
            ),
            PAST_VIEW: latest_of(),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "mean_joined_back",
        "the mean over all deliveries of a carrier is joined to each of them, and has its known-time",
        "lineage",
        "LCH-2526",
        "-> past.delay (tables/past.sql:",
        {
            PAST: table(
                "WITH means AS (SELECT carrier, avg(delay) AS delay FROM deliveries GROUP BY carrier)\n"
                "SELECT d.shipment, d.carrier, d.delivered_at, m.delay\nFROM deliveries AS d JOIN means AS m USING "
                "(carrier)",
                "time: delivered_at\nknown: delivered_at",
            ),
            PAST_VIEW: latest_of(),
            MODEL: model("past, parcel"),
        },
        {
            PAST: table(
                "SELECT carrier, avg(delay) AS delay, max(delivered_at) AS last_at\n"
                "FROM deliveries GROUP BY carrier, date_trunc('week', delivered_at)",
                "time: last_at\nknown: last_at",
            ),
            PAST_VIEW: latest_of(),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "excluded_and_read_again",
        "a static feature is excluded, and an expression of the request reads it",
        "lineage",
        "LCH-2524",
        "the static feature `past.delay`",
        {
            PAST: table("SELECT carrier, max(delay) AS delay FROM shipments GROUP BY carrier"),
            PAST_VIEW: latest_of(more="static: true\n"),
            PARCEL: parcel(expressions="hint: past.delay / 10"),
            MODEL: model("past, parcel") + "exclude: [past.delay]\n",
        },
        {
            PAST: table("SELECT carrier, max(weight) AS delay FROM shipments GROUP BY carrier"),
            PAST_VIEW: latest_of(more="static: true\n"),
            PARCEL: parcel(expressions="hint: past.delay / 10"),
            MODEL: model("past, parcel") + "exclude: [past.delay]\n",
        },
    ),
    Pair(
        "declared_before_its_input",
        "a view of the wind is known at the hour, and its source three hours later",
        "lineage",
        "LCH-2527",
        "wind (known: hour_at + INTERVAL 3 HOUR)\n         -> hub_wind (known: hour_at; features/hub_wind.yaml:4)",
        {
            "features/hub_wind.yaml": "entity: {hub: varchar}\nfrom: wind\ntime: hour_at\nknown: hour_at\nlatest: "
            "[speed]\n",
            MODEL: model("hub_wind, parcel"),
        },
        {
            "features/hub_wind.yaml": "entity: {hub: varchar}\nfrom: wind\nlatest: [speed]\n",
            MODEL: model("hub_wind, parcel"),
        },
    ),
    Pair(
        "only_late_rows",
        "the weights of late shipments alone, known when they were booked: that a row is there tells",
        "lineage",
        "LCH-2525",
        "-> late_ones.* (tables/late_ones.sql)",
        {
            "tables/late_ones.sql": table(
                "SELECT shipment, carrier, weight, booked_at FROM shipments WHERE delay > 60",
                "grain: [shipment]\ntime: booked_at\nknown: booked_at",
            ),
            PAST_VIEW: "entity: {carrier: varchar}\nfrom: late_ones\naggregates: {n: count(*)}\nwindows: [7d]\n",
            MODEL: model("past, parcel"),
        },
        {
            "tables/late_ones.sql": table(
                "SELECT shipment, carrier, weight, delivered_at FROM shipments WHERE delay > 60",
                "grain: [shipment]\ntime: delivered_at\nknown: delivered_at",
            ),
            PAST_VIEW: "entity: {carrier: varchar}\nfrom: late_ones\naggregates: {n: count(*)}\nwindows: [7d]\n",
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "known_before_the_delay",
        "deliveries are said to be known when they were promised: the delay is taken off the instant again",
        "lineage",
        "LCH-2525",
        "cannot be read, and it may be earlier",
        {HISTORY: history("delivered_at - to_minutes(delay::int)")},
        {HISTORY: history("delivered_at + INTERVAL '1 day 1 hour'")},
    ),
    Pair(
        "known_by_the_lesser",
        "deliveries are said to be known at the lesser of two instants, which is the booking's",
        "lineage",
        "LCH-2525",
        "`known: least(delivered_at, promised_at)` is not when that became known",
        {
            DELIVERIES: DELIVERED.replace("delivered_at FROM", "delivered_at, promised_at FROM").replace(
                "known: delivered_at", "known: least(delivered_at, promised_at)"
            )
        },
        {
            DELIVERIES: DELIVERED.replace("delivered_at FROM", "delivered_at, promised_at FROM").replace(
                "known: delivered_at", "known: greatest(delivered_at, promised_at)"
            )
        },
    ),
    Pair(
        "known_by_another_row",
        "a delivery is said to be known with the delivery of the shipment fifty before it",
        "lineage",
        "LCH-2525",
        "it is the instant of another row",
        {DELIVERIES: twice("a.shipment - 50")},
        {DELIVERIES: twice("a.shipment")},
    ),
    Pair(
        "window_by_the_hour_of_day",
        "each delivery carries a mean in the order of the hour of the day, not of the deliveries",
        "lineage",
        "LCH-2526",
        "-> past.delay (tables/past.sql:",
        {PAST: so_far("hour(delivered_at)"), PAST_VIEW: latest_of(), MODEL: model("past, parcel")},
        {PAST: so_far("delivered_at"), PAST_VIEW: latest_of(), MODEL: model("past, parcel")},
    ),
    Pair(
        "lag_that_looks_ahead",
        "each delivery carries the delay of the delivery after the next: a lag by a negative number",
        "lineage",
        "LCH-2526",
        "-> past.delay (tables/past.sql:",
        {PAST: lagged(-2), PAST_VIEW: latest_of(), MODEL: model("past, parcel")},
        {PAST: lagged(2), PAST_VIEW: latest_of(), MODEL: model("past, parcel")},
    ),
    Pair(
        "count_by_the_own_delay",
        "each booking counts its carrier's earlier deliveries, but only where it comes late itself",
        "lineage",
        "LCH-2525",
        "`known: booked_at` is not when that became known",
        {
            PAST: typical(" AND d.delivered_at < s.booked_at AND s.delay > 60", "count(*)"),
            PAST_VIEW: latest_of("shipment: bigint"),
            PARCEL: parcel("shipment: bigint"),
            MODEL: model("past, parcel"),
        },
        {
            PAST: typical(" AND d.delivered_at < s.booked_at AND d.delay > 60", "count(*)"),
            PAST_VIEW: latest_of("shipment: bigint"),
            PARCEL: parcel("shipment: bigint"),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "mean_beside_the_booking",
        "each booking carries its carrier's mean delay by a correlated subquery over all deliveries",
        "lineage",
        "LCH-2525",
        "`known: booked_at` is not when that became known",
        {
            PAST: typical(),
            PAST_VIEW: latest_of("shipment: bigint"),
            PARCEL: parcel("shipment: bigint"),
            MODEL: model("past, parcel"),
        },
        {
            PAST: typical(" AND d.delivered_at < s.booked_at"),
            PAST_VIEW: latest_of("shipment: bigint"),
            PARCEL: parcel("shipment: bigint"),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "known_by_what_stands_in",
        "each booking is known at its delivery, or at once where there is none: that it is there tells",
        "lineage",
        "LCH-2525",
        "where that is null another instant stands in for it",
        {PAST: arrived("true"), PAST_VIEW: latest_of(), MODEL: model("past, parcel")},
        {PAST: arrived("delivered_at IS NOT NULL"), PAST_VIEW: latest_of(), MODEL: model("past, parcel")},
    ),
)
