/* ---
description: The time zone of each airport; four destinations that `airports` lacks are declared here.
grain: [faa]
contract:
  columns:
    tzone: {null_share: 0}
--- */
SELECT faa, tzone
FROM airports
WHERE tzone IS NOT NULL AND faa NOT IN ('BQN', 'PSE', 'SJU', 'STT')
UNION ALL
SELECT faa, tzone
FROM (VALUES
  ('BQN', 'America/Puerto_Rico'),
  ('PSE', 'America/Puerto_Rico'),
  ('SJU', 'America/Puerto_Rico'),
  ('STT', 'America/St_Thomas')
) AS declared(faa, tzone)
