/* ---
description: An invoice was paid. The payment is a fact of its own, for it becomes known later than the invoice.
grain: [invoice]             # the columns that name a row
time: paid_at                # windows go by this instant ...
known: known_at              # ... and nothing sees the row before this one: the bank tells the next morning
--- */
SELECT
  invoice, customer, amount,
  timezone('UTC', paid_on::timestamp) AS paid_at,
  timezone('UTC', paid_on::timestamp) + INTERVAL 30 HOUR AS known_at,
  date_diff('day', timezone('UTC', issued_at), paid_on::timestamp) - terms_days AS days_late
FROM invoices
WHERE paid_on IS NOT NULL
