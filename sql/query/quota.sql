-- Quotas of namespaces: what is allowed, at which parts of it something happens, and what is used.
-- set: quota  quota_id int8?, limit_bytes int8?, limits text?, used_bytes int8?

-- name: quota_load
-- args: facts
-- cols: facts, quota
-- rows: one
SELECT f.*, q.namespace_id, q.limit_bytes,
  (SELECT json_agg(json_build_object('id', l.id, 'type', CASE l.kind WHEN 1 THEN 'Warning' ELSE 'Reject' END, 'limit_percent', l.percent) ORDER BY l.id)::text
    FROM quota_limit l WHERE l.namespace_id = q.namespace_id),
  kade_quota_used(f.namespace_id)
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN quota q ON q.namespace_id = f.namespace_id;

-- The caller's own, or (superusers) that of a namespace.
-- name: quota_caller_load
-- args: caller text?, token text?, key_id text?, namespace text?
-- cols: caller, namespace_id int8?, quota
-- rows: one
SELECT f.caller_id, f.caller_name, f.caller_alive, f.token_id, n.id, q.namespace_id, q.limit_bytes,
  (SELECT json_agg(json_build_object('id', l.id, 'type', CASE l.kind WHEN 1 THEN 'Warning' ELSE 'Reject' END, 'limit_percent', l.percent) ORDER BY l.id)::text
    FROM quota_limit l WHERE l.namespace_id = q.namespace_id),
  kade_quota_used(n.id)
FROM caller_facts($1, $2, $3) f
LEFT JOIN account n ON n.id = CASE WHEN $4::text IS NULL THEN f.caller_id ELSE (SELECT a.id FROM account a WHERE a.name = $4 AND a.kind <> 3) END
LEFT JOIN quota q ON q.namespace_id = n.id;

-- name: quota_of
-- args: namespace_id int8
-- cols: quota
-- rows: one
SELECT q.namespace_id, q.limit_bytes,
  (SELECT json_agg(json_build_object('id', l.id, 'type', CASE l.kind WHEN 1 THEN 'Warning' ELSE 'Reject' END, 'limit_percent', l.percent) ORDER BY l.id)::text
    FROM quota_limit l WHERE l.namespace_id = q.namespace_id),
  kade_quota_used($1)
FROM (VALUES (1)) one LEFT JOIN quota q ON q.namespace_id = $1;

-- No row: there is one already.
-- name: quota_create
-- args: namespace_id int8, limit_bytes int8
-- cols: id int8
-- rows: at most one
INSERT INTO quota (namespace_id, limit_bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING namespace_id;

-- name: quota_change
-- args: namespace_id int8, limit_bytes int8
-- cols: none
UPDATE quota SET limit_bytes = $2 WHERE namespace_id = $1;

-- Its limits go with it, and what would be told of it.
-- name: quota_remove
-- args: namespace_id int8
-- cols: none
WITH n AS (DELETE FROM namespace_notification WHERE namespace_id = $1 AND event IN ('quota_warning', 'quota_error')),
a AS (DELETE FROM account_notification WHERE account_id = $1 AND kind IN ('quota_warning', 'quota_error'))
DELETE FROM quota WHERE namespace_id = $1;

-- No row: there is such a limit already.
-- name: quota_limit_add
-- args: namespace_id int8, kind int2, percent int4
-- cols: id int8
-- rows: at most one
INSERT INTO quota_limit (namespace_id, kind, percent) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id;

-- name: quota_limit_change
-- args: namespace_id int8, id int8, kind int2, percent int4
-- cols: none
UPDATE quota_limit SET kind = $3, percent = $4 WHERE namespace_id = $1 AND id = $2;

-- name: quota_limit_remove
-- args: namespace_id int8, id int8
-- cols: none
DELETE FROM quota_limit WHERE namespace_id = $1 AND id = $2;

-- After a push has changed the sizes, in its transaction. Near the limit (less left than 1 GiB or 2 %) the pushes of a namespace
-- go one after the other from here on: the next statement sees what the one before it committed. Nothing is locked behind it.
-- name: quota_queue
-- args: namespace_id int8, default_bytes int8
-- cols: is_near bool
-- rows: one
SELECT CASE WHEN kade_quota_used($1) > q.bytes - GREATEST(1073741824, kade_percent(q.bytes, 2))
  THEN pg_advisory_xact_lock(hashtextextended('quota', $1)) IS NOT NULL ELSE false END
FROM (SELECT kade_quota_reject($1, $2) AS bytes) q;

-- Is the push refused? Else: is a warning due, which is then written for the namespace's people (once, until $3 ms later)?
-- unfolded: rows of the ledger that the sum had to read.
-- name: quota_verdict
-- args: namespace_id int8, default_bytes int8, cooldown_ms int8
-- cols: is_refused bool, is_warned bool, unfolded int8
-- rows: one
WITH u AS MATERIALIZED (SELECT kade_quota_used($1) AS bytes, kade_quota_reject($1, $2) AS reject),
w AS MATERIALIZED (
  SELECT EXISTS (SELECT 1 FROM quota q JOIN quota_limit l ON l.namespace_id = q.namespace_id AND l.kind = 1, u
    WHERE q.namespace_id = $1 AND u.bytes >= kade_percent(q.limit_bytes, l.percent) AND COALESCE(u.bytes < u.reject, true)) AS yes),
note AS (
  INSERT INTO account_notification (account_id, kind, metadata)
  SELECT a.id, 'quota_warning', json_build_object('namespace', a.name)::text FROM account a, w WHERE w.yes AND a.id = $1
    AND NOT EXISTS (SELECT 1 FROM account_notification o WHERE o.account_id = $1 AND o.kind = 'quota_warning'
      AND (NOT o.dismissed OR o.created_ms > kade_now_ms() - $3))
  RETURNING id)
SELECT COALESCE(u.bytes >= u.reject, false), EXISTS (SELECT 1 FROM note), (SELECT count(*) FROM (SELECT 1 FROM quota_ledger l WHERE l.namespace_id = $1 LIMIT 1001) x) FROM u;

-- What the people of a namespace hear when a push was refused; as above.
-- name: quota_note_refusal
-- args: namespace_id int8, cooldown_ms int8
-- cols: id int8
-- rows: at most one
INSERT INTO account_notification (account_id, kind, metadata)
SELECT a.id, 'quota_error', json_build_object('namespace', a.name, 'severity', 'Reject')::text FROM account a WHERE a.id = $1
  AND NOT EXISTS (SELECT 1 FROM account_notification o WHERE o.account_id = $1 AND o.kind = 'quota_error'
    AND (NOT o.dismissed OR o.created_ms > kade_now_ms() - $2))
RETURNING id;

-- Folds what stands in the ledger for one namespace, unless somebody does. Readers see either the rows or the totals.
-- name: quota_fold
-- args: namespace_id int8, max_items int8
-- cols: folded int8
-- rows: one
WITH l AS (
  DELETE FROM quota_ledger WHERE id = ANY(ARRAY(SELECT q.id FROM quota_ledger q
    WHERE q.namespace_id = $1 AND pg_try_advisory_xact_lock(hashtextextended('quota fold', $1)) LIMIT $2))
  RETURNING delta_bytes, repository_id, repository_bytes),
t AS (
  INSERT INTO quota_total AS q (namespace_id, used_bytes) SELECT $1, sum(delta_bytes)::int8 FROM l HAVING count(*) > 0
  ON CONFLICT (namespace_id) DO UPDATE SET used_bytes = q.used_bytes + EXCLUDED.used_bytes),
r AS (
  INSERT INTO repository_size AS s (repository_id, size_bytes)
  SELECT l.repository_id, sum(l.repository_bytes)::int8 FROM l JOIN repository x ON x.id = l.repository_id GROUP BY l.repository_id ORDER BY l.repository_id
  ON CONFLICT (repository_id) DO UPDATE SET size_bytes = s.size_bytes + EXCLUDED.size_bytes)
SELECT count(*) FROM l;

-- Namespaces with rows in the ledger, the oldest of these rows.
-- name: quota_unfolded
-- args: max_items int8
-- cols: namespace_id int8
-- rows: any
SELECT DISTINCT x.namespace_id FROM (SELECT l.namespace_id FROM quota_ledger l ORDER BY l.created_ms LIMIT $1) x;

-- What kade-quota has to do: rows to fold, a size that was asked for, namespaces that were last compared before $1, limits to
-- look at ($2; $3: the record of when that was done last).
-- name: quota_due
-- args: verify_before_ms int8, with_notices bool, notices_job text
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT f.n + r.n + v.n + o.n, LEAST(f.oldest, CASE WHEN r.n + v.n + o.n > 0 THEN kade_now_ms() END)
FROM (SELECT count(*) AS n, min(created_ms) AS oldest FROM (SELECT created_ms FROM quota_ledger ORDER BY created_ms LIMIT 10000) x) f,
  (SELECT count(*) AS n FROM registry_size WHERE is_queued OR is_running) r,
  (SELECT count(*) AS n FROM (SELECT 1 FROM quota_total WHERE verified_ms < $1 ORDER BY verified_ms LIMIT 10000) x) v,
  (SELECT count(*) AS n FROM (SELECT 1 FROM namespace_notification WHERE $2 LIMIT 1) x
    WHERE NOT EXISTS (SELECT 1 FROM job_run j WHERE j.job = $3 AND j.started_ms > kade_now_ms() - 240000)) o;

-- The next part of the sum of all blobs. A new sum begins when one was asked for. done: the sum is there. No row: nobody asked.
-- name: registry_size_step
-- args: max_items int8
-- cols: is_done bool
-- rows: at most one
WITH s AS MATERIALIZED (
  SELECT CASE WHEN is_running THEN after_blob_id ELSE 0 END AS after, CASE WHEN is_running THEN partial_bytes ELSE 0 END AS bytes FROM registry_size WHERE is_queued OR is_running),
p AS MATERIALIZED (
  SELECT COALESCE(sum(b.size_bytes), 0)::int8 AS bytes, max(b.id) AS last, count(*) AS n
  FROM s CROSS JOIN LATERAL (SELECT b.id, b.size_bytes FROM blob b WHERE b.id > s.after ORDER BY b.id LIMIT $1) b)
UPDATE registry_size r SET is_running = p.n = $1, is_queued = false, after_blob_id = CASE WHEN p.n = $1 THEN p.last ELSE 0 END,
  partial_bytes = CASE WHEN p.n = $1 THEN s.bytes + p.bytes ELSE 0 END,
  size_bytes = CASE WHEN p.n = $1 THEN r.size_bytes ELSE s.bytes + p.bytes END,
  completed_ms = CASE WHEN p.n = $1 THEN r.completed_ms ELSE kade_now_ms() END
FROM s, p RETURNING NOT r.is_running;

-- Namespaces to compare, the one that waits longest first; $3: that one alone.
-- name: quota_verify_due
-- args: verify_before_ms int8, max_items int8, namespace text?
-- cols: namespace_id int8
-- rows: any
SELECT t.namespace_id FROM quota_total t WHERE t.verified_ms < $1 AND ($3::text IS NULL OR t.namespace_id = (SELECT a.id FROM account a WHERE a.name = $3))
ORDER BY t.verified_ms, t.namespace_id LIMIT $2;

-- Counted links whose blob is not a member: made members.
-- name: quota_verify_missing
-- args: namespace_id int8
-- cols: n int8
-- rows: one
WITH n AS (
  INSERT INTO namespace_blob (namespace_id, blob_id)
  SELECT DISTINCT r.namespace_id, l.blob_id FROM repository r JOIN repository_blob l ON l.repository_id = r.id
  WHERE r.namespace_id = $1 AND l.is_counted AND NOT EXISTS (SELECT 1 FROM namespace_blob nb WHERE nb.namespace_id = $1 AND nb.blob_id = l.blob_id) ORDER BY 2
  ON CONFLICT DO NOTHING RETURNING blob_id),
l AS (INSERT INTO quota_ledger (namespace_id, delta_bytes) SELECT $1, sum(b.size_bytes)::int8 FROM n JOIN blob b ON b.id = n.blob_id HAVING count(*) > 0)
SELECT count(*) FROM n;

-- Members that no counted link needs. They are locked and looked at again by quota_release.
-- name: quota_verify_extra
-- args: namespace_id int8, max_items int8
-- cols: blob_id int8
-- rows: any
SELECT nb.blob_id FROM namespace_blob nb WHERE nb.namespace_id = $1
  AND NOT EXISTS (SELECT 1 FROM repository r JOIN repository_blob l ON l.repository_id = r.id AND l.is_counted WHERE r.namespace_id = $1 AND l.blob_id = nb.blob_id)
ORDER BY nb.blob_id LIMIT $2;

-- The total against the sum of its members, in one look; what differs goes into the ledger. Likewise for the repositories.
-- name: quota_verify_sum
-- args: namespace_id int8
-- cols: off_bytes int8, repositories int8
-- rows: one
WITH d AS MATERIALIZED (
  SELECT COALESCE((SELECT sum(b.size_bytes)::int8 FROM namespace_blob nb JOIN blob b ON b.id = nb.blob_id WHERE nb.namespace_id = $1), 0)
    - COALESCE((SELECT t.used_bytes FROM quota_total t WHERE t.namespace_id = $1), 0)
    - COALESCE((SELECT sum(l.delta_bytes)::int8 FROM quota_ledger l WHERE l.namespace_id = $1), 0) AS bytes),
r AS MATERIALIZED (
  SELECT x.id, COALESCE((SELECT sum(b.size_bytes)::int8 FROM repository_blob l JOIN blob b ON b.id = l.blob_id WHERE l.repository_id = x.id AND l.is_counted), 0)
    - COALESCE((SELECT s.size_bytes FROM repository_size s WHERE s.repository_id = x.id), 0)
    - COALESCE((SELECT sum(l.repository_bytes)::int8 FROM quota_ledger l WHERE l.repository_id = x.id), 0) AS bytes
  FROM repository x WHERE x.namespace_id = $1),
l AS (
  INSERT INTO quota_ledger (namespace_id, delta_bytes, repository_id, repository_bytes)
  SELECT $1, d.bytes, NULL, 0 FROM d WHERE d.bytes <> 0 UNION ALL SELECT $1, 0, r.id, r.bytes FROM r WHERE r.bytes <> 0),
v AS (UPDATE quota_total SET verified_ms = kade_now_ms() WHERE namespace_id = $1)
SELECT d.bytes, (SELECT count(*) FROM r WHERE r.bytes <> 0) FROM d;

-- Removal, in two statements of one transaction, after the links are gone (counted: they were counted). First the members are
-- locked; those that somebody holds stay locked out of the second and are found by the comparison.
-- name: quota_release_lock
-- args: namespace_ids int8[], blob_ids int8[]
-- cols: namespace_id int8, blob_id int8
-- rows: any
SELECT nb.namespace_id, nb.blob_id FROM namespace_blob nb
WHERE (nb.namespace_id, nb.blob_id) IN (SELECT * FROM unnest($1::int8[], $2::int8[])) ORDER BY nb.blob_id, nb.namespace_id FOR UPDATE;

-- Then those that no counted link of the namespace needs go, with one row of the ledger for each namespace and repository.
-- name: quota_release
-- args: namespace_ids int8[], repository_ids int8[], blob_ids int8[]
-- cols: n int8
-- rows: one
WITH x AS MATERIALIZED (SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[]) x(namespace_id, repository_id, blob_id)),
n AS (
  DELETE FROM namespace_blob nb USING (SELECT DISTINCT namespace_id, blob_id FROM x) y
  WHERE nb.namespace_id = y.namespace_id AND nb.blob_id = y.blob_id AND NOT kade_namespace_holds(nb.namespace_id, nb.blob_id)
  RETURNING nb.namespace_id, nb.blob_id),
l AS (
  INSERT INTO quota_ledger (namespace_id, delta_bytes, repository_id, repository_bytes)
  SELECT n.namespace_id, -sum(b.size_bytes)::int8, NULL, 0 FROM n JOIN blob b ON b.id = n.blob_id GROUP BY n.namespace_id
  UNION ALL
  SELECT x.namespace_id, 0, x.repository_id, -sum(b.size_bytes)::int8 FROM x JOIN blob b ON b.id = x.blob_id WHERE x.repository_id <> 0 GROUP BY x.namespace_id, x.repository_id)
SELECT count(*) FROM n;

-- Limits of namespaces that want to hear of them: those reached go to the queue of notifications, once until $1 ms later or until
-- the size was below in between; one item for each notification. sent: how many items.
-- name: quota_notices
-- args: cooldown_ms int8
-- cols: sent int8
-- rows: one
WITH u AS MATERIALIZED (
  SELECT n.namespace_id, kade_quota_used(n.namespace_id) AS bytes FROM (SELECT DISTINCT namespace_id FROM namespace_notification WHERE event IN ('quota_warning', 'quota_error')) n),
l AS MATERIALIZED (
  SELECT u.namespace_id, u.bytes, q.limit_bytes, l.kind, l.percent, u.bytes >= kade_percent(q.limit_bytes, l.percent) AS reached
  FROM u JOIN quota q ON q.namespace_id = u.namespace_id JOIN quota_limit l ON l.namespace_id = q.namespace_id),
claimed AS (
  INSERT INTO quota_notice AS o (namespace_id, percent, kind) SELECT l.namespace_id, l.percent, l.kind FROM l WHERE l.reached ORDER BY 1, 2, 3
  ON CONFLICT (namespace_id, percent, kind) DO UPDATE SET last_ms = kade_now_ms(), is_cleared = false WHERE o.is_cleared OR o.last_ms < kade_now_ms() - $1
  RETURNING namespace_id, percent, kind),
cleared AS (
  UPDATE quota_notice o SET is_cleared = true FROM l WHERE NOT l.reached AND o.namespace_id = l.namespace_id AND o.percent = l.percent AND o.kind = l.kind AND NOT o.is_cleared),
sent AS (
  INSERT INTO queue_item (queue, name, body)
  SELECT 'notification', a.name, json_build_object('notification_uuid', n.uuid, 'event_data', json_build_object('namespace', a.name, 'limit_bytes', l.limit_bytes,
    'quota_bytes', l.bytes, 'usage_percent', (l.bytes::numeric * 100 / GREATEST(l.limit_bytes, 1))::int8, 'threshold_percent', l.percent))::text
  FROM claimed c JOIN l ON l.namespace_id = c.namespace_id AND l.percent = c.percent AND l.kind = c.kind JOIN account a ON a.id = c.namespace_id
  JOIN namespace_notification n ON n.namespace_id = c.namespace_id AND n.failures < 3 AND n.event = CASE c.kind WHEN 1 THEN 'quota_warning' ELSE 'quota_error' END
  RETURNING id)
SELECT count(*) FROM sent;
