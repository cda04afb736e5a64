#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several workers in the real server: calls whose legs are on different ones, and what is asked of all."""
import json
import time
import os
import socket
import sys

sys.dont_write_bytecode = True
from interop import DOMAIN, SANITIZED, require, run_tests, stop, tail, wait_until  # noqa: E402
from sipp import Sipp, bob_behind  # noqa: E402
from wire import Datagrams, Stream  # noqa: E402

WORKERS = 2
MESSAGES = 24  # that all of them belong to one of two workers is as likely as 1 in 8 million
OPEN = "auth: {required: false}\n"
SECONDS = 5


def server_of(bench, options="", workers=WORKERS):
    return bench.server(options=f"workers: {workers}\n{options}")


def status_of(server):
    return json.loads(server.command("status", "-o", "json"))


def shared(server, least):
    status = status_of(server)
    require(status["workers"] == WORKERS, f"not {WORKERS} workers: {status}")
    require(status["handed_out"] >= least, f"hardly anything was handed over: {status}")
    require(status["handed_lost"] == 0, f"something was lost on the way: {status}")
    wait_until(lambda: status_of(server)["handed_in"] >= status["handed_out"], "all was taken")


def request(method, call_id, client, uri=f"sip:{DOMAIN}", transport="UDP", more=""):
    return (f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:{client.port};rport;"
            f"branch=z9hG4bK{call_id}\r\nMax-Forwards: 70\r\nFrom: <sip:bob@{DOMAIN}>;tag=t\r\n"
            f"To: <sip:bob@{DOMAIN}>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n{more}"
            "Content-Length: 0\r\n\r\n")


def call_ids(prefix):
    mark = os.urandom(4).hex()
    return [f"{prefix}{number}-{mark}" for number in range(MESSAGES)]


def calls(bench, caller, callee, count, rate=250):
    server = server_of(bench, "limits: {max_connections_per_source: 500}\n")
    bob_behind(bench, server, "callee", callee)
    bench.add(Sipp(server, "visitor", caller)).run(
        "caller", count, rate, options=("-max_socket", 1000))
    shared(server, count // 2)


def registrations(bench):
    """Each of another Call-ID and so of any worker; all are seen by all."""
    server = server_of(bench, OPEN)
    with Datagrams(server.port) as client:
        for number, call_id in enumerate(call_ids("reg")[:8]):
            contact = f"Contact: <sip:bob@192.0.2.{number + 1}>;expires=600\r\n"
            reply = client.ask(request("REGISTER", call_id, client, more=contact), SECONDS)
            require(reply and reply.code == 200, f"REGISTER: {reply and reply.line}")
            require(len(reply.all("contact")) == number + 1, f"bindings: {reply.data!r}")
    bound = json.loads(server.command("binding", "list", "-o", "json"))
    require(len(bound[0]["bindings"]) == 8, f"bound: {bound}")


def connections(bench):
    """One connection belongs to one worker; what it asks is done by both and comes back on it."""
    server = server_of(bench, OPEN)
    for _ in range(4):
        with Stream(server.port) as client:
            for call_id in call_ids("opt"):
                reply = client.ask(request("OPTIONS", call_id, client, transport="TCP"), SECONDS)
                require(reply and reply.code == 200, f"OPTIONS: {reply and reply.line}")
                require(reply.get("call-id") == call_id, f"another one: {reply.data!r}")
    shared(server, MESSAGES)
    wait_until(lambda: status_of(server)["connections"] == 0, "both forget the connections")


def half_closed(bench):
    """Many requests, then the end of what is sent: each is answered, by whichever worker, then comes our end."""
    server = server_of(bench, OPEN)
    for _ in range(4):
        with Stream(server.port) as client:
            ids = call_ids("half")
            client.send("".join(request("OPTIONS", one, client, transport="TCP") for one in ids))
            client.tcp.shutdown(socket.SHUT_WR)
            got = [reply.get("call-id") for _ in ids if (reply := client.final(SECONDS))]
            require(sorted(got) == sorted(ids), f"{len(got)} of {len(ids)} are answered")
            require(client.wait_closed(SECONDS), "the connection stays")
    wait_until(lambda: status_of(server)["connections"] == 0, "both forget the connections")


def half_closed_late(bench, workers):
    """The same for what is answered later: after a commit, or by a phone that rings a second."""
    server = server_of(bench, OPEN, workers)
    with Datagrams(server.port) as bob:
        contact = f"Contact: <sip:bob@{bob.address}:{bob.port}>\r\n"
        for call_id in call_ids("late")[:8]:
            with Stream(server.port) as client:
                client.send(request("REGISTER", call_id, client, transport="TCP", more=contact))
                client.tcp.shutdown(socket.SHUT_WR)
                reply = client.final(SECONDS)
                require(reply and reply.code == 200, f"REGISTER: {reply and reply.line}")
                require(client.wait_closed(SECONDS), "the connection stays")
        reply = bob.ask(request("REGISTER", call_ids("bob")[0], bob, more=contact), SECONDS)
        require(reply and reply.code == 200, f"REGISTER: {reply and reply.line}")
        for call_id in call_ids("ring")[:4]:
            with Stream(server.port) as client:
                client.send(request("INVITE", call_id, client, f"sip:bob@{DOMAIN}", "TCP", contact))
                client.tcp.shutdown(socket.SHUT_WR)
                came = bob.receive(SECONDS)
                while came and call_id.encode() not in came:  # of the call before
                    came = bob.receive(SECONDS)
                require(came, "no INVITE arrives")
                head = [line + ";tag=b" * line.startswith("To:") for line in came.decode().split("\r\n")
                        if line.startswith(("Via:", "From:", "To:", "Call-ID:", "CSeq:"))]
                time.sleep(1)
                bob.send("\r\n".join(["SIP/2.0 486 Busy Here", *head]) + "\r\nContent-Length: 0\r\n\r\n")
                reply = client.final(SECONDS)
                require(reply and reply.code == 486, f"INVITE: {reply and reply.line}")
                require(client.wait_closed(SECONDS), "the connection stays")
    wait_until(lambda: status_of(server)["connections"] == 0, "all forget the connections")


def limit_per_source(bench):
    """Counted over all workers, whichever of them the kernel gives a connection to."""
    server = server_of(bench, OPEN + "limits: {max_connections_per_source: 5}\n")
    streams = [bench.add(Closing(Stream(server.port))) for _ in range(9)]
    wait_until(lambda: sum(one.stream.wait_closed(0.05) for one in streams) == 4, "4 of 9 refused")


class Closing:
    def __init__(self, stream):
        self.stream = stream

    def done(self):
        self.stream.tcp.close()


def questions(bench):
    server = server_of(bench, OPEN)
    ids = call_ids("ask")
    with Datagrams(server.port) as client:
        for call_id in ids:
            uri = f"sip:nobody@{DOMAIN}"
            if call_id == ids[-1]:
                time.sleep(0.02)  # workers know by the millisecond which call is the newest
            reply = client.ask(request("MESSAGE", call_id, client, uri=uri), SECONDS)
            require(reply and reply.code == 404, f"MESSAGE: {reply and reply.line}")
    for call_id in ids[::4]:
        why = json.loads(server.command("why", call_id, "-o", "json"))
        require(why["call_id"] == call_id and len(why["records"]) == 2, f"why: {why}")
    last = json.loads(server.command("why", "last", "-o", "json"))
    require(last["call_id"] == ids[-1], f"why last: {last['call_id']}")
    status = status_of(server)
    require(status["calls_remembered"] >= MESSAGES, f"status: {status}")


def expires_granted(server, seconds):
    with Datagrams(server.port) as client:
        for call_id in call_ids("exp"):
            contact = "Contact: <sip:bob@192.0.2.1>;expires=900\r\n"
            reply = client.ask(request("REGISTER", call_id, client, more=contact), SECONDS)
            require(reply and f"expires={seconds}" in reply.get("contact"), f"{reply and reply.data!r}")


def reload(bench):
    """The new file is in force in all workers when the answer to the reload is there."""
    server = server_of(bench, OPEN)
    expires_granted(server, 900)
    server.config.write_text(server.config.read_text() + "registration: {default_expires: 60s, max_expires: 120s}\n")
    server.command("reload")
    expires_granted(server, 120)


def drain_and_stop(bench):
    server = server_of(bench, OPEN)
    server.command("drain")
    with Datagrams(server.port) as client:
        for call_id in call_ids("new"):
            reply = client.ask(request("OPTIONS", call_id, client), SECONDS)
            require(reply and reply.code == 503, f"OPTIONS: {reply and reply.line}")
    server.command("stop")
    server.process.wait(SECONDS)
    require(stop(server.process) == 0, f"status {server.process.returncode}\n{tail(server.log)}")


if __name__ == "__main__":
    run_tests([
        ("two workers: 250 calls over UDP", lambda bench: calls(bench, "u1", "u1", 250)),
        ("two workers: 1000 calls over TCP",
         lambda bench: calls(bench, "t1", "t1", *((150, 100) if SANITIZED else (1000, 500)))),
        ("two workers: 100 calls, a connection each, to UDP", lambda bench: calls(bench, "tn", "u1", 100)),
        ("two workers: registrations", registrations),
        ("two workers: connections", connections),
        ("two workers: requests and the end of what is sent", half_closed),
        ("one worker: the end of what is sent, and answers later", lambda bench: half_closed_late(bench, 1)),
        ("three workers: the end of what is sent, and answers later", lambda bench: half_closed_late(bench, 3)),
        ("two workers: connections of one source", limit_per_source),
        ("two workers: why and status", questions),
        ("two workers: reload", reload),
        ("two workers: drain and stop", drain_and_stop),
    ])
