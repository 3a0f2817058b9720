-- Sets that several files use, and the facts alone. Facts are the leading columns of every `.load`.
-- argset: facts  namespace text?, repository text?, caller text?, token text?, key_id text?, caps int4
-- set: facts  namespace_id int8?, namespace_kind int2?, namespace_enabled bool?, repository_id int8?, repository_kind int2?, repository_state int2?, is_public bool?, caller_id int8?, caller_name text?, caller_alive bool, role int2, org_role int2, may_read bool, may_write bool, may_admin bool, may_create bool, token_id int8?
-- set: caller  caller_id int8?, caller_name text?, caller_alive bool, token_id int8?

-- name: repo_facts
-- args: facts
-- cols: facts
-- rows: one
SELECT f.* FROM repo_facts($1, $2, $3, $4, $5, $6) f;

-- name: caller_facts
-- args: caller text?, token text?, key_id text?
-- cols: caller
-- rows: one
SELECT f.* FROM caller_facts($1, $2, $3) f;

-- Facts of several repositories for one caller, in the order given: the scopes of a token request.
-- name: scope_facts
-- args: namespaces text[], repositories text[], caller text?, token text?, caps int8[]
-- cols: facts
-- rows: one for each
SELECT f.* FROM unnest($1::text[], $2::text[], $5::int8[]) WITH ORDINALITY s(ns, repo, caps, position)
CROSS JOIN LATERAL repo_facts(s.ns, s.repo, $3, $4, NULL, s.caps::int4) f
ORDER BY s.position;

-- name: instance
-- args: none
-- cols: uuid text, epoch int8, deletion_paused bool, now_ms int8
-- rows: one
SELECT uuid, epoch, deletion_paused, kade_now_ms() FROM instance;
