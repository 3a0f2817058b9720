-- Tags.
-- Pushes to one name take turns, so that each of the next two statements sees what the push before it committed.
-- name: tag_lock
-- args: repository_id int8, name text
-- cols: done bool
-- rows: one
SELECT pg_advisory_xact_lock(hashtextextended($2, $1)) IS NULL;

-- Pushes of one tag go one after the other: without it all but one of those that meet would have to begin again, each time. In
-- the order of names, before any row is locked; gone with the transaction.
-- name: tag_queue
-- args: repository_id int8, names text[]
-- cols: locked int8
-- rows: one
SELECT count(pg_advisory_xact_lock(hashtextextended(n.name, $1))) FROM (SELECT DISTINCT x COLLATE "C" AS name FROM unnest($2::text[]) x ORDER BY 1) n;

-- Ends the live row of a name: one that points elsewhere, or one whose time has passed (it ends at that time).
-- name: tag_end
-- args: repository_id int8, name text, manifest_digest text, window_ms int8, keep_immutable bool
-- cols: digest text
-- rows: at most one
UPDATE tag t SET ended_ms = LEAST(kade_now_ms(), COALESCE(t.expires_ms, kade_now_ms())), collect_after_ms = LEAST(kade_now_ms(), COALESCE(t.expires_ms, kade_now_ms())) + $4
FROM manifest old
WHERE t.repository_id = $1 AND t.name = $2 AND t.ended_ms IS NULL AND old.id = t.manifest_id
  AND (t.expires_ms <= kade_now_ms() OR (old.digest <> $3 AND NOT (t.is_immutable AND $5)))
RETURNING old.digest;

-- Points the name to the manifest unless it does already; takes the manifest out of idleness. 23505: somebody was quicker.
-- name: tag_put
-- args: repository_id int8, name text, manifest_digest text, expires_after_ms int8?, is_immutable bool
-- cols: none
WITH m AS (SELECT id, idle_since_ms FROM manifest WHERE repository_id = $1 AND digest = $3),
busy AS (UPDATE manifest SET idle_since_ms = NULL FROM m WHERE manifest.id = m.id AND m.idle_since_ms IS NOT NULL)
INSERT INTO tag (repository_id, manifest_id, name, expires_ms, is_immutable)
SELECT $1, m.id, $2, kade_now_ms() + $4, $5 FROM m
WHERE NOT EXISTS (SELECT 1 FROM tag t WHERE t.repository_id = $1 AND t.name = $2 AND t.ended_ms IS NULL AND t.manifest_id = m.id);

-- name: tag_delete_load
-- args: facts, name text
-- cols: facts, id int8?, digest text?, is_immutable bool?, window_s int8?, released_ms int8?
-- rows: one
SELECT f.*, t.id, t.digest, t.is_immutable, t.tag_window_s, t.released_ms
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN LATERAL (
  SELECT t.id, m.digest, t.is_immutable, n.tag_window_s, t.released_ms FROM tag t JOIN manifest m ON m.id = t.manifest_id, account n
  WHERE f.may_write AND t.repository_id = f.repository_id AND t.name = $7 AND t.ended_ms IS NULL
    AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND n.id = f.namespace_id OFFSET 0) t ON true;

-- Ends live tags by their rows, and their counts of pulls, which go with the tag's name.
-- name: tag_delete
-- args: repository_id int8, tag_ids int8[], window_ms int8, keep_immutable bool
-- cols: id int8, name text, digest text
-- rows: any
WITH t AS (
  UPDATE tag SET ended_ms = kade_now_ms(), collect_after_ms = kade_now_ms() + $3
  WHERE id = ANY($2) AND repository_id = $1 AND ended_ms IS NULL AND NOT (is_immutable AND $4) RETURNING id, name, manifest_id),
p AS (DELETE FROM tag_pull WHERE repository_id = $1 AND tag_name IN (SELECT name FROM t))
SELECT t.id, t.name, m.digest FROM t JOIN manifest m ON m.id = t.manifest_id;

-- What makes tags of a repository immutable. pending_ms: when the policy was written, while the tags of before may not be marked
-- yet.
-- name: tag_policies
-- args: repository_id int8
-- cols: tag_pattern text, tag_pattern_matches bool, pending_ms int8?
-- rows: any
SELECT p.tag_pattern, p.tag_pattern_matches, CASE WHEN p.backfill_after_id IS NOT NULL THEN p.changed_ms END FROM repository r JOIN immutability_policy p ON p.namespace_id = r.namespace_id
  AND (p.repository_id IS NULL OR p.repository_id = r.id)
WHERE r.id = $1;

-- Live names of a manifest that are not immutable.
-- name: tag_names_of_manifest
-- args: manifest_id int8
-- cols: name text, released_ms int8?
-- rows: any
SELECT t.name, t.released_ms FROM tag t WHERE t.manifest_id = $1 AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND NOT t.is_immutable;

-- Live names in byte order after $7; one row more than the page tells whether there are more.
-- name: tags_list_load
-- args: facts, after text?, page int4
-- cols: facts, name text?
-- rows: at least one
SELECT f.*, t.name FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN LATERAL (
  SELECT t.name FROM tag t WHERE f.may_read AND t.repository_id = f.repository_id AND t.ended_ms IS NULL
    AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND t.name > COALESCE($7, '')
  ORDER BY t.name LIMIT $8) t ON true
ORDER BY t.name;

-- The tags of a repository for the REST API, newest start first, alive and (while their window lasts) dead. The page is cut out
-- of the index alone ($9 rows are skipped in it); the rows are read afterwards.
-- set: tag_item  id int8?, name text?, is_reversion bool?, is_immutable bool?, start_ms int8?, expires_ms int8?, ended_ms int8?, digest text?, is_index bool?, size_bytes int8?, manifest_id int8?
-- name: repo_tags_load
-- args: facts, pattern text?, page int4, skip int8
-- cols: facts, tag_item
-- rows: at least one
SELECT f.*, i.* FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (SELECT n.tag_window_s * 1000 AS window_ms, kade_now_ms() AS now_ms FROM account n WHERE n.id = f.namespace_id OFFSET 0) n ON true
LEFT JOIN LATERAL (
  SELECT t.repository_id, t.start_ms, t.name FROM tag t
  WHERE f.may_read AND t.repository_id = f.repository_id AND ($7::text IS NULL OR t.name ILIKE $7)
    AND CASE WHEN t.ended_ms IS NULL THEN t.expires_ms IS NULL OR t.expires_ms > n.now_ms - n.window_ms
      ELSE t.collect_after_ms IS NULL OR t.collect_after_ms > n.now_ms END
  ORDER BY t.start_ms DESC, t.name LIMIT $8 OFFSET $9) p ON true
LEFT JOIN LATERAL (
  SELECT t.id, t.name, t.is_reversion, t.is_immutable, t.start_ms, t.expires_ms, t.ended_ms, m.digest, m.is_index, m.layers_bytes, m.id AS manifest_id
  FROM tag t JOIN manifest m ON m.id = t.manifest_id WHERE t.repository_id = p.repository_id AND t.start_ms = p.start_ms AND t.name = p.name) i ON true
ORDER BY i.start_ms DESC, i.name, i.id DESC;

-- The live ones alone. $10 and on: what the caller's list was made from, and the list is not read when nothing changed since:
-- every row of a transaction that had not ended then (at or after that snapshot's oldest, $10) was counted in $11 and $12, and no
-- tag has expired between then ($13) and now. NULL: the caller has no list.
-- name: repo_live_tags_load
-- args: facts, pattern text?, page int4, skip int8, since_xid int8?, since_n int8, since_sum int8, since_ms int8, since_repository int8
-- cols: facts, tag_item, snapshot_xid int8, changed_n int8, changed_sum int8, now_ms int8, is_unchanged bool
-- rows: at least one
SELECT f.*, i.*, n.xid, c.n, c.sum, n.now_ms, o.is_unchanged
FROM repo_facts($1, $2, $3, $4, $5, $6) f
CROSS JOIN LATERAL (SELECT kade_now_ms() AS now_ms, pg_snapshot_xmin(pg_current_snapshot())::text::int8 AS xid OFFSET 0) n
CROSS JOIN LATERAL (
  SELECT count(*) AS n, COALESCE(sum(x.changed_xid), 0)::int8 AS sum FROM (
    SELECT t.changed_xid FROM tag t WHERE f.may_read AND t.repository_id = f.repository_id AND t.changed_xid >= n.xid LIMIT 1001) x) c
CROSS JOIN LATERAL (
  SELECT $10::int8 IS NOT NULL AND f.may_read AND f.repository_id = $14 AND (
    SELECT count(*) = $11 AND COALESCE(sum(x.changed_xid), 0)::int8 = $12 FROM (
      SELECT t.changed_xid FROM tag t WHERE f.may_read AND t.repository_id = f.repository_id AND t.changed_xid >= $10 LIMIT 1001) x)
    AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.repository_id = f.repository_id AND t.ended_ms IS NULL AND t.expires_ms > $13 AND t.expires_ms <= n.now_ms)
    AS is_unchanged OFFSET 0) o
LEFT JOIN LATERAL (
  SELECT t.repository_id, t.start_ms, t.name FROM tag t
  WHERE f.may_read AND NOT o.is_unchanged AND t.repository_id = f.repository_id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > n.now_ms)
    AND ($7::text IS NULL OR t.name ILIKE $7)
  ORDER BY t.start_ms DESC, t.name LIMIT $8 OFFSET $9) p ON true
LEFT JOIN LATERAL (
  SELECT t.id, t.name, t.is_reversion, t.is_immutable, t.start_ms, t.expires_ms, t.ended_ms, m.digest, m.is_index, m.layers_bytes, m.id AS manifest_id
  FROM tag t JOIN manifest m ON m.id = t.manifest_id WHERE t.repository_id = p.repository_id AND t.name = p.name AND t.ended_ms IS NULL) i ON true
ORDER BY i.start_ms DESC, i.name;

-- The rows of one name. They never overlap, so the order of their ends is that of their starts.
-- name: repo_named_tags_load
-- args: facts, name text, live_only bool, page int4, skip int8
-- cols: facts, tag_item
-- rows: at least one
SELECT f.*, i.* FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (SELECT n.tag_window_s * 1000 AS window_ms, kade_now_ms() AS now_ms FROM account n WHERE n.id = f.namespace_id OFFSET 0) n ON true
LEFT JOIN LATERAL (
  SELECT t.id, t.name, t.is_reversion, t.is_immutable, t.start_ms, t.expires_ms, t.ended_ms, m.digest, m.is_index, m.layers_bytes, m.id AS manifest_id
  FROM (SELECT t.* FROM tag t
    WHERE f.may_read AND t.repository_id = f.repository_id AND t.name = $7
      AND CASE WHEN t.ended_ms IS NULL THEN t.expires_ms IS NULL OR t.expires_ms > n.now_ms - CASE WHEN $8 THEN 0 ELSE n.window_ms END
        ELSE NOT $8 AND (t.collect_after_ms IS NULL OR t.collect_after_ms > n.now_ms) END
    ORDER BY t.ended_ms DESC, t.start_ms DESC LIMIT $9 OFFSET $10) t JOIN manifest m ON m.id = t.manifest_id) i ON true
ORDER BY i.start_ms DESC, i.id DESC;

-- What the indexes among some manifests list, and whether it is here. Indexes above $2 bytes say nothing of their children.
-- name: tag_index_children
-- args: manifest_ids int8[], max_bytes int4
-- cols: manifest_id int8, digest text, is_present bool
-- rows: any
SELECT m.id, e.digest, EXISTS (SELECT 1 FROM manifest c WHERE c.repository_id = m.repository_id AND c.digest = e.digest AND NOT c.is_removed OFFSET 0)
FROM manifest m CROSS JOIN LATERAL (
  SELECT j->>'digest' AS digest FROM json_array_elements(convert_from(m.bytes, 'UTF8')::json->'manifests') j
  WHERE json_typeof(j->'digest') = 'string') e
WHERE m.id = ANY($1) AND m.is_index AND octet_length(m.bytes) <= $2 ORDER BY m.id;

-- One live tag for a change by the REST API; $8, $9: the manifest that it may be pointed to, visible as for a pull by digest.
-- name: tag_change_load
-- args: facts, name text, digest text?, window_ms int8
-- cols: facts, id int8?, old_digest text?, is_immutable bool?, start_ms int8?, expires_ms int8?, window_s int8?, target_id int8?, now_ms int8, released_ms int8?
-- rows: one
SELECT f.*, t.id, t.digest, t.is_immutable, t.start_ms, t.expires_ms, (SELECT n.tag_window_s FROM account n WHERE n.id = f.namespace_id), m.id, kade_now_ms(), t.released_ms
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT t.id, m.digest, t.is_immutable, t.start_ms, t.expires_ms, t.released_ms FROM tag t JOIN manifest m ON m.id = t.manifest_id
  WHERE f.may_write AND t.repository_id = f.repository_id AND t.name = $7 AND t.ended_ms IS NULL
    AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) t ON true
LEFT JOIN LATERAL (
  SELECT m.id FROM manifest m WHERE f.may_write AND m.repository_id = f.repository_id AND m.digest = $8 AND NOT m.is_removed AND CASE
    WHEN EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) THEN true
    WHEN m.idle_since_ms > kade_now_ms() - $9 THEN true
    ELSE kade_manifest_held(m.id, $9) END) m ON true;

-- The same for a restore: a manifest of which the time machine still shows a tag will do, too.
-- name: tag_restore_load
-- args: facts, name text, digest text?, window_ms int8
-- cols: facts, id int8?, old_digest text?, is_immutable bool?, start_ms int8?, expires_ms int8?, window_s int8?, target_id int8?, now_ms int8, released_ms int8?
-- rows: one
SELECT f.*, t.id, t.digest, t.is_immutable, t.start_ms, t.expires_ms, n.window_s, m.id, kade_now_ms(), t.released_ms
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (SELECT n.tag_window_s AS window_s FROM account n WHERE n.id = f.namespace_id OFFSET 0) n ON true
LEFT JOIN LATERAL (
  SELECT t.id, m.digest, t.is_immutable, t.start_ms, t.expires_ms, t.released_ms FROM tag t JOIN manifest m ON m.id = t.manifest_id
  WHERE f.may_write AND t.repository_id = f.repository_id AND t.name = $7 AND t.ended_ms IS NULL
    AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) t ON true
LEFT JOIN LATERAL (
  SELECT m.id FROM manifest m WHERE f.may_write AND m.repository_id = f.repository_id AND m.digest = $8 AND CASE
    WHEN EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND CASE WHEN t.ended_ms IS NULL THEN t.expires_ms IS NULL OR t.expires_ms > kade_now_ms() - n.window_s * 1000
      ELSE t.collect_after_ms IS NULL OR t.collect_after_ms > kade_now_ms() END) THEN true
    WHEN m.is_removed THEN false
    WHEN m.idle_since_ms > kade_now_ms() - $9 THEN true
    ELSE kade_manifest_held(m.id, $9) END) m ON true;

-- Holds a manifest against its removal until the transaction ends; waits for one that is under way. No row: it is gone.
-- name: tag_hold_manifest
-- args: manifest_id int8, removed_too bool
-- cols: id int8
-- rows: at most one
SELECT id FROM manifest WHERE id = $1 AND (NOT is_removed OR $2) FOR KEY SHARE;

-- A tag that is restored brings its manifest back, with what it refers to, if those were deleted by digest.
-- name: tag_unremove_manifest
-- args: manifest_id int8
-- cols: changed int8
-- rows: one
WITH RECURSIVE down(id) AS (SELECT $1 UNION SELECT c.child_id FROM down JOIN manifest_child c ON c.manifest_id = down.id),
m AS (UPDATE manifest SET is_removed = false WHERE id = ANY(ARRAY(SELECT id FROM down)) AND is_removed RETURNING id),
b AS (
  UPDATE repository_blob rb SET is_removed = false
  WHERE rb.repository_id = (SELECT repository_id FROM manifest WHERE id = $1)
    AND rb.blob_id = ANY(ARRAY(SELECT mb.blob_id FROM manifest_blob mb WHERE mb.manifest_id = ANY(ARRAY(SELECT id FROM down)) ORDER BY 1))
    AND rb.is_removed RETURNING rb.blob_id)
SELECT (SELECT count(*) FROM m) + (SELECT count(*) FROM b);

-- Points a name to a manifest by hand; the live row has been ended. 23505: somebody was quicker.
-- name: tag_point
-- args: repository_id int8, name text, manifest_id int8, is_reversion bool, is_immutable bool
-- cols: id int8
-- rows: one
WITH busy AS (UPDATE manifest SET idle_since_ms = NULL WHERE id = $3 AND idle_since_ms IS NOT NULL)
INSERT INTO tag (repository_id, manifest_id, name, is_reversion, is_immutable) VALUES ($1, $3, $2, $4, $5) RETURNING id;

-- name: tag_set_expiry
-- args: id int8, expires_ms int8?, keep_immutable bool
-- cols: id int8
-- rows: at most one
UPDATE tag SET expires_ms = $2 WHERE id = $1 AND ended_ms IS NULL AND NOT (is_immutable AND $3) RETURNING id;

-- An immutable tag does not expire, unless $3.
-- name: tag_set_immutable
-- args: id int8, is_immutable bool, may_expire bool
-- cols: id int8
-- rows: at most one
UPDATE tag SET is_immutable = $2, released_ms = CASE WHEN NOT $2 THEN kade_now_ms() END WHERE id = $1 AND ended_ms IS NULL AND (NOT $2 OR $3 OR expires_ms IS NULL) RETURNING id;

-- Takes the ended rows of a name and digest out of the time machine: they can be collected now. $5: immutable ones stay.
-- name: tag_forget
-- args: repository_id int8, name text, digest text, window_ms int8, keep_immutable bool
-- cols: id int8
-- rows: any
UPDATE tag t SET ended_ms = COALESCE(t.ended_ms, t.expires_ms), collect_after_ms = kade_now_ms()
FROM manifest m WHERE m.id = t.manifest_id AND m.digest = $3 AND t.repository_id = $1 AND t.name = $2 AND NOT (t.is_immutable AND $5)
  AND CASE WHEN t.ended_ms IS NULL THEN t.expires_ms <= kade_now_ms() AND t.expires_ms > kade_now_ms() - $4
    ELSE t.collect_after_ms IS NULL OR t.collect_after_ms > kade_now_ms() END
RETURNING t.id;

-- Tags that cosign made for some digests end when no other live tag is left on that digest. $5 as above; $4: names that are to
-- stay.
-- name: tag_end_siblings
-- args: repository_id int8, digests text[], window_ms int8, kept text[], keep_immutable bool
-- cols: name text
-- rows: any
WITH s AS (
  UPDATE tag s SET ended_ms = kade_now_ms(), collect_after_ms = kade_now_ms() + $3
  FROM unnest($2::text[]) d(digest), unnest(ARRAY['.sig', '.att', '.sbom']) x(suffix)
  WHERE d.digest LIKE 'sha256:%' AND s.repository_id = $1 AND s.name = replace(d.digest, ':', '-') || x.suffix AND s.ended_ms IS NULL
    AND NOT (s.is_immutable AND $5) AND s.name <> ALL($4)
    AND NOT EXISTS (SELECT 1 FROM manifest m JOIN tag t ON t.manifest_id = m.id
      WHERE m.repository_id = $1 AND m.digest = d.digest AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())
        AND t.name !~ '^sha256-[a-f0-9]{64}[.](sig|att|sbom)$')
  RETURNING s.name),
p AS (DELETE FROM tag_pull WHERE repository_id = $1 AND tag_name IN (SELECT name FROM s))
SELECT name FROM s;

-- name: tag_pulls_load
-- args: facts, name text
-- cols: facts, id int8?, digest text?, tag_pulls int8?, tag_last_ms int8?, tag_digest text?, manifest_pulls int8?, manifest_last_ms int8?
-- rows: one
SELECT f.*, t.id, t.digest, p.pulls, p.last_ms, p.digest, mp.pulls, mp.last_ms
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT t.id, m.digest FROM tag t JOIN manifest m ON m.id = t.manifest_id
  WHERE f.may_read AND t.repository_id = f.repository_id AND t.name = $7 AND t.ended_ms IS NULL
    AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) t ON true
LEFT JOIN tag_pull p ON t.id IS NOT NULL AND p.repository_id = f.repository_id AND p.tag_name = $7
LEFT JOIN manifest_pull mp ON mp.repository_id = f.repository_id AND mp.digest = t.digest;
