"""What the tests of garbage collection share: kade-gc as a process, time that passes at once, barriers inside of the database, and the
comparison of rows and store at the end."""

import contextlib
import json
import os
import subprocess

import psycopg2

import breakage
import stack as st

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

# A trigger function that stops kade-gc, and nobody else, until the test lets go of an advisory lock.
PAUSE = """
CREATE OR REPLACE FUNCTION test_pause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') = TG_ARGV[1] THEN
    PERFORM set_config('lock_timeout', '0', true);
    PERFORM pg_advisory_xact_lock_shared(7, TG_ARGV[0]::int4);
  END IF;
  RETURN NULL;
END $$"""


class Gc:
    """kade-gc with a stack's configuration."""

    def __init__(self, stack):
        self.stack = stack
        self.adopted = False

    def words(self, *words):
        return [str(self.stack.servers.bin / "kade-gc"), "--config", str(self.stack.config_file), *words]

    def run(self, *words, code=0):
        if not self.adopted:
            self.stack.admin("adopt-storage")
            self.adopted = True
        r = st.run_as(self.stack.user, self.words("--json", *words))
        assert r.returncode == code, f"kade-gc {words}: {r.returncode}: {r.stdout}{r.stderr}"
        return json.loads(r.stdout.splitlines()[-1]) if code in (0, 1, 6) and "--explain" not in words and "--dry-run" not in words else r

    def popen(self, *words, before=()):
        words = [*before, *self.words(*words)]
        if os.geteuid() == 0 and not before:
            words = ["setpriv", f"--reuid={self.stack.user}", "--clear-groups", "--", *words]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    # -- time

    def age(self, hours=2):
        """Idle marks are older by so many hours."""
        ms = int(hours * HOUR_MS)
        self.stack.sql("UPDATE manifest SET idle_since_ms = idle_since_ms - %s WHERE idle_since_ms IS NOT NULL", ms)
        self.stack.sql("UPDATE repository_blob SET idle_since_ms = idle_since_ms - %s WHERE idle_since_ms IS NOT NULL", ms)

    def age_tags(self, days=30):
        """Ended tags ended so many days earlier: their time machine is over."""
        self.stack.sql("UPDATE tag SET start_ms = start_ms - %s, ended_ms = ended_ms - %s, collect_after_ms = collect_after_ms - %s WHERE ended_ms IS NOT NULL",
                       *[days * DAY_MS] * 3)

    def age_tombstones(self, days=8):
        self.stack.sql("UPDATE tombstone SET not_before_ms = not_before_ms - %s", days * DAY_MS)

    def everything(self, rounds=12):
        """Runs as if weeks went by, until nothing is left that is due."""
        for _ in range(rounds):
            self.age_tags()
            self.age()
            self.age_tombstones()
            if self.run()["selected"] == 0:
                return
        raise AssertionError(f"still something to do: {self.stack.sql('SELECT * FROM tombstone')}")

    # -- what is there

    def counts(self):
        return {t: self.stack.sql(f"SELECT count(*) FROM {t}")[0][0]
                for t in ("tag", "manifest", "manifest_blob", "manifest_child", "repository_blob", "namespace_blob", "blob", "placement", "tombstone", "label")}

    def used(self, namespace):
        return self.stack.sql("SELECT kade_quota_used(id) FROM account WHERE name = %s", namespace)[0][0]

    def check(self):
        """Rows and store agree; nothing leaks: every manifest without a holder has a mark, every link without a manifest, too; the quota is
        the sum of what is there. Σ objects = Σ placements + tombstones that still have theirs."""
        left = breakage.audit(self.stack)
        i = breakage.inventory(self.stack)
        assert len(i["objects"]) == len(i["placed"]) + len(i["objects"] & i["tombstones"] - set(i["placed"]))
        leaks = self.stack.sql("""SELECT m.digest FROM manifest m JOIN repository r ON r.id = m.repository_id WHERE r.state <> 3 AND m.idle_since_ms IS NULL AND NOT kade_manifest_kept(m.id, 3600000)
            AND NOT EXISTS (SELECT 1 FROM manifest_child c WHERE c.child_id = m.id)
            AND NOT EXISTS (SELECT 1 FROM manifest s WHERE s.repository_id = m.repository_id AND s.digest = m.subject)""")
        assert not leaks, f"manifests that nothing holds and nobody would collect: {leaks}"
        links = self.stack.sql("""SELECT repository_id, blob_id FROM repository_blob rb JOIN repository r ON r.id = rb.repository_id WHERE r.state <> 3 AND idle_since_ms IS NULL
            AND NOT EXISTS (SELECT 1 FROM manifest_blob mb WHERE mb.repository_id = rb.repository_id AND mb.blob_id = rb.blob_id)""")
        assert not links, f"links that no manifest needs and nobody would collect: {links}"
        blobs = self.stack.sql("SELECT digest FROM blob b WHERE NOT EXISTS (SELECT 1 FROM repository_blob rb WHERE rb.blob_id = b.id)")
        assert not blobs, f"blobs without a link: {blobs}"
        dangling = self.stack.sql("SELECT namespace_id, blob_id FROM namespace_blob nb WHERE NOT EXISTS (SELECT 1 FROM blob b WHERE b.id = nb.blob_id)")
        assert not dangling, f"members that are gone: {dangling}"
        lacking = self.stack.sql("""SELECT DISTINCT r.namespace_id, mb.blob_id FROM manifest_blob mb JOIN repository r ON r.id = mb.repository_id
            WHERE NOT EXISTS (SELECT 1 FROM namespace_blob nb WHERE nb.namespace_id = r.namespace_id AND nb.blob_id = mb.blob_id)""")
        assert not lacking, f"blobs in use that their namespace does not count: {lacking}"
        wrong = self.stack.sql("""SELECT a.name, kade_quota_used(a.id), s.bytes FROM account a CROSS JOIN LATERAL (
            SELECT COALESCE(sum(b.size_bytes), 0) AS bytes FROM namespace_blob nb JOIN blob b ON b.id = nb.blob_id WHERE nb.namespace_id = a.id) s
            WHERE a.kind <> 3 AND kade_quota_used(a.id) <> s.bytes""")
        assert not wrong, f"accounts that differ from what is there: {wrong}"
        return left

    # -- barriers

    @contextlib.contextmanager
    def stopped_at(self, event, table, key=1, words=(), application="kade-gc"):
        """Starts kade-gc and gives its process when it waits just before (event: "BEFORE DELETE") or just after that statement; at the end of
        the block it goes on and ends."""
        self.stack.sql(PAUSE)
        db = psycopg2.connect(self.stack.uri)
        db.autocommit = True
        cur = db.cursor()
        cur.execute("SELECT pg_advisory_lock(7, %s)", (key,))
        cur.execute(f"CREATE TRIGGER test_pause_{key} {event} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION test_pause('{key}', '{application}')")
        p = self.popen(*words)
        try:
            st.until(lambda: self.waiting(key) or p.poll() is not None, 20, f"kade-gc at {event} on {table}")
            assert p.poll() is None, f"kade-gc ended without {event} on {table}: {p.communicate()}"
            yield p
        finally:
            cur.execute("SELECT pg_advisory_unlock(7, %s)", (key,))
            said = p.communicate(timeout=60)
            cur.execute(f"DROP TRIGGER test_pause_{key} ON {table}")
            db.close()
        assert p.returncode in (0, 1, -9), f"kade-gc: {p.returncode} {said}"

    def waiting(self, key):
        return self.stack.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7 AND objid = %s AND NOT granted", key)[0][0] > 0
