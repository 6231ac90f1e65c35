/* ---
description: >
  The question as it is asked when an invoice goes out, with its answer: was it still unpaid 3 days after it was due?
  An invoice whose time was not up when the data ended has no row: of those only the early ones would have an answer.
grain: [invoice]
contract:
  columns:
    late: {null_share: 0}
--- */
WITH dated AS (
  SELECT *, timezone('UTC', issued_at)::date + CAST(terms_days AS INTEGER) + 3 AS last_day
  FROM invoices
)
SELECT
  invoice, customer, issued_at, terms_days, amount,
  timezone('UTC', last_day::timestamp) + INTERVAL 30 HOUR AS judged_at,
  coalesce(paid_on > last_day, true) AS late
FROM dated
WHERE timezone('UTC', last_day::timestamp) + INTERVAL 30 HOUR <= (SELECT max(i.issued_at) FROM invoices AS i)
