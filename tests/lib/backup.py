"""A PostgreSQL that archives, and its backups, by the real pgBackRest."""

import os
import subprocess

import pgtest


class Backup:
    """A server that archives, and its backups, by pgBackRest as the server's own account."""

    def __init__(self, add_cleanup):
        self.server = pgtest.Cluster(settings={"archive_mode": "on", "wal_level": "replica", "full_page_writes": "on"}, start=False)
        add_cleanup(self.server.close)
        self.config = os.path.join(self.server.host, "pgbackrest.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("[global]\nrepo1-path={0}/repo\nlog-path={0}/logs\nlock-path={0}/locks\nspool-path={0}/spool\nlog-level-console=warn\n"
                    "start-fast=y\n[main]\npg1-path={0}/data\npg1-socket-path={0}\npg1-port={1}\npg1-user=postgres\n"
                    .format(self.server.host, self.server.port))
        with open(self.server.data + "/postgresql.conf", "a", encoding="utf-8") as f:
            f.write("archive_command = 'pgbackrest --config=%s --stanza=main archive-push %%p'\n" % self.config)
        self.server.start()
        self.run("pgbackrest --stanza=main stanza-create")

    def run(self, command, **env):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False,
                              env=dict(os.environ, PGBACKREST_CONFIG=self.config, **env), **self.server._as_server())
        if done.returncode:
            raise AssertionError("%s: exit %d\n%s%s" % (command, done.returncode, done.stdout, done.stderr))
        return done.stdout
