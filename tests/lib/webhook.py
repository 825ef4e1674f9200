"""A receiver of notifications that does as it is told.

    with webhook.Receiver() as hook: hook.url, hook.got (bodies, decoded, in order), hook.status = 500, hook.hang_s = 5
"""

import http.server
import json
import threading
import time


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802 (the library's name)
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        receiver.got.append(json.loads(body))
        receiver.paths.append(self.path)
        receiver.kinds.append(self.headers.get("Content-Type"))
        if receiver.hang_s:
            time.sleep(receiver.hang_s)
        try:
            self.send_response(receiver.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")
        except OSError:
            pass  # nobody waits any more

    def log_message(self, *_):
        pass


class Receiver:
    def __init__(self):
        self.got, self.paths, self.kinds, self.status, self.hang_s = [], [], [], 200, 0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads, self._server.receiver = True, self
        self.host = "http://127.0.0.1:%d" % self._server.server_port
        self.url = self.host + "/services/secret-path?token=secret-token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def events(self):
        return [m.get("event") for m in self.got]

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
