-- The permission facts: one place in SQL for who may do what, used as the leading part of every route's statement.
-- min_app_version: 1

-- Facts of one repository for one caller; always exactly one row. SQL-language, STABLE and without SET, so that the planner
-- inlines it; OFFSET 0 keeps it from copying the sub-selects into each use of their result. p_caps: what the credential allows
-- at most (bits: 1-2 role, 4 public readable, 8 reads everything, 16 superuser with full access, 32 may create).
-- "state + 0": the index repository_name cannot be used; the planner would take it where names are mostly unique, and read
-- every "app" of the registry for the one of this namespace.
CREATE FUNCTION repo_facts(p_ns text, p_repo text, p_caller text, p_token text, p_kid text, p_caps int4)
RETURNS TABLE (
  namespace_id int8, namespace_kind int2, namespace_enabled bool,
  repository_id int8, repository_kind int2, repository_state int2, is_public bool,
  caller_id int8, caller_name text, caller_alive bool, role int2, org_role int2,
  may_read bool, may_write bool, may_admin bool, may_create bool, token_id int8)
LANGUAGE sql STABLE AS $$
SELECT x.namespace_id, x.namespace_kind, x.namespace_enabled, x.repository_id, x.repository_kind, x.repository_state, x.is_public,
  x.caller_id, x.caller_name, x.alive, x.eff, x.org_role,
  x.usable AND x.repository_id IS NOT NULL AND (x.eff >= 1 OR (x.is_public AND p_caps & 4 <> 0) OR p_caps & 8 <> 0),
  x.usable AND x.repository_id IS NOT NULL AND (x.eff >= 2 OR p_caps & 16 <> 0),
  x.usable AND x.repository_id IS NOT NULL AND (x.eff >= 3 OR p_caps & 16 <> 0),
  x.usable AND x.repository_id IS NULL AND x.caller_id IS NOT NULL AND p_caps & 32 <> 0 AND (x.org_role >= 2 OR p_caps & 16 <> 0),
  x.token_id
FROM (
  SELECT y.*, y.alive AND y.namespace_enabled IS TRUE AS usable,
    LEAST(CASE WHEN y.org_role = 3 THEN 3 ELSE y.live_role END, p_caps & 3)::int2 AS eff
  FROM (
    SELECT n.id AS namespace_id, n.kind AS namespace_kind, n.is_enabled AS namespace_enabled,
      r.id AS repository_id, r.kind AS repository_kind, r.state AS repository_state, r.is_public,
      c.id AS caller_id, c.name AS caller_name, t.id AS token_id,
      (p_caller IS NULL OR (c.is_enabled AND (c.owner_id IS NULL OR (SELECT o.is_enabled FROM account o WHERE o.id = c.owner_id))) IS TRUE)
        AND (p_token IS NULL OR (t.id IS NOT NULL AND t.account_id IS NOT DISTINCT FROM c.id AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())))
        AND (p_kid IS NULL OR EXISTS (SELECT 1 FROM service_key k WHERE k.kid = p_kid AND k.approved_ms IS NOT NULL AND (k.expires_ms IS NULL OR k.expires_ms > kade_now_ms()))) AS alive,
      CASE WHEN c.id = n.id THEN 3::int2 ELSE g.org_role END AS org_role,
      GREATEST(g.live_role,
        (SELECT p.role FROM repository_permission p WHERE p.account_id = c.id AND p.repository_id = r.id),
        CASE WHEN t.kind = 3 AND t.repository_id = r.id THEN t.role END, 0::int2) AS live_role
    FROM (VALUES (1)) one
    LEFT JOIN account n ON n.name = p_ns AND n.kind <> 3
    LEFT JOIN LATERAL (SELECT q.* FROM repository q WHERE q.namespace_id = n.id AND q.name = p_repo AND q.state + 0 <> 3 OFFSET 0) r ON true
    LEFT JOIN account c ON c.uuid = p_caller AND c.kind <> 2
    LEFT JOIN token t ON t.uuid = p_token
    LEFT JOIN LATERAL (
      SELECT max(CASE WHEN tm.organization_id = n.id THEN tm.role END) AS org_role, max(p.role) AS live_role
      FROM team_member m CROSS JOIN LATERAL (SELECT q.* FROM team q WHERE q.id = m.team_id OFFSET 0) tm
      LEFT JOIN repository_permission p ON p.team_id = tm.id AND p.repository_id = r.id
      WHERE m.account_id = c.id AND c.id <> n.id) g ON true
    OFFSET 0
  ) y
  OFFSET 0
) x
$$;

-- What a list of image repositories may show; id, namespace and visibility are for its conditions.
CREATE VIEW listed_repository AS
SELECT r.id, r.namespace_id, r.is_public, n.name || '/' || r.name AS path
FROM repository r JOIN account n ON n.id = r.namespace_id AND n.is_enabled WHERE r.state <> 3 AND r.kind = 1;

-- May an account read one repository? For lists, which decide many at once; p_public: public ones are readable, p_everything:
-- all are. An expression, so that the planner copies it into the list's condition.
CREATE FUNCTION repo_readable(p_id int8, p_namespace int8, p_is_public bool, p_caller int8, p_public bool, p_everything bool) RETURNS bool
LANGUAGE sql STABLE AS $$
SELECT p_everything OR (p_is_public AND p_public) OR p_namespace = p_caller
  OR EXISTS (SELECT 1 FROM repository_permission p WHERE p.account_id = p_caller AND p.repository_id = p_id)
  OR EXISTS (SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.account_id = p_caller
    AND ((t.role = 3 AND t.organization_id = p_namespace)
      OR EXISTS (SELECT 1 FROM repository_permission p WHERE p.team_id = t.id AND p.repository_id = p_id)))
$$;

-- Image repositories that an account has a right to, whatever their visibility; some more than once.
CREATE FUNCTION repo_of_account(p_account int8)
RETURNS TABLE (id int8, name text, description text, search_score int8) LANGUAGE sql STABLE AS $$
SELECT r.id, r.name, r.description, r.search_score FROM repository r WHERE r.namespace_id = p_account AND r.state <> 3 AND r.kind = 1
UNION ALL
SELECT r.id, r.name, r.description, r.search_score FROM team_member m JOIN team t ON t.id = m.team_id AND t.role = 3
  JOIN repository r ON r.namespace_id = t.organization_id AND r.state <> 3 AND r.kind = 1 WHERE m.account_id = p_account
UNION ALL
SELECT r.id, r.name, r.description, r.search_score FROM repository_permission p
  JOIN repository r ON r.id = p.repository_id AND r.state <> 3 AND r.kind = 1 WHERE p.account_id = p_account
UNION ALL
SELECT r.id, r.name, r.description, r.search_score FROM team_member m JOIN repository_permission p ON p.team_id = m.team_id
  JOIN repository r ON r.id = p.repository_id AND r.state <> 3 AND r.kind = 1 WHERE m.account_id = p_account
$$;

-- One repository as lists show it: its last change (a tag's start) and the actions of a week only where they are asked for.
CREATE FUNCTION repo_item(p_id int8, p_caller int8, p_modified bool, p_actions bool)
RETURNS TABLE (id int8, namespace text, name text, description text, is_public bool, state int2, last_modified_ms int8, actions int8, is_starred bool, size_bytes int8, quota_bytes int8)
LANGUAGE sql STABLE AS $$
SELECT r.id, n.name, r.name, left(r.description, 4000), r.is_public, r.state,
  CASE WHEN p_modified THEN (SELECT t.start_ms FROM tag t WHERE t.repository_id = r.id ORDER BY t.start_ms DESC LIMIT 1) END,
  CASE WHEN p_actions THEN (SELECT sum(a.actions)::int8 FROM repository_action a WHERE a.repository_id = r.id AND a.day >= (now() AT TIME ZONE 'UTC')::date - 7) END,
  EXISTS (SELECT 1 FROM star s WHERE s.account_id = p_caller AND s.repository_id = r.id),
  (SELECT z.size_bytes FROM repository_size z WHERE z.repository_id = r.id), (SELECT q.limit_bytes FROM quota q WHERE q.namespace_id = n.id)
FROM repository r JOIN account n ON n.id = r.namespace_id WHERE r.id = p_id
$$;

-- One tag's manifest as the interface shows it. Size: of an index, each blob of its children once. Children: what an index of at
-- most 128 KiB lists (the first 50), where p_children.
CREATE FUNCTION ui_tag_item(p_manifest int8, p_repository int8, p_tag text, p_children bool)
RETURNS TABLE (digest text, media_type text, artifact_type text, is_index bool, size_bytes int8, labels int8, referrers int8, pulls int8, last_pull_ms int8, children text)
LANGUAGE sql STABLE AS $$
SELECT m.digest, m.media_type, m.artifact_type, m.is_index,
  CASE WHEN m.is_index THEN (SELECT sum(b.size_bytes)::int8 FROM (SELECT DISTINCT mb.blob_id FROM manifest_child c JOIN manifest_blob mb ON mb.manifest_id = c.child_id
    WHERE c.manifest_id = m.id) x JOIN blob b ON b.id = x.blob_id) ELSE m.layers_bytes END,
  (SELECT count(*) FROM label l WHERE l.manifest_id = m.id),
  (SELECT count(*) FROM (SELECT 1 FROM manifest s WHERE s.repository_id = m.repository_id AND s.subject = m.digest AND NOT s.is_removed LIMIT 101) x),
  (SELECT p.pulls FROM tag_pull p WHERE p.repository_id = p_repository AND p.tag_name = p_tag),
  (SELECT p.last_ms FROM tag_pull p WHERE p.repository_id = p_repository AND p.tag_name = p_tag),
  CASE WHEN p_children AND m.is_index AND octet_length(m.bytes) <= 131072 THEN (
    SELECT json_agg(json_build_object('digest', e.digest, 'platform', e.platform, 'artifact_type', e.type, 'size', c.layers_bytes, 'is_present', c.id IS NOT NULL) ORDER BY e.i)::text
    FROM (SELECT j.v->>'digest' AS digest, j.v->'platform' AS platform, j.v->>'artifactType' AS type, j.i
      FROM json_array_elements(convert_from(m.bytes, 'UTF8')::json->'manifests') WITH ORDINALITY j(v, i) WHERE json_typeof(j.v->'digest') = 'string' AND j.i <= 50) e
    LEFT JOIN manifest c ON c.repository_id = m.repository_id AND c.digest = e.digest AND NOT c.is_removed) END
FROM manifest m WHERE m.id = p_manifest
$$;

-- Facts of a caller without a repository: catalogue, /v2/. One row.
CREATE FUNCTION caller_facts(p_caller text, p_token text, p_kid text)
RETURNS TABLE (caller_id int8, caller_name text, caller_alive bool, token_id int8)
LANGUAGE sql STABLE AS $$
SELECT c.id, c.name,
  (p_caller IS NULL OR (c.is_enabled AND (c.owner_id IS NULL OR o.is_enabled)) IS TRUE)
    AND (p_token IS NULL OR (t.id IS NOT NULL AND t.account_id IS NOT DISTINCT FROM c.id AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())))
    AND (p_kid IS NULL OR (k.approved_ms IS NOT NULL AND (k.expires_ms IS NULL OR k.expires_ms > kade_now_ms())) IS TRUE), t.id
FROM (VALUES (1)) one
LEFT JOIN account c ON c.uuid = p_caller AND c.kind <> 2
LEFT JOIN account o ON o.id = c.owner_id
LEFT JOIN token t ON t.uuid = p_token
LEFT JOIN service_key k ON k.kid = p_kid
$$;

-- Is one of these manifests held: by a live tag, or (up the tree, any depth) by a parent or subject that is? A referrer follows
-- its subject. Of p_skip its own idleness does not count. PL/pgSQL keeps the plan; the walk ends because parents are pushed
-- after their children and UNION drops repeats. It is lazy: it stops at the first holder, and after 256 manifests, where the
-- answer is yes. So nobody's chain of indexes makes a read long, and nothing is collected too early; such a tree is collected
-- from its top, whose own walk is short.
CREATE FUNCTION kade_held_above(p_ids int8[], p_skip int8, p_window_ms int8) RETURNS bool LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (
    WITH RECURSIVE up(id) AS (
      SELECT i FROM unnest(p_ids) i
      UNION
      SELECT x.id FROM up, LATERAL (
        SELECT c.manifest_id AS id FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id AND NOT p.is_removed WHERE c.child_id = up.id
        UNION ALL
        SELECT s.id FROM manifest m JOIN manifest s ON s.repository_id = m.repository_id AND s.digest = m.subject AND NOT s.is_removed
        WHERE m.id = up.id AND m.subject IS NOT NULL) x)
    SELECT 1 FROM (SELECT up.id, row_number() OVER () AS n FROM up LIMIT 256) w
    WHERE w.n = 256
      OR (w.id IS DISTINCT FROM p_skip AND EXISTS (SELECT 1 FROM manifest m WHERE m.id = w.id AND m.idle_since_ms > kade_now_ms() - p_window_ms))
      OR EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = w.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())));
END $$;

-- Is a manifest held by a live tag, parent or subject?
CREATE FUNCTION kade_manifest_held(p_id int8, p_window_ms int8) RETURNS bool LANGUAGE sql STABLE AS
$$ SELECT kade_held_above(ARRAY[p_id], p_id, p_window_ms) $$;

-- Must a manifest stay? More than what readers see: ended tags keep it, too, until they are collected. Upwards as above; its own
-- idleness does not count. Scalar sub-selects: of an EXISTS the planner may make a hash of all tags.
CREATE FUNCTION kade_manifest_kept(p_id int8, p_window_ms int8) RETURNS bool LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (
    WITH RECURSIVE up(id) AS (
      SELECT p_id
      UNION
      SELECT x.id FROM up, LATERAL (
        SELECT c.manifest_id AS id FROM manifest_child c WHERE c.child_id = up.id
        UNION ALL
        SELECT s.id FROM manifest m JOIN manifest s ON s.repository_id = m.repository_id AND s.digest = m.subject
        WHERE m.id = up.id AND m.subject IS NOT NULL AND NOT m.is_removed) x)
    SELECT 1 FROM (SELECT up.id, row_number() OVER () AS n FROM up LIMIT 256) w
    WHERE w.n = 256
      OR (w.id <> p_id AND (SELECT m.idle_since_ms > kade_now_ms() - p_window_ms FROM manifest m WHERE m.id = w.id))
      OR (SELECT true FROM tag t WHERE t.manifest_id = w.id LIMIT 1));
END $$;

-- Is a manifest part of an index that can be pulled? One walk from all its parents, however many.
CREATE FUNCTION kade_manifest_in_index(p_id int8, p_window_ms int8) RETURNS bool LANGUAGE sql STABLE AS $$
SELECT kade_held_above(ARRAY(SELECT c.manifest_id FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id AND NOT p.is_removed
  WHERE c.child_id = p_id LIMIT 256), NULL, p_window_ms) $$;

-- Makes a repository if it is absent. Its creator gets admin rights (unless the namespace is the creator's own), the
-- organization's default permissions are applied: for each delegate one made for this creator beats a general one.
CREATE FUNCTION kade_repository_ensure(p_namespace int8, p_name text, p_creator int8, p_public bool, p_kind int2) RETURNS int8
LANGUAGE plpgsql AS $$
DECLARE v_id int8;
BEGIN
  INSERT INTO repository (namespace_id, name, is_public, kind) VALUES (p_namespace, p_name, p_public, p_kind)
  ON CONFLICT (namespace_id, name) DO NOTHING RETURNING id INTO v_id;
  IF v_id IS NULL THEN
    SELECT id INTO v_id FROM repository WHERE namespace_id = p_namespace AND name = p_name;
    RETURN v_id;
  END IF;
  INSERT INTO repository_permission (repository_id, account_id, role)
    SELECT v_id, p_creator, 3 WHERE p_creator IS NOT NULL AND p_creator <> p_namespace;
  INSERT INTO repository_permission (repository_id, account_id, team_id, role)
    SELECT DISTINCT ON (d.delegate_id, d.delegate_team_id) v_id, d.delegate_id, d.delegate_team_id, d.role
    FROM default_permission d
    WHERE d.organization_id = p_namespace AND (d.activating_id IS NULL OR d.activating_id = p_creator) AND d.delegate_id IS DISTINCT FROM p_creator
    ORDER BY d.delegate_id, d.delegate_team_id, d.activating_id NULLS LAST;
  RETURN v_id;
END $$;

-- Makes an organization if the name is free; NULL when it belongs to a user or robot.
CREATE FUNCTION kade_organization_ensure(p_name text, p_email text, p_creator int8, p_window_s int8) RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE v_id int8; v_team int8;
BEGIN
  IF EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.name = p_name) THEN
    RETURN NULL;
  END IF;
  INSERT INTO account (kind, name, email, is_verified, tag_window_s) VALUES (2, p_name, p_email, true, p_window_s) ON CONFLICT (name) DO NOTHING RETURNING id INTO v_id;
  IF v_id IS NULL THEN
    SELECT id INTO v_id FROM account WHERE name = p_name AND kind = 2;
    RETURN v_id;
  END IF;
  INSERT INTO team (organization_id, name, role) VALUES (v_id, 'owners', 3) RETURNING id INTO v_team;
  INSERT INTO team_member (team_id, account_id) VALUES (v_team, p_creator);
  RETURN v_id;
END $$;
