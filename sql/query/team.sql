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
-- cols: facts, team, person, person_owner_id int8?, is_member bool
-- rows: one
SELECT f.*, EXISTS (SELECT 1 FROM team_member m WHERE m.team_id = t.id AND m.account_id = f.caller_id), t.id, t.name, t.role, t.description,
  EXISTS (SELECT 1 FROM team_sync s WHERE s.team_id = t.id), a.id, a.name, a.kind, a.email, a.owner_id,
  EXISTS (SELECT 1 FROM team_member m WHERE m.team_id = t.id AND m.account_id = a.id)
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN team t ON t.organization_id = f.namespace_id AND t.name = $7
LEFT JOIN account a ON a.name = $8 AND a.kind <> 2;

-- name: team_members
-- args: team_id int8
-- cols: person
-- rows: any
SELECT a.id, a.name, a.kind, a.email FROM team_member m JOIN account a ON a.id = m.account_id WHERE m.team_id = $1 ORDER BY a.name;

-- name: team_invites
-- args: team_id int8
-- cols: person, address text?
-- rows: any
SELECT a.id, a.name, a.kind, a.email, i.email FROM team_invite i LEFT JOIN account a ON a.id = i.account_id WHERE i.team_id = $1 ORDER BY i.id;

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

-- name: team_invite_remove
-- args: team_id int8, account_id int8
-- cols: none
DELETE FROM team_invite WHERE team_id = $1 AND account_id = $2;
