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
