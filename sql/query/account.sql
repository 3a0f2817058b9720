-- Users, organizations, robots, teams: what the command line and the first-user call need.
-- No row: the name is that of a deleted namespace which is still being collected.
-- name: user_create
-- args: name text, email text?, password_hash text?, is_verified bool, tag_window_s int8
-- cols: id int8, uuid text
-- rows: at most one
INSERT INTO account (kind, name, email, password_hash, is_verified, tag_window_s) SELECT 1, $1, $2, $3, $4, $5
WHERE NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.name = $1) RETURNING id, uuid;

-- name: account_by_name
-- args: name text
-- cols: id int8, uuid text, kind int2, is_enabled bool, email text?, owner_id int8?, is_verified bool
-- rows: at most one
SELECT id, uuid, kind, is_enabled, email, owner_id, is_verified FROM account WHERE name = $1;

-- name: account_end_sessions
-- args: account_id int8
-- cols: none
UPDATE account SET uuid = gen_random_uuid()::text WHERE id = $1;

-- name: user_set_password
-- args: account_id int8, password_hash text
-- cols: none
UPDATE account SET password_hash = $2, uuid = gen_random_uuid()::text WHERE id = $1 AND kind = 1;

-- name: account_set_enabled
-- args: account_id int8, is_enabled bool
-- cols: none
UPDATE account SET is_enabled = $2 WHERE id = $1;

-- name: robot_create
-- args: owner_id int8, name text, token_hash bytea, token_enc text, description text
-- cols: id int8
-- rows: one
WITH a AS (INSERT INTO account (kind, name, owner_id, is_verified) VALUES (3, $2, $1, true) RETURNING id)
INSERT INTO robot (account_id, token_hash, token_enc, description) SELECT a.id, $3, $4, $5 FROM a RETURNING account_id;

-- name: robot_set_token
-- args: account_id int8, token_hash bytea, token_enc text
-- cols: none
WITH a AS (UPDATE account SET uuid = gen_random_uuid()::text WHERE id = $1 AND kind = 3)
UPDATE robot SET token_hash = $2, token_enc = $3 WHERE account_id = $1;

-- name: robot_token
-- args: account_id int8
-- cols: token_enc text
-- rows: at most one
SELECT token_enc FROM robot WHERE account_id = $1;

-- name: team_create
-- args: organization_id int8, name text, role int2
-- cols: id int8
-- rows: one
INSERT INTO team AS t (organization_id, name, role) VALUES ($1, $2, $3) ON CONFLICT (organization_id, name) DO UPDATE SET role = $3 RETURNING id;

-- name: team_by_name
-- args: organization_id int8, name text
-- cols: id int8
-- rows: at most one
SELECT id FROM team WHERE organization_id = $1 AND name = $2;

-- name: team_add_member
-- args: team_id int8, account_id int8
-- cols: none
INSERT INTO team_member (team_id, account_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: team_remove_member
-- args: team_id int8, account_id int8
-- cols: none
DELETE FROM team_member WHERE team_id = $1 AND account_id = $2;

-- name: permission_set_account
-- args: repository_id int8, account_id int8, role int2
-- cols: none
INSERT INTO repository_permission AS p (repository_id, account_id, role) VALUES ($1, $2, $3)
ON CONFLICT (account_id, repository_id) WHERE account_id IS NOT NULL DO UPDATE SET role = $3;

-- name: permission_set_team
-- args: repository_id int8, team_id int8, role int2
-- cols: none
INSERT INTO repository_permission AS p (repository_id, team_id, role) VALUES ($1, $2, $3)
ON CONFLICT (repository_id, team_id) WHERE team_id IS NOT NULL DO UPDATE SET role = $3;

-- name: permission_remove
-- args: repository_id int8, account_id int8?, team_id int8?
-- cols: none
DELETE FROM repository_permission WHERE repository_id = $1 AND (account_id = $2 OR team_id = $3);

-- name: application_ensure
-- args: organization_id int8, client_id text, name text, description text, secret_enc text, secret_hash bytea
-- cols: id int8
-- rows: one
INSERT INTO oauth_application AS a (organization_id, client_id, name, description, secret_enc, secret_hash) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (client_id) DO UPDATE SET name = a.name RETURNING id;

-- name: token_create
-- args: kind int2, account_id int8?, token_hash bytea, token_enc text?, title text?, scopes text?, application_id int8?, repository_id int8?, role int2?, expires_after_ms int8?
-- cols: id int8, uuid text
-- rows: one
INSERT INTO token (kind, account_id, secret_hash, secret_enc, title, scopes, application_id, repository_id, role, expires_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, kade_now_ms() + $10) RETURNING id, uuid;

-- What the audit row of a revoked token says comes with it.
-- name: token_revoke
-- args: uuid text
-- cols: kind int2, title text?, account_id int8?, organization_id int8?, application_name text?, client_id text?, repository_id int8?, namespace_id int8?, repository text?, namespace text?
-- rows: at most one
WITH t AS (DELETE FROM token WHERE uuid = $1 RETURNING kind, title, account_id, application_id, repository_id)
SELECT t.kind, t.title, t.account_id, a.organization_id, a.name, a.client_id, r.id, r.namespace_id, r.name, n.name
FROM t LEFT JOIN oauth_application a ON a.id = t.application_id LEFT JOIN repository r ON r.id = t.repository_id
LEFT JOIN account n ON n.id = r.namespace_id;

-- An organization with its team of owners. No row: as user_create.
-- name: organization_create
-- args: name text, email text?, owner_id int8, tag_window_s int8
-- cols: id int8
-- rows: at most one
WITH o AS (INSERT INTO account (kind, name, email, is_verified, tag_window_s) SELECT 2, $1, $2, true, $4
  WHERE NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.name = $1) RETURNING id),
t AS (INSERT INTO team (organization_id, name, role) SELECT id, 'owners', 3 FROM o RETURNING id),
m AS (INSERT INTO team_member (team_id, account_id) SELECT t.id, $3 FROM t)
SELECT id FROM o;

-- Whether the organization would still have somebody who may administrate it without this member of this team.
-- name: organization_has_other_admin
-- args: organization_id int8, team_id int8, account_id int8
-- cols: yes bool
-- rows: one
SELECT EXISTS (SELECT 1 FROM team t JOIN team_member m ON m.team_id = t.id JOIN account a ON a.id = m.account_id AND a.kind = 1
  WHERE t.organization_id = $1 AND t.role = 3 AND (t.id <> $2 OR m.account_id <> $3))
  OR (SELECT role FROM team WHERE id = $2) <> 3;

-- name: application_by_name
-- args: organization_id int8, name text
-- cols: id int8, client_id text
-- rows: at most one
SELECT id, client_id FROM oauth_application WHERE organization_id = $1 AND name = $2 ORDER BY id LIMIT 1;
