#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile peers and the real server: too long, too many, too slow, forged. After each attack the same
process answers a legal OPTIONS at once, and its memory is what it was."""
import random
import re
import socket
import sys
import time

sys.dont_write_bytecode = True
from interop import DOMAIN, PASSWORD, Failure, require, run_tests  # noqa: E402
from wire import Datagrams, Health, Stream, authorization, mark, request  # noqa: E402

LIMITS = """limits: {message_timeout: 1s, connection_idle: 10s, max_connections: 60,
  max_connections_per_source: 20}
decisions: {keep_calls: 100}
"""
OPEN = "auth: {required: false}\n" + LIMITS
QUIET_S = 0.3
ELSEWHERE = "sip:stranger@elsewhere.invalid"


def attack(options=LIMITS):
    """A test on a server of its own, whose health is looked at before and after."""
    def decorate(function):
        def run(bench):
            server = bench.server(options=options)
            warm_up(server)
            health = Health(server)
            function(server)
            health.check("after the attack")
            health.check_memory("after the attack")
        return run
    return decorate


def warm_up(server):
    """What the first messages allocate for good is not growth."""
    with Datagrams(server.port) as udp, Stream(server.port) as tcp:
        for _ in range(100):
            udp.ask(request("INVITE", f"sip:bob@{DOMAIN}"))
            tcp.ask(request())


SDP = "Content-Type: application/sdp\r\n"


def expect(reply, code, what):
    require(reply is not None, f"{what}: no answer, expected {code}")
    require(reply.code == code, f"{what}: {reply.line}, expected {code}")
    return reply


def nothing(client, data, what):
    client.send(data)
    got = client.receive(QUIET_S)
    require(got is None, f"{what}: {got!r}, expected nothing")


def closes(stream, data, what, seconds=0.5):
    stream.send(data)
    require(stream.wait_closed(seconds), f"{what}: the connection stays open")


def over_udp(server, data, code, what):
    with Datagrams(server.port) as client:
        return expect(client.ask(data), code, f"{what}, UDP")


def over_tcp(server, data, code, what, ends):
    with Stream(server.port) as client:
        expect(client.ask(data), code, f"{what}, TCP")
        require(client.wait_closed(0.3) == ends, f"{what}: the connection {'stays' if ends else 'ends'}")


# ---- too long, too many ----------------------------------------------------------------


@attack()
def largest_datagram(server):
    with Datagrams(server.port) as client:
        for code, part, form in ((413, "body", "{}"), (513, "extra", "X: {}\r\n"), (414, "uri", "sip:{}")):
            def data(letters):
                return request(**{"to": "<sip:b@c.d>", part: form.format("A" * letters)})

            spare = 65507 - len(data(10000)) + 10000
            require(len(data(spare)) == 65507, f"{len(data(spare))} bytes")
            expect(client.ask(data(spare)), code, f"65,507 bytes, most of them {part}")
        nothing(client, b"A" * 65507, "65,507 letters")
        nothing(client, random.Random(1).randbytes(65507), "65,507 random bytes")
        nothing(client, b"\r\n" * 32753, "65,506 bytes of CRLF")


@attack()
def many_fields(server):
    over_udp(server, request(extra="X:y\r\n" * 10000), 513, "10,000 header fields")
    over_tcp(server, request(extra="X:y\r\n" * 10000), 513, "10,000 header fields", True)
    over_tcp(server, request(extra="X:yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 10000), 513,
             "340,000 bytes of header fields", True)
    via = "SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK1"
    over_udp(server, request(via=", ".join([via] * 1200)), 513, "1,200 Via values in a field")
    reply = over_udp(server, request(via=", ".join([via] + ["SIP/2.0/UDP a"] * 500)), 200, "501 Via values")
    values = sum(len(line.split(",")) for line in reply.all("via"))
    require(values == 501, f"{values} of 501 Via values come back")


@attack()
def content_length(server):
    for value, udp, tcp in (("2147483647", 413, 413), ("4294967301", 413, 413),
                            ("99999999999999999999999", 413, 413), ("-1", 400, 400), ("5x", 400, 400),
                            ("", 400, 400), ("0x10", 400, 400)):
        data = request(length=f"Content-Length: {value}\r\n", body="hello")
        over_udp(server, data, udp, f"Content-Length {value}")
        over_tcp(server, data, tcp, f"Content-Length {value}", True)
    twice = request(length="Content-Length: 5\r\nContent-Length: 13\r\n", body="hello")
    over_udp(server, twice, 400, "Content-Length 5 and 13")
    over_tcp(server, twice, 400, "Content-Length 5 and 13", True)


@attack(OPEN)
def numbers(server):
    over_udp(server, request(cseq="2147483648 OPTIONS"), 400, "CSeq 2147483648")
    over_udp(server, request(cseq="99999999999999999999999 OPTIONS"), 400, "CSeq above 64 bits")
    over_udp(server, request(cseq="2147483647 OPTIONS"), 200, "CSeq 2147483647")
    alice = f"<sip:alice@{DOMAIN}>"
    reply = over_udp(server, request("REGISTER", f"sip:{DOMAIN}", to=alice, from_=alice + ";tag=1",
                                     extra="Contact: <sip:a@127.0.0.1:9>\r\nExpires: 99999999999\r\n"),
                     200, "Expires 99999999999")
    granted = re.search(r";expires=(\d+)", reply.get("contact"))
    require(granted and 0 < int(granted[1]) <= 3600, f"Expires 99999999999: {reply.data!r}")


@attack()
def nul(server):
    over_udp(server, request(from_='A\0B <sip:a@elsewhere.invalid>;tag=1'), 400, "NUL in From")
    over_udp(server, request(call_id="a\0b"), 400, "NUL in Call-ID")
    over_udp(server, request(uri="sip:a\0b@c"), 400, "NUL in the Request-URI")
    over_udp(server, request(extra="Subject: a\0b\r\n"), 400, "NUL in Subject")
    with Datagrams(server.port) as client:
        nothing(client, request(via="SIP/2.0/UDP 127.0.0.1\0;rport;branch=z9hG4bK1"), "NUL in Via")


# ---- too slow, too many connections ----------------------------------------------------


@attack()
def half_a_message(server):
    whole = request(body="hello")
    for part in (10, len(whole) - 20, len(whole) - 1):
        with Stream(server.port) as client:
            begin = time.monotonic()
            closes(client, whole[:part], f"{part} bytes of a message", 2.5)
            require(time.monotonic() - begin > 0.8, "closed before limits.message_timeout")
    with Datagrams(server.port) as client:
        nothing(client, whole[:10], "10 bytes of a message")
        expect(client.ask(whole[:-1]), 400, "all but the last byte")


@attack()
def byte_by_byte(server):
    with Stream(server.port) as client:
        client.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(body="hello", extra=SDP).encode():
            client.send(bytes([byte]))
        expect(client.final(), 200, "byte by byte, at once")
        begin = time.monotonic()
        for byte in request().encode():
            client.send(bytes([byte]))
            if client.read(0.01) or client.closed:
                break
        require(client.closed and 0.8 < time.monotonic() - begin < 3,
                "a message that takes longer than limits.message_timeout")


@attack()
def connection_flood(server):
    def accepted(source):
        stream = Stream(server.port, source)
        kept.append(stream)
        return not stream.wait_closed(0.02)

    kept = []
    try:
        ours = sum(accepted("127.0.0.9") for _ in range(100))
        require(ours == 20, f"{ours} of 100 connections of an address stay, not 20")
        expect(kept[0].ask(request()), 200, "a connection that was there before the flood")
        in_all = ours + sum(accepted(f"127.0.1.{host}") for host in range(1, 61))
        require(in_all == 60, f"{in_all} connections stay, not 60")
        for stream in kept[:10]:
            stream.tcp.close()
        time.sleep(0.1)
        require(accepted("127.0.0.9"), "no connection after others have ended")
    finally:
        for stream in kept:
            stream.tcp.close()


@attack()
def silent_connections(server):
    streams = [Stream(server.port) for _ in range(10)]
    begin = time.monotonic()
    require(all(stream.wait_closed(14) for stream in streams), "silent connections stay open")
    require(time.monotonic() - begin > 9, "closed before limits.connection_idle")
    for stream in streams:
        stream.tcp.close()


@attack()
def slow_reader(server):
    """Requests without end, answers never read: the connection is closed, nothing is kept."""
    with socket.socket() as tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        tcp.connect(("127.0.0.1", server.port))
        tcp.settimeout(5)
        data = request().encode() * 100
        sent = 0
        try:
            while sent < 60000:
                tcp.sendall(data)
                sent += 100
        except TimeoutError:
            raise Failure(f"after {sent} requests the server neither reads nor closes") from None
        except OSError:
            pass
        require(sent < 60000, "60,000 answers are kept for a peer that does not read")


# ---- framing and other protocols -------------------------------------------------------


@attack()
def lost_framing(server):
    lost = request(length="")
    over_tcp(server, lost, 400, "no Content-Length", True)
    over_tcp(server, request() + lost, 200, "no Content-Length in the second message", True)
    over_tcp(server, lost + "A" * 200000, 400, "200,000 bytes behind the lost framing", True)
    with Stream(server.port) as client:
        closes(client, "garbage\r\n\r\n", "garbage")


@attack()
def pipelined(server):
    one, two = mark(), mark()
    both = request(call_id=one, body="one", extra=SDP) + "\r\n\r\n" + request(call_id=two)
    for cut in (0, 100, len(both) - 300):
        with Stream(server.port) as client:
            client.send(both[:cut])
            time.sleep(0.05)
            client.send(both[cut:])
            got = [expect(client.final(), 200, f"pipelined, cut at {cut}").get("call-id")]
            got.append(expect(client.final(), 200, f"the second, cut at {cut}").get("call-id"))
            require(got == [one, two], f"answers to {got}")


@attack()
def other_protocols(server):
    http = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: browser\r\n\r\n"
    with Stream(server.port) as client:
        closes(client, http, "HTTP")
    with Stream(server.port) as client:
        closes(client, bytes.fromhex("16030101000100") + b"\1" * 256, "TLS without TLS", 2.5)
    stun = bytes.fromhex("000100002112a442") + b"transaction1"
    with Datagrams(server.port) as client:
        for name, data in (("HTTP", http), ("STUN", stun), ("nothing", b""), ("one byte", b"\0"),
                           ("RTP", bytes.fromhex("80000001") + b"\xff" * 168), ("CRLFCRLF", b"\r\n\r\n")):
            nothing(client, data, name)
        generator = random.Random(2)
        for _ in range(2000):
            client.send(generator.randbytes(generator.randrange(1, 500)))


@attack()
def ping(server):
    with Stream(server.port) as client:
        client.send("\r\n\r\n")
        client.read(1)
        require(client.buffer == b"\r\n", f"CRLFCRLF: {client.buffer!r}, not CRLF")
        client.buffer = b""
        expect(client.ask(request()), 200, "a request behind a ping")


@attack()
def half_closed(server):
    with Stream(server.port) as client:
        client.send(request())
        client.tcp.shutdown(socket.SHUT_WR)
        expect(client.final(), 200, "a request and the end of what is sent")
        require(client.wait_closed(2), "the other half stays open")


# ---- digest ----------------------------------------------------------------------------


def register(user, extra="", number=1):
    address = f"<sip:{user}@{DOMAIN}>"
    return request("REGISTER", f"sip:{DOMAIN}", to=address, from_=f"{address};tag={mark()}",
                   cseq=f"{number} REGISTER", extra="Contact: <sip:a@127.0.0.1:9>\r\n" + extra)


@attack()
def replayed_nonce(server):
    with Datagrams(server.port) as client:
        challenge = expect(client.ask(register("alice")), 401, "no credentials").get("www-authenticate")
        answers = [authorization(challenge, "alice", PASSWORD["alice"], "REGISTER", f"sip:{DOMAIN}", count)
                   for count in (1, 2)]
        expect(client.ask(register("alice", answers[0], 2)), 200, "right credentials")
        reply = expect(client.ask(register("alice", answers[0], 3)), 401, "the same credentials again")
        require("stale=true" in reply.get("www-authenticate").lower(), f"no stale=true: {reply.data!r}")
        expect(client.ask(register("alice", answers[1], 4)), 200, "the next nonce count")
        foreign = answers[1].replace("nc=00000002", "nc=00000003")
        expect(client.ask(register("alice", foreign, 5)), 401, "a nonce count that is not in the response")


@attack()
def unauthenticated_calls(server):
    alice = f"<sip:alice@{DOMAIN}>;tag="
    with Datagrams(server.port) as client:
        for _ in range(40):
            for _ in range(50):
                client.send(request("INVITE", f"sip:bob@{DOMAIN}", from_=alice + mark()))
            for _ in range(50):
                expect(client.final(), 407, "an INVITE without credentials")


@attack()
def no_enumeration(server):
    """Who exists is not to be learned by guessing: the answers differ in the nonce alone."""
    def answers(user):
        challenge = expect(client.ask(register(user)), 401, user)
        wrong = authorization(challenge.get("www-authenticate"), user, "guess", "REGISTER", f"sip:{DOMAIN}")
        return [shape(challenge, user), shape(expect(client.ask(register(user, wrong, 2)), 401, user), user)]

    def shape(reply, user):
        text = re.sub(r'nonce="[^"]*"|tag=\w+|branch=\w+|Call-ID: \w+', "*", reply.data.decode())
        return text.replace(user, "USER")

    with Datagrams(server.port) as client:
        known, unknown = answers("alice"), answers("nobody")
        require(known == unknown, f"{known}\n{unknown}")


# ---- transactions ----------------------------------------------------------------------


@attack()
def retransmitted(server):
    for what, data in (("OPTIONS", request()), ("REGISTER", register("alice")),
                       ("INVITE 480", request("INVITE", f"sip:bob@{DOMAIN}")),
                       ("INVITE 407", request("INVITE", f"sip:bob@{DOMAIN}",
                                              from_=f"<sip:alice@{DOMAIN}>;tag=1")),
                       ("400", request(cseq="1 INVITE"))):
        with Datagrams(server.port) as client:
            # A nonce is made anew for each challenge, which is stateless.
            first, second = (re.sub(rb'nonce="[^"]*"', b"", client.ask(data).data) for _ in range(2))
            require(first == second, f"{what}: {first!r}\n{second!r}")


@attack()
def out_of_the_blue(server):
    with Datagrams(server.port) as client:
        bob = f"sip:bob@{DOMAIN}"
        nothing(client, request("ACK", bob), "an ACK")
        nothing(client, request("ACK", bob, to=f"<{bob}>;tag=1"), "an ACK of a dialog")
        nothing(client, request("ACK", "nonsense"), "a malformed ACK")
        nothing(client, request("ACK", bob, version="SIP/3.0"), "an ACK of another version")
        for code in ("100 Trying", "180 Ringing", "200 OK", "486 Busy Here", "999 Odd"):
            ours, theirs = f"127.0.0.1:{server.port};branch=z9hG4bK", f"{client.address}:{client.port}"
            for via in (ours + mark(), f"{theirs};branch=z9hG4bK1", f"{ours}1, SIP/2.0/UDP {theirs}"):
                response = request(via="SIP/2.0/UDP " + via).split("\r\n", 1)[1]
                client.send(f"SIP/2.0 {code}\r\n{response}")
        got = client.receive(QUIET_S)
        require(got is None, f"responses out of the blue are answered: {got!r}")


@attack()
def relay(server):
    """Nothing gets through us to another host for somebody who is not one of our users."""
    with Datagrams(server.port) as victim, Datagrams(server.port) as client:
        there = f"sip:victim@{victim.address}:{victim.port}"
        us = f"sip:127.0.0.1:{server.port}"
        target = f"<{there}>"

        def refused(what, codes=(403,), method="INVITE", **fields):
            fields.setdefault("from_", f"<{ELSEWHERE}>;tag={mark()}")
            reply = client.ask(request(method, **{"uri": there, **fields}))
            require(reply and reply.code in codes, f"{what}: {reply and reply.line}, expected {codes}")

        for method in ("INVITE", "MESSAGE", "OPTIONS", "REGISTER", "BYE", "SUBSCRIBE", "UNKNOWN"):
            refused(f"{method} to a foreign domain", method=method)
            refused(f"{method} with a Route through us", method=method, extra=f"Route: <{us};lr>\r\n")
            refused(f"{method} with a To tag", method=method, to=target + ";tag=1")
        refused("Route to a foreign host", uri=f"sip:bob@{DOMAIN}", extra=f"Route: <{there};lr>\r\n")
        refused("Route through us to a foreign host", uri=f"sip:bob@{DOMAIN}",
                extra=f"Route: <{us};lr>, <{there};lr>\r\n")
        refused("Route through our domain", extra=f"Route: <sip:{DOMAIN};lr>\r\n")
        for name in ("d", "m", "mark", "stw"):
            refused(f"forged mark {name}", extra=f"Route: <{us};lr;{name}=0123456789abcdef>\r\n",
                    to=target + ";tag=1")
            refused(f"forged mark {name} as user", to=target + ";tag=1",
                    extra=f"Route: <sip:{name}-0123456789abcdef@127.0.0.1:{server.port};lr>\r\n")
        refused("our user without a password", (407,), from_=f"<sip:alice@{DOMAIN}>;tag=1")
        refused("our user without a password, To tag", (407,), from_=f"<sip:alice@{DOMAIN}>;tag=1",
                to=target + ";tag=1")
        refused("maddr of another", uri=f"sip:bob@{DOMAIN};maddr={victim.address}", codes=(403, 480))
        for route in ("", f"Route: <{us};lr>\r\n"):
            client.send(request("ACK", there, extra=route, to=target + ";tag=1"))
            client.send(request("CANCEL", there, extra=route))
        got = victim.receive(QUIET_S)
        require(got is None, f"this was relayed: {got!r}")


run_tests([
    ("65,507-byte datagrams", largest_datagram),
    ("10,000 header fields", many_fields),
    ("Content-Length that lies", content_length),
    ("numbers out of range", numbers),
    ("NUL in header fields", nul),
    ("half a message and silence", half_a_message),
    ("byte by byte", byte_by_byte),
    ("connection flood from one address, and in all", connection_flood),
    ("silent connections", silent_connections),
    ("requests without end and no reading", slow_reader),
    ("a stream that loses its framing", lost_framing),
    ("pipelined requests", pipelined),
    ("HTTP, TLS, STUN and garbage", other_protocols),
    ("CRLF ping", ping),
    ("half-closed connection", half_closed),
    ("replayed nonce count", replayed_nonce),
    ("2,000 INVITEs without credentials", unauthenticated_calls),
    ("who exists cannot be guessed", no_enumeration),
    ("a retransmission gets the same response", retransmitted),
    ("ACK and responses out of the blue", out_of_the_blue),
    ("no relaying for strangers", relay),
])
