-- OAuth applications of organizations: their tokens, codes, and what users granted them.
-- set: application  application_id int8?, client_id text?, app_name text?, description text?, application_uri text?, redirect_uri text?, avatar_email text?, secret_enc text?

-- name: applications_load
-- args: facts, client_id text?
-- cols: facts, application
-- rows: at least one
SELECT f.*, a.id, a.client_id, a.name, a.description, a.application_uri, a.redirect_uri, a.avatar_email, a.secret_enc
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN oauth_application a ON a.organization_id = f.namespace_id AND ($7::text IS NULL OR a.client_id = $7)
ORDER BY a.id LIMIT 2000;

-- An application and its organization, for anybody who knows its id.
-- name: application_load
-- args: caller text?, token text?, key_id text?, client_id text
-- cols: caller, application, org_id int8?, org_name text?, org_email text?, org_role int2?
-- rows: one
SELECT f.caller_id, f.caller_name, f.caller_alive, f.token_id,
  a.id, a.client_id, a.name, a.description, a.application_uri, a.redirect_uri, a.avatar_email, a.secret_enc, o.id, o.name, o.email,
  CASE WHEN o.id = f.caller_id THEN 3::int2 ELSE (SELECT max(t.role) FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.account_id = f.caller_id AND t.organization_id = o.id) END
FROM caller_facts($1, $2, $3) f
LEFT JOIN (oauth_application a JOIN account o ON o.id = a.organization_id AND o.is_enabled) ON a.client_id = $4;

-- name: application_create
-- args: organization_id int8, client_id text, name text, description text, application_uri text, redirect_uri text, avatar_email text?, secret_enc text, secret_hash bytea
-- cols: id int8
-- rows: one
INSERT INTO oauth_application (organization_id, client_id, name, description, application_uri, redirect_uri, avatar_email, secret_enc, secret_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id;

-- name: application_update
-- args: application_id int8, name text, description text, application_uri text, redirect_uri text, avatar_email text?
-- cols: none
UPDATE oauth_application SET name = $2, description = $3, application_uri = $4, redirect_uri = $5, avatar_email = $6 WHERE id = $1;

-- name: application_set_secret
-- args: application_id int8, secret_enc text, secret_hash bytea
-- cols: none
UPDATE oauth_application SET secret_enc = $2, secret_hash = $3 WHERE id = $1;

-- name: application_delete
-- args: application_id int8
-- cols: none
DELETE FROM oauth_application WHERE id = $1;

-- set: oauth_token  uuid text, title text?, scopes text?, created_ms int8, expires_ms int8?, last_used_ms int8?, created_by text?

-- Live tokens of an application, newest first. before_id: 0 = from the start.
-- name: application_tokens
-- args: application_id int8, before_id int8, page int4
-- cols: id int8, oauth_token
-- rows: any
SELECT t.id, t.uuid, t.title, t.scopes, t.created_ms, t.expires_ms, t.last_used_ms, a.name
FROM token t LEFT JOIN account a ON a.id = COALESCE(t.created_by_id, t.account_id)
WHERE t.application_id = $1 AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND ($2 = 0 OR t.id < $2) ORDER BY t.id DESC LIMIT $3;

-- One that was just made.
-- name: application_token
-- args: uuid text
-- cols: id int8, oauth_token
-- rows: at most one
SELECT t.id, t.uuid, t.title, t.scopes, t.created_ms, t.expires_ms, t.last_used_ms, a.name
FROM token t LEFT JOIN account a ON a.id = COALESCE(t.created_by_id, t.account_id) WHERE t.uuid = $1;

-- Whether the application has at least that many live tokens. The row is locked: parallel calls do not pass the limit.
-- name: application_lock
-- args: application_id int8
-- cols: id int8
-- rows: at most one
SELECT id FROM oauth_application WHERE id = $1 FOR UPDATE;

-- name: application_token_count
-- args: application_id int8, at_most int8
-- cols: n int8
-- rows: one
SELECT count(*) FROM (SELECT 1 FROM token WHERE application_id = $1 AND (expires_ms IS NULL OR expires_ms > kade_now_ms()) LIMIT $2) x;

-- name: application_token_remove
-- args: application_id int8, uuid text
-- cols: id int8
-- rows: at most one
DELETE FROM token WHERE uuid = $2 AND application_id = $1 AND kind = 2 RETURNING id;

-- set: grant  uuid text, scopes text, redirect_uri text?, response_type text?, client_id text, app_name text, description text, application_uri text, avatar_email text?, org_name text, org_email text?

-- What a user granted to applications. uuid: one alone.
-- name: user_grants
-- args: account_id int8, uuid text?
-- cols: grant
-- rows: any
SELECT t.uuid, COALESCE(t.scopes, ''), NULL::text, NULL::text, a.client_id, a.name, a.description, a.application_uri, a.avatar_email, o.name, o.email
FROM token t JOIN oauth_application a ON a.id = t.application_id JOIN account o ON o.id = a.organization_id
WHERE t.account_id = $1 AND t.kind = 2 AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND ($2::text IS NULL OR t.uuid = $2)
ORDER BY t.id LIMIT 1000;

-- name: user_grant_remove
-- args: account_id int8, uuid text
-- cols: id int8
-- rows: at most one
DELETE FROM token WHERE uuid = $2 AND account_id = $1 AND kind = 2 RETURNING id;

-- Tokens that administrators of organizations have offered to a user.
-- name: user_assignments
-- args: account_id int8
-- cols: grant
-- rows: any
SELECT x.uuid, x.scopes, x.redirect_uri, x.response_type, a.client_id, a.name, a.description, a.application_uri, a.avatar_email, o.name, o.email
FROM oauth_assignment x JOIN oauth_application a ON a.id = x.application_id JOIN account o ON o.id = a.organization_id
WHERE x.account_id = $1 ORDER BY x.created_ms, x.uuid LIMIT 1000;

-- name: user_assignment_remove
-- args: account_id int8, uuid text
-- cols: uuid text
-- rows: at most one
DELETE FROM oauth_assignment WHERE uuid = $2 AND account_id = $1 RETURNING uuid;

-- name: assignment_add
-- args: application_id int8, account_id int8, redirect_uri text, scopes text, response_type text
-- cols: uuid text
-- rows: one
INSERT INTO oauth_assignment (application_id, account_id, redirect_uri, scopes, response_type) VALUES ($1, $2, $3, $4, $5) RETURNING uuid;

-- The assignment of an application's organization to a user.
-- name: assignment
-- args: account_id int8, uuid text, organization_id int8
-- cols: application_id int8, scopes text, redirect_uri text?
-- rows: at most one
SELECT x.application_id, x.scopes, x.redirect_uri FROM oauth_assignment x JOIN oauth_application a ON a.id = x.application_id
WHERE x.uuid = $2 AND x.account_id = $1 AND a.organization_id = $3;

-- What the user's live tokens of the application allow together.
-- name: application_scopes_held
-- args: application_id int8, account_id int8
-- cols: scopes text
-- rows: any
SELECT DISTINCT COALESCE(scopes, '') FROM token
WHERE account_id = $2 AND kind = 2 AND application_id = $1 AND (expires_ms IS NULL OR expires_ms > kade_now_ms()) LIMIT 500;

-- name: oauth_code_add
-- args: application_id int8, account_id int8, code_hash bytea, scopes text, redirect_uri text, challenge text?, challenge_method text?, life_ms int8
-- cols: id int8
-- rows: one
INSERT INTO oauth_code (application_id, account_id, code_hash, scopes, redirect_uri, challenge, challenge_method, expires_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, kade_now_ms() + $8) RETURNING id;

-- Takes a code away: it works once, whatever the rest of the request is.
-- name: oauth_code_take
-- args: code_hash bytea, application_id int8
-- cols: account_id int8, scopes text, redirect_uri text, challenge text?, challenge_method text?, is_expired bool, user_enabled bool
-- rows: at most one
DELETE FROM oauth_code c USING account a WHERE c.code_hash = $1 AND c.application_id = $2 AND a.id = c.account_id
RETURNING c.account_id, c.scopes, c.redirect_uri, c.challenge, c.challenge_method, c.expires_ms <= kade_now_ms(), a.is_enabled;

-- name: application_secret
-- args: client_id text
-- cols: application_id int8, secret_hash bytea?, secret_enc text?
-- rows: at most one
SELECT a.id, a.secret_hash, a.secret_enc FROM oauth_application a JOIN account o ON o.id = a.organization_id AND o.is_enabled WHERE a.client_id = $1;
