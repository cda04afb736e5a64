#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 during a storm of registrations: what was acknowledged is there after the restart, exactly.

Each user has one REGISTER under way at a time, so that after the restart its binding is what was last
acknowledged, or what was then under way. Rounds: the environment STORM_ROUNDS, else 5."""
import os
import random
import re
import select
import socket
import sys
import time

sys.dont_write_bytecode = True
from interop import STROWGER, Failure, free_port, new_folder, require, run_tests, start, wait_until  # noqa: E402
import subprocess  # noqa: E402
import shutil  # noqa: E402

ROUNDS = int(os.environ.get("STORM_ROUNDS", "5"))
USERS = 200
RESEND_S = 0.5


class Storm:
    """Phones on one socket. `acked` and `under_way`: number of the REGISTER that holds, 0: none."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.folder = new_folder()
        self.config = self.folder / "strowger.yaml"
        self.server_port = free_port()
        self.config.write_text(f'domains: [storm.test]\nlisten: ["udp:127.0.0.1:{self.server_port}"]\n'
                               f'store: "sqlite:{self.folder}/strowger.db"\nauth: {{required: false}}\n'
                               f'admin: {{socket: "{self.folder}/admin.sock"}}\n')
        users = "".join(f"u{user}:secret\n" for user in range(USERS))
        subprocess.run([STROWGER, "user", "import", "--config", self.config, "/dev/stdin"], input=users, text=True,
                       check=True, capture_output=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.acked = [0] * USERS
        self.under_way = {}
        self.cseq = 0
        self.acknowledged = 0

    def start_server(self):
        self.process = start([STROWGER, "serve", "--config", self.config], self.folder, self.folder / "log")
        wait_until(lambda: self.ask("OPTIONS", 0, "")[0] == 200, "the server answers", 20)

    def request(self, method, user, cseq, lines):
        port = self.socket.getsockname()[1]
        return (f"{method} sip:storm.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{self.random.random()}\r\n"
                f"From: <sip:u{user}@storm.test>;tag=1\r\nTo: <sip:u{user}@storm.test>\r\nCall-ID: {user}@storm\r\n"
                f"CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n").encode()

    def send(self, data):
        try:
            self.socket.sendto(data, ("127.0.0.1", self.server_port))
        except OSError:
            pass

    def receive(self, seconds):
        """The responses that have come: status, user, CSeq, text."""
        select.select([self.socket], [], [], seconds)
        while True:
            try:
                text = self.socket.recv(65535).decode()
            except (BlockingIOError, ConnectionRefusedError):
                return
            match = re.search(r"^SIP/2.0 (\d+).*^Call-ID: (\d+)@.*^CSeq: (\d+)", text, re.MULTILINE | re.DOTALL)
            require(match, text)
            yield int(match[1]), int(match[2]), int(match[3]), text

    def ask(self, method, user, lines):
        """One request and its response, or None, after half a second."""
        self.cseq += 1
        cseq = self.cseq
        self.send(self.request(method, user, cseq, lines))
        end = time.monotonic() + RESEND_S
        while time.monotonic() < end:
            for status, to, number, text in self.receive(RESEND_S):
                if (to, number) == (user, cseq):
                    return status, text
        return None, None

    def begin(self, user):
        """The next REGISTER of a user: mostly a refresh, now and then the end of the binding."""
        self.cseq += 1
        ends = self.random.random() < 0.1
        lines = f"Contact: <sip:u{user}@127.0.0.1:9>;seq={self.cseq};expires={0 if ends else 3600}\r\n"
        self.under_way[user] = (self.cseq, 0 if ends else self.cseq)
        self.send(self.request("REGISTER", user, self.cseq, lines))

    def storm(self, seconds):
        for user in range(USERS):
            self.begin(user)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for status, user, cseq, text in self.receive(0.01):
                if self.under_way.get(user, (0, 0))[0] != cseq:
                    continue
                require(status == 200, text)
                self.acked[user] = self.under_way.pop(user)[1]
                self.acknowledged += 1
                self.begin(user)
        self.process.kill()
        self.process.wait()
        # What left before the end was acknowledged.
        for status, user, cseq, text in self.receive(0):
            if status == 200 and self.under_way.get(user, (0, 0))[0] == cseq:
                self.acked[user] = self.under_way.pop(user)[1]

    def check(self):
        for user in range(USERS):
            status, text = self.ask("REGISTER", user, "")
            if status is None:
                status, text = self.ask("REGISTER", user, "")
            require(status == 200, f"u{user}: {text}")
            found = re.search(r"^Contact: .*;seq=(\d+)", text, re.MULTILINE)
            found = int(found[1]) if found else 0
            allowed = {self.acked[user]}
            if user in self.under_way:
                allowed.add(self.under_way[user][1])
            if found not in allowed:
                raise Failure(f"u{user} has the binding of REGISTER {found}, not one of {sorted(allowed)}")
            self.acked[user] = found
        self.under_way.clear()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()
        shutil.rmtree(self.folder)


def kill_storm(_):
    storm = Storm(4711)
    for number in range(ROUNDS):
        storm.start_server()
        try:
            storm.check()
        except Failure as failure:
            raise Failure(f"round {number}, files in {storm.folder}: {failure}")
        storm.storm(storm.random.uniform(0.02, 0.4))
    storm.start_server()
    storm.check()
    storm.end()
    require(storm.acknowledged > 10 * ROUNDS, f"only {storm.acknowledged} acknowledged")
    print(f"# {storm.acknowledged} registrations acknowledged in {ROUNDS} rounds")


run_tests([(f"kill -9 during a storm of registrations, {ROUNDS} rounds", kill_storm)])
