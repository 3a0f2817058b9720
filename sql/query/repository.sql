-- Repositories: creation by the first write, the catalogue.
-- Makes the repository if it is absent (idempotent), gives its creator admin rights and applies the default permissions.
-- name: repository_ensure
-- args: namespace_id int8, name text, creator_id int8?, is_public bool, kind int2
-- cols: id int8
-- rows: one
SELECT kade_repository_ensure($1, $2, $3, $4, $5);

-- Makes an organization if the name is free, with its creator in the team of owners.
-- name: organization_ensure
-- args: name text, email text?, creator_id int8, tag_window_s int8
-- cols: id int8?
-- rows: one
SELECT kade_organization_ensure($1, $2, $3, $4);

-- Image repositories that the caller may read, by id; $5: everything (superuser). Each way to a right gives at most a page in
-- the order of its own index, so that the registry's size does not matter.
-- name: catalog_page
-- args: caller_id int8?, public_too bool, after_id int8, page int4, everything bool
-- cols: id int8, name text
-- rows: any
SELECT x.id, x.path FROM (
  (SELECT v.id, v.path FROM listed_repository v WHERE $5 AND v.id > $3 ORDER BY v.id LIMIT $4)
  UNION
  (SELECT v.id, v.path FROM listed_repository v WHERE $2 AND v.is_public AND v.id > $3 ORDER BY v.id LIMIT $4)
  UNION
  (SELECT v.id, v.path FROM listed_repository v WHERE v.namespace_id = $1 AND v.id > $3 ORDER BY v.id LIMIT $4)
  UNION
  (SELECT v.id, v.path FROM repository_permission p JOIN listed_repository v ON v.id = p.repository_id
    WHERE p.account_id = $1 AND p.repository_id > $3 ORDER BY p.repository_id LIMIT $4)
  UNION
  SELECT t.id, t.path FROM team_member m CROSS JOIN LATERAL (
    SELECT v.id, v.path FROM repository_permission p JOIN listed_repository v ON v.id = p.repository_id
    WHERE p.team_id = m.team_id AND p.repository_id > $3 ORDER BY p.repository_id LIMIT $4) t WHERE m.account_id = $1
  UNION
  SELECT o.id, o.path FROM team_member m JOIN team g ON g.id = m.team_id AND g.role = 3 CROSS JOIN LATERAL (
    SELECT v.id, v.path FROM listed_repository v WHERE v.namespace_id = g.organization_id AND v.id > $3 ORDER BY v.id LIMIT $4) o
  WHERE m.account_id = $1) x
ORDER BY x.id LIMIT $4;

-- The id that a name given as `last` stands for.
-- name: catalog_after_name
-- args: namespace text, repository text
-- cols: id int8
-- rows: at most one
SELECT r.id FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = $1 AND r.name = $2;

-- One repository with its newest live tags; what is of the repository alone stands in the first row.
-- name: repo_get_load
-- args: facts, max_tags int4
-- cols: facts, description text?, badge_token text?, trust_enabled bool?, tag_window_s int8?, is_free bool?, is_starred bool?, tag text?, size_bytes int8?, start_ms int8?, expires_ms int8?, digest text?
-- rows: at least one
SELECT f.*, CASE WHEN COALESCE(t.nth, 1) = 1 THEN r.description END, r.badge_token, r.trust_enabled, r.tag_window_s, r.is_free, r.is_starred,
  t.name, t.layers_bytes, t.start_ms, t.expires_ms, t.digest
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT r.description, r.badge_token, r.trust_enabled, n.tag_window_s, n.stripe_id IS NULL AS is_free,
    EXISTS (SELECT 1 FROM star s WHERE s.account_id = f.caller_id AND s.repository_id = r.id) AS is_starred
  FROM repository r JOIN account n ON n.id = r.namespace_id WHERE f.may_read AND r.id = f.repository_id OFFSET 0) r ON true
LEFT JOIN LATERAL (
  SELECT t.name, m.layers_bytes, t.start_ms, t.expires_ms, m.digest, row_number() OVER (ORDER BY t.start_ms DESC, t.name) AS nth
  FROM (SELECT t.name, t.start_ms, t.expires_ms, t.manifest_id FROM tag t
    WHERE f.may_read AND t.repository_id = f.repository_id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())
    ORDER BY t.start_ms DESC, t.name LIMIT $7) t JOIN manifest m ON m.id = t.manifest_id) t ON true
ORDER BY t.nth;

-- Daily counts of the last 92 days, oldest first.
-- name: repository_actions
-- args: repository_id int8
-- cols: day text, actions int8
-- rows: any
SELECT a.day::text, a.actions FROM repository_action a
WHERE a.repository_id = $1 AND a.day BETWEEN (now() AT TIME ZONE 'UTC')::date - 92 AND (now() AT TIME ZONE 'UTC')::date ORDER BY a.day;

-- The description of a repository that this transaction has just made. No row: somebody else made it.
-- name: repository_describe_new
-- args: repository_id int8, description text?
-- cols: id int8
-- rows: at most one
UPDATE repository SET description = $2 WHERE id = $1 AND xmin = pg_current_xact_id()::xid RETURNING id;

-- name: repository_describe
-- args: repository_id int8, description text
-- cols: id int8
-- rows: at most one
UPDATE repository SET description = $2 WHERE id = $1 AND state <> 3 RETURNING id;

-- name: repository_set_visibility
-- args: repository_id int8, is_public bool
-- cols: id int8
-- rows: at most one
UPDATE repository SET is_public = $2 WHERE id = $1 AND state <> 3 RETURNING id;

-- Marks it for collection and frees its name. Rights and stars end now; content goes with the collector.
-- name: repository_delete
-- args: repository_id int8
-- cols: id int8
-- rows: at most one
WITH s AS (DELETE FROM star WHERE repository_id = $1), p AS (DELETE FROM repository_permission WHERE repository_id = $1)
UPDATE repository SET state = 3, name = gen_random_uuid()::text, is_public = false WHERE id = $1 AND state <> 3 RETURNING id;
