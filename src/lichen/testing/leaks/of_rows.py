"""Leaks that the rows show: by when they were known, or by statistics alone."""

from __future__ import annotations

from lichen.testing.leaks.shipping import (
    LABELS,
    MODEL,
    PARCEL,
    PAST,
    PAST_VIEW,
    Pair,
    labels,
    latest_of,
    model,
    parcel,
    shipments,
    table,
)

ROWS: tuple[Pair, ...] = (
    Pair(
        "later_weather",
        "the request brings the wind at the hour of the promise, measured after the question",
        "time",
        "LCH-2529",
        "a request of `late` would bring `speed` as it was known only later",
        {
            LABELS: labels(
                "w.speed",
                "LEFT JOIN wind AS w ON w.hub = s.hub AND w.hour_at = time_bucket(INTERVAL 6 HOUR, s.promised_at)",
            ),
            PARCEL: parcel("speed: double"),
        },
        {
            LABELS: labels(
                "w.speed",
                "ASOF LEFT JOIN wind AS w ON w.hub = s.hub AND w.hour_at <= s.booked_at - INTERVAL 3 HOUR",
            ),
            PARCEL: parcel("speed: double"),
        },
    ),
    Pair(
        "rows_to_come_counted",
        "a table counts the windy hours of all time and shows the number at each of them",
        "time",
        "LCH-2528",
        "rows to `past` at",
        {
            PAST: table(
                "SELECT hub, hour_at, count(*) FILTER (WHERE speed > 12) OVER (PARTITION BY hub) AS windy FROM wind",
                "grain: [hub, hour_at]\ntime: hour_at\nknown: hour_at + INTERVAL 3 HOUR",
            ),
            PAST_VIEW: latest_of("hub: varchar", column="windy"),
            MODEL: model("past, parcel"),
        },
        {
            PAST: table(
                "SELECT hub, hour_at, count(*) FILTER (WHERE speed > 12) OVER (PARTITION BY hub ORDER BY hour_at) "
                "AS windy\n"
                "FROM wind",
                "grain: [hub, hour_at]\ntime: hour_at\nknown: hour_at + INTERVAL 3 HOUR",
            ),
            PAST_VIEW: latest_of("hub: varchar", column="windy"),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "scaled_by_all_rows",
        "the wind is scaled by its mean and spread over all time",
        "time",
        "LCH-2528",
        "rows to `past` at",
        {
            PAST: table(
                "SELECT hub, hour_at, (speed - (SELECT avg(a.speed) FROM wind AS a)) AS scaled FROM wind",
                "grain: [hub, hour_at]\ntime: hour_at\nknown: hour_at + INTERVAL 3 HOUR",
            ),
            PAST_VIEW: latest_of("hub: varchar", column="scaled"),
            MODEL: model("past, parcel"),
        },
        {
            PAST: table(
                "SELECT hub, hour_at, (speed - 9.5) AS scaled FROM wind",
                "grain: [hub, hour_at]\ntime: hour_at\nknown: hour_at + INTERVAL 3 HOUR",
            ),
            PAST_VIEW: latest_of("hub: varchar", column="scaled"),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "carried_back",
        "a gap in the wind is filled with the next measurement",
        "time",
        "LCH-2528",
        "rows to `past` at",
        {
            PAST: table(
                "SELECT hub, hour_at, lead(speed) OVER (PARTITION BY hub ORDER BY hour_at) AS speed FROM wind",
                "grain: [hub, hour_at]\ntime: hour_at\nknown: hour_at + INTERVAL 3 HOUR",
            ),
            PAST_VIEW: latest_of("hub: varchar", column="speed"),
            MODEL: model("past, parcel"),
        },
        {
            PAST: table(
                "SELECT hub, hour_at, lag(speed) OVER (PARTITION BY hub ORDER BY hour_at) AS speed FROM wind",
                "grain: [hub, hour_at]\ntime: hour_at\nknown: hour_at + INTERVAL 3 HOUR",
            ),
            PAST_VIEW: latest_of("hub: varchar", column="speed"),
            MODEL: model("past, parcel"),
        },
    ),
    Pair(
        "number_given_at_delivery",
        "the case number is given when a shipment is delivered, so that it grows with the delay",
        "statistics",
        "order",
        "`case_number` grows with `delivered_at` in 100.0% of its steps",
        {
            "data/shipments.csv": shipments(cases=True),
            LABELS: labels("s.case_number"),
            PARCEL: parcel("case_number: bigint"),
        },
        {LABELS: labels("s.case_number"), PARCEL: parcel("case_number: bigint")},
    ),
    Pair(
        "missing_where_late",
        "many late shipments were never scanned, and all others were: a missing scanner tells them",
        "statistics",
        "missing",
        "where `parcel.scanner` is missing the label is true in 100.0% of",
        {
            "data/shipments.csv": shipments(scanner=True),
            LABELS: labels("s.scanner"),
            PARCEL: parcel("scanner: varchar"),
        },
        {LABELS: labels("s.scanner"), PARCEL: parcel("scanner: varchar")},
    ),
    Pair(
        "proxy_of_the_label",
        "a refund is paid for late shipments, and stands in the row from the beginning",
        "statistics",
        "alone",
        "`parcel.refund` alone tells the label: ROC AUC",
        {LABELS: labels("s.refund"), PARCEL: parcel("refund: double")},
    ),
    Pair(
        "rows_across_the_cut",
        "a fifth of the shipments came in twice, two months apart, under another number",
        "statistics",
        "repeated",
        "test rows stand among the training rows, equal in carrier, weight",
        {"data/shipments.csv": shipments(rebooked=0.2)},
    ),
)
