#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names (RFC 3263, RFC 7984): the real server asks a real name server with a zone for each case, and one
of our own that lies, is late, goes in circles, and talks too much."""
import random
import select
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
from interop import (Failure, free_port, new_folder, require, require_program, run_tests,  # noqa: E402
                     start, stop, tail, wait_until)
from wire import Datagrams, Health, Reply, request  # noqa: E402

A, CNAME, SOA, AAAA, SRV, NAPTR = 1, 5, 6, 28, 33, 35
QUICK_S = 3


class Peer:
    """A SIP server that answers each request with one code, over UDP or TCP; counts what it got."""

    def __init__(self, code=200, tcp=False, extra=""):
        self.code, self.extra, self.got, self.running = code, extra, [], True
        self.port = free_port()
        self.socket = socket.socket(type=socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        if tcp:
            self.socket.listen()
        self.thread = threading.Thread(target=self.streams if tcp else self.datagrams, daemon=True)
        self.thread.start()

    def response(self, data):
        head = data.decode().split("\r\n\r\n")[0].split("\r\n")
        self.got.append(head)
        kept = [line for line in head[1:] if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
        kept = [line + ";tag=peer" if line.startswith("To:") else line for line in kept]
        return (f"SIP/2.0 {self.code} Words\r\n" + "\r\n".join(kept) +
                f"\r\n{self.extra}Content-Length: 0\r\n\r\n").encode()

    def datagrams(self):
        while self.running:
            if select.select([self.socket], [], [], 0.05)[0]:
                data, source = self.socket.recvfrom(65535)
                self.socket.sendto(self.response(data), source)

    def streams(self):
        while self.running:
            if not select.select([self.socket], [], [], 0.05)[0]:
                continue
            with self.socket.accept()[0] as tcp:
                while self.running:
                    if select.select([tcp], [], [], 0.05)[0]:
                        data = tcp.recv(65535)
                        if not data:
                            break
                        tcp.sendall(self.response(data))

    def done(self):
        self.running = False
        self.thread.join()
        self.socket.close()


class Knot:
    """Knot DNS, authoritative for one zone on loopback."""

    def __init__(self, records):
        require_program("knotd", "setpriv")
        self.folder, self.port, self.process = new_folder(), free_port(), None
        (self.folder / "test.zone").write_text(
            "$ORIGIN test.\n$TTL 60\n@ SOA ns admin 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n" + records)
        (self.folder / "knot.conf").write_text(f"""server:
  rundir: "{self.folder}"
  listen: 127.0.0.1@{self.port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: warning
database:
  storage: "{self.folder}"
zone:
  - domain: test
    storage: "{self.folder}"
    file: "test.zone"
    zonefile-sync: -1
    journal-content: none
""")
        self.log = self.folder / "knot.log"
        self.process = start(["knotd", "-c", self.folder / "knot.conf"], self.folder, self.log)
        wait_until(self.answers, "knotd answers", 8)

    def answers(self):
        require(self.process.poll() is None, f"knotd ended\n{tail(self.log)}")
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            probe.sendto(question(4711, "ns.test", A), ("127.0.0.1", self.port))
            try:
                return probe.recv(512)[7] == 1
            except OSError:
                return False

    def done(self):
        stop(self.process)
        for path in self.folder.glob("**/*"):
            if path.is_file():
                path.unlink()


# ---- messages of the DNS ----------------------------------------------------------------------------


def name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".") if part) + b"\0"


def question(number, text, kind):
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + name(text) + struct.pack(">HH", kind, 1)


def record(owner, kind, data, ttl=60):
    return (owner if isinstance(owner, bytes) else name(owner)) + \
        struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def address(text="127.0.0.1"):
    return socket.inet_aton(text)


def service(port, target, priority=0, weight=0):
    return struct.pack(">HHH", priority, weight, port) + name(target)


class Query:
    def __init__(self, data, source):
        self.data, self.source, self.number = data, source, struct.unpack(">H", data[:2])[0]
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        self.name = ".".join(labels)
        self.kind = struct.unpack(">H", data[at + 1:at + 3])[0]
        self.question = data[12:at + 5]

    def answer(self, records=(), code=0, number=None, count=None, truncated=False):
        return struct.pack(">HHHHHH", self.number if number is None else number,
                           0x8180 | code | (0x0200 if truncated else 0), 1,
                           len(records) if count is None else count, 0, 0) + \
            self.question + b"".join(records)


class Responder:
    """A name server of our own. `handler(query, send)` says what it sends, and when; over TCP too."""

    def __init__(self, handler, tcp=None):
        self.handler, self.tcp_handler, self.queries, self.running = handler, tcp, [], True
        self.port = free_port()
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind(("127.0.0.1", self.port))
        if tcp:
            self.tcp.listen()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.running:
            ready = select.select([self.udp] + ([self.tcp] if self.tcp_handler else []), [], [], 0.05)[0]
            if self.udp in ready:
                query = Query(*self.udp.recvfrom(4096))
                self.queries.append(query)
                self.handler(query, lambda data, q=query: self.udp.sendto(data, q.source))
            if self.tcp in ready:
                stream, source = self.tcp.accept()
                with stream:
                    data = stream.recv(4096)
                    data += stream.recv(4096) if len(data) == 2 else b""
                    answer = self.tcp_handler(Query(data[2:], source))
                    stream.sendall(struct.pack(">H", len(answer)) + answer)
                    select.select([stream], [], [], 1)

    def asked(self, kind=A):
        return [query for query in self.queries if query.kind == kind]

    def done(self):
        self.running = False
        self.thread.join()
        self.udp.close()
        self.tcp.close()


# ---- helpers ------------------------------------------------------------------------------------------


def sip_server(bench, dns, more=""):
    # One worker: each has a cache of its own, and the tests count questions.
    return bench.server(users=(), options=f"workers: 1\nauth: {{required: false}}\n"
                                f"dns: {{servers: ['127.0.0.1:{dns.port}'], timeout: 1s{more}}}\n")


def message(server, uri, seconds=QUICK_S):
    with Datagrams(server.port) as client:
        via = f"SIP/2.0/UDP {client.address}:{client.port};rport;branch=z9hG4bK{random.random()}"
        return client.ask(request("MESSAGE", uri, from_="<sip:alice@strowger.test>;tag=a", via=via), seconds)


def reaches(server, uri, peer):
    before = len(peer.got)
    reply = message(server, uri)
    require(reply and reply.code == peer.code, f"{uri}: {reply and reply.line}, expected {peer.code}")
    require(len(peer.got) == before + 1, f"{uri}: the peer got {len(peer.got) - before} requests")
    return peer.got[-1]


def refused(server, uri, code, seconds=QUICK_S):
    begin = time.monotonic()
    reply = message(server, uri, seconds)
    require(reply and reply.code == code, f"{uri}: {reply and reply.line}, expected {code}")
    return time.monotonic() - begin


# ---- a real name server ----------------------------------------------------------------------------------


def real_zone(bench):
    first, second = bench.add(Peer()), bench.add(Peer())
    stream, busy = bench.add(Peer(tcp=True)), bench.add(Peer(503, extra="Retry-After: 60\r\n"))
    dead = free_port()
    many = "".join(f"_sip._udp.many SRV {10 + i} 0 {free_port()} a-rather-long-host-name-{i}\n" for i in range(80))
    zone = bench.add(Knot(f"""
host A 127.0.0.1
alias CNAME alias2
alias2 CNAME host
_sip._udp.srv SRV 20 0 {second.port} host
_sip._udp.srv SRV 10 0 {first.port} alias
_sip._udp.busy SRV 10 0 {busy.port} host
_sip._udp.busy SRV 20 0 {second.port} host
_sip._udp.dead SRV 10 0 {dead} host
_sip._udp.dead SRV 20 0 {second.port} host
naptr NAPTR 10 10 "s" "SIPS+D2T" "" _sips._tcp.naptr
naptr NAPTR 20 10 "s" "SIP+D2T" "" _sip._tcp.elsewhere
naptr NAPTR 30 10 "s" "SIP+D2U" "" _sip._udp.naptr
_sip._tcp.elsewhere SRV 0 0 {stream.port} host
_sip._udp.naptr SRV 0 0 {first.port} host
_sip._udp.never SRV 0 0 0 .
_sip._tcp.never SRV 0 0 0 .
never A 127.0.0.1
{many}_sip._udp.many SRV 1 0 {first.port} host
"""))
    server = sip_server(bench, zone)
    reaches(server, f"sip:x@host.test:{first.port}", first)
    reaches(server, f"sip:x@alias.test:{first.port}", first)
    reaches(server, "sip:x@srv.test", first)
    reaches(server, "sip:x@busy.test", second)
    reaches(server, "sip:x@busy.test", second)
    require(len(busy.got) == 1, f"Retry-After was not obeyed: {len(busy.got)} requests")
    reaches(server, "sip:x@dead.test", second)
    got = reaches(server, "sip:x@naptr.test", stream)
    require(any(line.startswith("Via: SIP/2.0/TCP") for line in got), f"not over TCP: {got}")
    reaches(server, "sip:x@srv.test;transport=udp", first)
    # 81 records: the answer is truncated, and comes by TCP.
    reaches(server, "sip:x@many.test", first)
    refused(server, "sip:x@never.test", 500)
    refused(server, "sip:x@gone.test", 500)
    words = server.command("why", "last")
    require("name = gone.test" in words, f"why does not name the name\n{words}")


# ---- one that does harm ------------------------------------------------------------------------------------


def answers_a(query, send, records):
    send(query.answer(records if query.kind == A else (), 0))


def forged(bench):
    """Answers with another id or from another place are not believed, however early they come."""
    good, evil = bench.add(Peer()), bench.add(Peer(603))
    other = socket.socket(type=socket.SOCK_DGRAM)
    other.bind(("127.0.0.1", 0))

    def handler(query, send):
        if query.kind != SRV or not query.name.startswith("_sip._udp."):
            answers_a(query, send, [record(query.name, A, address())])
            return
        lie = [record(query.name, SRV, service(evil.port, "host.test"))]
        for step in range(1, 200):
            send(query.answer(lie, number=(query.number + step) & 0xffff))
        other.sendto(query.answer(lie), query.source)
        send(Query(question(0, "other.test", SRV), None).answer(lie, number=query.number))
        time.sleep(0.1)
        send(query.answer([record(query.name, SRV, service(good.port, "host.test"))]))

    server = sip_server(bench, bench.add(Responder(handler)))
    reaches(server, "sip:x@forged.test", good)
    other.close()
    require(not evil.got, "a forged answer was believed")


def fresh_ports(bench):
    """RFC 5452 §9: a port and an id for each question."""
    responder = bench.add(Responder(lambda query, send: send(query.answer(code=3))))
    server = sip_server(bench, responder)
    for number in range(30):
        refused(server, f"sip:x@n{number}.test:5060", 500)
    queries = responder.asked()
    require(len(queries) == 30, f"{len(queries)} questions")
    ports, numbers = ({getter(query) for query in queries}
                      for getter in (lambda query: query.source[1], lambda query: query.number))
    require(len(ports) >= 28 and len(numbers) >= 29, f"{len(ports)} ports, {len(numbers)} ids of 30")


def late_and_silent(bench):
    """A silent server costs its time, no more; what comes later changes nothing."""
    late = []

    def handler(query, send):
        late.append((query, send))

    server = sip_server(bench, bench.add(Responder(handler)))
    health = Health(server)
    took = refused(server, "sip:x@late.test:5060", 504)
    require(0.9 < took < 1.5, f"504 after {took:.1f} s")
    for query, send in late:
        send(query.answer([record(query.name, A, address())]))
    health.check("after late answers")


def circles(bench):
    """CNAMEs and compression pointers that go round, and answers that are cut or empty."""
    peer = bench.add(Peer())

    def handler(query, send):
        kind = query.name.split(".")[0]
        if query.kind != A:
            send(query.answer())
        elif kind == "cname":
            send(query.answer([record("cname.test", CNAME, name("b.test")),
                               record("b.test", CNAME, name("cname.test"))]))
        elif kind == "chain":
            send(query.answer([record(f"{'chain' if i == 0 else f'c{i}'}.test", CNAME, name(f"c{i + 1}.test"))
                               for i in range(40)]))
        elif kind == "self":
            send(query.answer([b"\xc0" + bytes([12 + len(query.question)]) + struct.pack(">HHIH", A, 1, 60, 4) +
                               address()]))
        elif kind == "pair":
            at = 12 + len(query.question)
            send(query.answer([bytes([0xc0, at + 2, 0xc0, at]) + bytes(16)]))
        elif kind == "cut":
            send(query.answer([record(query.name, A, address())])[:-3])
        elif kind == "short":
            send(query.answer()[:7])
        elif kind == "count":
            send(query.answer(count=65535))
        else:
            send(query.answer([record(query.name, A, address())]))

    server = sip_server(bench, bench.add(Responder(handler)))
    health = Health(server)
    for kind in ("cname", "chain", "self", "pair", "cut", "short", "count"):
        took = refused(server, f"sip:x@{kind}.test:{peer.port}", 504)
        require(took < 1.5, f"{kind}: {took:.1f} s")
    reaches(server, f"sip:x@good.test:{peer.port}", peer)
    health.check("after circles")
    require(len(peer.got) == 1, "a broken answer was believed")


def too_much(bench):
    """Thousands of records, a datagram longer than allowed, truncation without TCP behind it."""
    peer = bench.add(Peer())

    def handler(query, send):
        kind = query.name.split(".")[0]
        if query.kind == A and kind == "big":
            send(query.answer([record(query.name, A, address()) for _ in range(1500)]))
        elif query.kind == A and kind in ("thousands", "liar", "closed"):
            send(query.answer(truncated=True))
        else:
            answers_a(query, send, [record(query.name, A, address())])

    def stream(query):
        if query.name.startswith("closed"):
            return b""
        dead = [record(b"\xc0\x0c", A, address(f"127.1.{i // 250}.{1 + i % 250}")) for i in range(4000)]
        return query.answer([record(b"\xc0\x0c", A, address())] + dead,
                            count=10000 if query.name.startswith("liar") else None)

    server = sip_server(bench, bench.add(Responder(handler, stream)))
    health = Health(server)
    reaches(server, f"sip:x@thousands.test:{peer.port}", peer)
    # 10,000 are announced; the first 2,048 are looked at.
    reaches(server, f"sip:x@liar.test:{peer.port}", peer)
    refused(server, f"sip:x@closed.test:{peer.port}", 504)
    reply = message(server, f"sip:x@big.test:{peer.port}")
    require(reply and reply.code in (200, 504), f"a datagram of 43,000 bytes: {reply and reply.line}")
    health.check("after long answers")
    # 4,000 dead addresses: no more of them are tried than dns.max_addresses says.
    took = refused(server, f"sip:x@thousands.test:{free_port()}", 500)
    require(took < 1.5, f"{took:.1f} s for dead addresses")
    health.check_memory("after long answers")


def ttl_zero(bench):
    """TTL 0 is for one request; a TTL, and absence, are remembered."""
    peer = bench.add(Peer())

    def handler(query, send):
        kind = query.name.split(".")[0]
        if kind == "gone":
            send(query.answer(code=3))
        else:
            answers_a(query, send, [record(query.name, A, address(), 0 if kind == "zero" else 60)])

    responder = bench.add(Responder(handler))
    server = sip_server(bench, responder)
    for kind, count in (("zero", 3), ("minute", 1)):
        for _ in range(3):
            reaches(server, f"sip:x@{kind}.test:{peer.port}", peer)
        asked = [query for query in responder.asked() if query.name.startswith(kind)]
        require(len(asked) == count, f"{kind}: {len(asked)} questions for three requests")
    for _ in range(3):
        refused(server, "sip:x@gone.test:5060", 500)
    asked = [query for query in responder.asked() if query.name.startswith("gone")]
    require(len(asked) == 1, f"gone: {len(asked)} questions for three requests")


def slow_domain(bench):
    """The silent servers of one domain hold back no name of another."""
    peer = bench.add(Peer())

    def handler(query, send):
        if not query.name.endswith(".slow.test"):
            answers_a(query, send, [record(query.name, A, address())])

    server = sip_server(bench, bench.add(Responder(handler)))
    with Datagrams(server.port) as client:
        via = f"SIP/2.0/UDP {client.address}:{client.port};rport;branch=z9hG4bK"
        for number in range(300):
            client.send(request("MESSAGE", f"sip:x@n{number}.slow.test:5060", from_="<sip:alice@strowger.test>;tag=a",
                                via=f"{via}{random.random()}"))
    begin = time.monotonic()
    reaches(server, f"sip:x@good.test:{peer.port}", peer)
    took = time.monotonic() - begin
    require(took < 0.5, f"{took:.1f} s beside a slow domain")


if __name__ == "__main__":
    run_tests([
        ("a zone of Knot DNS: NAPTR, SRV, CNAME, 503, dead hosts, truncation", real_zone),
        ("forged answers are not believed", forged),
        ("a port and an id for each question", fresh_ports),
        ("late and silent", late_and_silent),
        ("circles of CNAMEs and pointers", circles),
        ("too much", too_much),
        ("TTL 0, TTL, absence", ttl_zero),
        ("a slow domain beside others", slow_domain),
    ])
