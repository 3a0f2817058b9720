-- Credentials: found by name or keyed hash; whether they still count is said by the facts of the same or the next statement.
-- name: user_by_login
-- args: login text, network text
-- cols: id int8, uuid text, name text, password_hash text?, is_enabled bool, network_known bool, is_stale bool
-- rows: at most two
SELECT a.id, a.uuid, a.name, a.password_hash, a.is_enabled,
  EXISTS (SELECT 1 FROM account_network k WHERE k.account_id = a.id AND k.network = $2), COALESCE(a.last_accessed_ms < kade_now_ms() - 60000, true)
FROM account a WHERE a.kind = 1 AND (a.name = lower($1) OR lower(a.email) = lower($1)) ORDER BY (a.name = lower($1)) DESC LIMIT 1;

-- At most 100 networks of an account are kept, the latest: who has many addresses fills no table.
-- name: user_network_seen
-- args: account_id int8, network text
-- cols: none
WITH old AS (DELETE FROM account_network WHERE account_id = $1 AND network IN
  (SELECT k.network FROM account_network k WHERE k.account_id = $1 AND k.network <> $2 ORDER BY k.last_ms DESC OFFSET 99))
INSERT INTO account_network (account_id, network) VALUES ($1, $2)
ON CONFLICT (account_id, network) DO UPDATE SET last_ms = kade_now_ms() WHERE account_network.last_ms < kade_now_ms() - 86400000;

-- name: robot_by_name
-- args: name text, token_hash bytea
-- cols: id int8, uuid text, name text, token_matches bool, is_enabled bool, owner_enabled bool, owner_name text, is_stale bool
-- rows: at most one
SELECT a.id, a.uuid, a.name, r.token_hash = $2, a.is_enabled, o.is_enabled, o.name, COALESCE(a.last_accessed_ms < kade_now_ms() - 60000, true)
FROM account a JOIN robot r ON r.account_id = a.id JOIN account o ON o.id = a.owner_id WHERE a.name = $1 AND a.kind = 3;

-- name: token_by_hash
-- args: token_hash bytea, kind int2
-- cols: id int8, uuid text, account_uuid text?, account_name text?, account_enabled bool?, is_expired bool, scopes text?, title text?, role int2?, repository text?, owner_is_robot bool?, is_stale bool
-- rows: at most one
SELECT t.id, t.uuid, a.uuid, a.name, a.is_enabled AND (o.id IS NULL OR o.is_enabled), COALESCE(t.expires_ms <= kade_now_ms(), false), t.scopes, t.title, t.role,
  (SELECT n.name || '/' || r.name FROM repository r JOIN account n ON n.id = r.namespace_id WHERE r.id = t.repository_id), a.kind = 3,
  COALESCE(t.last_used_ms < kade_now_ms() - 60000, true) OR (a.id IS NOT NULL AND COALESCE(a.last_accessed_ms < kade_now_ms() - 60000, true))
FROM token t LEFT JOIN account a ON a.id = t.account_id LEFT JOIN account o ON o.id = a.owner_id
WHERE t.secret_hash = $1 AND t.kind = $2;

-- An imported OAuth token that has only its slow hash yet.
-- name: token_by_prefix
-- args: prefix text
-- cols: id int8, secret_bcrypt text
-- rows: any
SELECT id, secret_bcrypt FROM token WHERE secret_prefix = $1 AND kind = 2 AND secret_hash IS NULL AND secret_bcrypt IS NOT NULL;

-- name: token_set_hash
-- args: id int8, token_hash bytea
-- cols: none
UPDATE token SET secret_hash = $2 WHERE id = $1 AND secret_hash IS NULL;

-- Times of last use, at most once a minute; the look-ups above say when it is time. Who comes second at the same moment does not
-- wait, and a lost second costs nothing: no wait for the disk.
-- name: credential_touch
-- args: account text?, token text?
-- cols: none
WITH a AS (UPDATE account SET last_accessed_ms = kade_now_ms() WHERE id = (SELECT id FROM account WHERE uuid = $1 FOR NO KEY UPDATE SKIP LOCKED)
  AND (last_accessed_ms IS NULL OR last_accessed_ms < kade_now_ms() - 60000) AND set_config('synchronous_commit', 'off', true) IS NOT NULL)
UPDATE token SET last_used_ms = kade_now_ms() WHERE id = (SELECT id FROM token WHERE uuid = $2 FOR NO KEY UPDATE SKIP LOCKED)
  AND (last_used_ms IS NULL OR last_used_ms < kade_now_ms() - 60000);

-- name: service_key_by_kid
-- args: kid text, service text
-- cols: jwk text, is_alive bool
-- rows: at most one
SELECT jwk, approved_ms IS NOT NULL AND COALESCE(expires_ms > kade_now_ms(), true) FROM service_key WHERE kid = $1 AND service = $2;

-- name: service_key_state
-- args: kid text
-- cols: jwk text, is_approved bool, is_expired bool, expires_ms int8?
-- rows: at most one
SELECT jwk, approved_ms IS NOT NULL, COALESCE(expires_ms <= kade_now_ms(), false), expires_ms FROM service_key WHERE kid = $1;

-- name: service_keys
-- args: service text
-- cols: kid text, jwk text
-- rows: any
SELECT kid, jwk FROM service_key WHERE service = $1 AND approved_ms IS NOT NULL AND COALESCE(expires_ms > kade_now_ms(), true) ORDER BY id;

-- The instance's own key: announced at start, its life prolonged by a job and by each start.
-- name: service_key_announce
-- args: kid text, service text, name text, jwk text, metadata text, life_ms int8
-- No row: it was deleted by a superuser and stays so.
-- cols: id int8
-- rows: at most one
INSERT INTO service_key AS k (kid, service, name, jwk, metadata, expires_ms, approved_ms, approval)
SELECT $1, $2, $3, $4, $5, kade_now_ms() + $6, kade_now_ms(), 'Automatic' WHERE NOT EXISTS (SELECT 1 FROM service_key_revoked x WHERE x.kid = $1)
ON CONFLICT (kid) DO UPDATE SET expires_ms = GREATEST(k.expires_ms, kade_now_ms() + $6) RETURNING id;

-- Takes back an announcement that a deletion crossed.
-- name: service_key_unannounce
-- args: kid text
-- cols: kid text
-- rows: at most one
DELETE FROM service_key k WHERE k.kid = $1 AND EXISTS (SELECT 1 FROM service_key_revoked x WHERE x.kid = k.kid) RETURNING k.kid;

-- Two first users at once: the second waits here, and then counts one.
-- name: first_user_lock
-- args: none
-- cols: locked int8
-- rows: one
SELECT count(pg_advisory_xact_lock(8801, 1));

-- name: user_count
-- args: none
-- cols: n int8
-- rows: one
SELECT count(*) FROM (SELECT 1 FROM account WHERE kind = 1 ORDER BY id LIMIT 1) x;
