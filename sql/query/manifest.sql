-- Manifests: reads with their audit row and pull delta, the push, deletion, referrers.
-- set: manifest  id int8?, digest text?, media_type text?, bytes bytea?

-- A pull by tag, and its audit row, for a strict pull log. $8 audit kind, $9 metadata without its closing brace, $10 address, $11
-- synchronous_commit of this statement. `expired`: no live tag, but one of the past.
-- name: manifest_by_tag_load
-- args: facts, tag text, audit_kind int2, metadata text, ip text?, sync text
-- cols: facts, manifest, expired bool?
-- rows: one
WITH f AS MATERIALIZED (SELECT * FROM repo_facts($1, $2, $3, $4, $5, $6)),
m AS MATERIALIZED (
  SELECT m.id, m.digest, m.media_type, m.bytes, f.namespace_id, f.repository_id, f.caller_id, f.token_id
  FROM f JOIN tag t ON t.repository_id = f.repository_id AND t.name = $7 AND t.ended_ms IS NULL
    AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())
  JOIN manifest m ON m.id = t.manifest_id
  WHERE f.may_read AND f.repository_kind = 1),
log AS (
  INSERT INTO audit_inbox (kind, namespace_id, performer_id, repository_id, ip, metadata, manifest_id, tag_name, token_id)
  SELECT $8, namespace_id, caller_id, repository_id, $10, $9 || ',"mediaType":' || to_json(media_type) || '}', id, $7, token_id
  FROM m WHERE set_config('synchronous_commit', $11, true) IS NOT NULL)
SELECT f.*, m.id, m.digest, m.media_type, m.bytes,
  CASE WHEN m.id IS NULL AND f.may_read THEN EXISTS (SELECT 1 FROM tag t WHERE t.repository_id = f.repository_id AND t.name = $7) END
FROM f LEFT JOIN m ON true;

-- A pull by digest, and its audit row ($9 … $12 as $8 … $11 above). Visible: held by a live tag, by a visible parent or subject,
-- or pushed by digest less than $8 ms ago.
-- name: manifest_by_digest_load
-- args: facts, digest text, window_ms int8, audit_kind int2, metadata text, ip text?, sync text
-- cols: facts, manifest
-- rows: one
WITH f AS MATERIALIZED (SELECT * FROM repo_facts($1, $2, $3, $4, $5, $6)),
m AS MATERIALIZED (
  SELECT m.id, m.digest, m.media_type, m.bytes, f.namespace_id, f.repository_id, f.caller_id, f.token_id
  FROM f JOIN manifest m ON m.repository_id = f.repository_id AND m.digest = $7 AND NOT m.is_removed
  WHERE f.may_read AND f.repository_kind = 1 AND CASE
    WHEN EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) THEN true
    WHEN m.idle_since_ms > kade_now_ms() - $8 THEN true
    ELSE kade_manifest_held(m.id, $8) END),
log AS (
  INSERT INTO audit_inbox (kind, namespace_id, performer_id, repository_id, ip, metadata, manifest_id, tag_name, token_id)
  SELECT $9, namespace_id, caller_id, repository_id, $11, $10 || ',"mediaType":' || to_json(media_type) || '}', id, NULL, token_id
  FROM m WHERE set_config('synchronous_commit', $12, true) IS NOT NULL)
SELECT f.*, m.id, m.digest, m.media_type, m.bytes FROM f LEFT JOIN m ON true;

-- The reads that write nothing: pulls whose log rows are collected (the usual case, audit_inbox_add), HEAD, and all reads of a
-- read-only registry, whose database may be a standby. Same
-- leading columns. Names of columns and conditions are those of the statements above.
-- name: manifest_by_tag_quiet
-- args: facts, tag text
-- cols: facts, manifest, expired bool?
-- rows: one
SELECT f.*, m.id, m.digest, m.media_type, m.bytes,
  CASE WHEN m.id IS NULL AND f.may_read THEN EXISTS (SELECT 1 FROM tag t WHERE t.repository_id = f.repository_id AND t.name = $7) END
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN LATERAL (
  SELECT m.id, m.digest, m.media_type, m.bytes FROM tag t JOIN manifest m ON m.id = t.manifest_id
  WHERE f.may_read AND f.repository_kind = 1 AND t.repository_id = f.repository_id AND t.name = $7 AND t.ended_ms IS NULL
    AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) m ON true;

-- name: manifest_by_digest_quiet
-- args: facts, digest text, window_ms int8
-- cols: facts, manifest
-- rows: one
SELECT f.*, m.id, m.digest, m.media_type, m.bytes
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN LATERAL (
  SELECT m.id, m.digest, m.media_type, m.bytes FROM manifest m
  WHERE f.may_read AND f.repository_kind = 1 AND m.repository_id = f.repository_id AND m.digest = $7 AND NOT m.is_removed AND CASE
    WHEN EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) THEN true
    WHEN m.idle_since_ms > kade_now_ms() - $8 THEN true
    ELSE kade_manifest_held(m.id, $8) END) m ON true;

-- Another manifest of the same repository by digest, for a client that cannot read an index (its amd64 child).
-- name: manifest_child_bytes
-- args: repository_id int8, digest text
-- cols: manifest
-- rows: at most one
SELECT id, digest, media_type, bytes FROM manifest WHERE repository_id = $1 AND digest = $2 AND NOT is_removed;

-- What a push needs to know of the repository: which of the digests are blobs or manifests that it may refer to, and the
-- live tags of the names it moves; the namespace's time machine window; with $6 the policies that make tags immutable.
-- name: manifest_push_parts
-- args: repository_id int8, blobs text[], children text[], tags text[], window_ms int8, with_policies bool
-- cols: kind text, digest text, size_bytes int8, media_type text?, flag bool?
-- rows: any
SELECT 'blob', b.digest, b.size_bytes, NULL, NULL::bool
FROM blob b WHERE b.digest = ANY($2) AND EXISTS (SELECT 1 FROM repository_blob rb WHERE rb.repository_id = $1 AND rb.blob_id = b.id
  AND NOT rb.is_removed AND (rb.idle_since_ms IS NULL OR rb.idle_since_ms > kade_now_ms() - $5) OFFSET 0)
UNION ALL
SELECT 'child', m.digest, octet_length(m.bytes)::int8, m.media_type, m.is_index
FROM manifest m WHERE m.repository_id = $1 AND m.digest = ANY($3) AND NOT m.is_removed
UNION ALL
SELECT 'tag', t.name, 0, m.digest, t.is_immutable
FROM tag t JOIN manifest m ON m.id = t.manifest_id
WHERE t.repository_id = $1 AND t.name = ANY($4) AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())
UNION ALL
SELECT 'window', '', n.tag_window_s * 1000, NULL, NULL FROM repository r JOIN account n ON n.id = r.namespace_id WHERE r.id = $1
UNION ALL
SELECT 'policy', p.tag_pattern, 0, NULL, p.tag_pattern_matches FROM repository r JOIN immutability_policy p ON p.namespace_id = r.namespace_id
  AND (p.repository_id IS NULL OR p.repository_id = r.id)
WHERE r.id = $1 AND $6;

-- The manifest's row: made, or taken up again. Idle unless a tag, parent or subject holds it (the next statements).
-- name: manifest_put
-- args: repository_id int8, digest text, media_type text, bytes bytea, is_index bool, config_media_type text?, artifact_type text?, subject text?, annotations text?, layers_bytes int8?
-- cols: id int8, is_new bool
-- rows: one
INSERT INTO manifest AS m (repository_id, digest, media_type, bytes, is_index, config_media_type, artifact_type, subject, annotations, layers_bytes, idle_since_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
  CASE WHEN $8::text IS NULL OR NOT EXISTS (SELECT 1 FROM manifest s WHERE s.repository_id = $1 AND s.digest = $8) THEN kade_now_ms() END)
ON CONFLICT (repository_id, digest) DO UPDATE
SET is_removed = false, idle_since_ms = CASE WHEN m.idle_since_ms IS NOT NULL OR m.is_removed THEN kade_now_ms() END
RETURNING id, xmax = 0;

-- Links the manifest to its blobs. The links stop being idle, in id order; the count tells whether all were there. Each
-- link is looked up by itself (here and below OFFSET 0): a join may read all links of a large repository.
-- name: manifest_put_blobs
-- args: repository_id int8, digest text, blobs text[]
-- cols: linked int8
-- rows: one
WITH m AS (SELECT id FROM manifest WHERE repository_id = $1 AND digest = $2),
b AS MATERIALIZED (
  SELECT l.blob_id, l.idle_since_ms FROM (SELECT x.id FROM blob x WHERE x.digest = ANY($3) ORDER BY x.id OFFSET 0) x CROSS JOIN LATERAL (
    SELECT rb.blob_id, rb.idle_since_ms FROM repository_blob rb
    WHERE rb.repository_id = $1 AND rb.blob_id = x.id AND NOT rb.is_removed FOR KEY SHARE OF rb) l),
busy AS (
  UPDATE repository_blob rb SET idle_since_ms = NULL
  FROM (SELECT blob_id FROM b WHERE idle_since_ms IS NOT NULL ORDER BY blob_id) x
  WHERE rb.repository_id = $1 AND rb.blob_id = x.blob_id AND rb.idle_since_ms IS NOT NULL),
ins AS (INSERT INTO manifest_blob (manifest_id, blob_id, repository_id) SELECT m.id, b.blob_id, $1 FROM m, b ON CONFLICT DO NOTHING)
SELECT count(*) FROM b;

-- Links an index to its children; they stop being idle, in id order.
-- name: manifest_put_children
-- args: repository_id int8, digest text, children text[]
-- cols: linked int8
-- rows: one
WITH p AS (SELECT id FROM manifest WHERE repository_id = $1 AND digest = $2),
ch AS MATERIALIZED (
  SELECT m.id, m.idle_since_ms, c.position FROM unnest($3::text[]) WITH ORDINALITY c(digest, position)
  JOIN manifest m ON m.repository_id = $1 AND m.digest = c.digest AND NOT m.is_removed ORDER BY m.id FOR KEY SHARE OF m),
busy AS (
  UPDATE manifest m SET idle_since_ms = NULL FROM (SELECT id FROM ch WHERE idle_since_ms IS NOT NULL ORDER BY id) x
  WHERE m.id = x.id AND m.idle_since_ms IS NOT NULL),
ins AS (INSERT INTO manifest_child (manifest_id, child_id, repository_id, position) SELECT p.id, ch.id, $1, ch.position FROM p, ch ON CONFLICT DO NOTHING)
SELECT count(*) FROM ch;

-- Referrers that were pushed before their subject are held by it from now on.
-- name: manifest_hold_referrers
-- args: repository_id int8, digest text
-- cols: none
UPDATE manifest SET idle_since_ms = NULL WHERE repository_id = $1 AND subject = $2 AND idle_since_ms IS NOT NULL;

-- Labels of a manifest that is new; source 1 = the manifest itself.
-- name: manifest_put_labels
-- args: repository_id int8, digest text, keys text[], vals text[], types text[]
-- cols: none
INSERT INTO label (manifest_id, key, value, media_type, source)
SELECT m.id, l.k, l.v, l.t, 1 FROM manifest m, unnest($3::text[], $4::text[], $5::text[]) l(k, v, t)
WHERE m.repository_id = $1 AND m.digest = $2 AND NOT EXISTS (SELECT 1 FROM label x WHERE x.manifest_id = m.id AND x.source = 1);

-- Quota: the namespace holds each blob once; the ledger takes the sizes of those that are new to it.
-- name: manifest_put_quota
-- args: namespace_id int8, repository_id int8, blobs text[]
-- cols: none
WITH n AS (
  INSERT INTO namespace_blob (namespace_id, blob_id)
  SELECT $1, b.id FROM blob b
  WHERE b.digest = ANY($3) AND EXISTS (SELECT 1 FROM repository_blob rb WHERE rb.repository_id = $2 AND rb.blob_id = b.id OFFSET 0) ORDER BY b.id
  ON CONFLICT DO NOTHING RETURNING blob_id)
INSERT INTO quota_ledger (namespace_id, delta_bytes)
SELECT $1, sum(b.size_bytes)::int8 FROM n JOIN blob b ON b.id = n.blob_id HAVING count(*) > 0;

-- Digests of the children of an index that carry the same acting labels are asked with their own bytes.
-- name: manifest_labels_of
-- args: repository_id int8, digests text[]
-- cols: digest text, key text, value text
-- rows: any
SELECT m.digest, l.key, l.value FROM manifest m JOIN label l ON l.manifest_id = m.id
WHERE m.repository_id = $1 AND m.digest = ANY($2) AND l.key = ANY(ARRAY['quay.expires-after', 'quay.immutable']) ORDER BY m.digest;

-- Deletion by digest: facts, the manifest if it is visible, and how many live tags point to it.
-- name: manifest_delete_load
-- args: facts, digest text, window_ms int8
-- cols: facts, id int8?, live_tags int8?, immutable_tags int8?, live_parents bool?, window_s int8?
-- rows: one
WITH f AS MATERIALIZED (SELECT * FROM repo_facts($1, $2, $3, $4, $5, $6)),
m AS MATERIALIZED (
  SELECT m.id FROM f JOIN manifest m ON m.repository_id = f.repository_id AND m.digest = $7 AND NOT m.is_removed
  WHERE f.may_write AND f.repository_kind = 1 AND (m.idle_since_ms > kade_now_ms() - $8 OR kade_manifest_held(m.id, $8)))
SELECT f.*, m.id, t.n, t.imm,
  m.id IS NOT NULL AND kade_manifest_in_index(m.id, $8),
  (SELECT n.tag_window_s FROM account n WHERE n.id = f.namespace_id)
FROM f LEFT JOIN m ON true
LEFT JOIN LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE t.is_immutable) AS imm FROM tag t
  WHERE t.manifest_id = m.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) t ON m.id IS NOT NULL;

-- name: manifest_delete_tags
-- args: manifest_id int8, window_ms int8, keep_immutable bool
-- cols: name text
-- rows: any
UPDATE tag SET ended_ms = kade_now_ms(), collect_after_ms = kade_now_ms() + $2
WHERE manifest_id = $1 AND ended_ms IS NULL AND (expires_ms IS NULL OR expires_ms > kade_now_ms()) AND NOT (is_immutable AND $3)
RETURNING name;

-- Waits for pushes that tag the manifest or put it into an index now; those that come later wait for us. The next statements
-- see what they committed.
-- name: manifest_delete_lock
-- args: manifest_id int8
-- cols: id int8
-- rows: at most one
SELECT id FROM manifest WHERE id = $1 AND NOT is_removed FOR UPDATE;

-- No row: a live tag or index holds it by now.
-- name: manifest_mark_removed
-- args: manifest_id int8, window_ms int8
-- cols: id int8
-- rows: at most one
UPDATE manifest SET is_removed = true, idle_since_ms = COALESCE(idle_since_ms, CASE WHEN NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = manifest.id)
  AND NOT EXISTS (SELECT 1 FROM manifest_child c WHERE c.child_id = manifest.id) THEN kade_now_ms() END)
WHERE id = $1 AND NOT is_removed
  AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = $1 AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()))
  AND NOT kade_manifest_in_index($1, $2)
RETURNING id;

-- Referrers of a digest: the manifests of this repository that name it as their subject and are visible. A referrer follows
-- its subject, so a visible subject answers for all of them at once. Where it is gone, those stay that were pushed just now or
-- that a tag holds, their own or that of an index with them: no walk for each.
-- name: referrers_load
-- args: facts, digest text, artifact_type text?, window_ms int8, after_id int8, page int4
-- cols: facts, id int8?, digest text?, media_type text?, size_bytes int8?, artifact_type text?, annotations text?
-- rows: at least one
SELECT f.*, m.* FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT s.idle_since_ms > kade_now_ms() - $9 OR kade_manifest_held(s.id, $9) AS is_visible
  FROM manifest s WHERE f.may_read AND s.repository_id = f.repository_id AND s.digest = $7 AND NOT s.is_removed OFFSET 0) s ON true
LEFT JOIN LATERAL (
  SELECT m.id, m.digest, m.media_type, octet_length(m.bytes)::int8, m.artifact_type, m.annotations
  FROM manifest m WHERE f.may_read AND m.repository_id = f.repository_id AND m.subject = $7 AND NOT m.is_removed AND m.id > $10
    AND ($8::text IS NULL OR m.artifact_type = $8)
    AND (s.is_visible OR m.idle_since_ms > kade_now_ms() - $9
      OR EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()))
      OR EXISTS (SELECT 1 FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id AND NOT p.is_removed JOIN tag t ON t.manifest_id = p.id
        WHERE c.child_id = m.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())))
  ORDER BY m.id LIMIT $11) m ON true
ORDER BY m.id;

-- The index under the fallback tag of a digest, whose entries are merged into the referrers list.
-- name: referrers_fallback
-- args: repository_id int8, tag text
-- cols: bytes bytea
-- rows: at most one
SELECT m.bytes FROM tag t JOIN manifest m ON m.id = t.manifest_id
WHERE t.repository_id = $1 AND t.name = $2 AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND m.is_index;
