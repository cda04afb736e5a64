#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classes 2 to 5 of the attacks: mandatory header fields, bodies, sizes and counts, integers; and streams
that lose their framing, other protocols."""
import random
import re
import time

from common import (ANSWER_S, DOMAIN, LIMITS, OPEN, QUIET_S, SDP, SEVERAL, Datagrams, Stream, aor, attack, attacks, causes, closes,
                    expect, full, log_causes, mark, nothing, over_tcp, over_udp, recorded, refused, register,
                    request, require)

# ---- class 2: mandatory header fields --------------------------------------------------


def without(data, name):
    return re.sub(rf"(?m)^{name}:.*\r\n", "", data, count=1)


def twice(data, name):
    return re.sub(rf"(?m)^({name}:.*\r\n)", r"\1\1", data, count=1)


@attack("mandatory header fields twice, and none of them")
def mandatory(server):
    with Datagrams(server.port) as client:
        for method, uri in (("OPTIONS", f"sip:{DOMAIN}"), ("INVITE", aor("bob")), ("REGISTER", f"sip:{DOMAIN}")):
            for name in ("From", "To", "Call-ID", "CSeq"):
                expect(client.ask(without(request(method, uri), name)), 400, f"{method} without {name}")
                expect(client.ask(twice(request(method, uri), name)), 400, f"{method} with two {name}")
            expect(client.ask(twice(request(method, uri), "Max-Forwards")), 400, f"{method}, two Max-Forwards")
            nothing(client, without(request(method, uri), "Via"), f"{method} without Via")
        # CVE-2020-27507, CVE-2018-14767: the second one is another, and longer.
        for name in ("From", "To"):
            data = request(extra=f"{name}: <sip:{'x' * 3000}@elsewhere.invalid>;tag=\r\n")
            refused(server, client, data, 400, "header-repeated", f"a second and longer {name}")
        data = request("INVITE", aor("bob"), cseq="1 INVITE", extra="Call-ID: " + "y" * 4000 + "\r\n")
        expect(client.ask(data), 400, "a second and longer Call-ID")
        data = "OPTIONS sip:strowger.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK1\r\n\r\n"
        expect(client.ask(data), 400, "nothing but a Via")
        nothing(client, "OPTIONS sip:strowger.test SIP/2.0\r\n\r\n", "no header field at all")
        for name in ("From", "To", "Call-ID", "CSeq", "Via"):
            response = request(via=f"SIP/2.0/UDP 127.0.0.1:{server.port};branch=z9hG4bK1").split("\r\n", 1)[1]
            nothing(client, without("SIP/2.0 200 OK\r\n" + response, name), f"a 200 without {name}")
    require("missing-from" in log_causes(server) or "header-repeated" in log_causes(server),
            "no cause in the log")


# ---- class 3: bodies -------------------------------------------------------------------


@attack("multipart bodies: no part, 10,000 parts, no boundary, 64 nested")
def multipart(server):
    """The server takes apart what is for itself: 400 when that cannot be done, 415 for text or too many levels."""
    def body(boundary, parts):
        return "".join(f"--{boundary}\r\n\r\n{part}\r\n" for part in parts) + f"--{boundary}--\r\n"

    nested = "x"
    for depth in range(64):
        nested = f"Content-Type: multipart/mixed;boundary=b{depth}\r\n\r\n" + body(f"b{depth}", [nested])
    for what, kind, content, code in (
            ("no part", "multipart/mixed;boundary=b", "--b--\r\n", 200),
            ("nothing", "multipart/mixed;boundary=b", "", 200),
            ("10,000 parts", "multipart/mixed;boundary=b", body("b", [""] * 3500), 415),
            ("no boundary", "multipart/mixed", body("b", ["x"]), 400),
            ("an empty boundary", 'multipart/mixed;boundary=""', body("", ["x"]), 400),
            ("a boundary of 7,000 bytes", "multipart/mixed;boundary=" + "b" * 7000, "--b", 400),
            ("64 nested", "multipart/mixed;boundary=b63", nested, 415)):
        data = request(extra=f"Content-Type: {kind}\r\n", body=content)
        over_udp(server, data, (code,), what)
        over_tcp(server, data, (code,), what, False)
    over_tcp(server, request(extra="Content-Type: multipart/mixed;boundary=b\r\n", body=body("b", [""] * 10000)),
             413, "10,000 parts, too long", True)


# ---- class 4: counts and sizes ---------------------------------------------------------


@attack("10,000 Accept, 5,000 Via, a field of a megabyte")
def bombs(server):
    for name, count, kind in (("Accept", 10000, "tcp"), ("Accept", 5000, "udp"), ("Via", 5000, "tcp"),
                              ("Via", 2500, "udp"), ("Route", 300, "udp"), ("Contact", 300, "udp"),
                              ("Require", 300, "udp")):
        line = f"{name}: SIP/2.0/UDP a\r\n" if name == "Via" else f"{name}: a\r\n"
        with Datagrams(server.port) if kind == "udp" else Stream(server.port) as client:
            data, begin = request(extra=line * count), time.monotonic()
            reply = expect(client.ask(data), 513, f"{count} {name}")
            taken = time.monotonic() - begin
            require(taken < 5 * ANSWER_S, f"{count} {name}: {taken:.3f} s")
            got = causes(server, reply.get("call-id"))
            require(set(got) & {"too-many-headers", "message-too-large"}, f"{count} {name}: {got}")
    with Stream(server.port) as client:
        client.send(request(extra="X: "))
        client.send("y" * 1000000)
        require(client.wait_closed(2), "a field of a megabyte: the connection stays open")
    for sign in (";", ",", "<", '"', "(", "\\"):
        with Datagrams(server.port) as client:
            for field in ("Via", "Contact", "Route", "Record-Route", "Supported"):
                client.ask(request(extra=f"{field}: {sign * 8000}\r\n"))
                client.ask(register("alice", f"{field}: {sign * 8000}\r\n"))


@attack("65,507-byte datagrams")
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


@attack("10,000 header fields")
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


# ---- class 5: integers -----------------------------------------------------------------


@attack("Content-Length that lies")
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


@attack("Content-Length that could be read in two ways", OPEN)
def smuggling(server):
    """CVE-2026-23457 and its like: what stands behind a message is never taken for a message when an element
    before us may have read the length otherwise."""
    inner = request("REGISTER", f"sip:{DOMAIN}", to=f"<{aor('alice')}>", from_=f"<{aor('alice')}>;tag=1",
                    extra="Contact: <sip:smuggled@127.0.0.1:9>\r\n")
    length = len(inner)
    for value in (f"{length + 2**32}", f"{length + 2**64}", f"+{length}", f"{length},{length}", f"{length} 0",
                  f"0x{length:x}", f"{length}.0", f"-{length}"):
        over_tcp(server, request(length=f"Content-Length: {value}\r\n", body=inner), (400, 413), value, True)
    for pair in ((0, length), (length, 0)):
        lines = "".join(f"{name}: {value}\r\n" for name, value in zip(("Content-Length", "l"), pair))
        over_tcp(server, request(length=lines, body=inner), 400, f"Content-Length {pair}", True)
    folded = f"Content-Length:\r\n {length}\r\n"
    over_tcp(server, request(length=folded, body=inner, extra="Content-Type: text/plain\r\n"), (200, 415),
             "a folded Content-Length", False)
    spaced = f"Content-Length : {length}\r\n"
    over_tcp(server, request(length=spaced, body=inner, extra="Content-Type: text/plain\r\n"), (200, 415),
             "Content-Length with a space before the colon", False)
    over_udp(server, request(length=f"Content-Length: {length + 2**32}\r\n", body=inner), 413, "above 2^32, UDP")
    with Datagrams(server.port) as client:
        reply = client.ask(register("alice", contact=""))
        require("smuggled" not in reply.get("contact"), f"a message in a body was obeyed: {reply.data!r}")


INTEGERS = ("-1", "2147483647", "2147483648", "4294967295", "4294967296", "4294967328", "18446744073709551616",
            "00005", "5 5", "")


@attack("integers at their edges, in each header field that has one", OPEN)
def integers(server):
    with Datagrams(server.port) as client:
        for value in INTEGERS:
            good = value.isdigit() and int(value) < 2**31
            expect(client.ask(request(cseq=f"{value} OPTIONS")), 200 if good else 400, f"CSeq {value!r}")
            good = value.isdigit()
            expect(client.ask(request(max_forwards=value)), 200 if good else 400, f"Max-Forwards {value!r}")
            for field in ("Expires", "Min-Expires", "Min-SE", "Session-Expires", "Retry-After", "RSeq", "Max-Breadth"):
                expect(client.ask(request(extra=f"{field}: {value}\r\n")), (200, 400), f"{field} {value!r}")
                expect(client.ask(request("INVITE", aor("bob"), extra=f"{field}: {value}\r\n")), (400, 480),
                       f"INVITE, {field} {value!r}")
            for place in ("q", "expires", "reg-id"):
                reply = client.ask(register("alice", contact=f"<sip:a@127.0.0.1:9>;{place}={value}"))
                expect(reply, (200, 400, 423), f"{place}={value!r}")
                for granted in re.findall(r";expires=(\d+)", ",".join(reply.all("contact"))):
                    require(0 < int(granted) <= 3600, f"{place}={value!r} grants {granted} s")
            for uri in (f"sip:{DOMAIN}:{value}", f"sip:bob@{DOMAIN}:{value}"):
                expect(client.ask(request(uri=uri, to="<sip:a@b.invalid>")), (200, 400, 403, 480), uri)


@attack("numbers out of range", OPEN)
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


@attack("NUL in header fields")
def nul(server):
    over_udp(server, request(from_='A\0B <sip:a@elsewhere.invalid>;tag=1'), 400, "NUL in From")
    over_udp(server, request(call_id="a\0b"), 400, "NUL in Call-ID")
    over_udp(server, request(uri="sip:a\0b@c"), 400, "NUL in the Request-URI")
    over_udp(server, request(extra="Subject: a\0b\r\n"), 400, "NUL in Subject")
    with Datagrams(server.port) as client:
        nothing(client, request(via="SIP/2.0/UDP 127.0.0.1\0;rport;branch=z9hG4bK1"), "NUL in Via")


# ---- streams and other protocols -------------------------------------------------------


def in_order(got, expected):
    """Several workers may answer requests of different Call-IDs in another order than they came."""
    return got == expected or (SEVERAL and got == expected[::-1])


@attack("a stream that loses its framing", LIMITS)
def lost_framing(server):
    lost = request(length="")
    over_tcp(server, lost, 400, "no Content-Length", True)
    with Stream(server.port) as client:
        client.send(request() + lost)
        got = [reply and reply.code for reply in (client.final(), client.final())]
        require(in_order(got, [200, 400]), f"no Content-Length in the second message: {got}")
        require(client.wait_closed(0.5), "no Content-Length in the second message: the connection stays")
    over_tcp(server, lost + "A" * 200000, 400, "200,000 bytes behind the lost framing", True)
    with Stream(server.port) as client:
        closes(client, "garbage\r\n\r\n", "garbage")


@attack("pipelined requests", LIMITS)
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
            require(in_order(got, [one, two]), f"answers to {got}")


@attack("HTTP, TLS, STUN and garbage")
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


@attack("CRLF ping")
def ping(server):
    with Stream(server.port) as client:
        client.send("\r\n\r\n")
        client.read(1)
        require(client.buffer == b"\r\n", f"CRLFCRLF: {client.buffer!r}, not CRLF")
        client.buffer = b""
        expect(client.ask(request()), 200, "a request behind a ping")


@attack("a retransmission gets the same response")
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


attacks()
