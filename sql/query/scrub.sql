-- What the database knows of objects (kade-gc --scrub), and why something is kept (kade-gc --explain).

-- Placements of a location whose digests begin alike, in the order of digests.
-- name: scrub_placements
-- args: location text, from_digest text, upto_digest text, after_digest text, max_items int8
-- cols: digest text, key text?, size_bytes int8
-- rows: any
SELECT b.digest, p.key, b.size_bytes FROM blob b JOIN placement p ON p.blob_id = b.id JOIN location l ON l.id = p.location_id
WHERE l.name = $1 AND b.digest > $4 AND b.digest >= $2 AND b.digest < $3 ORDER BY b.digest LIMIT $5;

-- Which keys of these digests some row names: a placement or a tombstone. NULL: the standard one.
-- name: scrub_known
-- args: location text, digests text[]
-- cols: digest text, key text?
-- rows: any
SELECT b.digest, p.key FROM blob b JOIN placement p ON p.blob_id = b.id JOIN location l ON l.id = p.location_id WHERE l.name = $1 AND b.digest = ANY($2)
UNION ALL
SELECT t.digest, NULLIF(t.key, '') FROM tombstone t JOIN location l ON l.id = t.location_id WHERE l.name = $1 AND t.digest = ANY($2);

-- An object that no row knows is to go. Looked at again here: nothing is written where a row knows it by now.
-- name: scrub_condemn
-- args: location text, digest text, key text, size_bytes int8
-- cols: digest text
-- rows: at most one
INSERT INTO tombstone (digest, location_id, key, not_before_ms, size_bytes)
SELECT $2, l.id, $3, kade_now_ms() + 3600000, $4 FROM location l WHERE l.name = $1
  AND NOT EXISTS (SELECT 1 FROM blob b JOIN placement p ON p.blob_id = b.id WHERE b.digest = $2 AND p.location_id = l.id AND COALESCE(p.key, '') = $3)
ON CONFLICT DO NOTHING RETURNING digest;

-- Where a blob is needed, some of the places: for a lost object. Each link is looked up by itself.
-- name: blob_users
-- args: digest text, max_items int8
-- cols: namespace text, repository text, manifest text, tag text?, ended_ms int8?
-- rows: any
SELECT x.namespace, x.repository, x.digest, x.tag, x.ended_ms FROM (
  SELECT n.name AS namespace, r.name AS repository, m.digest, t.name AS tag, t.ended_ms
  FROM (SELECT rb.repository_id, rb.blob_id FROM blob b JOIN repository_blob rb ON rb.blob_id = b.id WHERE b.digest = $1 LIMIT $2) l
  JOIN repository r ON r.id = l.repository_id JOIN account n ON n.id = r.namespace_id
  CROSS JOIN LATERAL (SELECT mb.manifest_id FROM manifest_blob mb WHERE mb.repository_id = l.repository_id AND mb.blob_id = l.blob_id LIMIT 100) mb
  JOIN manifest m ON m.id = mb.manifest_id LEFT JOIN tag t ON t.manifest_id = m.id LIMIT $2) x
ORDER BY x.ended_ms NULLS FIRST, x.namespace, x.repository, x.tag;

-- --explain: a repository, and what its name stands for.
-- name: explain_repository
-- args: namespace text, repository text
-- cols: id int8, state int4, is_enabled bool, window_s int8, now_ms int8
-- rows: at most one
SELECT r.id, r.state::int4, n.is_enabled, n.tag_window_s, kade_now_ms() FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = $1 AND r.name = $2;

-- One manifest by digest, or that of the newest row of a tag.
-- name: explain_manifest
-- args: repository_id int8, tag text?, digest text?, window_ms int8
-- cols: id int8, digest text, is_index bool, subject text?, idle_since_ms int8?, is_removed bool, kept bool, visible bool, tags int8, parents int8, referrers int8
-- rows: at most one
SELECT m.id, m.digest, m.is_index, m.subject, m.idle_since_ms, m.is_removed, kade_manifest_kept(m.id, $4) OR COALESCE(m.idle_since_ms > kade_now_ms() - $4, false),
  NOT m.is_removed AND (COALESCE(m.idle_since_ms > kade_now_ms() - $4, false) OR kade_manifest_held(m.id, $4)),
  (SELECT count(*) FROM tag t WHERE t.manifest_id = m.id), (SELECT count(*) FROM manifest_child c WHERE c.child_id = m.id),
  (SELECT count(*) FROM manifest s WHERE s.repository_id = m.repository_id AND s.subject = m.digest)
FROM manifest m WHERE m.repository_id = $1 AND m.id = COALESCE(
  (SELECT x.id FROM manifest x WHERE x.repository_id = $1 AND x.digest = $3),
  (SELECT t.manifest_id FROM tag t WHERE t.repository_id = $1 AND t.name = $2 ORDER BY t.ended_ms DESC, t.start_ms DESC LIMIT 1));

-- What holds a manifest, the nearest of it.
-- name: explain_holders
-- args: manifest_id int8, max_items int8
-- cols: kind text, name text, ended_ms int8?, collect_after_ms int8?, is_immutable bool?
-- rows: any
(SELECT 'tag', t.name, t.ended_ms, t.collect_after_ms, t.is_immutable FROM tag t WHERE t.manifest_id = $1 ORDER BY t.ended_ms NULLS FIRST LIMIT $2)
UNION ALL
(SELECT 'index', p.digest, NULL, NULL, NULL FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id WHERE c.child_id = $1 LIMIT $2)
UNION ALL
(SELECT 'subject', s.digest, NULL, NULL, NULL FROM manifest m JOIN manifest s ON s.repository_id = m.repository_id AND s.digest = m.subject WHERE m.id = $1 AND NOT m.is_removed);

-- What would go with a manifest if its tags were gone: blobs that no manifest outside of it, its children and its referrers needs.
-- Bytes that would be freed in the store, and in the namespace's account of this repository.
-- name: explain_freed
-- args: manifest_id int8
-- cols: manifests int8, links int8, link_bytes int8, blobs int8, blob_bytes int8
-- rows: one
WITH RECURSIVE g(id) AS (
  SELECT $1
  UNION
  SELECT x.id FROM g CROSS JOIN LATERAL (
    SELECT c.child_id AS id FROM manifest_child c WHERE c.manifest_id = g.id
    UNION ALL
    SELECT r.id FROM manifest m JOIN manifest r ON r.repository_id = m.repository_id AND r.subject = m.digest WHERE m.id = g.id) x
  WHERE NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = x.id)),
w AS MATERIALIZED (SELECT id FROM g LIMIT 10000),
l AS MATERIALIZED (
  SELECT DISTINCT mb.repository_id, mb.blob_id FROM w JOIN manifest_blob mb ON mb.manifest_id = w.id
  WHERE NOT EXISTS (SELECT 1 FROM manifest_blob o WHERE o.repository_id = mb.repository_id AND o.blob_id = mb.blob_id AND o.manifest_id NOT IN (SELECT id FROM w) OFFSET 0)),
x AS MATERIALIZED (
  SELECT b.size_bytes, NOT EXISTS (SELECT 1 FROM repository_blob rb WHERE rb.blob_id = l.blob_id AND rb.repository_id <> l.repository_id OFFSET 0) AS last
  FROM l JOIN blob b ON b.id = l.blob_id)
SELECT (SELECT count(*) FROM w), count(*), COALESCE(sum(size_bytes), 0)::int8, count(*) FILTER (WHERE last), COALESCE(sum(size_bytes) FILTER (WHERE last), 0)::int8 FROM x;

-- A repository in numbers.
-- name: explain_repository_sums
-- args: repository_id int8, window_ms int8
-- cols: live_tags int8, ended_tags int8, manifests int8, idle_manifests int8, links int8, idle_links int8, link_bytes int8, idle_bytes int8, next_ms int8?
-- rows: one
SELECT (SELECT count(*) FROM tag WHERE repository_id = $1 AND ended_ms IS NULL), (SELECT count(*) FROM tag WHERE repository_id = $1 AND ended_ms IS NOT NULL),
  m.n, m.idle, l.n, l.idle, l.bytes, l.idle_bytes, (SELECT min(collect_after_ms) + $2 FROM tag WHERE repository_id = $1)
FROM (SELECT count(*) AS n, count(*) FILTER (WHERE idle_since_ms IS NOT NULL) AS idle FROM manifest WHERE repository_id = $1) m,
  (SELECT count(*) AS n, count(*) FILTER (WHERE rb.idle_since_ms IS NOT NULL) AS idle, COALESCE(sum(b.size_bytes), 0)::int8 AS bytes,
    COALESCE(sum(b.size_bytes) FILTER (WHERE rb.idle_since_ms IS NOT NULL), 0)::int8 AS idle_bytes
   FROM repository_blob rb JOIN blob b ON b.id = rb.blob_id WHERE rb.repository_id = $1) l;

-- A digest anywhere: the blob, its objects, its links.
-- name: explain_blob
-- args: digest text
-- cols: id int8, size_bytes int8, links int8, idle_links int8, oldest_idle_ms int8?
-- rows: at most one
SELECT b.id, b.size_bytes, l.n, l.idle, l.oldest FROM blob b CROSS JOIN LATERAL (
  SELECT count(*) AS n, count(*) FILTER (WHERE rb.idle_since_ms IS NOT NULL) AS idle, min(rb.idle_since_ms) AS oldest FROM repository_blob rb WHERE rb.blob_id = b.id) l
WHERE b.digest = $1;

-- name: explain_objects
-- args: digest text
-- cols: location text, key text?, state int4?, not_before_ms int8?
-- rows: any
SELECT l.name, p.key, NULL::int4, NULL::int8 FROM blob b JOIN placement p ON p.blob_id = b.id JOIN location l ON l.id = p.location_id WHERE b.digest = $1
UNION ALL
SELECT l.name, NULLIF(t.key, ''), t.state::int4, t.not_before_ms FROM tombstone t JOIN location l ON l.id = t.location_id WHERE t.digest = $1;
