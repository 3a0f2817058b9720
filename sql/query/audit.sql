-- The audit log.
-- A row; token_id: of the OAuth token that was used, whose application the metadata then names.
-- name: audit_add
-- args: kind int2, namespace_id int8?, performer_id int8?, repository_id int8?, ip text?, metadata text, token_id int8?
-- cols: none
INSERT INTO audit_log (kind, namespace_id, performer_id, repository_id, ip, metadata) VALUES ($1, $2, $3, $4, $5,
  CASE WHEN $7::int8 IS NULL THEN $6::text ELSE ($6::jsonb || COALESCE((SELECT jsonb_build_object('oauth_token_id', t.id,
    'oauth_token_application_id', a.client_id, 'oauth_token_application', a.name)
    FROM token t JOIN oauth_application a ON a.id = t.application_id WHERE t.id = $7), '{}'))::text END);

-- name: audit_add_overflow
-- args: kind int2, namespace_id int8?, performer_id int8?, repository_id int8?, ip text?, metadata text, token_id int8?
-- cols: none
INSERT INTO audit_overflow (kind, namespace_id, performer_id, repository_id, ip, metadata) VALUES ($1, $2, $3, $4, $5,
  CASE WHEN $7::int8 IS NULL THEN $6::text ELSE ($6::jsonb || COALESCE((SELECT jsonb_build_object('oauth_token_id', t.id,
    'oauth_token_application_id', a.client_id, 'oauth_token_application', a.name)
    FROM token t JOIN oauth_application a ON a.id = t.application_id WHERE t.id = $7), '{}'))::text END);

-- Many rows that differ in their metadata.
-- name: audit_add_many
-- args: kind int2, namespace_id int8?, repository_id int8?, rows_metadata text[]
-- cols: none
INSERT INTO audit_log (kind, namespace_id, repository_id, metadata) SELECT $1, $2, $3, m FROM unnest($4::text[]) m;

-- name: audit_add_many_overflow
-- args: kind int2, namespace_id int8?, repository_id int8?, rows_metadata text[]
-- cols: none
INSERT INTO audit_overflow (kind, namespace_id, repository_id, metadata) SELECT $1, $2, $3, m FROM unnest($4::text[]) m;

-- name: audit_kind_ensure
-- args: ids int8[], names text[]
-- cols: none
INSERT INTO audit_kind (id, name) SELECT k.id::int2, k.name FROM unnest($1::int8[], $2::text[]) k(id, name) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name;

-- Partitions of this month and the next three; then rows that had no partition move home.
-- name: audit_partitions_ahead
-- args: none
-- cols: partition text
-- rows: four
SELECT kade_audit_partition((extract(epoch FROM (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => m)) AT TIME ZONE 'UTC') * 1000)::int8)
FROM generate_series(0, 3) m;

-- name: audit_overflow_move
-- args: max_items int4
-- cols: moved int8
-- rows: one
WITH d AS (DELETE FROM audit_overflow WHERE ctid = ANY(ARRAY(SELECT ctid FROM audit_overflow ORDER BY at_ms LIMIT $1)) RETURNING *),
i AS (INSERT INTO audit_log SELECT d.* FROM d RETURNING 1)
SELECT count(*) FROM i;

-- name: audit_overflow_months
-- args: none
-- cols: partition text
-- rows: any
SELECT kade_audit_partition(m) FROM (SELECT DISTINCT (extract(epoch FROM date_trunc('month', to_timestamp(at_ms / 1000.0) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') * 1000)::int8 AS m FROM audit_overflow) x;

-- Rows of pulls that a process has collected. age_ms: how long each has waited there. '' and 0 stand for NULL.
-- name: audit_inbox_add
-- args: age_ms int8[], kind int2, namespace_ids int8[], performer_ids int8[], repository_ids int8[], ips text[], details text[], manifest_ids int8[], tags text[], token_ids int8[]
-- cols: none
INSERT INTO audit_inbox (at_ms, kind, namespace_id, performer_id, repository_id, ip, metadata, manifest_id, tag_name, token_id)
SELECT kade_now_ms() - u.age_ms, $2, u.ns, NULLIF(u.performer, 0), u.repo, NULLIF(u.ip, ''), u.metadata, u.manifest, NULLIF(u.tag, ''), NULLIF(u.token, 0)
FROM unnest($1::int8[], $3::int8[], $4::int8[], $5::int8[], $6::text[], $7::text[], $8::int8[], $9::text[], $10::int8[])
  u(age_ms, ns, performer, repo, ip, metadata, manifest, tag, token);

-- Files pulls: rows of the inbox go into the log's partitions, into the pull statistics when $2, and into the times of last use
-- of accounts and tokens when $3. Those only go forward.
-- name: audit_inbox_move
-- args: max_items int4, count_pulls bool, last_used bool
-- cols: moved int8
-- rows: one
WITH d AS (DELETE FROM audit_inbox WHERE ctid = ANY(ARRAY(SELECT ctid FROM audit_inbox LIMIT $1)) RETURNING *),
i AS (
  INSERT INTO audit_log (id, at_ms, kind, namespace_id, performer_id, repository_id, ip, metadata)
  SELECT id, at_ms, kind, namespace_id, performer_id, repository_id, ip, metadata FROM d),
t AS (
  INSERT INTO tag_pull AS p (repository_id, tag_name, pulls, last_ms, digest)
  SELECT d.repository_id, d.tag_name, count(*), max(d.at_ms), (array_agg(m.digest ORDER BY d.at_ms DESC))[1]
  FROM d JOIN manifest m ON m.id = d.manifest_id JOIN repository r ON r.id = d.repository_id
  WHERE $2 AND d.tag_name IS NOT NULL GROUP BY d.repository_id, d.tag_name ORDER BY d.repository_id, d.tag_name
  ON CONFLICT (repository_id, tag_name) DO UPDATE SET pulls = p.pulls + EXCLUDED.pulls, last_ms = GREATEST(p.last_ms, EXCLUDED.last_ms), digest = EXCLUDED.digest),
mp AS (
  INSERT INTO manifest_pull AS p (repository_id, digest, pulls, last_ms)
  SELECT d.repository_id, m.digest, count(*), max(d.at_ms)
  FROM d JOIN manifest m ON m.id = d.manifest_id JOIN repository r ON r.id = d.repository_id
  WHERE $2 GROUP BY d.repository_id, m.digest ORDER BY d.repository_id, m.digest
  ON CONFLICT (repository_id, digest) DO UPDATE SET pulls = p.pulls + EXCLUDED.pulls, last_ms = GREATEST(p.last_ms, EXCLUDED.last_ms)),
a AS (
  UPDATE account SET last_accessed_ms = x.at_ms FROM (SELECT d.performer_id AS id, max(d.at_ms) AS at_ms FROM d WHERE $3 AND d.performer_id IS NOT NULL GROUP BY 1) x
  WHERE account.id = x.id AND (account.last_accessed_ms IS NULL OR account.last_accessed_ms < x.at_ms)),
u AS (
  UPDATE token SET last_used_ms = x.at_ms FROM (SELECT d.token_id AS id, max(d.at_ms) AS at_ms FROM d WHERE $3 AND d.token_id IS NOT NULL GROUP BY 1) x
  WHERE token.id = x.id AND (token.last_used_ms IS NULL OR token.last_used_ms < x.at_ms))
SELECT count(*) FROM d;

-- name: audit_inbox_months
-- args: none
-- cols: partition text
-- rows: any
SELECT kade_audit_partition(m) FROM (SELECT DISTINCT (extract(epoch FROM date_trunc('month', to_timestamp(at_ms / 1000.0) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') * 1000)::int8 AS m FROM audit_inbox) x;

-- name: audit_inbox_due
-- args: none
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT count(*), min(at_ms) FROM (SELECT at_ms FROM audit_inbox LIMIT 100000) x;
