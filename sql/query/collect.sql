-- Garbage collection (kade-gc). Rules: what is due comes through an index that begins with the time; rows are locked, and a
-- later statement of the same transaction looks again; no lock is waited for (SKIP LOCKED), so a push is never in a deadlock
-- with it. model/collect.c says in which order the statements go.

-- What is due of everything, counted to a bound. $2: locations that are configured here; $3 content, $4 repositories, $5 namespaces:
-- what is switched on; $6, $7: the grace of namespaces of these names.
-- name: gc_due
-- args: window_ms int8, locations text[], content bool, repositories bool, namespaces bool, grace_ms int8, grace_names text[]
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT count(*), min(x.due_ms) FROM (
  (SELECT expires_ms AS due_ms FROM tag WHERE $3 AND ended_ms IS NULL AND expires_ms <= kade_now_ms() ORDER BY expires_ms LIMIT 2000)
  UNION ALL
  (SELECT collect_after_ms + $1 FROM tag WHERE $3 AND collect_after_ms <= kade_now_ms() - $1 ORDER BY collect_after_ms LIMIT 2000)
  UNION ALL
  (SELECT idle_since_ms + $1 FROM manifest WHERE $3 AND idle_since_ms <= kade_now_ms() - $1 ORDER BY idle_since_ms LIMIT 2000)
  UNION ALL
  (SELECT idle_since_ms + $1 FROM repository_blob WHERE $3 AND idle_since_ms <= kade_now_ms() - $1 ORDER BY idle_since_ms LIMIT 2000)
  UNION ALL
  (SELECT t.not_before_ms FROM tombstone t JOIN location l ON l.id = t.location_id
   WHERE $3 AND t.not_before_ms <= kade_now_ms() AND l.name = ANY($2) ORDER BY t.not_before_ms LIMIT 2000)
  UNION ALL
  (SELECT kade_now_ms() FROM placement p JOIN blob b ON b.id = p.blob_id JOIN location l ON l.id = p.location_id
   WHERE $3 AND p.key LIKE 'sha%.%' AND l.name = ANY($2)
     AND NOT EXISTS (SELECT 1 FROM tombstone t WHERE t.digest = b.digest AND t.location_id = p.location_id AND t.key = '' AND t.state = 1) LIMIT 2000)
  UNION ALL
  (SELECT kade_now_ms() FROM repository WHERE $4 AND state = 3 LIMIT 2000)
  UNION ALL
  (SELECT deleted_ms + CASE WHEN name = ANY($7) THEN $6 ELSE 0 END FROM deleted_namespace
   WHERE $5 AND deleted_ms <= kade_now_ms() - CASE WHEN name = ANY($7) THEN $6 ELSE 0 END ORDER BY deleted_ms LIMIT 2000)) x;

-- Tags whose time has passed end at that time.
-- name: gc_expired_end
-- args: max_items int8
-- cols: none
UPDATE tag t SET ended_ms = t.expires_ms, collect_after_ms = t.expires_ms + n.tag_window_s * 1000
FROM repository r, account n
WHERE t.id = ANY(ARRAY(SELECT id FROM tag WHERE ended_ms IS NULL AND expires_ms <= kade_now_ms() ORDER BY expires_ms LIMIT $1 FOR UPDATE SKIP LOCKED))
  AND r.id = t.repository_id AND n.id = r.namespace_id;

-- Ended tags go one push window after their time machine lets go of them, so a manifest that loses its last tag here has been
-- without a live one for that long. Those whose manifest somebody else has locked wait. Immutable ones ($3) stay for good; those of
-- a disabled namespace are asked again in a day. `fate`: 0 gone, 1 protected, 2 later, 3 busy.
-- name: gc_tags_take
-- args: window_ms int8, max_items int8, keep_immutable bool
-- cols: fate int4, repository_id int8, manifest_id int8, name text, ended_ms int8
-- rows: any
WITH due AS MATERIALIZED (
  SELECT id, repository_id, manifest_id, name, ended_ms, is_immutable FROM tag
  WHERE collect_after_ms <= kade_now_ms() - $1 AND ended_ms IS NOT NULL ORDER BY collect_after_ms, id LIMIT $2 FOR UPDATE SKIP LOCKED),
free AS MATERIALIZED (SELECT m.id FROM manifest m WHERE m.id = ANY(ARRAY(SELECT manifest_id FROM due)) ORDER BY m.id FOR NO KEY UPDATE SKIP LOCKED),
d AS MATERIALIZED (
  SELECT d.*, CASE WHEN d.is_immutable AND $3 THEN 1 WHEN NOT n.is_enabled THEN 2
    WHEN NOT EXISTS (SELECT 1 FROM free f WHERE f.id = d.manifest_id) THEN 3 ELSE 0 END AS fate
  FROM due d JOIN repository r ON r.id = d.repository_id JOIN account n ON n.id = r.namespace_id),
kept AS (UPDATE tag SET collect_after_ms = NULL WHERE id = ANY(ARRAY(SELECT id FROM d WHERE fate = 1))),
later AS (UPDATE tag SET collect_after_ms = kade_now_ms() + 86400000 WHERE id = ANY(ARRAY(SELECT id FROM d WHERE fate = 2))),
gone AS (DELETE FROM tag WHERE id = ANY(ARRAY(SELECT id FROM d WHERE fate = 0)))
SELECT fate, repository_id, manifest_id, name, ended_ms FROM d;

-- Manifests that nothing holds any more are idle since the last of their tags ended; their rows are locked by the statement before.
-- name: gc_tags_mark
-- args: manifest_ids int8[], ended int8[], window_ms int8
-- cols: none
UPDATE manifest m SET idle_since_ms = GREATEST(m.idle_since_ms, x.ended_ms)
FROM (SELECT u.id, max(u.ended_ms) AS ended_ms FROM unnest($1::int8[], $2::int8[]) u(id, ended_ms) GROUP BY u.id) x
WHERE m.id = x.id AND NOT kade_manifest_kept(m.id, $3);

-- Counts of pulls hang on the name and go with its last row.
-- name: gc_tags_drop_pulls
-- args: repository_ids int8[], names text[]
-- cols: none
DELETE FROM tag_pull p USING unnest($1::int8[], $2::text[]) x(repository_id, name)
WHERE p.repository_id = x.repository_id AND p.tag_name = x.name
  AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.repository_id = x.repository_id AND t.name = x.name);

-- Idle manifests, with the untagged referrers that follow them, and those above that are without a tag themselves (rings of
-- indexes and subjects). All of them locked; at most $3 beyond the due ones.
-- name: gc_manifests_lock
-- args: window_ms int8, max_items int8, max_more int8
-- cols: id int8
-- rows: any
WITH RECURSIVE seed AS MATERIALIZED (
  SELECT id FROM manifest WHERE idle_since_ms <= kade_now_ms() - $1 ORDER BY idle_since_ms, id LIMIT $2 FOR UPDATE SKIP LOCKED),
down(id) AS (
  SELECT id FROM seed
  UNION
  SELECT r.id FROM down d CROSS JOIN LATERAL (
    SELECT r.id, r.idle_since_ms FROM manifest s CROSS JOIN LATERAL (
      SELECT x.id, x.idle_since_ms FROM manifest x WHERE x.repository_id = s.repository_id AND x.subject = s.digest OFFSET 0) r WHERE s.id = d.id OFFSET 0) r
  WHERE (r.idle_since_ms IS NULL OR r.idle_since_ms <= kade_now_ms() - $1) AND (SELECT true FROM tag t WHERE t.manifest_id = r.id LIMIT 1) IS NULL
    AND (SELECT true FROM manifest_child c WHERE c.child_id = r.id LIMIT 1) IS NULL),
up(id) AS (
  SELECT id FROM seed
  UNION
  SELECT x.id FROM up u, LATERAL (
    SELECT c.manifest_id AS id FROM manifest_child c WHERE c.child_id = u.id
    UNION ALL
    SELECT s.id FROM manifest m CROSS JOIN LATERAL (SELECT y.id FROM manifest y WHERE y.repository_id = m.repository_id AND y.digest = m.subject OFFSET 0) s
    WHERE m.id = u.id AND m.subject IS NOT NULL AND NOT m.is_removed) x
  WHERE (SELECT true FROM tag t WHERE t.manifest_id = u.id LIMIT 1) IS NULL AND (SELECT true FROM tag t WHERE t.manifest_id = x.id LIMIT 1) IS NULL),
more AS MATERIALIZED (
  SELECT m.id FROM manifest m WHERE m.id = ANY(ARRAY(
    (SELECT id FROM down WHERE id NOT IN (SELECT id FROM seed) LIMIT $3) UNION (SELECT id FROM up WHERE id NOT IN (SELECT id FROM seed) LIMIT 256)))
  ORDER BY m.id FOR UPDATE SKIP LOCKED)
SELECT id FROM seed UNION ALL SELECT id FROM more;

-- Which of them must wait because a link or a child that would be marked is locked by somebody else. Those links and children
-- are locked now. Links that other manifests need, and children with a tag, are not touched.
-- name: gc_manifests_busy
-- args: ids int8[]
-- cols: id int8
-- rows: any
WITH mb AS MATERIALIZED (
  SELECT b.manifest_id, b.repository_id, b.blob_id FROM manifest_blob b
  WHERE b.manifest_id = ANY($1) AND NOT EXISTS (SELECT 1 FROM manifest_blob o WHERE o.repository_id = b.repository_id AND o.blob_id = b.blob_id
    AND NOT o.manifest_id = ANY($1) OFFSET 0)),
rb AS MATERIALIZED (
  SELECT l.repository_id, l.blob_id FROM (SELECT DISTINCT repository_id, blob_id FROM mb ORDER BY 1, 2) x CROSS JOIN LATERAL (
    SELECT rb.repository_id, rb.blob_id FROM repository_blob rb WHERE rb.repository_id = x.repository_id AND rb.blob_id = x.blob_id
    FOR NO KEY UPDATE SKIP LOCKED) l),
ch AS MATERIALIZED (
  SELECT c.manifest_id, c.child_id FROM manifest_child c
  WHERE c.manifest_id = ANY($1) AND NOT c.child_id = ANY($1) AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = c.child_id)),
cm AS MATERIALIZED (SELECT m.id FROM manifest m WHERE m.id = ANY(ARRAY(SELECT child_id FROM ch)) ORDER BY m.id FOR NO KEY UPDATE SKIP LOCKED)
SELECT mb.manifest_id FROM mb LEFT JOIN rb ON rb.repository_id = mb.repository_id AND rb.blob_id = mb.blob_id WHERE rb.blob_id IS NULL
UNION
SELECT ch.manifest_id FROM ch LEFT JOIN cm ON cm.id = ch.child_id WHERE cm.id IS NULL;

-- What becomes of them, seen after the locks. A manifest is dead when it has no tag, is not fresh, and every parent and the subject
-- is dead, too. 0: it goes; 1: held after all, the mark goes; 2: as it is, for now: fresh, busy ($2), or a referrer of it is not
-- among the locked, or a parent of it waits.
-- name: gc_manifests_choose
-- args: ids int8[], busy int8[], window_ms int8
-- cols: id int8, fate int4
-- rows: any
WITH RECURSIVE l AS MATERIALIZED (SELECT m.id, m.repository_id, m.digest, m.subject, m.idle_since_ms, m.is_removed FROM manifest m WHERE m.id = ANY($1)),
fresh AS MATERIALIZED (SELECT id FROM l WHERE idle_since_ms > kade_now_ms() - $3),
held(id) AS (
  SELECT l.id FROM l WHERE l.idle_since_ms > kade_now_ms() - $3
    OR EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = l.id)
    OR EXISTS (SELECT 1 FROM manifest_child c WHERE c.child_id = l.id AND NOT c.manifest_id = ANY($1))
    OR (l.subject IS NOT NULL AND NOT l.is_removed AND EXISTS (
      SELECT 1 FROM manifest s WHERE s.repository_id = l.repository_id AND s.digest = l.subject AND NOT s.id = ANY($1)))
  UNION
  SELECT x.id FROM held h CROSS JOIN LATERAL (
    SELECT c.child_id AS id FROM manifest_child c WHERE c.manifest_id = h.id AND c.child_id = ANY($1)
    UNION ALL
    SELECT r.id FROM l s JOIN l r ON r.repository_id = s.repository_id AND r.subject = s.digest AND NOT r.is_removed WHERE s.id = h.id) x),
waits(id) AS (
  (SELECT b FROM unnest($2::int8[]) b
   UNION ALL
   SELECT s.id FROM l s WHERE EXISTS (
     SELECT 1 FROM manifest r WHERE r.repository_id = s.repository_id AND r.subject = s.digest AND NOT r.id = ANY($1)
       AND (r.idle_since_ms IS NULL OR r.idle_since_ms <= kade_now_ms() - $3) AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = r.id)
       AND NOT EXISTS (SELECT 1 FROM manifest_child c WHERE c.child_id = r.id)))
  UNION
  SELECT c.child_id FROM waits w JOIN manifest_child c ON c.manifest_id = w.id AND c.child_id = ANY($1))
SELECT l.id, CASE WHEN l.id IN (SELECT id FROM fresh) THEN 2
  WHEN l.id IN (SELECT id FROM held) THEN CASE WHEN l.idle_since_ms IS NULL THEN 2 ELSE 1 END
  WHEN l.id IN (SELECT id FROM waits) THEN 2 ELSE 0 END FROM l;

-- name: gc_manifests_unmark
-- args: ids int8[]
-- cols: none
UPDATE manifest SET idle_since_ms = NULL WHERE id = ANY($1);

-- The links of what goes: one that no other manifest needs is idle from now on.
-- name: gc_manifests_drop_blobs
-- args: ids int8[]
-- cols: none
WITH mb AS (DELETE FROM manifest_blob WHERE manifest_id = ANY($1) RETURNING repository_id, blob_id),
d AS MATERIALIZED (
  SELECT x.repository_id, x.blob_id FROM (SELECT DISTINCT repository_id, blob_id FROM mb) x
  WHERE NOT EXISTS (SELECT 1 FROM manifest_blob o WHERE o.repository_id = x.repository_id AND o.blob_id = x.blob_id AND NOT o.manifest_id = ANY($1) OFFSET 0))
UPDATE repository_blob rb SET idle_since_ms = kade_now_ms() FROM d WHERE rb.repository_id = d.repository_id AND rb.blob_id = d.blob_id;

-- Children that nothing else holds have been idle as long as their parent: who pushed one again since has its own mark.
-- name: gc_manifests_drop_children
-- args: ids int8[], window_ms int8
-- cols: none
WITH c AS (DELETE FROM manifest_child WHERE manifest_id = ANY($1) RETURNING manifest_id, child_id)
UPDATE manifest m SET idle_since_ms = GREATEST(m.idle_since_ms, x.idle_since_ms)
FROM (SELECT c.child_id, COALESCE(max(p.idle_since_ms), kade_now_ms() - $2) AS idle_since_ms FROM c JOIN manifest p ON p.id = c.manifest_id GROUP BY 1) x
WHERE m.id = x.child_id AND NOT m.id = ANY($1) AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id)
  AND NOT EXISTS (SELECT 1 FROM manifest_child o WHERE o.child_id = m.id AND NOT o.manifest_id = ANY($1))
  AND (m.subject IS NULL OR m.is_removed OR NOT EXISTS (
    SELECT 1 FROM manifest s WHERE s.repository_id = m.repository_id AND s.digest = m.subject AND NOT s.id = ANY($1)));

-- name: gc_manifests_drop_labels
-- args: ids int8[]
-- cols: none
DELETE FROM label WHERE manifest_id = ANY($1);

-- name: gc_manifests_drop_pulls
-- args: ids int8[]
-- cols: none
DELETE FROM manifest_pull p USING manifest m WHERE m.id = ANY($1) AND p.repository_id = m.repository_id AND p.digest = m.digest;

-- name: gc_manifests_delete
-- args: ids int8[]
-- cols: none
DELETE FROM manifest WHERE id = ANY($1);

-- Idle links, locked.
-- name: gc_links_lock
-- args: window_ms int8, max_items int8
-- cols: repository_id int8, blob_id int8
-- rows: any
SELECT rb.repository_id, rb.blob_id FROM repository_blob rb
WHERE rb.idle_since_ms <= kade_now_ms() - $1 ORDER BY rb.idle_since_ms LIMIT $2 FOR UPDATE SKIP LOCKED;

-- All links of one repository, for its removal.
-- name: gc_links_lock_of
-- args: repository_id int8, max_items int8
-- cols: repository_id int8, blob_id int8
-- rows: any
SELECT rb.repository_id, rb.blob_id FROM repository_blob rb
WHERE rb.repository_id = $1 ORDER BY rb.blob_id LIMIT $2 FOR UPDATE SKIP LOCKED;

-- Blobs that have no link but these: locked, so that nobody links them meanwhile.
-- name: gc_blobs_lock
-- args: repository_ids int8[], blob_ids int8[]
-- cols: id int8
-- rows: any
SELECT b.id FROM blob b WHERE b.id = ANY($2) AND NOT EXISTS (
  SELECT 1 FROM repository_blob o WHERE o.blob_id = b.id AND NOT EXISTS (
    SELECT 1 FROM unnest($1::int8[], $2::int8[]) s(repository_id, blob_id) WHERE s.repository_id = o.repository_id AND s.blob_id = o.blob_id) OFFSET 0)
ORDER BY b.id FOR UPDATE SKIP LOCKED;

-- Seen after the locks: a link that a manifest needs stays and loses its mark; one whose blob would be left without a link goes only if
-- the blob is locked ($3).
-- name: gc_links_delete
-- args: repository_ids int8[], blob_ids int8[], locked_ids int8[]
-- cols: gone bool, namespace_id int8, repository_id int8, blob_id int8, is_counted bool
-- rows: any
WITH s AS MATERIALIZED (
  SELECT s.repository_id, s.blob_id, EXISTS (SELECT 1 FROM manifest_blob mb WHERE mb.repository_id = s.repository_id AND mb.blob_id = s.blob_id OFFSET 0) AS held
  FROM unnest($1::int8[], $2::int8[]) s(repository_id, blob_id)),
free AS MATERIALIZED (
  SELECT s.repository_id, s.blob_id FROM s WHERE NOT s.held AND (s.blob_id = ANY($3) OR EXISTS (
    SELECT 1 FROM repository_blob o WHERE o.blob_id = s.blob_id AND NOT EXISTS (
      SELECT 1 FROM s x WHERE x.repository_id = o.repository_id AND x.blob_id = o.blob_id) OFFSET 0))),
unmark AS (
  UPDATE repository_blob rb SET idle_since_ms = NULL FROM s
  WHERE s.held AND rb.repository_id = s.repository_id AND rb.blob_id = s.blob_id AND rb.idle_since_ms IS NOT NULL RETURNING 1),
gone AS (DELETE FROM repository_blob rb USING free f WHERE rb.repository_id = f.repository_id AND rb.blob_id = f.blob_id
  RETURNING rb.repository_id, rb.blob_id, rb.is_counted)
SELECT true, r.namespace_id, g.repository_id, g.blob_id, g.is_counted FROM gone g JOIN repository r ON r.id = g.repository_id
UNION ALL SELECT false, 0, s.repository_id, s.blob_id, false FROM s WHERE s.held;

-- Locked blobs that are left without a link: their objects get tombstones, $2 from now.
-- name: gc_blobs_delete
-- args: ids int8[], retention_ms int8
-- cols: blobs int8, bytes int8
-- rows: one
WITH d AS MATERIALIZED (
  SELECT b.id, b.digest, b.size_bytes FROM blob b WHERE b.id = ANY($1) AND NOT EXISTS (SELECT 1 FROM repository_blob rb WHERE rb.blob_id = b.id)),
t AS (
  INSERT INTO tombstone AS t (digest, location_id, key, not_before_ms, size_bytes)
  SELECT d.digest, p.location_id, COALESCE(p.key, ''), kade_now_ms() + GREATEST($2, 3600000), d.size_bytes FROM d JOIN placement p ON p.blob_id = d.id
  ORDER BY d.digest, p.location_id
  ON CONFLICT (digest, location_id, key) DO UPDATE SET not_before_ms = GREATEST(t.not_before_ms, EXCLUDED.not_before_ms), size_bytes = EXCLUDED.size_bytes),
p AS (DELETE FROM placement WHERE blob_id = ANY(ARRAY(SELECT id FROM d))),
b AS (DELETE FROM blob WHERE id = ANY(ARRAY(SELECT id FROM d)))
SELECT count(*), COALESCE(sum(size_bytes), 0)::int8 FROM d;

-- Some of what is due, for --dry-run.
-- name: gc_show
-- args: window_ms int8, max_items int8
-- cols: kind text, name text, due_ms int8
-- rows: any
SELECT x.kind, n.name || '/' || r.name || x.name, x.due_ms FROM (
  (SELECT 'tag' AS kind, t.repository_id, ':' || t.name AS name, t.collect_after_ms + $1 AS due_ms FROM tag t
   WHERE t.collect_after_ms <= kade_now_ms() - $1 ORDER BY t.collect_after_ms LIMIT $2)
  UNION ALL
  (SELECT 'manifest', m.repository_id, '@' || m.digest, m.idle_since_ms + $1 FROM manifest m WHERE m.idle_since_ms <= kade_now_ms() - $1 ORDER BY m.idle_since_ms LIMIT $2)
  UNION ALL
  (SELECT 'blob', rb.repository_id, '@' || b.digest, rb.idle_since_ms + $1 FROM repository_blob rb JOIN blob b ON b.id = rb.blob_id
   WHERE rb.idle_since_ms <= kade_now_ms() - $1 ORDER BY rb.idle_since_ms LIMIT $2)
  UNION ALL
  (SELECT 'repository', id, '', created_ms FROM repository WHERE state = 3 ORDER BY id LIMIT $2)) x
JOIN repository r ON r.id = x.repository_id JOIN account n ON n.id = r.namespace_id;
