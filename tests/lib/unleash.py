"""A real Unleash server for tests: installed from npm into a cache folder, on a PostgreSQL of its own.

    with unleash.UnleashServer() as server:
        server.url, server.admin_token, server.client_token, server.frontend_token
        server.admin("POST", "/projects/default/features", {"name": "f", "type": "release"})
        server.freeze_database(); server.thaw_database()
        server.stop_database();   server.start_database()

By hand: python3 tests/lib/unleash.py install   (prints the folder)
         python3 tests/lib/unleash.py run       (until Ctrl-C)

What's missing (npm, the registry) raises; nothing is skipped.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import npm
import pgtest

VERSION = "6.10.1"
NODE_AT_LEAST, NODE_BELOW = 18, 21  # "engines" of unleash-server


def install():
    """The folder with node_modules/unleash-server; installs it when it isn't there."""
    return npm.install("unleash-server", VERSION)


def node():
    return npm.node(NODE_AT_LEAST, NODE_BELOW)


class HttpAnswer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %s" % (self.status, self.body[:2000])


def http(method, url, token=None, body=None, timeout=30):
    """One request. An HTTP error status is an answer, not an exception."""
    request = urllib.request.Request(url, method=method)
    if token:
        request.add_header("Authorization", token)
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, data=data, timeout=timeout) as answer:
            return HttpAnswer(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return HttpAnswer(error.code, error.headers, error.read().decode())


class UnleashServer:
    """A server on a free loopback port; environments `development` and `production`, project `default`."""

    admin_token = "*:*.phasegate-test-admin"
    client_token = "default:development.phasegate-test-client"
    frontend_token = "default:development.phasegate-test-frontend"

    def __init__(self, start=True, env=None):
        self.process = self.database = None
        self.folder, self.node = install(), node()
        self.more_env = env or {}
        self.port = pgtest.free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self.work = tempfile.mkdtemp(prefix="pgt-unleash.", dir="/tmp")
        self.log = os.path.join(self.work, "log")
        atexit.register(self.close)
        self.database = pgtest.Cluster()
        self.database.create_database("unleash")
        if start:
            self.start()

    def start(self, seconds=120):
        """Start, or start again on the same data and port; waits for /health."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "DATABASE_", "UNLEASH_", "NODE_"))}
        env.update({
            "DATABASE_HOST": self.database.host,
            "DATABASE_PORT": str(self.database.port),
            "DATABASE_NAME": "unleash",
            "DATABASE_USERNAME": self.database.user,
            "DATABASE_PASSWORD": "unused",
            "DATABASE_SSL": "false",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(self.port),
            "UNLEASH_URL": self.url,
            "INIT_ADMIN_API_TOKENS": self.admin_token,
            "INIT_CLIENT_API_TOKENS": self.client_token,
            "INIT_FRONTEND_API_TOKENS": self.frontend_token,
            "CHECK_VERSION": "false",
            "SEND_TELEMETRY": "false",
            "LOG_LEVEL": "warn",
            "TZ": "UTC",
            "NODE_ENV": "production",
            # A query of its own that fails while its database is away must not end it: whoever runs it would have it
            # restarted, and the tests are about a service that answers.
            "NODE_OPTIONS": "--unhandled-rejections=warn",
        })
        env.update(self.more_env)
        program = os.path.join(self.folder, "node_modules", "unleash-server", "dist", "server.js")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.node, program], cwd=self.work, env=env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + seconds
        while not self._is_healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.log, encoding="utf-8", errors="replace") as f:
                    raise RuntimeError("Unleash didn't start:\n" + f.read()[-4000:])
            time.sleep(0.2)

    def _is_healthy(self):
        try:
            answer = http("GET", self.url + "/health", timeout=5)
            return answer.status == 200 and answer.json.get("health") == "GOOD"
        except (OSError, ValueError):
            return False

    def stop(self):
        """SIGTERM, SIGKILL when that takes long. The database stays."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def freeze(self):
        """SIGSTOP to Unleash itself: connections are accepted and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def freeze_database(self):
        self.database.freeze()

    def thaw_database(self):
        self.database.thaw()

    def stop_database(self):
        self.database.stop("immediate")

    def start_database(self):
        self.database.start()

    def admin(self, method, path, body=None, timeout=30):
        """A request below /api/admin with the admin token."""
        return http(method, self.url + "/api/admin" + path, self.admin_token, body, timeout)

    def client_features(self, timeout=30):
        """What SDKs of the environment `development` get: {name: feature}."""
        answer = http("GET", self.url + "/api/client/features", self.client_token, timeout=timeout)
        if answer.status != 200:
            raise AssertionError("client features: %s" % answer)
        return {feature["name"]: feature for feature in answer.json["features"]}

    def flag(self, name, project="default"):
        """The flag as the management API has it, or None when there is none."""
        answer = self.admin("GET", "/projects/%s/features/%s" % (project, name))
        return None if answer.status == 404 else answer.json

    def environment(self, name, environment="development", project="default"):
        """{"enabled": ..., "strategies": [...]} of a flag."""
        path = "/projects/%s/features/%s/environments/%s" % (project, name, environment)
        return self.admin("GET", path).json

    def create_flag(self, name, project="default", kind="release"):
        answer = self.admin("POST", "/projects/%s/features" % project, {"name": name, "type": kind})
        if answer.status != 201:
            raise AssertionError("creating %s: %s" % (name, answer))
        return answer.json

    def close(self):
        """Stop and remove everything; may be called again."""
        atexit.unregister(self.close)
        self.stop()
        if self.database:
            self.database.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _main(args):
    if args == ["install"]:
        print(install())
        print(node())
        return 0
    if args == ["run"]:
        with UnleashServer() as server:
            print(server.url, server.admin_token, server.client_token, flush=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                pass
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
