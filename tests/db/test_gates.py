"""Gates: each kind measured for real; pass, fail and no data are never mixed up."""

import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import unittest.mock

import pgtest
import project
from project import column_plan, phase, plan

SOON = {"interval": "100ms", "timeout": "5s"}


class Answers(http.server.BaseHTTPRequestHandler):
    """What the test says: .server.status, .server.body, .server.asked."""

    def do_GET(self):
        self.server.asked += 1
        body = self.server.body.encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json" if body.startswith(b"{") else "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(case, status=200, body="{}"):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.status, server.body, server.asked = status, body, 0
    server.url = "http://127.0.0.1:%d" % server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    case.addCleanup(server.server_close)
    case.addCleanup(server.shutdown)
    return server


def gated(gate, pause="0s", stamp=20260101000000, **more):
    """A rollout of the read flag behind one gate; write_activation is there, so the plan isn't complete afterwards."""
    gate = dict(SOON, **gate)
    return plan("g", stamp, {"dual_read": phase("dual_read", rollout=[{"percent": 10, "pause": pause}, {"percent": 100}], gates=["gate"]),
                             "write_activation": phase("write_activation")},
                flags={"read": {"key": "g-read"}}, gates={"gate": gate}, **more)


class GateCase(project.Case):
    def gate(self, gate, pause="0s", **more):
        p = self.project(plans=[gated(gate, pause)], **more)
        return p

    def passes(self, p):
        p.ok("advance", "g", "--release", "1.2.0")
        self.assertEqual((p.flag("g-read"), p.stage("g")), (100, "dual_read done"))

    def fails(self, p, word, flag=0):
        """Exit code 1, the flag safe again, the plan halted."""
        answer = p.json("advance", "g", "--release", "1.2.0", code=1)
        self.assertEqual((answer["error"]["kind"], answer["error"]["reason"]), ("no", "gate_failed"))
        self.assertIn(word, answer["error"]["message"])
        self.assertEqual((p.flag("g-read"), p.brake("g")), (flag, "halted"))
        error = p.refused("halted", "advance", "g", "--release", "1.2.0")
        self.assertIn("gate gate failed", error["message"])

    def waits(self, p, word):
        """Nobody can tell: the rung is held, nothing is rolled back."""
        answer = p.json("advance", "g", "--release", "1.2.0", "--no-wait", code=5)
        self.assertEqual(answer["error"]["reason"], "waiting")
        self.assertIn(word, answer["error"]["message"])
        self.assertEqual((p.flag("g-read"), p.brake("g")), (10, "none"))
        waiting = p.status("g")["waiting"]
        self.assertIn(word, waiting["for"])
        return waiting


class Sql(GateCase):
    def test_passes(self):
        self.passes(self.gate({"sql": "SELECT count(*) FROM orders", "expect": "= 500", "no_data": "hold"}))

    def test_fails_and_goes_on_after_resume(self):
        p = self.gate({"sql": "SELECT count(*) FROM orders", "expect": "= 501", "no_data": "hold"})
        self.fails(p, "measured 500")
        p.db.psql("INSERT INTO orders VALUES (501, 'x')")
        p.ok("resume", "g", "--because", "the order is there")
        self.passes(p)

    def test_on_failure_hold_leaves_the_flag(self):
        p = self.gate({"sql": "SELECT 1", "expect": "= 2", "no_data": "hold", "on_failure": "hold"})
        self.fails(p, "measured 1", flag=10)

    def test_a_rollback_is_recorded_with_its_reason(self):
        p = self.gate({"sql": "SELECT 1", "expect": "= 2", "no_data": "hold"})
        self.fails(p, "measured 1")
        self.assertIn("gate gate failed: measured 1", p.db.column("SELECT reason FROM phasegate.flag_change WHERE desired IN ('OFF', '0', 'off')"))
        self.assertIn("gate_failed", p.db.column("SELECT step FROM phasegate.migration_history WHERE status = 'transition'"))

    def test_no_row_is_no_data(self):
        self.waits(self.gate({"sql": "SELECT 1 WHERE false", "expect": "= 1", "no_data": "hold"}), "holds no value")

    def test_null_is_no_data_and_no_zero(self):
        self.waits(self.gate({"sql": "SELECT NULL::int", "expect": "= 0", "no_data": "hold"}), "holds no value")

    def test_an_error_is_no_data(self):
        self.waits(self.gate({"sql": "SELECT count(*) FROM nowhere", "expect": "= 0", "no_data": "hold"}), "nowhere")

    def test_a_gate_writes_nothing(self):
        p = self.gate({"sql": "DELETE FROM orders RETURNING id", "expect": "> 0", "no_data": "hold"})
        self.waits(p, "read-only")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders"), "500")

    def test_a_gate_ends_at_its_timeout(self):
        begun = time.monotonic()
        self.waits(self.gate({"sql": "SELECT 1 FROM pg_sleep(60)", "expect": "= 1", "no_data": "hold", "timeout": "200ms"}), "gate gate")
        self.assertLess(time.monotonic() - begun, 30)


class NoData(GateCase):
    NOTHING = {"sql": "SELECT 1 WHERE false", "expect": "= 1"}

    def test_fail(self):
        self.fails(self.gate(dict(self.NOTHING, no_data="fail")), "holds no value")

    def test_hold_ends_with_the_first_measurement(self):
        p = self.gate({"sql": "SELECT max(id) FROM facts", "expect": "= 1", "no_data": "hold"},
                      baseline="CREATE TABLE facts (id int)")
        with p.start("advance", "g", "--release", "1.2.0") as run:
            pgtest.wait_until(lambda: "waiting for gate gate" in run.stderr, 20, what="the gate")
            p.db.psql("INSERT INTO facts VALUES (1)")
            self.assertEqual(run.wait(20).rc, 0, run.stderr)
        self.assertEqual(p.flag("g-read"), 100)

    def test_pass_never_passes_without_a_single_measurement(self):
        p = self.gate(dict(self.NOTHING, no_data="pass"))
        self.waits(p, "holds no value")

    def test_pass_bridges_a_gap(self):
        p = self.gate({"command": ["sh", "-c", "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; [ $n -eq 1 ] || echo 5"],
                       "expect": "= 5", "no_data": "pass", "count": 3})
        self.passes(p)
        with open(p.path("n"), encoding="utf-8") as f:
            # Two rungs, three good ones each; the second measurement of the first rung had no value.
            self.assertEqual(int(f.read()), 6)


class Often(GateCase):
    def counting(self, numbers, **more):
        """A gate that measures these numbers, one after the other, then the last one for ever."""
        return dict({"command": ["sh", "-c", "n=$(cat n 2>/dev/null || echo 1); echo $((n+1)) > n; "
                                 "set -- %s; [ $n -gt $# ] && n=$#; shift $((n-1)); echo $1" % " ".join(map(str, numbers))],
                     "expect": "= 1", "no_data": "hold"}, **more)

    def measured(self, p):
        with open(p.path("n"), encoding="utf-8") as f:
            return int(f.read()) - 1

    def test_count_asks_so_often(self):
        p = self.gate(self.counting([1], count=3))
        self.passes(p)
        self.assertEqual(self.measured(p), 6)

    def test_one_failure_is_enough_without_a_limit(self):
        p = self.gate(self.counting([1, 0], count=3))
        self.fails(p, "measured 0")
        self.assertEqual(self.measured(p), 2)

    def test_failure_limit_is_how_many_are_forgiven(self):
        p = self.gate(self.counting([0, 1, 0, 1], count=2, failure_limit=2))
        self.passes(p)
        # 0, 1, 0, 1, 1 for the first rung: good ones count in a row; then 1, 1.
        self.assertEqual(self.measured(p), 7)

    def test_one_more_than_the_limit_fails(self):
        p = self.gate(self.counting([0, 1, 0, 1, 0], count=3, failure_limit=2))
        self.fails(p, "measured 0")
        self.assertEqual(self.measured(p), 5)

    def test_background_gates_run_through_pauses(self):
        p = self.gate({"sql": "SELECT count(*) FROM orders WHERE id < 0", "expect": "= 0", "no_data": "hold", "count": 0}, pause="60s")
        with p.start("advance", "g", "--release", "1.2.0") as run:
            pgtest.wait_until(lambda: "the pause at 10 %" in run.stderr, 20, what="the pause")
            self.assertEqual(p.flag("g-read"), 10)
            p.db.psql("INSERT INTO orders VALUES (-1, 'bad')")
            done = run.wait(20)
        self.assertEqual(done.rc, 1, done)
        self.assertIn("The flag is back at its safe value", done.stderr)
        self.assertEqual((p.flag("g-read"), p.brake("g")), (0, "halted"))

    def test_a_background_gate_lets_a_good_rollout_pass(self):
        self.passes(self.gate({"sql": "SELECT 0", "expect": "= 0", "no_data": "hold", "count": 0}, pause="1s"))

    def test_a_background_gate_without_any_measurement_holds(self):
        p = self.gate({"sql": "SELECT 1 WHERE false", "expect": "= 0", "no_data": "hold", "count": 0})
        with p.start("advance", "g", "--release", "1.2.0") as run:
            pgtest.wait_until(lambda: "waiting for gate gate" in run.stderr, 20, what="the gate\n" + run.stderr)
            time.sleep(1.5)
            self.assertTrue(run.is_running())
            self.assertEqual(p.flag("g-read"), 10)

    def test_gates_of_a_phase_without_a_rollout(self):
        gate = dict(SOON, sql="SELECT count(*) FROM orders", expect="= 500", no_data="hold")
        p = self.project(plans=[plan("g", phases={"expand": phase("expand", steps=[project.step("t", "CREATE TABLE t ()")], gates=["gate"])},
                                     gates={"gate": gate})])
        r = p.advance("g", "1.1.0")
        self.assertEqual([(t["id"], t["status"]) for t in r["tasks"]], [("t", "done"), ("gates/all", "done")])

    def test_a_failed_gate_of_contract_comes_before_its_first_step(self):
        gate = dict(SOON, sql="SELECT 1", expect="= 0", no_data="hold")
        body = project.full_plan("g", gates={"gate": gate})
        body["phases"]["contract"]["gates"] = ["gate"]
        p = self.project(plans=[body])
        p.advance_through("g", "write_activation")
        answer = p.json("advance", "g", "--release", "1.5.0", code=1)
        self.assertEqual(answer["error"]["reason"], "gate_failed")
        self.assertIn("legacy_ref", p.columns())
        self.assertEqual((p.flag("g-read"), p.flag("g-write")), (100, 100))


class Command(GateCase):
    def test_exit_0_passes(self):
        self.passes(self.gate({"command": ["true"], "no_data": "hold"}))

    def test_another_exit_code_fails(self):
        self.fails(self.gate({"command": ["sh", "-c", "echo too slow >&2; exit 4"], "no_data": "hold"}), "exit code 4: too slow")

    def test_the_first_line_is_the_value(self):
        self.passes(self.gate({"command": ["printf", "7\\nand more\\n"], "expect": "= 7", "no_data": "hold"}))
        self.fails(self.gate({"command": ["printf", "8\\n"], "expect": "= 7", "no_data": "hold"}), "measured 8")

    def test_no_program_is_no_data(self):
        self.waits(self.gate({"command": ["/nowhere/tool"], "no_data": "hold"}), "/nowhere/tool")

    def test_a_program_that_hangs_is_no_data(self):
        begun = time.monotonic()
        self.waits(self.gate({"command": ["sleep", "60"], "no_data": "hold", "timeout": "300ms"}), "gate gate")
        self.assertLess(time.monotonic() - begun, 30)


class Http(GateCase):
    def test_a_status(self):
        server = serve(self)
        self.passes(self.gate({"http": {"url": server.url + "/health"}, "no_data": "hold"}))
        server.status = 503
        self.fails(self.gate({"http": {"url": server.url + "/health"}, "no_data": "hold"}), "status 503, expected 200")

    def test_another_status_that_is_wanted(self):
        server = serve(self, status=204, body="")
        self.passes(self.gate({"http": {"url": server.url, "status": 204}, "no_data": "hold"}))

    def test_a_value_in_the_answer(self):
        server = serve(self, body=json.dumps({"checks": [{"state": "ok"}]}))
        gate = {"http": {"url": server.url, "json": "/checks/0/state", "expect": "= ok"}, "no_data": "hold"}
        self.passes(self.gate(gate))
        server.body = json.dumps({"checks": [{"state": "degraded"}]})
        self.fails(self.gate(gate), "measured degraded")
        server.body = "<html>all good</html>"
        self.waits(self.gate(gate), "gate gate")

    def test_nobody_answers(self):
        self.waits(self.gate({"http": {"url": "http://127.0.0.1:%d/" % pgtest.free_port()}, "no_data": "hold"}), "gate gate")

    def test_headers_and_variables(self):
        server = serve(self)
        p = self.gate({"http": {"url": "${HEALTH}/x", "headers": {"Authorization": "Bearer ${HEALTH_TOKEN}"}}, "no_data": "hold"})
        answer = p.json("advance", "g", "--release", "1.2.0", code=2)
        self.assertIn("HEALTH", answer["error"]["message"])
        p.env.update(HEALTH=server.url, HEALTH_TOKEN="s3cret-health-token")
        done = p.ok("-v", "advance", "g", "--release", "1.2.0")
        self.assertNotIn("s3cret-health-token", done.stdout + done.stderr + "\n".join(p.dump()))


class Prometheus(GateCase):
    """The real one, scraping an exporter of ours."""

    @classmethod
    def setUpClass(cls):
        cls.tool = shutil.which("prometheus")
        if not cls.tool:
            raise RuntimeError("no prometheus: apt-get install prometheus")
        cls.dir = tempfile.mkdtemp(prefix="pg-prom.", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.exporter = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        cls.exporter.status, cls.exporter.body, cls.exporter.asked = 200, cls.metrics(0.001), 0
        threading.Thread(target=cls.exporter.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.exporter.server_close)
        cls.addClassCleanup(cls.exporter.shutdown)
        config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
                  "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": ["127.0.0.1:%d" % cls.exporter.server_port]}]}]}
        with open(os.path.join(cls.dir, "prometheus.yml"), "w", encoding="utf-8") as f:
            json.dump(config, f)
        port = pgtest.free_port()
        cls.url = "http://127.0.0.1:%d" % port
        cls.log = open(os.path.join(cls.dir, "log"), "wb")
        cls.addClassCleanup(cls.log.close)
        cls.process = subprocess.Popen([cls.tool, "--config.file=" + os.path.join(cls.dir, "prometheus.yml"),
                                        "--storage.tsdb.path=" + os.path.join(cls.dir, "data"),
                                        "--web.listen-address=127.0.0.1:%d" % port], stdout=cls.log, stderr=cls.log)
        cls.addClassCleanup(cls.end)
        pgtest.wait_until(lambda: cls.exporter.asked > 2 or cls.process.poll() is not None, 60, what="the first scrapes of prometheus")

    @classmethod
    def end(cls):
        cls.process.terminate()
        cls.process.wait(30)

    @staticmethod
    def metrics(rate):
        return "# TYPE shop_errors gauge\nshop_errors{path=\"/a\"} %g\nshop_errors{path=\"/b\"} %g\n" % (rate / 2, rate / 2)

    def report(self, rate):
        """Until prometheus has it."""
        self.exporter.body = self.metrics(rate)
        asked = self.exporter.asked
        pgtest.wait_until(lambda: self.exporter.asked > asked + 2, 30, what="scrapes")

    def prom(self, query, expect, **more):
        p = self.gate(dict({"prometheus": {"url": "${PROM}", "query": query}, "expect": expect, "no_data": "hold"}, **more))
        p.env["PROM"] = self.url
        return p

    def test_a_number(self):
        self.report(0.001)
        self.passes(self.prom('sum(shop_errors{job="shop"})', "< 0.01"))

    def test_too_high(self):
        self.report(0.5)
        self.fails(self.prom("sum(shop_errors)", "< 0.01"), "measured 0.5")

    def test_in_the_background(self):
        self.report(0.001)
        p = self.project(plans=[gated({"prometheus": {"url": self.url + "/", "query": "sum(shop_errors)"}, "expect": "< 0.01",
                                       "no_data": "hold", "count": 0}, pause="60s")])
        with p.start("advance", "g", "--release", "1.2.0") as run:
            pgtest.wait_until(lambda: "the pause at 10 %" in run.stderr, 20, what="the pause")
            self.report(0.4)
            self.assertEqual(run.wait(30).rc, 1, run.stderr)
        self.assertEqual((p.flag("g-read"), p.brake("g")), (0, "halted"))

    def test_an_empty_answer_is_not_a_zero(self):
        self.waits(self.prom("sum(no_such_metric)", "< 0.01"), "an empty answer is not a zero")
        self.fails(self.prom("sum(no_such_metric)", "< 0.01", no_data="fail"), "an empty answer is not a zero")

    def test_several_samples_are_no_number(self):
        self.report(0.001)
        self.waits(self.prom("shop_errors", "< 0.01"), "2 samples")

    def test_a_query_that_prometheus_refuses(self):
        self.waits(self.prom("sum(", "< 0.01"), "Prometheus refused the query")

    def test_not_a_number_is_no_data(self):
        self.waits(self.prom("0 / (sum(shop_errors) * 0)", "< 1"), "gate gate")


class Sessions(GateCase):
    GONE = {"sessions": {"release": "1.1.0"}}

    def test_a_release_is_gone(self):
        p = self.gate(self.GONE, live={"sessions": {"application_name": "shop/%"}})
        with p.db.session("SET application_name = 'shop/1.1.0'"), p.db.session("SET application_name = 'shop/1.2.0'"):
            self.fails(p, "release 1.1.0 is still live")
        pgtest.wait_until(lambda: p.db.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'shop/%'") == "0")
        p.ok("resume", "g")
        self.passes(p)

    def test_without_live_releases_nobody_can_tell(self):
        self.waits(self.gate(self.GONE), "nobody can tell")


class LiveReleases(GateCase):
    """What the application itself says, or Prometheus, instead of sessions."""

    def live(self, declared, **env):
        p = self.project(plans=[project.full_plan()], live=declared)
        p.env.update(env)
        p.advance_through("orders-ref", "write_activation")
        return p

    def refused(self, p, *words):
        error = p.refused("releases_live", "advance", "orders-ref", "--release", "1.5.0")
        for word in words:
            self.assertIn(word, error["message"])

    def test_going_back_asks_too(self):
        server = serve(self, body='{"v": "1.0.0"}')
        p = self.project(plans=[project.full_plan()], live={"http": {"url": server.url, "json": "/v"}})
        p.advance("orders-ref", "1.1.0")
        server.status = 503
        self.assertIn("status 503", p.refused("releases_live", "rollback", "orders-ref")["message"])
        server.status = 200
        p.ok("rollback", "orders-ref")

    def test_by_http(self):
        server = serve(self, body='{"app": {"version": "1.3.0"}}')
        p = self.live({"http": {"url": "${VERSIONS}/version", "json": "/app/version"}}, VERSIONS=server.url)
        self.refused(p, "release 1.3.0 is still live")
        server.status = 503
        self.refused(p, "status 503")
        server.status, server.body = 200, '{"app": {}}'
        self.refused(p, "nothing at")
        server.body = '{"app": {"version": "1.4.0"}}'
        p.advance("orders-ref", "1.5.0")

    def test_nobody_answers(self):
        p = self.project(plans=[column_plan()], live={"http": {"url": "http://127.0.0.1:%d/" % pgtest.free_port(), "json": "/v"}})
        error = p.refused("releases_live", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("nobody says which releases are live", error["message"])

    def test_by_prometheus(self):
        def answer(*versions):
            return json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
                {"metric": {"version": v}, "value": [1700000000.0, str(n)]} for v, n in versions]}})
        server = serve(self, body=answer(("1.3.0", 1), ("1.4.0", 3)))
        p = self.live({"prometheus": {"url": server.url, "query": 'count by (version) (up{app="orders"})'}})
        self.refused(p, "release 1.3.0 is still live")
        server.body = answer()
        self.refused(p, "names no live release")
        server.body = answer(("1.3.0", 0), ("1.4.0", 3))
        p.advance("orders-ref", "1.5.0")

    def test_a_sessions_gate_goes_by_it_too(self):
        server = serve(self, body='{"v": "1.1.0"}')
        p = self.gate({"sessions": {"release": "1.1.0"}}, live={"http": {"url": server.url, "json": "/v"}})
        self.fails(p, "release 1.1.0 is still live")
        server.body = '{"v": "1.2.0"}'
        p.ok("resume", "g")
        self.passes(p)


class Approval(GateCase):
    def test_it_is_waited_for_and_given_meanwhile(self):
        p = self.gate({"approval": {"role": "dba", "count": 2}}, policy={"approvers": {"dba": ["alice", "bob"]}})
        with p.start("advance", "g", "--release", "1.2.0") as run:
            pgtest.wait_until(lambda: "0 of 2 approvals as dba" in run.stderr, 20, what="the gate\n" + run.stderr)
            self.assertEqual(p.flag("g-read"), 10)
            self.assertEqual(p.status("g")["waiting"]["released_by"], "phasegate approve g dual_read")
            # The run holds the lease all the while: signing must not need it.
            p.ok("--as", "alice", "approve", "g", "dual_read", "--role", "dba")
            p.ok("--as", "alice", "approve", "g", "dual_read", "--role", "dba")
            time.sleep(1)
            self.assertTrue(run.is_running(), "one person twice isn't two")
            p.ok("--as", "bob", "approve", "g", "dual_read", "--role", "dba")
            self.assertEqual(run.wait(20).rc, 0, run.stderr)
        self.assertEqual(p.flag("g-read"), 100)
        self.assertTrue(p.json("history", "--verify")["result"]["databases"][0]["chain"]["holds"])

    def test_only_with_its_role(self):
        p = self.gate({"approval": {"role": "dba"}}, policy={"approvers": {"dba": ["alice"], "dev": ["dave"]}})
        self.waits(p, "0 of 1 approvals as dba")
        p.ok("--as", "dave", "approve", "g", "dual_read", "--role", "dev")
        p.refused("not_an_approver", "--as", "dave", "approve", "g", "dual_read", "--role", "dba")
        self.waits(p, "0 of 1 approvals as dba")
        p.ok("--as", "alice", "approve", "g", "dual_read", "--role", "dba")
        self.passes(p)


class Lag(GateCase):
    def test_no_standby_is_no_data(self):
        self.waits(self.gate({"lag": "1s", "no_data": "hold"}), "no standby is connected")

    def test_a_real_standby(self):
        with pgtest.Cluster(settings={"wal_level": "replica", "max_wal_senders": 5}) as primary:
            standby = pgtest.Cluster.__new__(pgtest.Cluster)
            standby.__dict__.update(primary.__dict__, host=tempfile.mkdtemp(prefix="pgt.", dir="/tmp"), _process=None)
            standby.data, standby.log = os.path.join(standby.host, "data"), os.path.join(standby.host, "log")
            self.addCleanup(standby.close)
            if standby.account:
                os.chown(standby.host, standby.account.pw_uid, standby.account.pw_gid)
            standby._run("pg_basebackup", "-R", "-X", "stream", "-c", "fast", "-D", standby.data, "-h", primary.host, "-U", "postgres")
            with open(os.path.join(standby.data, "postgresql.conf"), "a", encoding="utf-8") as f:
                f.write("unix_socket_directories = '%s'\n" % standby.host)
            standby.start()
            pgtest.wait_until(lambda: primary.psql("SELECT count(*) FROM pg_stat_replication WHERE replay_lsn IS NOT NULL") == [["1"]])
            gate = {"lag": {"bytes": "1MiB"}, "no_data": "hold", "count": 2}
            drop = unittest.mock.patch.object(pgtest.Database, "drop")  # the server goes as a whole
            drop.start()
            self.addCleanup(drop.stop)
            ready = self.gate(gate, db=primary.create_database())
            pgtest.wait_until(lambda: primary.psql("SELECT replay_lsn >= pg_current_wal_lsn() FROM pg_stat_replication") == [["t"]])
            self.passes(ready)
            standby.psql("SELECT pg_wal_replay_pause()")
            primary.psql("CREATE TABLE wal AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
            self.fails(self.gate(gate, db=primary.create_database()), "bytes,")


if __name__ == "__main__":
    unittest.main()
