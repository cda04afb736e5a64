#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIPp through the real server: a thousand calls without a failure."""
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from interop import (DOMAIN, PASSWORD, ROOT, Failure, free_port, new_folder, port_is_taken,  # noqa: E402
                     require_program, run_tests, start, stop, tail, tcp_listens, wait_until)

SCENARIOS = ROOT / "tests/interop/sipp"
CALLS = 1000


def free_media_port():
    """Far from the ports of servers; SIPp takes it and the next even one."""
    while True:
        port = free_port() + 20000
        if not any(port_is_taken(port + more) for more in range(4)):
            return port


class Sipp:
    """One SIPp on a port of its own; user, password and domain are its fields 0 to 3."""

    def __init__(self, server, user, transport="u1", port=None):
        require_program("sipp", "setpriv")
        self.server, self.user, self.transport = server, user, transport
        self.port = port or free_port()
        self.folder = new_folder()
        self.process = None
        password = PASSWORD.get(user, "")
        domain = DOMAIN if user in PASSWORD else "elsewhere.test"
        (self.folder / "fields.csv").write_text(
            f"SEQUENTIAL\n{user};{password};{domain};"
            f"[authentication username={user} password={password}]\n")

    def command(self, scenario, *options):
        """What -auth_uri names stands in the credentials that SIPp writes, and in those that it checks."""
        if self.user != "provider":
            options += ("-auth_uri", DOMAIN if scenario == "register" else f"bob@{DOMAIN}")
        what = ("-sn", scenario[1:]) if scenario[0] == "-" else ("-sf", SCENARIOS / f"{scenario}.xml")
        return ["sipp", f"127.0.0.1:{self.server.port}", *what, "-i", "127.0.0.1", "-p", self.port,
                "-mi", "127.0.0.1", "-mp", free_media_port(), "-t", self.transport,
                "-inf", "fields.csv", "-nostdin", "-trace_err", "-error_file", "errors.log", *options]

    def run(self, scenario, calls=1, rate=1, seconds=60, options=()):
        log = self.folder / "sipp.log"
        process = start(self.command(scenario, "-m", calls, "-r", rate, "-l", 200, "-timeout",
                                     seconds, "-timeout_error", *options), self.folder, log)
        try:
            status = process.wait(seconds + 5)
        except subprocess.TimeoutExpired:
            status = "no end"
        finally:
            stop(process)
        if status != 0:
            raise Failure(f"SIPp {scenario}: status {status}\n{tail(self.folder / 'errors.log', 12)}"
                          f"{tail(log, 60)}")

    def serve(self, scenario):
        listens = tcp_listens if self.transport[0] == "t" else port_is_taken
        self.process = start(self.command(scenario), self.folder, self.folder / "serve.log")
        wait_until(lambda: listens(self.port), "SIPp listens")

    def done(self):
        stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def bob_behind(bench, server, scenario, transport="u1"):
    """Bob registers from the port where the scenario then waits for his calls."""
    bob = bench.add(Sipp(server, "bob", transport))
    bob.run("register", seconds=10)
    bob.serve(scenario)
    return bob


def calls(bench, caller_transport="u1", callee_transport="u1", count=CALLS):
    server = bench.server()
    bob_behind(bench, server, "callee", callee_transport)
    bench.add(Sipp(server, "visitor", caller_transport)).run("caller", count, 250)


def calls_with_digest(bench):
    server = bench.server()
    bob_behind(bench, server, "callee")
    bench.add(Sipp(server, "alice")).run("caller_digest", CALLS, 250)


def plain_caller(bench):
    """SIPp's own scenario calls the server's address, and sends ACK and BYE without a Route."""
    server = bench.server()
    bob_behind(bench, server, "callee")
    bench.add(Sipp(server, "visitor")).run("-uac", 100, 100, options=("-s", "bob"))


def cancelled(bench):
    server = bench.server()
    bob_behind(bench, server, "ringer")
    bench.add(Sipp(server, "visitor")).run("canceller", 200, 100)


def declined(bench):
    server = bench.server()
    bob_behind(bench, server, "decliner")
    bench.add(Sipp(server, "visitor")).run("declined", 200, 100)


if __name__ == "__main__":
    run_tests([
        ("1000 calls over UDP", calls),
        ("1000 calls with Digest", calls_with_digest),
        ("1000 calls over TCP", lambda bench: calls(bench, "t1", "t1")),
        ("200 calls from TCP to UDP", lambda bench: calls(bench, "t1", "u1", 200)),
        ("100 calls of a caller who knows no Record-Route", plain_caller),
        ("200 calls cancelled: 487", cancelled),
        ("200 calls declined: 603", declined),
    ])
