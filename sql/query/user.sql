-- The own account: profile, stars, notes in the interface, application tokens.
-- set: profile  user_id int8?, user_name text?, email text?, is_verified bool?, has_password bool?, given_name text?, family_name text?, company text?, location text?, invoice_email bool?, invoice_email_address text?, has_billing bool?, tag_window_s int8?, prompts text?, logins text?
-- set: membership  org_name text?, org_email text?, org_role int2?, org_has_billing bool?, org_is_public bool?

-- A user with the organizations that he is in, and with the namespaces in $5 (listed for everybody), one row each. Of $4, or of the
-- caller. Organizations are read for the own account only.
-- name: user_load
-- args: caller text?, token text?, key_id text?, name text?, public_namespaces text[]
-- cols: caller, profile, membership
-- rows: at least one
SELECT f.caller_id, f.caller_name, f.caller_alive, f.token_id,
  u.id, u.name, u.email, u.is_verified, u.password_hash IS NOT NULL, u.given_name, u.family_name, u.company, u.location,
  u.invoice_email, u.invoice_email_address, u.stripe_id IS NOT NULL, u.tag_window_s,
  (SELECT string_agg(p.kind, ',' ORDER BY p.kind) FROM account_prompt p WHERE p.account_id = u.id),
  (SELECT json_agg(json_build_object('service', e.service, 'service_identifier', e.ident, 'metadata', e.metadata::json) ORDER BY e.service)::text
    FROM external_login e WHERE e.account_id = u.id),
  g.name, g.email, g.role, g.has_billing, g.is_public
FROM caller_facts($1, $2, $3) f
LEFT JOIN account u ON u.id = CASE WHEN $4::text IS NULL THEN f.caller_id ELSE (SELECT a.id FROM account a WHERE a.name = $4 AND a.kind = 1 AND a.is_enabled) END
LEFT JOIN LATERAL (
  SELECT o.name, o.email, max(t.role) AS role, o.stripe_id IS NOT NULL AS has_billing, o.name = ANY($5) AS is_public
  FROM team_member m JOIN team t ON t.id = m.team_id JOIN account o ON o.id = t.organization_id AND o.is_enabled
  WHERE m.account_id = u.id GROUP BY o.id
  UNION ALL
  SELECT o.name, o.email, 0::int2, o.stripe_id IS NOT NULL, true FROM account o
  WHERE o.name = ANY($5) AND o.kind <> 3 AND o.is_enabled AND o.id <> u.id
    AND NOT EXISTS (SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.account_id = u.id AND t.organization_id = o.id)) g
  ON u.id = f.caller_id
ORDER BY g.name;

-- name: user_change_password
-- args: account_id int8, password_hash text
-- cols: uuid text
-- rows: at most one
WITH n AS (DELETE FROM account_notification WHERE account_id = $1 AND kind = 'password_required'),
c AS (DELETE FROM account_code WHERE account_id = $1 AND purpose = 3)
UPDATE account SET password_hash = $2, uuid = gen_random_uuid()::text WHERE id = $1 AND kind = 1 RETURNING uuid;

-- name: user_set_invoice_email
-- args: account_id int8, invoice_email bool
-- cols: none
UPDATE account SET invoice_email = $2 WHERE id = $1;

-- name: user_set_invoice_address
-- args: account_id int8, address text?
-- cols: none
UPDATE account SET invoice_email_address = $2 WHERE id = $1;

-- name: account_set_tag_window
-- args: account_id int8, tag_window_s int8
-- cols: none
UPDATE account SET tag_window_s = $2 WHERE id = $1;

-- name: user_set_email
-- args: account_id int8, email text
-- cols: none
WITH c AS (DELETE FROM account_code WHERE account_id = $1)
UPDATE account SET email = $2 WHERE id = $1 AND kind = 1;

-- name: user_email_is_used
-- args: account_id int8, email text
-- cols: yes bool
-- rows: one
SELECT EXISTS (SELECT 1 FROM account WHERE lower(email) = lower($2) AND kind = 1 AND email IS NOT NULL AND id <> $1);

-- name: user_set_metadata
-- args: account_id int8, given_name text?, family_name text?, company text?, location text?
-- cols: none
UPDATE account SET given_name = $2, family_name = $3, company = $4, location = $5 WHERE id = $1;

-- name: user_prompts_remove
-- args: account_id int8, kinds text[]
-- cols: none
DELETE FROM account_prompt WHERE account_id = $1 AND kind = ANY($2);

-- A user and his robots get another name; none when the name is taken by a deleted namespace.
-- name: user_rename
-- args: account_id int8, old_name text, new_name text
-- cols: id int8
-- rows: at most one
WITH u AS (UPDATE account SET name = $3 WHERE id = $1 AND kind = 1 AND NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.name = $3) RETURNING id),
r AS (UPDATE account SET name = $3 || substr(name, length($2) + 1) WHERE owner_id = (SELECT id FROM u) AND kind = 3)
SELECT id FROM u;

-- Organizations that nobody else administrates.
-- name: user_sole_admin_of
-- args: account_id int8
-- cols: name text
-- rows: any
SELECT o.name FROM account o WHERE o.is_enabled AND o.id IN (
  SELECT t.organization_id FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.account_id = $1 AND t.role = 3)
  AND NOT EXISTS (SELECT 1 FROM team t JOIN team_member m ON m.team_id = t.id JOIN account a ON a.id = m.account_id AND a.kind = 1
    WHERE t.organization_id = o.id AND t.role = 3 AND a.id <> $1)
ORDER BY o.name LIMIT 100;

-- A user or organization ends: nobody can sign in or reach it, its name stays taken until its repositories are collected.
-- name: namespace_mark_deleted
-- args: account_id int8
-- cols: id int8
-- rows: at most one
WITH d AS (INSERT INTO deleted_namespace (account_id, name, kind) SELECT id, name, kind FROM account WHERE id = $1 AND kind <> 3
  ON CONFLICT (account_id) DO NOTHING RETURNING account_id),
m AS (DELETE FROM team_member WHERE account_id = (SELECT account_id FROM d)),
p AS (DELETE FROM repository_permission WHERE account_id = (SELECT account_id FROM d))
UPDATE account SET name = gen_random_uuid()::text, uuid = gen_random_uuid()::text, email = NULL, is_enabled = false
WHERE id = (SELECT account_id FROM d) RETURNING id;

-- name: external_login_remove
-- args: account_id int8, service text
-- cols: none
DELETE FROM external_login WHERE account_id = $1 AND service = $2;

-- Starred repositories that the user may see, by id. everything: superuser.
-- name: star_page
-- args: account_id int8, after_id int8, page int4, everything bool, anybody bool
-- cols: id int8, namespace text, name text, description text?, is_public bool
-- rows: any
SELECT r.id, n.name, r.name, r.description, r.is_public
FROM star s JOIN repository r ON r.id = s.repository_id AND r.state <> 3 JOIN account n ON n.id = r.namespace_id AND n.is_enabled
WHERE s.account_id = $1 AND s.repository_id > $2 AND ($4 OR (r.is_public AND $5) OR r.namespace_id = $1
  OR EXISTS (SELECT 1 FROM repository_permission p WHERE p.account_id = $1 AND p.repository_id = r.id)
  OR EXISTS (SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id LEFT JOIN repository_permission p ON p.team_id = t.id AND p.repository_id = r.id
    WHERE m.account_id = $1 AND (p.id IS NOT NULL OR (t.organization_id = r.namespace_id AND t.role = 3))))
ORDER BY s.repository_id LIMIT $3;

-- A star on a repository that the caller may see; nothing happens for another.
-- name: star_add
-- args: facts
-- cols: none
INSERT INTO star (account_id, repository_id)
SELECT f.caller_id, f.repository_id FROM repo_facts($1, $2, $3, $4, $5, $6) f WHERE f.may_read AND f.caller_id IS NOT NULL ON CONFLICT DO NOTHING;

-- name: star_remove
-- args: account_id int8, namespace text, repository text
-- cols: none
DELETE FROM star WHERE account_id = $1 AND repository_id = (
  SELECT r.id FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = $2 AND r.name = $3);

-- set: user_note  uuid text, organization text?, kind text, metadata text, dismissed bool, created_ms int8

-- Notes for a user and for the organizations that he administrates, newest first.
-- name: user_notes
-- args: account_id int8, page int4, skip int4
-- cols: user_note
-- rows: any
SELECT x.uuid, CASE WHEN o.kind = 2 THEN o.name END, x.kind, x.metadata, x.dismissed, x.created_ms FROM (
  SELECT $1::int8 AS id UNION SELECT t.organization_id FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.account_id = $1 AND t.role = 3) a
JOIN account o ON o.id = a.id CROSS JOIN LATERAL (
  SELECT n.* FROM account_notification n WHERE n.account_id = a.id AND NOT n.dismissed ORDER BY n.created_ms DESC LIMIT $2 + $3) x
ORDER BY x.created_ms DESC, x.id DESC LIMIT $2 OFFSET $3;

-- name: user_note
-- args: account_id int8, uuid text
-- cols: user_note
-- rows: at most one
SELECT n.uuid, CASE WHEN o.kind = 2 THEN o.name END, n.kind, n.metadata, n.dismissed, n.created_ms
FROM account_notification n JOIN account o ON o.id = n.account_id
WHERE n.uuid = $2 AND (n.account_id = $1 OR EXISTS (
  SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.account_id = $1 AND t.organization_id = n.account_id AND t.role = 3));

-- name: user_note_dismiss
-- args: uuid text, dismissed bool
-- cols: none
UPDATE account_notification SET dismissed = $2 WHERE uuid = $1;

-- name: account_note_add
-- args: account_id int8, kind text, metadata text
-- cols: none
INSERT INTO account_notification (account_id, kind, metadata) VALUES ($1, $2, $3);

-- name: account_notes_remove
-- args: account_id int8, kind text
-- cols: none
DELETE FROM account_notification WHERE account_id = $1 AND kind = $2;

-- set: app_token  uuid text, title text?, last_used_ms int8?, created_ms int8, expires_ms int8?, secret_enc text?

-- Application-specific tokens of a user; within_ms: only those that end within that time.
-- name: app_tokens
-- args: account_id int8, within_ms int8?
-- cols: app_token
-- rows: any
SELECT uuid, title, last_used_ms, created_ms, expires_ms, NULL::text FROM token
WHERE account_id = $1 AND kind = 1 AND ($2::int8 IS NULL OR expires_ms <= kade_now_ms() + $2) ORDER BY id LIMIT 1000;

-- name: app_token
-- args: account_id int8, uuid text
-- cols: app_token
-- rows: at most one
SELECT uuid, title, last_used_ms, created_ms, expires_ms, secret_enc FROM token WHERE uuid = $2 AND account_id = $1 AND kind = 1;

-- name: app_token_remove
-- args: account_id int8, uuid text
-- cols: title text?
-- rows: at most one
DELETE FROM token WHERE uuid = $2 AND account_id = $1 AND kind = 1 RETURNING title;

-- A user becomes an organization whose owner is another user: no login, no tokens, no rights of a person stay.
-- name: user_convert
-- args: account_id int8, owner_id int8
-- cols: id int8
-- rows: at most one
WITH u AS (UPDATE account SET kind = 2, password_hash = NULL, uuid = gen_random_uuid()::text, given_name = NULL, family_name = NULL WHERE id = $1 AND kind = 1 RETURNING id),
l AS (DELETE FROM external_login WHERE account_id = (SELECT id FROM u)),
p AS (DELETE FROM repository_permission WHERE account_id = (SELECT id FROM u)),
m AS (DELETE FROM team_member WHERE account_id = (SELECT id FROM u)),
k AS (DELETE FROM token WHERE account_id = (SELECT id FROM u)),
c AS (DELETE FROM account_code WHERE account_id = (SELECT id FROM u)),
q AS (DELETE FROM account_prompt WHERE account_id = (SELECT id FROM u)),
s AS (DELETE FROM star WHERE account_id = (SELECT id FROM u)),
a AS (DELETE FROM oauth_assignment WHERE account_id = (SELECT id FROM u)),
g AS (INSERT INTO team (organization_id, name, role) SELECT id, 'owners', 3 FROM u RETURNING id),
w AS (INSERT INTO team_member (team_id, account_id) SELECT g.id, $2 FROM g)
SELECT id FROM u;
