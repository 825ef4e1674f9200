"""A flag service that misbehaves on demand. It never only says yes: what it stores is read back from it.

It speaks the parts of three APIs that phasegate uses, each with flags of its own:
  Unleash   /api/admin/projects/{p}/features/..., /api/admin/search/..., /api/client/features
  builtin   /admin/v1/flags/..., /flagd/v1/flags.json
  generic   GET and PUT /generic/{key}  {"on": bool, "share": n}
The token of the management APIs is TOKEN, of the SDK endpoints SDK_TOKEN.

Control (no token):
  POST   /_control/faults    [{"method": "POST", "path": "regular expression", "times": 1, "fault": {...}}, ...]
  DELETE /_control/faults
  GET    /_control/requests  what came, in order: at_ms, method, path, body, fault, applied_ms, status
  GET    /_control/state     all flags;  PUT /_control/state {"unleash": {key: flag}, "builtin": ..., "generic": ...}
  POST   /_control/reset

Faults, used up in order, `times` 0 is for ever:
  {"kind": "hang", "ms": n}          nothing is applied, the connection is closed after n ms
  {"kind": "late", "after_ms": n}    applied n ms after it came, whoever waits for it; never answered
  {"kind": "slow", "ms": n}          applied and answered after n ms
  {"kind": "answer", "status": s, "body": ..., "type": ..., "headers": {...}, "apply": false, "before_ms": 0}
        headers may be "retry-after-date": seconds from now, "x-ratelimit-reset-in": ms from now
  {"kind": "reset", "apply": bool}   the connection is reset in the middle of the body
  {"kind": "html"} {"kind": "not_found"} {"kind": "big"} {"kind": "redirect"}: shorthand answers

    with flag_double.FlagDouble() as double: double.url, double.faults([...]), double.requests(), double.state()
By hand: python3 flag_double.py [PORT]   (prints the URL, runs until it is killed or stdin ends)
"""

import copy
import email.utils
import http.server
import json
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse
import urllib.request

TOKEN = "double-admin"
SDK_TOKEN = "double-sdk"


class Reply:
    def __init__(self, status, body=b"", kind="application/json", headers=None):
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.kind, self.headers = kind, headers or {}


def not_found(name):
    return Reply(404, {"name": "NotFoundError", "error": "not_found", "message": "there's no flag named %s" % name})


# ---- what the services store ---------------------------------------------------------------------------


class Store:
    """All state, under one lock. A method answers a Reply; what it changes is changed when it returns."""

    def __init__(self):
        self.lock = threading.RLock()
        self.clear()

    def clear(self):
        with self.lock:
            self.unleash, self.builtin, self.generic = {}, {}, {}
            self.revision, self.events, self.strategy = 1, [], 0

    def changed(self, key, what):
        self.revision += 1
        self.events.insert(0, {"type": what, "featureName": key, "environment": "production", "createdBy": "double",
                               "createdAt": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())})

    # Unleash

    def unleash_flag(self, key):
        return self.unleash.setdefault(key, {"enabled": False, "strategies": [], "archived": False})

    def unleash_feature(self, key):
        if key not in self.unleash or self.unleash[key]["archived"]:  # as Unleash does: it knows no archived ones here
            return not_found(key)
        f = self.unleash[key]
        return Reply(200, {"name": key, "archived": False, "dependencies": f.get("dependencies", []),
                           "environments": [{"name": "production", "enabled": f["enabled"],
                                             "strategies": f["strategies"]}]})

    def unleash_create(self, body):
        key = body["name"]
        if key in self.unleash:
            return Reply(409, {"name": "NameExistsError", "message": "A flag with that name already exists"})
        self.unleash_flag(key)
        self.changed(key, "feature-created")
        return Reply(201, {"name": key})

    def unleash_add(self, key, body):
        if key not in self.unleash:
            return not_found(key)
        if not isinstance(body["parameters"].get("rollout"), str):
            return Reply(400, {"message": "parameters must be strings"})
        self.strategy += 1
        strategy = dict(body, id="s%d" % self.strategy, disabled=False)
        self.unleash[key]["strategies"].append(strategy)
        self.changed(key, "feature-strategy-add")
        return Reply(200, strategy)

    def unleash_patch(self, key, strategy_id, body):
        for strategy in self.unleash.get(key, {}).get("strategies", []):
            if strategy["id"] == strategy_id:
                for op in body:
                    parts, at = op["path"].strip("/").split("/"), strategy
                    for part in parts[:-1]:
                        at = at[part]
                    at[parts[-1]] = op["value"]
                self.changed(key, "feature-strategy-update")
                return Reply(200, strategy)
        return not_found(strategy_id)

    def unleash_switch(self, key, on):
        if key not in self.unleash:
            return not_found(key)
        f = self.unleash[key]
        if f["archived"]:
            return Reply(400, {"name": "ArchivedFeatureError", "message": "the flag is archived"})
        if f["enabled"] != on:
            f["enabled"] = on
            if on and not [s for s in f["strategies"] if not s.get("disabled")]:
                self.unleash_add(key, {"name": "flexibleRollout", "parameters": {
                    "rollout": "100", "stickiness": "default", "groupId": key}})
            self.changed(key, "feature-environment-enabled" if on else "feature-environment-disabled")
        return Reply(200, b"", "")

    def client_features(self, etag):
        now = '"q:%d"' % self.revision
        if etag == now:
            return Reply(304, b"", "", {"ETag": now})
        return Reply(200, {"version": 2, "query": {"environment": "production"}, "features": [
            {"name": k, "enabled": f["enabled"], "strategies": f["strategies"]}
            for k, f in sorted(self.unleash.items()) if not f["archived"]]}, headers={"ETag": now})

    # builtin

    def builtin_answer(self, key):
        f = self.builtin[key]
        return Reply(200, {"key": key, "enabled": f["percent"] > 0, "percent": f["percent"], "bucketBy": f["bucketBy"],
                           "updatedAt": "2026-01-01T00:00:00.000Z", "updatedBy": f.get("by", "admin"),
                           "reason": f.get("reason", ""), "opId": f.get("opId", ""), "archived": False},
                     headers={"ETag": '"b-%d"' % f["revision"]})

    def builtin_write(self, key, percent, body):
        self.revision += 1
        f = self.builtin.setdefault(key, {"bucketBy": "targetingKey"})
        f.update(percent=percent, revision=self.revision, reason=body.get("reason"), opId=body.get("opId"),
                 by=body.get("by", "admin"), bucketBy=body.get("bucketBy", f["bucketBy"]))
        return self.builtin_answer(key)

    def builtin_put(self, key, body, headers):
        exists = key in self.builtin
        if headers.get("If-None-Match") == "*":
            wanted = not exists
        else:
            wanted = exists and headers.get("If-Match") == '"b-%d"' % self.builtin[key]["revision"]
        if not wanted:
            return Reply(412, {"error": "precondition_failed"})
        return self.builtin_write(key, body["percent"], body)

    def flagd(self):
        flags = {}
        for key, f in self.builtin.items():
            flags[key] = {"state": "ENABLED", "variants": {"on": True, "off": False},
                          "defaultVariant": "on" if f["percent"] == 100 else "off"}
            if 0 < f["percent"] < 100:
                flags[key]["targeting"] = {"fractional": [{"var": f["bucketBy"]}, ["on", f["percent"]],
                                                          ["off", 100 - f["percent"]]]}
        return Reply(200, {"flags": flags}, headers={"ETag": '"d-%d"' % self.revision})

    # the routes

    def answer(self, method, path, query, headers, body):
        with self.lock:
            if path.startswith("/api/admin/"):
                return self.auth(headers, TOKEN, "") or self.route_unleash(method, path[10:], query, body)
            if path == "/api/client/features":
                return self.auth(headers, SDK_TOKEN, "") or self.client_features(headers.get("If-None-Match"))
            if path.startswith("/admin/v1/flags"):
                return self.auth(headers, TOKEN, "Bearer ") or self.route_builtin(method, path, headers, body)
            if path == "/flagd/v1/flags.json":
                return self.flagd()
            if path.startswith("/generic/"):
                return self.route_generic(method, path[9:], body)
            return Reply(200, b"<!doctype html><html>the web page of the service</html>", "text/html")

    @staticmethod
    def auth(headers, token, prefix):
        given = headers.get("Authorization")
        return None if given == prefix + token else Reply(401, {"message": "You must log in"})

    def route_unleash(self, method, path, query, body):
        found = re.fullmatch(r"/projects/([^/]+)/features(?:/([^/]+))?(.*)", path)
        if found:
            key, rest = found.group(2), found.group(3)
            if method == "POST" and not key:
                return self.unleash_create(body)
            if method == "GET" and key and not rest:
                return self.unleash_feature(key)
            if rest == "/environments/production/strategies" and method == "POST":
                return self.unleash_add(key, body)
            if rest in ("/environments/production/on", "/environments/production/off") and method == "POST":
                return self.unleash_switch(key, rest.endswith("on"))
            strategy = re.fullmatch(r"/environments/production/strategies/([^/]+)", rest)
            if strategy and method == "PATCH":
                return self.unleash_patch(key, strategy.group(1), body)
        if path == "/search/features":
            archived = query.get("archived") == ["IS:true"]
            names = [k for k, f in self.unleash.items() if query.get("query", [""])[0] in k and f["archived"] == archived]
            return Reply(200, {"features": [{"name": k} for k in names], "total": len(names)})
        if path == "/search/events":
            key = query.get("feature", [""])[0][3:]
            return Reply(200, {"events": [e for e in self.events if e["featureName"] == key]})
        if path.startswith("/environments/project/"):
            return Reply(200, {"environments": [{"name": "production", "visible": True}]})
        return not_found(path)

    def route_builtin(self, method, path, headers, body):
        parts = [urllib.parse.unquote(p) for p in path.split("/")[4:]]
        if not parts:
            return Reply(200, {"flags": sorted(self.builtin)})
        key = parts[0]
        if len(parts) == 1 and method == "PUT":
            return self.builtin_put(key, body, headers)
        if key not in self.builtin:
            return not_found(key)
        if len(parts) == 1 and method == "GET":
            return self.builtin_answer(key)
        if parts[1:] == ["off"] and method == "POST":
            return self.builtin_write(key, 0, body or {})
        if parts[1:] == ["history"]:
            return Reply(200, {"key": key, "history": [{"action": "set", "previousPercent": 0,
                                                        "percent": self.builtin[key]["percent"],
                                                        "at": "2026-01-01T00:00:00.000Z",
                                                        "by": self.builtin[key].get("by", "admin")}]})
        return not_found(path)

    def route_generic(self, method, key, body):
        if method == "PUT":
            self.generic[key] = {"on": body["on"], "share": body["share"]}
            return Reply(204, b"", "")
        return Reply(200, self.generic[key]) if key in self.generic else not_found(key)


# ---- faults ------------------------------------------------------------------------------------------------


def fault_reply(fault):
    kind = fault["kind"]
    if kind == "html":
        return Reply(200, b"<!doctype html><html>sign in</html>", "text/html")
    if kind == "not_found":
        return not_found("it")
    if kind == "big":
        return Reply(200, b'{"x": "' + b"x" * (2 << 20) + b'"}')
    if kind == "redirect":
        return Reply(302, b"", "", {"Location": "http://127.0.0.1:9/elsewhere"})
    headers = {}
    for name, value in fault.get("headers", {}).items():
        if name == "retry-after-date":
            headers["Retry-After"] = email.utils.formatdate(time.time() + value, usegmt=True)
        elif name == "x-ratelimit-reset-in":
            headers["X-RateLimit-Reset"] = str(int(time.time() * 1000) + value)
        else:
            headers[name] = str(value)
    body = fault.get("body", {"message": "as ordered"})
    return Reply(fault["status"], body.encode() if isinstance(body, str) else body,
                 fault.get("type", "application/json"), headers)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do(self):
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        url = urllib.parse.urlsplit(self.path)
        if url.path.startswith("/_control/"):
            self.control(url.path[10:], raw)
            return
        self.serve(url, raw)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def serve(self, url, raw):
        double = self.server.double
        record, fault = double.arrived(self.command, url.path, raw)
        body = json.loads(raw) if raw else None
        path, query = urllib.parse.unquote(url.path), urllib.parse.parse_qs(url.query)

        def apply():
            reply = double.store.answer(self.command, path, query, self.headers, body)
            record["applied_ms"] = double.now_ms()
            return reply

        kind = fault["kind"] if fault else None
        if kind == "hang":
            double.sleep(fault.get("ms", 60000))
            self.drop()
        elif kind == "late":
            double.sleep(fault["after_ms"])
            apply()
            self.drop()
        elif kind == "reset":
            if fault.get("apply"):
                apply()
            self.cut()
        elif kind in (None, "slow"):
            if fault:
                double.sleep(fault["ms"])
            self.send(apply(), record)
        else:
            if fault.get("apply"):
                apply()
            double.sleep(fault.get("before_ms", 0))
            self.send(fault_reply(fault), record)

    def send(self, reply, record):
        record["status"] = reply.status
        try:
            self.send_response(reply.status)
            if reply.kind:
                self.send_header("Content-Type", reply.kind)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status not in (204, 304):
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
        except OSError:
            self.close_connection = True

    def drop(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def cut(self):
        """Half of an answer, then RST."""
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"name\"")
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        except OSError:
            pass
        self.close_connection = True

    def control(self, what, raw):
        double = self.server.double
        body = json.loads(raw) if raw else None
        answer = {}
        with double.store.lock:
            if what == "faults" and self.command == "POST":
                double.rules.extend({"times": 1, **rule, "used": 0} for rule in body)
            elif what == "faults":
                double.rules.clear()
            elif what == "requests":
                answer = double.log
            elif what == "reset":
                double.store.clear()
                double.rules.clear()
                double.log = []
            elif what == "state" and self.command == "PUT":
                for name, flags in body.items():
                    getattr(double.store, name).update(copy.deepcopy(flags))
                double.store.revision += 1
            elif what == "state":
                answer = {name: getattr(double.store, name) for name in ("unleash", "builtin", "generic")}
            text = Reply(200, answer)
        self.send(text, {})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is no news
            super().handle_error(request, client_address)


class FlagDouble:
    def __init__(self, port=0):
        self.store, self.rules, self.log = Store(), [], []
        self.started = time.monotonic()
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.double = self
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def now_ms(self):
        return int((time.monotonic() - self.started) * 1000)

    @staticmethod
    def sleep(ms):
        time.sleep(ms / 1000)

    def arrived(self, method, path, raw):
        with self.store.lock:
            fault = None
            for rule in self.rules:
                fits = rule.get("method", method) == method and re.search(rule["path"], path)
                if fits and (rule["times"] == 0 or rule["used"] < rule["times"]):
                    rule["used"] += 1
                    fault = rule["fault"]
                    break
            record = {"at_ms": self.now_ms(), "method": method, "path": path,
                      "body": raw.decode("utf-8", "replace") or None, "fault": fault["kind"] if fault else None,
                      "applied_ms": None, "status": None}
            self.log.append(record)
            return record, fault

    # for tests in Python; the control endpoint does the same
    def faults(self, rules):
        with self.store.lock:
            self.rules.extend({"times": 1, **rule, "used": 0} for rule in rules)

    def requests(self):
        with self.store.lock:
            return copy.deepcopy(self.log)

    def state(self):
        with self.store.lock:
            return {name: copy.deepcopy(getattr(self.store, name)) for name in ("unleash", "builtin", "generic")}

    def reset(self):
        with self.store.lock:
            self.store.clear()
            self.rules.clear()
            self.log = []

    def stop(self):
        """Nobody listens any more: connections are refused."""
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


if __name__ == "__main__":
    running = FlagDouble(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(running.url, flush=True)
    sys.stdin.read()
