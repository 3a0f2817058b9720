-- Teams of organizations. The first column behind the facts says whether the caller is in the team: the dispatcher reads it.
-- set: team  has_caller bool, team_id int8?, team_name text?, team_role int2?, team_description text?, team_is_synced bool

-- name: team_load
-- args: facts, team text
-- cols: facts, team
-- rows: one
SELECT f.*, EXISTS (SELECT 1 FROM team_member m WHERE m.team_id = t.id AND m.account_id = f.caller_id), t.id, t.name, t.role, t.description,
  EXISTS (SELECT 1 FROM team_sync s WHERE s.team_id = t.id)
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN team t ON t.organization_id = f.namespace_id AND t.name = $7;

-- The team and somebody by name: a user, or a robot of anybody.
-- name: team_member_load
-- args: facts, team text, member text
-- cols: facts, team, person, person_owner_id int8?, is_member bool, is_in_organization bool
-- rows: one
SELECT f.*, EXISTS (SELECT 1 FROM team_member m WHERE m.team_id = t.id AND m.account_id = f.caller_id), t.id, t.name, t.role, t.description,
  EXISTS (SELECT 1 FROM team_sync s WHERE s.team_id = t.id), a.id, a.name, a.kind, a.email, a.owner_id,
  EXISTS (SELECT 1 FROM team_member m WHERE m.team_id = t.id AND m.account_id = a.id),
  EXISTS (SELECT 1 FROM team_member m JOIN team x ON x.id = m.team_id WHERE m.account_id = a.id AND x.organization_id = f.namespace_id)
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN team t ON t.organization_id = f.namespace_id AND t.name = $7
LEFT JOIN account a ON a.name = $8 AND a.kind <> 2;

-- name: team_members
-- args: team_id int8
-- cols: person
-- rows: any
SELECT a.id, a.name, a.kind, a.email FROM team_member m JOIN account a ON a.id = m.account_id WHERE m.team_id = $1 ORDER BY a.name;

-- name: team_invites
-- args: team_id int8, life_ms int8
-- cols: person, address text?
-- rows: any
SELECT a.id, a.name, a.kind, a.email, i.email FROM team_invite i LEFT JOIN account a ON a.id = i.account_id
WHERE i.team_id = $1 AND i.created_ms > kade_now_ms() - $2 ORDER BY i.id;

-- name: team_repositories
-- args: team_id int8
-- cols: name text, is_public bool, role int2
-- rows: any
SELECT r.name, r.is_public, p.role FROM repository_permission p JOIN repository r ON r.id = p.repository_id
WHERE p.team_id = $1 AND r.state <> 3 ORDER BY r.name;

-- No row when the team is there already.
-- name: team_make
-- args: organization_id int8, name text, role int2, description text
-- cols: id int8
-- rows: at most one
INSERT INTO team (organization_id, name, role, description) VALUES ($1, $2, $3, $4) ON CONFLICT (organization_id, name) DO NOTHING RETURNING id;

-- The row waits here for whoever changes it, and shows what it is then.
-- name: team_lock
-- args: team_id int8
-- cols: role int2, description text
-- rows: at most one
SELECT role, description FROM team WHERE id = $1 FOR NO KEY UPDATE;

-- name: team_change
-- args: team_id int8, role int2, description text
-- cols: none
UPDATE team SET role = $2, description = $3 WHERE id = $1;

-- Only while it has the role that was looked at.
-- name: team_remove
-- args: team_id int8, role int2
-- cols: none
DELETE FROM team WHERE id = $1 AND role = $2;

-- What would be lost with this team of administrators: does the caller administrate through no other, does nobody else at all?
-- name: team_is_last_admin
-- args: organization_id int8, team_id int8, account_id int8
-- cols: of_caller bool, of_all bool
-- rows: one
SELECT EXISTS (SELECT 1 FROM team_member m WHERE m.team_id = $2 AND m.account_id = $3)
    AND NOT EXISTS (SELECT 1 FROM team t JOIN team_member m ON m.team_id = t.id WHERE t.organization_id = $1 AND t.role = 3 AND t.id <> $2 AND m.account_id = $3),
  NOT EXISTS (SELECT 1 FROM team t JOIN team_member m ON m.team_id = t.id JOIN account a ON a.id = m.account_id AND a.kind = 1
    WHERE t.organization_id = $1 AND t.role = 3 AND t.id <> $2);

-- Somebody is invited anew: the code of an earlier invitation ends.
-- name: team_invite_put
-- args: team_id int8, account_id int8?, email text?, inviter_id int8, code_hash bytea
-- cols: id int8
-- rows: one
WITH gone AS (DELETE FROM team_invite WHERE team_id = $1 AND (account_id = $2 OR lower(email) = lower($3)))
INSERT INTO team_invite (team_id, account_id, email, inviter_id, code_hash) VALUES ($1, $2, $3, $4, $5) RETURNING id;

-- name: team_invite_remove
-- args: team_id int8, account_id int8?, email text?
-- cols: none
DELETE FROM team_invite WHERE team_id = $1 AND (account_id = $2 OR lower(email) = lower($3));

-- An invitation by its code, as seen by an account (NULL: nobody): is it his, or sent to an address that is his for certain?
-- name: team_invite_by_code
-- args: code_hash bytea, account_id int8?, life_ms int8
-- cols: id int8, team_id int8, team text, organization_id int8, organization text, inviter text, address text?, is_mine bool
-- rows: at most one
SELECT i.id, t.id, t.name, o.id, o.name, b.name, i.email,
  COALESCE(i.account_id = a.id OR (a.is_verified AND lower(i.email) = lower(a.email)), false)
FROM team_invite i JOIN team t ON t.id = i.team_id JOIN account o ON o.id = t.organization_id AND o.is_enabled JOIN account b ON b.id = i.inviter_id
LEFT JOIN account a ON a.id = $2 AND a.kind = 1
WHERE i.code_hash = $1 AND i.created_ms > kade_now_ms() - $3;

-- All invitations of an account to teams of one organization, by name and by its confirmed address, become memberships.
-- name: team_invite_accept
-- args: account_id int8, organization_id int8, life_ms int8
-- cols: team_id int8, team text, inviter text
-- rows: any
WITH gone AS (DELETE FROM team_invite i USING team t, account a
  WHERE t.id = i.team_id AND t.organization_id = $2 AND a.id = $1 AND (i.account_id = a.id OR (a.is_verified AND lower(i.email) = lower(a.email)))
    AND i.created_ms > kade_now_ms() - $3 RETURNING i.team_id, t.name, i.inviter_id),
m AS (INSERT INTO team_member (team_id, account_id) SELECT DISTINCT g.team_id, $1 FROM gone g ON CONFLICT DO NOTHING)
SELECT g.team_id, g.name, b.name FROM gone g JOIN account b ON b.id = g.inviter_id ORDER BY g.team_id;

-- name: team_invite_verifies
-- args: code_hash bytea, account_id int8, life_ms int8
-- cols: none
UPDATE account a SET is_verified = true FROM team_invite i
WHERE a.id = $2 AND a.kind = 1 AND i.code_hash = $1 AND lower(i.email) = lower(a.email) AND i.created_ms > kade_now_ms() - $3;

-- name: team_invite_drop
-- args: id int8
-- cols: none
DELETE FROM team_invite WHERE id = $1;

-- name: team_invite_remove_expired
-- args: life_ms int8, max_items int8
-- cols: none
DELETE FROM team_invite WHERE id = ANY(ARRAY(
  SELECT id FROM team_invite WHERE created_ms < kade_now_ms() - $1 ORDER BY created_ms LIMIT $2 FOR UPDATE SKIP LOCKED));

-- name: account_note_put
-- args: account_id int8, kind text, metadata text, lookup_path text
-- cols: none
WITH gone AS (DELETE FROM account_notification WHERE lookup_path = $4 AND account_id = $1)
INSERT INTO account_notification (account_id, kind, metadata, lookup_path) VALUES ($1, $2, $3, $4);

-- name: account_note_take
-- args: account_id int8, lookup_path text
-- cols: none
DELETE FROM account_notification WHERE lookup_path = $2 AND account_id = $1;
