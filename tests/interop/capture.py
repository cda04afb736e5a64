#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tshark reads what the real server sends: SIP only, nothing malformed."""
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from interop import (Skip, exchange, options_request, require, require_program, run_tests,  # noqa: E402
                     start, stop, tail)


class Capture:
    def __init__(self, server):
        require_program("dumpcap", "tshark", "setpriv")
        self.folder, self.port = server.folder, server.port
        self.file, log = self.folder / "run.pcapng", self.folder / "dumpcap.log"
        self.process = start(["dumpcap", "-i", "lo", "-f", f"port {self.port}", "-w", self.file],
                             self.folder, log)
        for _ in range(100):
            time.sleep(0.05)
            if self.process.poll() is not None:
                raise Skip(f"dumpcap may not capture here: {tail(log, 2).strip()}")
            if self.file.exists() and "File: " in tail(log):
                return
        raise Skip("dumpcap does not begin")

    def done(self):
        stop(self.process)

    def read(self, display_filter, *fields):
        command = ["tshark", "-n", "-r", self.file, "-d", f"udp.port=={self.port},sip",
                   "-d", f"tcp.port=={self.port},sip", "-Y", display_filter]
        if fields:
            command += ["-T", "fields"] + [part for field in fields for part in ("-e", field)]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30,
                              cwd=self.folder, check=False,
                              env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"})
        require(done.returncode == 0, f"tshark: {done.stderr}")
        return done.stdout.splitlines()


def converse(bench, transport):
    server = bench.server()
    capture = bench.add(Capture(server))
    alice = bench.phone("alice", server, transport)
    bob = bench.phone("bob", server, transport)
    alice.registered()
    bob.registered()
    for user, caller, callee in (("bob", alice, bob), ("alice", bob, alice)):
        caller.dial(user)
        callee.wait("CALL_INCOMING")
        callee.tell("accept")
        caller.wait("CALL_ESTABLISHED")
        callee.wait("CALL_ESTABLISHED")
        caller.tell("hangup")
        callee.closed()
    alice.dial("nobody")
    alice.closed("404")
    exchange(server.port, options_request(server.port), 2)
    time.sleep(0.5)
    capture.done()

    payload = "(udp || tcp.len > 0)"
    methods = set(capture.read("sip.Method", "sip.Method"))
    require({"REGISTER", "INVITE", "ACK", "BYE", "OPTIONS"} <= methods, f"captured only {methods}")
    codes = set(capture.read("sip.Status-Code", "sip.Status-Code"))
    require({"100", "180", "200", "401", "404", "407"} <= codes, f"captured only {codes}")
    for what in (f"{payload} && !sip && !tcp.analysis.keep_alive", "_ws.malformed",
                 "sip && _ws.expert.severity == error"):
        lines = capture.read(what)
        require(not lines, f"{what}:\n" + "\n".join(lines[:10]))


run_tests([
    ("UDP: nothing malformed", lambda bench: converse(bench, "udp")),
    ("TCP: nothing malformed", lambda bench: converse(bench, "tcp")),
])
