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
-- live tags of the names it moves; the namespace's time machine window; with $6 the policies that make tags immutable (size:
-- since when the tags of before may not be marked yet; of a tag: when it was released).
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
SELECT 'tag', t.name, COALESCE(t.released_ms, 0), m.digest, t.is_immutable
FROM tag t JOIN manifest m ON m.id = t.manifest_id
WHERE t.repository_id = $1 AND t.name = ANY($4) AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())
UNION ALL
SELECT 'window', '', n.tag_window_s * 1000, NULL, NULL FROM repository r JOIN account n ON n.id = r.namespace_id WHERE r.id = $1
UNION ALL
SELECT 'policy', p.tag_pattern, CASE WHEN p.backfill_after_id IS NOT NULL THEN p.changed_ms ELSE 0 END, NULL, p.tag_pattern_matches FROM repository r JOIN immutability_policy p ON p.namespace_id = r.namespace_id
  AND (p.repository_id IS NULL OR p.repository_id = r.id)
WHERE r.id = $1 AND $6;

-- The manifest's row: made, or taken up again. Idle unless a tag, parent or subject holds it (the next statements). A subject
-- that is there is held until the push is over, so that collection takes both or neither; one that nothing holds any more counts as
-- absent. A referrer of an absent subject waits for it as long as the namespace's time machine goes back: its idleness begins later.
-- name: manifest_put
-- args: repository_id int8, digest text, media_type text, bytes bytea, is_index bool, config_media_type text?, artifact_type text?, subject text?, annotations text?, layers_bytes int8?, window_ms int8
-- cols: id int8, is_new bool
-- rows: one
WITH s AS MATERIALIZED (
  SELECT s.idle_since_ms, s.is_removed FROM manifest s WHERE $8::text IS NOT NULL AND s.repository_id = $1 AND s.digest = $8 FOR KEY SHARE),
i AS MATERIALIZED (
  SELECT CASE WHEN $8::text IS NULL THEN kade_now_ms()
    WHEN EXISTS (SELECT 1 FROM s WHERE NOT s.is_removed AND (s.idle_since_ms IS NULL OR s.idle_since_ms > kade_now_ms() - $11)) THEN NULL
    ELSE kade_now_ms() + GREATEST(0, (SELECT n.tag_window_s * 1000 - $11 FROM repository r JOIN account n ON n.id = r.namespace_id WHERE r.id = $1)) END AS idle_since_ms)
INSERT INTO manifest AS m (repository_id, digest, media_type, bytes, is_index, config_media_type, artifact_type, subject, annotations, layers_bytes, idle_since_ms)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, i.idle_since_ms FROM i
ON CONFLICT (repository_id, digest) DO UPDATE
SET is_removed = false, idle_since_ms = CASE WHEN m.idle_since_ms IS NOT NULL OR m.is_removed
  OR NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.ended_ms IS NULL) THEN GREATEST(EXCLUDED.idle_since_ms, kade_now_ms()) END
RETURNING id, xmax = 0;

-- Links the manifest to its blobs. The links stop being idle, in id order; the count tells whether all were there. Each
-- link is looked up by itself (here and below OFFSET 0): a join may read all links of a large repository.
-- What is new to the namespace and to the repository goes into the ledger: the namespace holds each blob once. Its rows are
-- locked before anything is inserted, so that a removal that is under way (quota_release) ends first.
-- name: manifest_put_blobs
-- args: repository_id int8, digest text, blobs text[], namespace_id int8
-- cols: linked int8
-- rows: one
WITH m AS (SELECT id FROM manifest WHERE repository_id = $1 AND digest = $2),
b AS MATERIALIZED (
  SELECT l.blob_id, l.idle_since_ms, l.is_counted, x.size_bytes FROM (SELECT x.id, x.size_bytes FROM blob x WHERE x.digest = ANY($3) ORDER BY x.id OFFSET 0) x CROSS JOIN LATERAL (
    SELECT rb.blob_id, rb.idle_since_ms, rb.is_counted FROM repository_blob rb
    WHERE rb.repository_id = $1 AND rb.blob_id = x.id AND NOT rb.is_removed FOR KEY SHARE OF rb) l),
busy AS (
  UPDATE repository_blob rb SET idle_since_ms = NULL, is_counted = true
  FROM (SELECT blob_id FROM b WHERE idle_since_ms IS NOT NULL ORDER BY blob_id) x
  WHERE rb.repository_id = $1 AND rb.blob_id = x.blob_id AND rb.idle_since_ms IS NOT NULL RETURNING rb.blob_id),
ins AS (INSERT INTO manifest_blob (manifest_id, blob_id, repository_id) SELECT m.id, b.blob_id, $1 FROM m, b ON CONFLICT DO NOTHING),
held AS MATERIALIZED (
  SELECT nb.blob_id FROM namespace_blob nb WHERE nb.namespace_id = $4 AND nb.blob_id = ANY(ARRAY(SELECT blob_id FROM b)) ORDER BY nb.blob_id FOR KEY SHARE),
member AS (
  INSERT INTO namespace_blob (namespace_id, blob_id) SELECT $4, b.blob_id FROM b WHERE b.blob_id <> ALL(ARRAY(SELECT blob_id FROM held)) ORDER BY b.blob_id
  ON CONFLICT DO NOTHING RETURNING blob_id),
ledger AS (
  INSERT INTO quota_ledger (namespace_id, delta_bytes, repository_id, repository_bytes)
  SELECT $4, COALESCE(n.bytes, 0), $1, COALESCE(r.bytes, 0)
  FROM (SELECT sum(b.size_bytes)::int8 AS bytes FROM member JOIN b ON b.blob_id = member.blob_id) n,
    (SELECT sum(b.size_bytes)::int8 AS bytes FROM busy JOIN b ON b.blob_id = busy.blob_id WHERE NOT b.is_counted) r
  WHERE n.bytes IS NOT NULL OR r.bytes IS NOT NULL)
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

-- name: manifest_live_tags
-- args: manifest_id int8
-- cols: id int8
-- rows: any
SELECT id FROM tag WHERE manifest_id = $1 AND ended_ms IS NULL AND (expires_ms IS NULL OR expires_ms > kade_now_ms()) ORDER BY id;

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
