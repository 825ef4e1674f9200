"""A real S3-compatible server for tests, s3rver from npm, which takes uploads in parts; and one in front of it that checks
signatures and misbehaves when it is told to.

    with s3.Server() as server:
        server.env                (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)
        server.objects()          -> {"prefix/name": bytes}
        front = s3.Front(server)
        front.url; front.plan = [("PUT", 503), ("GET", "cut")]; front.seen -> ["PUT /b/x", ...]
"""

import calendar
import hashlib
import hmac
import http.client
import http.server
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import npm

VERSION = "3.7.1"
BUCKET = "backups"
REGION = "eu-central-1"
KEY = "S3RVER"  # the account that s3rver has
SECRET = "its-secret-of-many-letters/+="


class Server:
    def __init__(self):
        program = os.path.join(npm.install("s3rver", VERSION), "node_modules", "s3rver", "bin", "s3rver.js")
        self.dir = tempfile.mkdtemp(prefix="s3-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = open(os.path.join(self.dir, "log"), "w+")
        os.mkdir(os.path.join(self.dir, "data"))
        self.process = subprocess.Popen(
            [npm.node(8, 23), program, "-d", os.path.join(self.dir, "data"), "-a", "127.0.0.1", "-p", str(self.port),
             "--no-vhost-buckets", "--configure-bucket", BUCKET], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.env = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        self._wait()

    def _wait(self):
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    self.log.seek(0)
                    raise RuntimeError("s3rver doesn't listen: " + self.log.read())
                time.sleep(0.1)

    def objects(self):
        base, found = os.path.join(self.dir, "data", BUCKET), {}
        for folder, _, names in os.walk(base):
            for name in names:
                if name.endswith("._S3rver_object"):
                    path = os.path.join(folder, name)
                    with open(path, "rb") as f:
                        found[os.path.relpath(path, base)[:-len("._S3rver_object")]] = f.read()
        return found

    def file_of(self, key):
        return os.path.join(self.dir, "data", BUCKET, key + "._S3rver_object")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.stop()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Front:
    """In front of a server, which takes any signature of version 4: one that isn't right for what was sent is refused here.
    plan: what befalls the next requests that begin so: a status, "cut" (the answer ends early), "drop" (it was done, and
    nobody hears of it), "flip" (a bit of the body), None (nothing). Each once, in order."""

    def __init__(self, server):
        self.server, self.plan, self.seen, self.ended = server, [], [], set()
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_it(self):
                front.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = handle_it

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def _fault(self, request):
        for i, (begins, what) in enumerate(self.plan):
            if request.startswith(begins):
                del self.plan[i]
                return what
        return None

    def handle(self, h):
        body = h.rfile.read(int(h.headers.get("Content-Length") or 0))
        self.seen.append("%s %s" % (h.command, h.path))
        wrong = refusal(h.command, h.path, h.headers, body)
        if wrong:
            return self._answer(h, 403, {}, _error(wrong))
        what = self._fault(self.seen[-1])
        # The server behind knows neither an upload that was ended before nor one that is given up.
        if h.command in ("POST", "DELETE") and "uploadId=" in h.path:
            if h.path in self.ended:
                return self._answer(h, 404, {}, _error("NoSuchUpload"))
            self.ended.add(h.path)
            if h.command == "DELETE":
                return self._answer(h, 204, {}, b"")
        if isinstance(what, int):
            return self._answer(h, what, {}, _error("AccessDenied" if what == 403 else "SlowDown"))
        real = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        real.putrequest(h.command, h.path, skip_host=True, skip_accept_encoding=True)
        for name, value in h.headers.items():
            real.putheader(name, value)
        real.endheaders(body)
        answer = real.getresponse()
        data = answer.read()
        real.close()
        if what == "drop":
            h.close_connection = True
            return None
        if what == "flip" and data:
            data = data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]
        return self._answer(h, answer.status, dict(answer.getheaders()), data, what == "cut")

    @staticmethod
    def _answer(h, status, headers, data, is_cut=False):
        h.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                h.send_header(name, value)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data[:len(data) // 2] if is_cut else data)
        h.close_connection = is_cut

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def _error(code):
    return ("<Error><Code>%s</Code><Message>of &quot;the front&quot;</Message></Error>" % code).encode()


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def refusal(method, path, headers, body):
    """What a service would say to the signature (docs.aws.amazon.com, Signature Version 4); None: it is right."""
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)",
                         headers.get("Authorization", ""))
    if not found:
        return "MissingSecurityHeader"
    key, day, region, signed, signature = found.groups()
    when = headers.get("x-amz-date", "")
    if key != KEY:
        return "InvalidAccessKeyId"
    if region != REGION:
        return "AuthorizationHeaderMalformed"
    if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(signed.split(";")):
        return "AccessDenied"
    if abs(time.time() - calendar.timegm(time.strptime(when, "%Y%m%dT%H%M%SZ"))) > 900:
        return "RequestTimeTooSkewed"
    if headers.get("x-amz-content-sha256") != hashlib.sha256(body).hexdigest():
        return "XAmzContentSHA256Mismatch"
    resource, _, query = path.partition("?")
    request = "\n".join([method, resource, "&".join(sorted(query.split("&"))) if query else "",
                         "".join("%s:%s\n" % (n, " ".join(headers.get(n, "").split())) for n in signed.split(";")),
                         signed, headers["x-amz-content-sha256"]])
    scope = "/".join((day, region, "s3", "aws4_request"))
    text = "\n".join(("AWS4-HMAC-SHA256", when, scope, hashlib.sha256(request.encode()).hexdigest()))
    secret = ("AWS4" + SECRET).encode()
    for part in (day, region, "s3", "aws4_request"):
        secret = _hmac(secret, part)
    return None if hmac.compare_digest(_hmac(secret, text).hex(), signature) else "SignatureDoesNotMatch"
