-- The job frame: locks, records.
-- name: job_lock
-- args: job_id int4
-- cols: taken bool
-- rows: one
SELECT pg_try_advisory_lock(8800, $1);

-- name: job_start
-- args: job text, host text, pid int4
-- cols: id int8, now_ms int8
-- rows: one
INSERT INTO job_run (job, host, pid) VALUES ($1, $2, $3) RETURNING id, kade_now_ms();

-- name: job_beat
-- args: id int8, selected int8, done int8, failed int8, skipped int8, bytes int8
-- cols: none
UPDATE job_run SET heartbeat_ms = kade_now_ms(), selected = $2, done = $3, failed = $4, skipped = $5, bytes = $6 WHERE id = $1;

-- name: job_end
-- args: id int8, exit_code int4, selected int8, done int8, failed int8, skipped int8, bytes int8, backlog int8?, oldest_due_ms int8?, message text?
-- cols: none
UPDATE job_run SET ended_ms = kade_now_ms(), heartbeat_ms = kade_now_ms(), exit_code = $2, selected = $3, done = $4, failed = $5, skipped = $6, bytes = $7,
  backlog = $8, oldest_due_ms = $9, message = $10 WHERE id = $1;

-- Keeps the last thousand records of a job.
-- name: job_trim
-- args: job text
-- cols: none
DELETE FROM job_run WHERE job = $1 AND id < COALESCE((SELECT id FROM job_run WHERE job = $1 ORDER BY started_ms DESC OFFSET 1000 LIMIT 1), 0);

-- name: job_last
-- args: job text
-- cols: host text, pid int4, started_ms int8, heartbeat_ms int8, ended_ms int8?, exit_code int4?, selected int8, done int8, failed int8, skipped int8, bytes int8, backlog int8?, oldest_due_ms int8?, message text?
-- rows: at most one
SELECT host, pid, started_ms, heartbeat_ms, ended_ms, exit_code, selected, done, failed, skipped, bytes, backlog, oldest_due_ms, message
FROM job_run WHERE job = $1 ORDER BY started_ms DESC LIMIT 1;

-- name: job_status_all
-- args: none
-- cols: job text, started_ms int8, ended_ms int8?, exit_code int4?, backlog int8?, oldest_due_ms int8?, now_ms int8
-- rows: any
SELECT DISTINCT ON (job) job, started_ms, ended_ms, exit_code, backlog, oldest_due_ms, kade_now_ms() FROM job_run ORDER BY job, started_ms DESC;

-- name: clock
-- args: none
-- cols: now_ms int8
-- rows: one
SELECT kade_now_ms();

-- What the frame compares before it works: the clock, the schema, the owner of the storage.
-- name: job_guard
-- args: none
-- cols: now_ms int8, version int4?, min_app_version int4?, uuid text?, epoch int8?, deletion_paused bool?
-- rows: one
SELECT kade_now_ms(), s.version, s.min_app_version, i.uuid, i.epoch, i.deletion_paused
FROM (SELECT max(version) AS version, max(min_app_version) AS min_app_version FROM schema_migration) s LEFT JOIN instance i ON true;

-- A run that is over when it is written: nothing was due, or a part of a job that is due once a day.
-- name: job_done
-- args: job text, host text, pid int4, selected int8, done int8, failed int8, skipped int8, bytes int8
-- cols: id int8
-- rows: one
INSERT INTO job_run (job, host, pid, ended_ms, exit_code, selected, done, failed, skipped, bytes, backlog)
VALUES ($1, $2, $3, kade_now_ms(), CASE WHEN $6 > 0 THEN 1 ELSE 0 END, $4, $5, $6, $7, $8, 0) RETURNING id;

-- name: job_last_end
-- args: job text
-- cols: ended_ms int8
-- rows: at most one
SELECT ended_ms FROM job_run WHERE job = $1 AND exit_code IN (0, 1) ORDER BY started_ms DESC LIMIT 1;

-- Every job that ever ran: its last run, and when it last ended well. The recursion steps from name to name in the index.
-- name: job_overview
-- args: none
-- cols: job text, host text, pid int4, started_ms int8, heartbeat_ms int8, ended_ms int8?, exit_code int4?, selected int8, done int8, failed int8, skipped int8, bytes int8, backlog int8?, oldest_due_ms int8?, message text?, last_success_ms int8?, now_ms int8
-- rows: any
WITH RECURSIVE j(job) AS (
  (SELECT job FROM job_run ORDER BY job LIMIT 1)
  UNION ALL
  SELECT (SELECT r.job FROM job_run r WHERE r.job > j.job ORDER BY r.job LIMIT 1) FROM j WHERE j.job IS NOT NULL)
SELECT j.job, r.host, r.pid, r.started_ms, r.heartbeat_ms, r.ended_ms, r.exit_code, r.selected, r.done, r.failed, r.skipped, r.bytes,
  r.backlog, r.oldest_due_ms, r.message,
  (SELECT g.ended_ms FROM job_run g WHERE g.job = j.job AND g.exit_code = 0 ORDER BY g.started_ms DESC LIMIT 1), kade_now_ms()
FROM j, LATERAL (SELECT * FROM job_run x WHERE x.job = j.job ORDER BY x.started_ms DESC LIMIT 1) r ORDER BY j.job;

-- kade-tokens. $1: how long an expired app token stays (NULL: for ever); $2: the life of an invitation.
-- name: token_due
-- args: keep_ms int8?, invite_ms int8
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT count(*), min(x.due_ms) FROM (
  (SELECT expires_ms + $1 AS due_ms FROM token WHERE kind = 1 AND expires_ms < kade_now_ms() - $1 ORDER BY expires_ms LIMIT 10000)
  UNION ALL
  (SELECT expires_ms FROM oauth_code WHERE expires_ms < kade_now_ms() ORDER BY expires_ms LIMIT 10000)
  UNION ALL
  (SELECT expires_ms FROM account_code WHERE expires_ms < kade_now_ms() ORDER BY expires_ms LIMIT 10000)
  UNION ALL
  (SELECT created_ms + $2 FROM team_invite WHERE created_ms < kade_now_ms() - $2 ORDER BY created_ms LIMIT 10000)) x;

-- name: app_token_remove_expired
-- args: keep_ms int8, max_items int8
-- cols: none
DELETE FROM token WHERE id = ANY(ARRAY(
  SELECT id FROM token WHERE kind = 1 AND expires_ms < kade_now_ms() - $1 ORDER BY expires_ms LIMIT $2 FOR UPDATE SKIP LOCKED));

-- name: app_token_expired
-- args: keep_ms int8, max_items int8
-- cols: uuid text, title text?, expires_ms int8
-- rows: any
SELECT uuid, title, expires_ms FROM token WHERE kind = 1 AND expires_ms < kade_now_ms() - $1 ORDER BY expires_ms LIMIT $2;

-- name: oauth_code_remove_expired
-- args: max_items int8
-- cols: none
DELETE FROM oauth_code WHERE id = ANY(ARRAY(
  SELECT id FROM oauth_code WHERE expires_ms < kade_now_ms() ORDER BY expires_ms LIMIT $1 FOR UPDATE SKIP LOCKED));

-- name: account_code_remove_expired
-- args: max_items int8
-- cols: none
DELETE FROM account_code WHERE id = ANY(ARRAY(
  SELECT id FROM account_code WHERE expires_ms < kade_now_ms() ORDER BY expires_ms LIMIT $1 FOR UPDATE SKIP LOCKED));

-- kade-keys. A handful of rows: no index by time.
-- name: service_key_remove_stale
-- args: expired_for_ms int8, unapproved_for_ms int8
-- cols: none
DELETE FROM service_key WHERE expires_ms < kade_now_ms() - $1 OR (approved_ms IS NULL AND created_ms < kade_now_ms() - $2);

-- kade-uploads: rows first. A writer that holds the lease keeps its upload.
-- name: upload_take_stale
-- args: older_than_ms int8, max_items int8
-- cols: uuid text, location text, offset_bytes int8, hash_state text, store_state text
-- rows: any
WITH u AS (DELETE FROM upload WHERE id = ANY(ARRAY(
    SELECT id FROM upload WHERE created_ms < kade_now_ms() - $1 AND (lease_until_ms IS NULL OR lease_until_ms <= kade_now_ms())
    ORDER BY created_ms LIMIT $2 FOR UPDATE SKIP LOCKED))
  AND (lease_until_ms IS NULL OR lease_until_ms <= kade_now_ms())
  RETURNING id, uuid, location_id, offset_bytes, hash_state, store_state)
SELECT u.uuid, l.name, u.offset_bytes, u.hash_state, u.store_state FROM u JOIN location l ON l.id = u.location_id;

-- Stale uploads, and the sweep of upload objects as one more item when the last one ended more than $2 ago (NULL: no sweep).
-- name: upload_due
-- args: older_than_ms int8, sweep_every_ms int8?, sweep_job text
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT count(*), min(x.due_ms) FROM (
  (SELECT created_ms + $1 AS due_ms FROM upload
   WHERE created_ms < kade_now_ms() - $1 AND (lease_until_ms IS NULL OR lease_until_ms <= kade_now_ms()) ORDER BY created_ms LIMIT 10000)
  UNION ALL
  SELECT COALESCE(r.ended_ms + $2, kade_now_ms())
  FROM (VALUES (1)) one LEFT JOIN LATERAL (SELECT ended_ms FROM job_run WHERE job = $3 AND exit_code IN (0, 1) ORDER BY started_ms DESC LIMIT 1) r ON true
  WHERE $2 IS NOT NULL AND COALESCE(r.ended_ms < kade_now_ms() - $2, true)) x;

-- Which of these uploads have a row.
-- name: upload_known
-- args: uuids text[]
-- cols: uuid text
-- rows: any
SELECT uuid FROM upload WHERE uuid = ANY($1);

-- kade-audit: months without a partition, rows that wait for one, pulls that wait to be filed.
-- name: audit_due
-- args: none
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT o.n + i.n + p.n, LEAST(o.oldest, i.oldest, p.oldest)
FROM (SELECT count(*) AS n, min(at_ms) AS oldest FROM (SELECT at_ms FROM audit_overflow ORDER BY at_ms LIMIT 10000) x) o,
  (SELECT count(*) AS n, min(at_ms) AS oldest FROM (SELECT at_ms FROM audit_inbox LIMIT 100000) x) i,
  (SELECT count(*) AS n, CASE WHEN count(*) > 0 THEN kade_now_ms() END AS oldest FROM generate_series(0, 3) m
   WHERE to_regclass('audit_log_' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => m), 'YYYYMM')) IS NULL) p;

-- kade-actioncount: days that are due, and days whose scores are not done.
-- name: action_due
-- args: none
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT COALESCE((now() AT TIME ZONE 'UTC')::date - d.day, 0)::int8 + CASE WHEN u.day IS NULL THEN 0 ELSE 1 END, COALESCE(kade_day_ms(d.day + 1), kade_day_ms(u.day + 1))
FROM (SELECT kade_day_due() AS day) d LEFT JOIN (SELECT a.day FROM audit_day a WHERE a.scored_upto IS NOT NULL ORDER BY a.day LIMIT 1) u ON true;

-- Counts one day. No row: none is due.
-- name: action_count_day
-- args: none
-- cols: day_ms int8, repositories int8
-- rows: at most one
WITH d AS MATERIALIZED (SELECT x.day, kade_day_ms(x.day) AS from_ms, kade_day_ms(x.day + 1) AS to_ms FROM (SELECT kade_day_due() AS day) x WHERE x.day IS NOT NULL),
a AS (INSERT INTO audit_day (day) SELECT d.day FROM d),
l AS MATERIALIZED (SELECT l.repository_id, l.kind, count(*) AS n FROM d, audit_log l WHERE l.at_ms >= d.from_ms AND l.at_ms < d.to_ms GROUP BY 1, 2),
k AS (INSERT INTO audit_count (day, kind, n) SELECT d.day, l.kind, sum(l.n)::int8 FROM d, l GROUP BY 1, 2),
r AS (
  INSERT INTO repository_action (repository_id, day, actions)
  SELECT l.repository_id, d.day, sum(l.n)::int8 FROM d, l JOIN repository q ON q.id = l.repository_id GROUP BY 1, 2 ORDER BY 1
  ON CONFLICT (repository_id, day) DO UPDATE SET actions = EXCLUDED.actions RETURNING 1)
SELECT d.from_ms, (SELECT count(*) FROM r) FROM d;

-- Scores of at most $1 repositories: those for which a day's count came, or went from one of the score's windows (a day, a week,
-- a month, half a year) to the next. All others keep theirs. No row: nothing is left.
-- name: action_score
-- args: max_items int4
-- cols: scored int8
-- rows: at most one
WITH d AS MATERIALIZED (SELECT a.day, a.scored_upto FROM audit_day a WHERE a.scored_upto IS NOT NULL ORDER BY a.day LIMIT 1),
w AS MATERIALIZED (
  SELECT DISTINCT x.repository_id FROM d CROSS JOIN (VALUES (0), (1), (7), (31), (183)) g(days) CROSS JOIN LATERAL (
    SELECT a.repository_id FROM repository_action a WHERE a.day = d.day - g.days AND a.repository_id > d.scored_upto ORDER BY a.repository_id LIMIT $1) x
  ORDER BY 1 LIMIT $1),
s AS (
  SELECT w.repository_id, (100 * COALESCE(sum(a.actions * CASE WHEN d.day - a.day < 1 THEN 0.010870 WHEN d.day - a.day < 7 THEN 0.062815 / 6
    WHEN d.day - a.day < 31 THEN 0.21604 / 24 ELSE 0.71028 / 152 END), 0))::int8 AS score
  FROM d CROSS JOIN w LEFT JOIN repository_action a ON a.repository_id = w.repository_id AND a.day > d.day - 183 AND a.day <= d.day GROUP BY 1),
u AS (UPDATE repository r SET search_score = s.score FROM s WHERE r.id = s.repository_id AND r.search_score <> s.score),
m AS (
  UPDATE audit_day a SET scored_upto = CASE WHEN (SELECT count(*) FROM w) = $1 THEN (SELECT max(w.repository_id) FROM w) END FROM d
  WHERE a.day = d.day RETURNING 1)
SELECT (SELECT count(*) FROM w) FROM m;
