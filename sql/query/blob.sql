-- Blobs: reached through the link of a repository only. OFFSET 0 keeps a sub-select whole: taken apart, the link is looked up
-- by the blob alone, and a base layer's rows of all repositories are read.
-- One row for each placement; facts alone when there is no such blob here.
-- name: blob_load
-- args: facts, digest text, window_ms int8
-- cols: facts, id int8?, size_bytes int8?, idle_since_ms int8?, location text?, key text?, now_ms int8
-- rows: at least one
SELECT f.*, b.id, b.size_bytes, b.idle_since_ms, b.location, b.key, kade_now_ms()
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN LATERAL (
  SELECT b.id, b.size_bytes, rb.idle_since_ms, l.name AS location, p.key
  FROM blob b JOIN repository_blob rb ON rb.repository_id = f.repository_id AND rb.blob_id = b.id
  JOIN placement p ON p.blob_id = b.id JOIN location l ON l.id = p.location_id
  WHERE f.may_read AND b.digest = $7 AND NOT rb.is_removed AND (rb.idle_since_ms IS NULL OR rb.idle_since_ms > kade_now_ms() - $8)
  OFFSET 0) b ON true;

-- HEAD of an idle link by someone who may push: a push that relies on it has the whole window again. No row: collection was
-- quicker. A link that a manifest has taken meanwhile stays busy.
-- name: blob_renew
-- args: repository_id int8, blob_id int8
-- cols: blob_id int8
-- rows: at most one
UPDATE repository_blob SET idle_since_ms = CASE WHEN idle_since_ms IS NOT NULL THEN kade_now_ms() END WHERE repository_id = $1 AND blob_id = $2 RETURNING blob_id;

-- name: blob_delete_load
-- args: facts, digest text, window_ms int8
-- cols: facts, id int8?, in_use bool?
-- rows: one
SELECT f.*, b.id, b.in_use FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN LATERAL (
  SELECT b.id, EXISTS (SELECT 1 FROM manifest_blob mb JOIN manifest m ON m.id = mb.manifest_id
      WHERE mb.repository_id = f.repository_id AND mb.blob_id = b.id AND NOT m.is_removed
        AND (m.idle_since_ms > kade_now_ms() - $8 OR kade_manifest_held(m.id, $8))) AS in_use
  FROM blob b JOIN repository_blob rb ON rb.repository_id = f.repository_id AND rb.blob_id = b.id
  WHERE f.may_write AND b.digest = $7 AND NOT rb.is_removed AND (rb.idle_since_ms IS NULL OR rb.idle_since_ms > kade_now_ms() - $8)
  OFFSET 0) b ON true;

-- Waits for pushes that are linking the blob now; those that come later wait for us, and then find it removed. The next
-- statement sees what they committed.
-- name: blob_delete_lock
-- args: repository_id int8, blob_id int8
-- cols: blob_id int8
-- rows: at most one
SELECT blob_id FROM repository_blob WHERE repository_id = $1 AND blob_id = $2 AND NOT is_removed FOR UPDATE;

-- name: blob_mark_removed
-- args: repository_id int8, blob_id int8, window_ms int8
-- cols: blob_id int8
-- rows: at most one
UPDATE repository_blob SET is_removed = true WHERE repository_id = $1 AND blob_id = $2
  AND NOT EXISTS (SELECT 1 FROM manifest_blob mb JOIN manifest m ON m.id = mb.manifest_id
    WHERE mb.repository_id = $1 AND mb.blob_id = $2 AND NOT m.is_removed
      AND (m.idle_since_ms > kade_now_ms() - $3 OR kade_manifest_held(m.id, $3)))
RETURNING blob_id;

-- A mount: the blob must be visible in a source that the caller may read. Source facts as for a read of it.
-- name: blob_mount
-- args: facts, digest text, window_ms int8, target_id int8
-- cols: blob_id int8
-- rows: at most one
WITH b AS MATERIALIZED (
  SELECT b.id FROM repo_facts($1, $2, $3, $4, $5, $6) f JOIN blob b ON b.digest = $7
  WHERE f.may_read AND f.repository_kind = 1 AND EXISTS (SELECT 1 FROM repository_blob rb WHERE rb.repository_id = f.repository_id
    AND rb.blob_id = b.id AND NOT rb.is_removed AND (rb.idle_since_ms IS NULL OR rb.idle_since_ms > kade_now_ms() - $8) OFFSET 0)
  FOR KEY SHARE OF b)
INSERT INTO repository_blob AS t (repository_id, blob_id, idle_since_ms) SELECT $9, b.id, kade_now_ms() FROM b
ON CONFLICT (repository_id, blob_id) DO UPDATE
SET idle_since_ms = CASE WHEN t.idle_since_ms IS NOT NULL THEN kade_now_ms() END, is_removed = false
RETURNING blob_id;

-- A mount without a source: any repository that the caller may read, of the target's namespace first. At most 500 repositories
-- of that namespace and 200 links of the blob are looked at, so that a popular layer costs no more than a rare one. The blob is held against its collection.
-- name: blob_mount_anywhere
-- args: digest text, window_ms int8, target_id int8, caller_id int8?, public_too bool, everything bool
-- cols: blob_id int8
-- rows: at most one
WITH l AS MATERIALIZED (
  (SELECT rb.blob_id, rb.repository_id FROM blob b,
    (SELECT s.id FROM repository t JOIN repository s ON s.namespace_id = t.namespace_id WHERE t.id = $3 LIMIT 500) near,
    LATERAL (SELECT x.blob_id, x.repository_id, x.is_removed, x.idle_since_ms FROM repository_blob x
      WHERE x.repository_id = near.id AND x.blob_id = b.id OFFSET 0) rb
   WHERE b.digest = $1 AND NOT rb.is_removed AND (rb.idle_since_ms IS NULL OR rb.idle_since_ms > kade_now_ms() - $2) LIMIT 100)
  UNION ALL
  (SELECT rb.blob_id, rb.repository_id FROM blob b JOIN repository_blob rb ON rb.blob_id = b.id
   WHERE b.digest = $1 AND NOT rb.is_removed AND (rb.idle_since_ms IS NULL OR rb.idle_since_ms > kade_now_ms() - $2) LIMIT 200)),
b AS MATERIALIZED (
  SELECT l.blob_id FROM l JOIN repository r ON r.id = l.repository_id JOIN account n ON n.id = r.namespace_id
  WHERE r.state <> 3 AND r.kind = 1 AND n.is_enabled AND (($5 AND r.is_public) OR $6 OR ($4::int8 IS NOT NULL AND (
      r.namespace_id = $4
      OR EXISTS (SELECT 1 FROM repository_permission p WHERE p.repository_id = r.id AND p.account_id = $4)
      OR EXISTS (SELECT 1 FROM team_member m JOIN repository_permission p ON p.team_id = m.team_id AND p.repository_id = r.id WHERE m.account_id = $4)
      OR EXISTS (SELECT 1 FROM team_member m JOIN team g ON g.id = m.team_id WHERE m.account_id = $4 AND g.organization_id = r.namespace_id AND g.role = 3))))
  LIMIT 1),
k AS MATERIALIZED (SELECT id FROM blob WHERE id = (SELECT blob_id FROM b) FOR KEY SHARE)
INSERT INTO repository_blob AS t (repository_id, blob_id, idle_since_ms) SELECT $3, k.id, kade_now_ms() FROM k
ON CONFLICT (repository_id, blob_id) DO UPDATE
SET idle_since_ms = CASE WHEN t.idle_since_ms IS NOT NULL THEN kade_now_ms() END, is_removed = false
RETURNING blob_id;
