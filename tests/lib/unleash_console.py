"""A real Unleash behind a pipe, for tests in C. Each line in is a JSON list [command, argument...], each line
out the result as JSON; {"error": text} when it raised. The first line out is {"url", "admin", "client"}.

  ["admin", METHOD, PATH, BODY]   {"status", "body"} of the management API below /api/admin
  ["delivered", FLAG]             what SDKs of `development` get, null when it isn't listed
  ["users", FLAG, N]              which of the users u0 .. uN-1 have it, as the server itself evaluates it
  ["lock", TABLE]                 writes to that table of Unleash's wait, reads go on;  ["unlock"]
  ["stop_database"] ["start_database"] ["freeze_database"] ["thaw_database"]
"""

import json
import sys

import unleash


class Console:
    def __init__(self, server):
        self.server, self.session = server, None

    def admin(self, method, path, body=None):
        answer = self.server.admin(method, path, body)
        try:
            return {"status": answer.status, "body": answer.json}
        except ValueError:
            return {"status": answer.status, "body": None}

    def delivered(self, flag):
        return self.server.client_features().get(flag)

    def users(self, flag, n):
        answer = self.server.admin("POST", "/playground/advanced", {
            "environments": ["development"], "projects": ["default"],
            "context": {"appName": "test", "userId": ",".join("u%d" % i for i in range(n))}})
        for feature in answer.json["features"]:
            if feature["name"] == flag:
                return sorted(one["context"]["userId"] for one in feature["environments"]["development"]
                              if one["isEnabled"])
        return []

    def lock(self, table):
        if not self.session:
            self.session = self.server.database_session()
            self.session.run("BEGIN")
        self.session.run("LOCK TABLE %s IN SHARE MODE" % table)

    def unlock(self):
        self.session.run("ROLLBACK")
        self.session.close()
        self.session = None

    def stop_database(self):
        self.server.stop_database()

    def start_database(self):
        self.server.start_database()

    def freeze_database(self):
        self.server.freeze_database()

    def thaw_database(self):
        self.server.thaw_database()


def main():
    with unleash.UnleashServer() as server:
        server.database_session = lambda: unleash.pgtest.Session(server.database.url("unleash"))
        console = Console(server)
        print(json.dumps({"url": server.url, "admin": server.admin_token, "client": server.client_token}), flush=True)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            try:
                result = getattr(console, command)(*arguments)
            except Exception as error:  # said to the test, which fails on it
                result = {"error": "%s: %s" % (type(error).__name__, error)}
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
