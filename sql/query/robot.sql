-- Robot accounts of one namespace.
-- set: robot_item  robot_id int8, robot_name text, created_ms int8, last_accessed_ms int8?, description text, metadata text, token_enc text?, teams text?, repositories text?

-- All, or the one of that full name; the token and the lists only where they are asked for.
-- name: robot_list
-- args: owner_id int8, name text?, with_token bool, with_permissions bool, max int4?
-- cols: robot_item
-- rows: any
SELECT a.id, a.name, a.created_ms, a.last_accessed_ms, r.description, r.metadata, CASE WHEN $3 THEN r.token_enc END,
  CASE WHEN $4 THEN (SELECT json_agg(t.name ORDER BY t.name)::text FROM team_member m JOIN team t ON t.id = m.team_id
    WHERE m.account_id = a.id AND t.organization_id = $1) END,
  CASE WHEN $4 THEN (SELECT json_agg(q.name ORDER BY q.name)::text FROM repository_permission p JOIN repository q ON q.id = p.repository_id
    WHERE p.account_id = a.id AND q.namespace_id = $1 AND q.state <> 3) END
FROM account a JOIN robot r ON r.account_id = a.id
WHERE a.owner_id = $1 AND a.kind = 3 AND ($2::text IS NULL OR a.name = $2) ORDER BY a.name LIMIT $5;

-- No row when the name is taken.
-- name: robot_make
-- args: owner_id int8, name text, token_hash bytea, token_enc text, description text, metadata text
-- cols: id int8
-- rows: at most one
WITH a AS (INSERT INTO account (kind, name, owner_id, is_verified) VALUES (3, $2, $1, true) ON CONFLICT (name) DO NOTHING RETURNING id)
INSERT INTO robot (account_id, token_hash, token_enc, description, metadata) SELECT a.id, $3, $4, $5, $6 FROM a RETURNING account_id;

-- name: robot_remove
-- args: owner_id int8, name text
-- cols: none
DELETE FROM account WHERE owner_id = $1 AND name = $2 AND kind = 3;

-- name: robot_repositories
-- args: owner_id int8, robot_id int8
-- cols: name text, is_public bool, role int2
-- rows: any
SELECT r.name, r.is_public, p.role FROM repository_permission p JOIN repository r ON r.id = p.repository_id
WHERE p.account_id = $2 AND r.namespace_id = $1 AND r.state <> 3 ORDER BY r.name;

-- name: robot_federation
-- args: robot_id int8
-- cols: issuer text, subject text, audiences text?
-- rows: any
SELECT issuer, subject, audiences FROM robot_federation WHERE account_id = $1 ORDER BY position;

-- name: robot_federation_clear
-- args: robot_id int8
-- cols: none
DELETE FROM robot_federation WHERE account_id = $1;

-- name: robot_federation_add
-- args: robot_id int8, issuers text[], subjects text[], audiences text[]
-- cols: none
INSERT INTO robot_federation (account_id, issuer, subject, audiences, position)
SELECT $1, x.issuer, x.subject, NULLIF(x.audiences, ''), x.position::int4
FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY x(issuer, subject, audiences, position);
