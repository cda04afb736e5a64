#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the system refuses to the real server: descriptors, memory, a reader of its log; and connections from everywhere. It goes
on, counts, and is as before when there is room again."""
import concurrent.futures
import fcntl
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from interop import (DOMAIN, STROWGER, WAIT_S, Server, exchange, options_request, require, run_tests, stop,  # noqa: E402
                     wait_until)
from wire import Datagrams, Health, Stream, request  # noqa: E402

OPTIONS = """auth: {required: false}
workers: 1
limits: {max_connections: 700, max_connections_per_source: 8}
decisions: {keep_calls: 100}
"""
MEBIBYTE = 1 << 20


def status(server):
    return json.loads(server.command("status", "-o", "json"))


def connect(server, address):
    stream = socket.socket()
    stream.bind((address, 0))
    stream.settimeout(2)
    stream.connect(("127.0.0.1", server.port))
    return stream


def addresses(n, net):
    return [f"127.{net}.{i // 250}.{1 + i % 250}" for i in range(n)]


def is_closed(stream):
    stream.setblocking(False)
    try:
        return stream.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def close_all(streams):
    for stream in streams:
        stream.close()


def answers_over_tcp(server):
    with Stream(server.port) as tcp:
        reply = tcp.ask(request())
    return reply is not None and reply.code == 200


def descriptors(bench):
    """Connections are refused when none is left, datagrams are answered, and it takes connections again."""
    server = bench.server(options=OPTIONS)
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (48, before[1]))
    streams = [connect(server, address) for address in addresses(100, 101)]
    wait_until(lambda: sum(map(is_closed, streams)) >= 52, "the connections without a descriptor are closed")
    require(not all(map(is_closed, streams)), "those before them are kept")
    with Datagrams(server.port) as udp:
        reply = udp.ask(request(), 0.5)
    require(reply is not None and reply.code == 200, "datagrams are answered")
    close_all(streams)
    wait_until(lambda: answers_over_tcp(server), "a connection is taken again")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def sources(bench):
    """Silent connections from 500 addresses: each is within its limit, so the limit in all counts."""
    server = bench.server(options=OPTIONS)
    health = Health(server)
    everywhere = addresses(500, 102)
    streams = [connect(server, address) for address in everywhere + everywhere[:200]]
    wait_until(lambda: status(server)["connections"] == 700, "all that may be are open")
    health.check("while they are open")
    more = [connect(server, address) for address in addresses(50, 103)]
    wait_until(lambda: all(map(is_closed, more)), "one more is closed at once")
    with Datagrams(server.port) as udp:
        reply = udp.ask(request(), 0.5)
    require(reply is not None and reply.code == 200, "datagrams are answered")
    close_all(streams + more)
    wait_until(lambda: status(server)["connections"] == 0, "they are gone when their peers have gone")
    require(answers_over_tcp(server), "a connection is taken again")


def address_space(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def memory(bench):
    """The system gives no more memory: what needs some is refused or lost, nothing ends, and it goes on afterwards."""
    server = bench.server(options=OPTIONS)
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    with Datagrams(server.port) as phone:
        reply = phone.ask(request("REGISTER", to=f"<sip:bob@{DOMAIN}>",
                                  extra=f"Contact: <sip:bob@{phone.address}:{phone.port}>\r\n"))
        require(reply is not None and reply.code == 200, f"bob registers: {reply and reply.line}")
        resource.prlimit(pid, resource.RLIMIT_AS, (address_space(pid) + MEBIBYTE // 2, before[1]))
        with Datagrams(server.port) as udp:
            # Nobody answers: each keeps its transactions, some kilobytes, until the system says no.
            for i in range(3000):
                udp.send(request("INVITE", f"sip:bob@{DOMAIN}", extra=f"Subject: {'x' * 800}\r\n"))
                if i % 50 == 0:
                    time.sleep(0.005)
        require(server.process.poll() is None, "it goes on")
        resource.prlimit(pid, resource.RLIMIT_AS, before)
        with Datagrams(server.port) as udp:
            wait_until(lambda: (reply := udp.ask(request(), 0.3)) is not None and reply.code == 200,
                       "it answers as before")
        kept = status(server)["transactions"]
        require(0 < kept < 6000, f"{kept} transactions: the memory was enough for all")
    require(answers_over_tcp(server), "a connection is taken")


def room(bench):
    """As many transactions as may be: one more request is refused, and `status` says how many were."""
    server = bench.server(options="auth: {required: false}\nlimits: {max_transactions: 100}\n")
    with Datagrams(server.port) as phone, Datagrams(server.port) as udp:
        reply = phone.ask(request("REGISTER", to=f"<sip:bob@{DOMAIN}>",
                                  extra=f"Contact: <sip:bob@{phone.address}:{phone.port}>\r\n"))
        require(reply is not None and reply.code == 200, f"bob registers: {reply and reply.line}")
        for _ in range(60):                                 # nobody answers: two transactions each
            udp.send(request("MESSAGE", f"sip:bob@{DOMAIN}"))
        wait_until(lambda: status(server)["overload"]["room_refused"] > 0, "the last of them are refused")
        now = status(server)
        require(now["max_transactions"] == 100 <= now["transactions"], f"what is full: {now}")
    require("of at most 100; " in server.command("status"), "status says why")


def control_group():
    """A new control group with 256 MiB, of version 1 or 2; None: this machine lets us have none."""
    name = f"strowger-test-{os.getpid()}"
    for root, file in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = pathlib.Path(root, name)
        try:
            group.mkdir()
            (group / file).write_text(str(256 * MEBIBYTE), encoding="ascii")
            return group
        except OSError:
            if group.is_dir():
                group.rmdir()
    return None


def default_room(bench):
    """Left alone, limits.max_transactions is what fits into a quarter of the memory that the server may use."""
    def default():
        for line in subprocess.run([STROWGER, "config", "--defaults"], check=True, capture_output=True, text=True,
                                   preexec_fn=enter).stdout.splitlines():
            if line.startswith("  max_transactions: "):
                return int(line.split()[1])
        raise AssertionError("the option is not shown")

    def enter():
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    group = None
    all_of_it = default()
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    require(100 <= all_of_it <= min(machine // 4096, 10000000), f"{all_of_it} transactions")
    group = control_group()
    if group:
        try:
            require(default() == min(65536, all_of_it), f"{default()} transactions in 256 MiB")
        finally:
            group.rmdir()


class Unread(Server):
    """Its log goes into a pipe that takes little; nobody reads it until the test does."""

    def start(self):
        self.pipe, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", STROWGER, "serve", "--config", self.config], stdin=subprocess.DEVNULL,
                stdout=output, stderr=write, cwd=self.folder)
        os.close(write)
        wait_until(self.answers, "the server answers")

    def flood(self):
        """At level debug each message is a line: more of them than are kept."""
        for _ in range(100):
            for _ in range(100):
                require(exchange(self.port, options_request(self.port), WAIT_S), "an OPTIONS waits for the log")
            if (lost := status(self)["log_lost"]):
                return lost
        raise AssertionError("nothing is lost")

    def read(self):
        """What comes until the end."""
        with open(self.pipe, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


def unread_log(bench):
    """Who reads the log stands still: everything goes on, and ends when it has to."""
    server = bench.add(Unread(options="log: {level: debug}\n"))
    lost = server.flood()
    require(f"{lost} lines lost" in server.command("status"), "status tells of lost lines")
    begin = time.monotonic()
    require(stop(server.process, seconds=WAIT_S) == 0, f"SIGTERM: status {server.process.returncode}")
    require(time.monotonic() - begin < 4, "the end waits for the log")
    os.close(server.pipe)


def log_read_again(bench):
    """It goes on: what was kept comes, what is lost is told, and so is the end."""
    server = bench.add(Unread(options="log: {level: debug}\n"))
    server.flood()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        lines = pool.submit(server.read)
        wait_until(lambda: exchange(server.port, options_request(server.port), WAIT_S), "it still answers")
        time.sleep(0.3)
        lost = status(server)["log_lost"]
        require(stop(server.process, seconds=WAIT_S) == 0, f"SIGTERM: status {server.process.returncode}")
        events = lines.result()
    require(sum(event["lines"] for event in events if event["event"] == "log.lost") >= lost, "what is lost is told")
    require(events[-1]["event"] == "server.stopped", f"the last line: {events[-1]}")


run_tests([
    ("a log that nobody reads", unread_log),
    ("a log that is read again", log_read_again),
    ("no descriptor is left", descriptors),
    ("silent connections from 500 addresses", sources),
    ("no memory is left", memory),
    ("no room for a transaction", room),
    ("room by the memory of the machine", default_room),
])
