"""Leaks in what a request brings, and in the label rows themselves."""

from __future__ import annotations

from lichen.testing.leaks.shipping import BASE, LABELS, MODEL, PARCEL, REPORTS, Pair, labels, model, parcel, table

GRAIN = "/* ---\ngrain: [shipment]\n--- */\n"
LISTED = ("n.shipment IS NOT NULL AS listed", "LEFT JOIN listed AS n ON n.shipment = s.shipment")


def carriers(condition: str) -> str:
    """An outer join of the carriers by one more condition."""
    return f"LEFT JOIN carriers AS c ON c.carrier = s.carrier AND {condition}"


def listed(condition: str) -> str:
    """A table of some of the shipments."""
    return table(f"SELECT shipment FROM shipments WHERE {condition}", "grain: [shipment]")


def before(instant: str) -> str:
    """The carrier's mean delay of what was delivered before an instant."""
    return (
        "(SELECT avg(o.delay) FROM shipments AS o WHERE o.carrier = s.carrier\n"
        f"    AND o.delivered_at < {instant}) AS mean"
    )


def ungrained(relation: str) -> str:
    """The label's SELECT of a relation, without front matter."""
    return f"SELECT *, delay > 60 AS late FROM {relation} WHERE delay IS NOT NULL\n"


def through_cte(join: str) -> str:
    """The label table without a grain, of a query that joins."""
    return f"WITH met AS (SELECT s.* FROM shipments AS s {join})\n" + ungrained("met")


SHIPMENTS = "sources/shipments.yaml"
BORN = BASE[SHIPMENTS].replace("contract:", "time: booked_at\nknown: booked_at\ncontract:", 1)
EARLIER = "(SELECT avg(o.delay) FROM shipments AS o WHERE o.carrier = s.carrier AND {} < s.booked_at) AS past"

REQUESTS: tuple[Pair, ...] = (
    Pair(
        "direct_copy",
        "the request brings the delay itself",
        "lineage",
        "LCH-2523",
        "shipments.delay\n         -> labels.delay (tables/labels.sql:7)\n         -> parcel.delay "
        "(features/parcel.yaml:2)",
        {LABELS: labels("s.delay"), PARCEL: parcel("delay: double")},
        {LABELS: labels("epoch(s.promised_at - s.booked_at) AS hours"), PARCEL: parcel("hours: double")},
    ),
    Pair(
        "through_two_tables",
        "a pace is computed of the delay in one table and handed on by another",
        "lineage",
        "LCH-2523",
        "shipments.delay\n         -> pace.pace (tables/pace.sql:1)\n         -> labels.pace (tables/labels.sql:7)",
        {
            "tables/pace.sql": table("SELECT shipment, delay / weight AS pace FROM shipments"),
            LABELS: labels("p.pace", "JOIN pace AS p ON p.shipment = s.shipment"),
            PARCEL: parcel("pace: double"),
        },
        {
            "tables/pace.sql": table("SELECT shipment, ln(weight) AS pace FROM shipments"),
            LABELS: labels("p.pace", "JOIN pace AS p ON p.shipment = s.shipment"),
            PARCEL: parcel("pace: double"),
        },
    ),
    Pair(
        "label_as_code",
        "a category stands for the label",
        "lineage",
        "LCH-2523",
        "`parcel.service_code` is made of `shipments.delay`",
        {
            LABELS: labels("CASE WHEN s.delay > 60 THEN 'B7' ELSE 'A2' END AS service_code"),
            PARCEL: parcel("service_code: varchar"),
        },
        {
            LABELS: labels("CASE WHEN s.weight > 4 THEN 'B7' ELSE 'A2' END AS service_code"),
            PARCEL: parcel("service_code: varchar"),
        },
    ),
    Pair(
        "label_as_key",
        "a view is looked up by a key that is the label under another name",
        "lineage",
        "LCH-2523",
        "the key `carrier` of `carrier`",
        {
            "features/carrier.yaml": "entity: {carrier: varchar}\nfrom: carriers\nstatic: true\nlatest: [trucks]\n",
            LABELS: labels().replace("s.carrier,", "CASE WHEN s.delay > 60 THEN 'red' ELSE 'blue' END AS carrier,"),
            MODEL: model("carrier, parcel"),
        },
        {
            "features/carrier.yaml": "entity: {carrier: varchar}\nfrom: carriers\nstatic: true\nlatest: [trucks]\n",
            MODEL: model("carrier, parcel"),
        },
    ),
    Pair(
        "aggregate_without_time",
        "each carrier's mean delay over all of its shipments, joined to the label rows",
        "lineage",
        "LCH-2523",
        "over rows that nothing bounds by when they were known",
        {
            "tables/means.sql": table("SELECT carrier, avg(delay) AS mean FROM shipments GROUP BY carrier"),
            LABELS: labels("m.mean", "JOIN means AS m ON m.carrier = s.carrier"),
            PARCEL: parcel("mean: double"),
        },
        {
            "tables/means.sql": table("SELECT carrier, ln(trucks) AS mean FROM carriers"),
            LABELS: labels("m.mean", "JOIN means AS m ON m.carrier = s.carrier"),
            PARCEL: parcel("mean: double"),
        },
    ),
    Pair(
        "count_of_later_rows",
        "how many late shipments the carrier has, those after the question too",
        "lineage",
        "LCH-2523",
        "`parcel.late_ones` is decided by `shipments.delay`",
        {
            LABELS: labels(
                "(SELECT count(*) FROM shipments AS o WHERE o.carrier = s.carrier AND o.delay > 60) AS late_ones"
            ),
            PARCEL: parcel("late_ones: bigint"),
        },
        {
            LABELS: labels(
                "(SELECT count(*) FROM shipments AS o WHERE o.carrier = s.carrier AND o.delay > 60\n"
                "    AND o.delivered_at < s.booked_at) AS late_ones"
            ),
            PARCEL: parcel("late_ones: bigint"),
        },
    ),
    Pair(
        "correlated_subquery",
        "the mean delay of the carrier's other shipments, whenever they were delivered",
        "lineage",
        "LCH-2523",
        "over rows that nothing bounds by when they were known",
        {
            LABELS: labels(
                "(SELECT avg(o.delay) FROM shipments AS o WHERE o.carrier = s.carrier AND o.booked_at < "
                "s.booked_at) AS mean"
            ),
            PARCEL: parcel("mean: double"),
        },
        {
            LABELS: labels(
                "(SELECT avg(o.delay) FROM shipments AS o WHERE o.carrier = s.carrier AND o.delivered_at < s.booked_at)"
                " AS mean"
            ),
            PARCEL: parcel("mean: double"),
        },
    ),
    Pair(
        "asof_the_wrong_way",
        "the next delivery of the carrier in the place of the last",
        "lineage",
        "LCH-2523",
        "`parcel.last_delay` is made of `shipments.delay`",
        {
            LABELS: labels(
                "d.delay AS last_delay",
                "ASOF LEFT JOIN deliveries AS d ON d.carrier = s.carrier AND d.delivered_at > s.booked_at",
            ),
            PARCEL: parcel("last_delay: double"),
        },
        {
            LABELS: labels(
                "d.delay AS last_delay",
                "ASOF LEFT JOIN deliveries AS d ON d.carrier = s.carrier AND d.delivered_at < s.booked_at",
            ),
            PARCEL: parcel("last_delay: double"),
        },
    ),
    Pair(
        "asked_by_the_answer",
        "the question is put a day before the delivery, which only the delivery tells",
        "lineage",
        "LCH-2520",
        "shipments.delay",
        {
            LABELS: labels("s.promised_at + to_minutes(s.delay::int) - INTERVAL 1 DAY AS asked_at"),
            MODEL: model(at="asked_at"),
        },
        {LABELS: labels("s.promised_at - INTERVAL 1 DAY AS asked_at"), MODEL: model(at="asked_at")},
    ),
    Pair(
        "label_known_at_once",
        "the label is said to be known when it is asked for, so that no cut leaves a row out",
        "lineage",
        "LCH-2521",
        "`label.known: booked_at` is not after `label.at: booked_at`",
        {MODEL: model(known="booked_at")},
    ),
    Pair(
        "rows_multiplied",
        "a join by carrier gives each label row as often as its hub has wind",
        "lineage",
        "LCH-2522",
        "nothing says that `wind` has one row for each",
        {LABELS: labels("w.speed AS any_speed", "JOIN wind AS w ON w.hub = s.hub", front="description: no grain")},
        {LABELS: labels("c.trucks", "JOIN carriers AS c ON c.carrier = s.carrier")},
    ),
    Pair(
        "rank_of_arrival",
        "shipments are numbered in the order in which they were delivered",
        "lineage",
        "LCH-2523",
        "`parcel.place` is decided by `shipments.delivered_at`",
        {LABELS: labels("row_number() OVER (ORDER BY s.delivered_at) AS place"), PARCEL: parcel("place: bigint")},
        {LABELS: labels("row_number() OVER (ORDER BY s.booked_at) AS place"), PARCEL: parcel("place: bigint")},
    ),
    Pair(
        "two_instants_compared",
        "the label compares the delivery with its promise, and the request brings the time it took",
        "lineage",
        "LCH-2523",
        "`parcel.hours` is made of `shipments.delivered_at`",
        {
            LABELS: labels("epoch(s.delivered_at - s.booked_at) / 3600 AS hours").replace(
                "s.delay > 60 AS late", "s.delivered_at > s.promised_at + INTERVAL 1 HOUR AS late"
            ),
            PARCEL: parcel("hours: double"),
        },
        {
            LABELS: labels("epoch(s.promised_at - s.booked_at) / 3600 AS hours").replace(
                "s.delay > 60 AS late", "s.delivered_at > s.promised_at + INTERVAL 1 HOUR AS late"
            ),
            PARCEL: parcel("hours: double"),
        },
    ),
    Pair(
        "shipments_to_come",
        "how many shipments the carrier has in all, those booked after the question too",
        "lineage",
        "LCH-2531",
        "`parcel.bookings` is summed up over rows of `shipments` that come after the question",
        {LABELS: labels("count(*) OVER (PARTITION BY s.carrier) AS bookings"), PARCEL: parcel("bookings: bigint")},
        {
            LABELS: labels("count(*) OVER (PARTITION BY s.carrier ORDER BY s.booked_at) AS bookings"),
            PARCEL: parcel("bookings: bigint"),
        },
    ),
    Pair(
        "report_of_the_delivery",
        "the delivery report has the signature's length beside the answer, and the request brings it",
        "lineage",
        "LCH-2530",
        "`parcel.signature` is known later than it is asked for",
        {
            "sources/reports.yaml": REPORTS,
            LABELS: labels("r.signature", "JOIN reports AS r ON r.shipment = s.shipment").replace(
                "s.delivered_at,\n  s.delay > 60 AS late", "r.delivered_at,\n  r.minutes > 60 AS late"
            ),
            PARCEL: parcel("signature: bigint"),
        },
        {
            "sources/reports.yaml": REPORTS,
            LABELS: labels("length(s.hub) AS signature", "JOIN reports AS r ON r.shipment = s.shipment").replace(
                "s.delivered_at,\n  s.delay > 60 AS late", "r.delivered_at,\n  r.minutes > 60 AS late"
            ),
            PARCEL: parcel("signature: bigint"),
        },
    ),
    Pair(
        "met_only_where_late",
        "an outer join finds the carrier of late shipments alone: that a row is there tells",
        "lineage",
        "LCH-2523",
        "`parcel.trucks` is decided by `shipments.delay`",
        {LABELS: labels("c.trucks", carriers("s.delay > 60")), PARCEL: parcel("trucks: bigint")},
        {LABELS: labels("c.trucks", carriers("s.weight > 3")), PARCEL: parcel("trucks: bigint")},
    ),
    Pair(
        "found_among_late_ones",
        "an outer join looks each shipment up in a table of the late ones",
        "lineage",
        "LCH-2523",
        "`parcel.listed` is decided by `shipments.delay`",
        {"tables/listed.sql": listed("delay > 60"), LABELS: labels(*LISTED), PARCEL: parcel("listed: boolean")},
        {"tables/listed.sql": listed("weight > 3"), LABELS: labels(*LISTED), PARCEL: parcel("listed: boolean")},
    ),
    Pair(
        "bounded_by_the_last_question",
        "the mean delay of what was delivered before the last question of all, not before this one",
        "lineage",
        "LCH-2523",
        "over rows that nothing bounds by when they were known",
        {LABELS: labels(before("(SELECT max(booked_at) FROM shipments)")), PARCEL: parcel("mean: double")},
        {LABELS: labels(before("s.booked_at")), PARCEL: parcel("mean: double")},
    ),
    Pair(
        "summed_by_another_name",
        "each carrier's mean delay over all of its shipments, by an aggregate of another name",
        "lineage",
        "LCH-2523",
        "over rows that nothing bounds by when they were known",
        {
            "tables/means.sql": table("SELECT carrier, kahan_sum(delay) AS mean FROM shipments GROUP BY carrier"),
            LABELS: labels("m.mean", "JOIN means AS m ON m.carrier = s.carrier"),
            PARCEL: parcel("mean: double"),
        },
        {
            "tables/means.sql": table("SELECT carrier, kahan_sum(trucks) AS mean FROM carriers GROUP BY carrier"),
            LABELS: labels("m.mean", "JOIN means AS m ON m.carrier = s.carrier"),
            PARCEL: parcel("mean: double"),
        },
    ),
    Pair(
        "doubled_in_a_cte",
        "each label row is there as often as its hub has wind, doubled before the statement's own SELECT",
        "lineage",
        "LCH-2522",
        "nothing says that `wind` has one row for each",
        {LABELS: through_cte("JOIN wind AS w ON w.hub = s.hub")},
        {LABELS: GRAIN + through_cte("JOIN carriers AS c ON c.carrier = s.carrier")},
    ),
    Pair(
        "put_under_each_other",
        "the label rows stand under themselves once more",
        "lineage",
        "LCH-2522",
        "a row may stand on both sides of `UNION ALL`",
        {LABELS: ungrained("shipments") + "UNION ALL\n" + ungrained("shipments")},
        {LABELS: GRAIN + ungrained("shipments")},
    ),
    Pair(
        "columns_by_a_pattern",
        "the label row carries what COLUMNS finds by a pattern, and it finds the delay",
        "lineage",
        "LCH-2523",
        "which tells the label `late`",
        {LABELS: labels("COLUMNS('^delay$') / 60 AS parts"), PARCEL: parcel("parts: double")},
        {LABELS: labels("COLUMNS('^weight$') / 60 AS parts"), PARCEL: parcel("parts: double")},
    ),
    Pair(
        "born_before_the_label",
        "the label row carries the mean delay of what was booked before it; a booking is known before its delay is",
        "lineage",
        "LCH-2523",
        "over rows that nothing bounds by when they were known",
        {SHIPMENTS: BORN, LABELS: labels(EARLIER.format("o.booked_at")), PARCEL: parcel("past: double")},
        {SHIPMENTS: BORN, LABELS: labels(EARLIER.format("o.delivered_at")), PARCEL: parcel("past: double")},
    ),
)
