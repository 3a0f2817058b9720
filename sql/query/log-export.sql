-- Exports of the audit log: requests are items of a queue, files are removed by items of another.

-- Puts a request in the queue; no row when 20 of the namespace wait already.
-- name: log_export_add
-- args: name text, body text
-- cols: id int8
-- rows: at most one
INSERT INTO queue_item (queue, name, body, retries_remaining)
SELECT 'exportactionlogs', $1, $2, 3 WHERE (SELECT count(*) FROM (SELECT 1 FROM queue_item q WHERE q.queue = 'exportactionlogs' AND q.name = $1 AND q.retries_remaining > 0 LIMIT 20) x) < 20
RETURNING id;

-- name: log_export_due
-- args: none
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT count(*), min(x.available_after_ms) FROM (
  (SELECT q.available_after_ms FROM queue_item q WHERE q.queue = 'exportactionlogs' AND q.available_after_ms <= kade_now_ms() AND q.retries_remaining > 0
    ORDER BY q.available_after_ms LIMIT 1000)
  UNION ALL
  (SELECT q.available_after_ms FROM queue_item q WHERE q.queue = 'exportedlogs' AND q.available_after_ms <= kade_now_ms() AND q.retries_remaining > 0
    ORDER BY q.available_after_ms LIMIT 1000)) x;

-- Takes the oldest due item of a queue, for $2 ms.
-- name: log_export_take
-- args: queue text, lease_ms int8
-- cols: id int8, body text, retries int4
-- rows: at most one
UPDATE queue_item q SET available_after_ms = kade_now_ms() + $2, retries_remaining = q.retries_remaining - 1
WHERE q.id = (SELECT x.id FROM queue_item x WHERE x.queue = $1 AND x.available_after_ms <= kade_now_ms() AND x.retries_remaining > 0
  ORDER BY x.available_after_ms LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING q.id, q.body, q.retries_remaining;

-- name: log_export_renew
-- args: id int8, lease_ms int8
-- cols: none
UPDATE queue_item SET available_after_ms = kade_now_ms() + $2 WHERE id = $1;

-- Done: the item goes, and one comes that removes the file after $3 ms ($2 NULL: there is none).
-- name: log_export_done
-- args: id int8, key text?, keep_ms int8
-- cols: none
WITH d AS (DELETE FROM queue_item WHERE id = $1)
INSERT INTO queue_item (queue, body, available_after_ms, retries_remaining)
SELECT 'exportedlogs', $2, kade_now_ms() + $3, 100 WHERE $2::text IS NOT NULL;

-- A page, newest first: of the repository where there is one, else of the namespace.
-- name: log_export_page
-- args: namespace_id int8, repository_id int8?, from_ms int8, at_ms int8, before_id int8, page int4
-- cols: log_row
-- rows: any
SELECT l.at_ms, l.id, k.name, l.ip, l.metadata, p.name, p.email, p.kind FROM (
  SELECT * FROM audit_of_repository($2, $3, $4, $5, $6)
  UNION ALL
  SELECT * FROM audit_of_namespace(CASE WHEN $2::int8 IS NULL THEN $1 END, $3, $4, $5, $6)) l
LEFT JOIN audit_kind k ON k.id = l.kind LEFT JOIN account p ON p.id = l.performer_id
ORDER BY l.at_ms DESC, l.id DESC;
