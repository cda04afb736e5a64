#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One case of each response code that the server gives, from outside: the real executable, sockets of loopback, a table of what
is sent and what must come. In virtual time the same and more is in tests/scenario (codes.txt)."""
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
from hook import Web  # noqa: E402
from interop import DOMAIN, PASSWORD, free_port, require, run_tests  # noqa: E402
from wire import Datagrams, Reply, Stream, authorization, mark, request  # noqa: E402

# What more an agent says is that of `strowger answer`: agents.py.
CODES = frozenset((
    100, 181, 182, 199, 200, 300, 301, 302, 380, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 413, 414, 415, 416,
    417, 420, 421, 422, 423, 433, 440, 480, 481, 482, 483, 484, 485, 486, 487, 500, 501, 502, 503, 504, 505, 513, 600, 604, 607, 608))
seen = set()

USERS = ("agent", "alice", "bob", "busy", "broken", "carol", "closed", "fork", "forward", "hidden", "lee1", "lee2", "moved",
         "poor", "redirect", "rings", "choosy", "twice", "away")
PASSWORD.update({user: "secret" for user in USERS if user not in PASSWORD})
SETTINGS = {"agent": "queues=desk", "forward": "forward.always=bob", "moved": f"state=moved moved_to=sip:new@{DOMAIN}", "closed": "state=closed",
            "poor": "credit=0", "redirect": "mode=redirect", "away": "mode=redirect", "hidden": "reject_anonymous=433",
            "choosy": f"block=alice@{DOMAIN} block_code=607", "rings": "max_calls=1"}
OPTIONS = """auth: {{required: false}}
workers: 2
legacy: {{rfc2543: true}}
call: {{ring_timeout: 1s}}
proxy: {{serial_fallback: false, all_busy_600: true}}
shared_names: [{{name: lee, users: [lee1, lee2]}}]
ranges: [12xx]
queues: [{{name: desk, max_wait: 2s}}]
trunks: [{{name: out, uri: ['sip:127.0.0.1:{silent}']}}]
dialplan: [{{match: 12xx, to: user}}, {{match: 0., to: trunk out}}]
priority: {{namespaces: [dsn]}}
edge: [{{domain: inside.invalid, registrar: 'sip:127.0.0.1:{silent}', path: require}}]
dns: {{servers: ['127.0.0.1:{silent}'], timeout: 100ms, max_time: 300ms}}
analytics: {{url: '{url}', about: strangers, timeout: 2s}}
"""


class Phone:
    """A registered phone: it answers each INVITE with the same responses, CANCEL as it must be, and the rest with 200."""

    def __init__(self, server, user, *replies, broken=False):
        self.replies, self.broken, self.invite = replies, broken, ""
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.server, self.tag = ("127.0.0.1", server.port), mark()
        contact = f"<sip:{user}@127.0.0.1:{self.udp.getsockname()[1]}>"
        aor = f"<sip:{user}@{DOMAIN}>"
        self.udp.settimeout(2)
        self.udp.sendto(request("REGISTER", from_=f"{aor};tag={mark()}", to=aor,
                                extra=f"Contact: {contact}\r\n").encode(), self.server)
        reply = Reply(self.udp.recv(65535))
        require(reply.code == 200, f"{user} registers: {reply.line}")
        self.udp.settimeout(None)
        self.contact = contact
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            data = self.udp.recv(65535).decode("utf-8", "replace")
            method = data.split(" ", 1)[0]
            if method == "STOP":
                return
            if method == "INVITE":
                new, self.invite = data != self.invite, data
                for code in self.replies if new else ():
                    self.answer(data, code)
            elif method == "CANCEL":
                self.answer(data, 200)
                self.answer(self.invite, 487)
            elif method not in ("ACK", "SIP/2.0"):
                self.answer(data, 200)

    def answer(self, data, code):
        lines = data.partition("\r\n\r\n")[0].split("\r\n")[1:]
        kept = [line for line in lines if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq", "Record-Route")]
        if self.broken:
            kept = ["Call-ID: of-another-call" if line.startswith("Call-ID") else line for line in kept]
        to = next(line for line in lines if line.startswith("To:"))
        kept += [to if ";tag=" in to else f"{to};tag={self.tag}", f"Contact: {self.contact}", "Content-Length: 0"]
        self.udp.sendto(("\r\n".join([f"SIP/2.0 {code} Anything", *kept]) + "\r\n\r\n").encode(), self.server)

    def done(self):
        with socket.socket(type=socket.SOCK_DGRAM) as end:
            end.sendto(b"STOP ", self.udp.getsockname())
        self.thread.join()
        self.udp.close()


def invite(user="", caller="alice", uri="", **fields):
    unique = mark()
    fields.setdefault("extra", "")
    fields["extra"] += f"Contact: <sip:{caller}@127.0.0.1>\r\n"
    fields.setdefault("from_", f"<sip:{caller}@{DOMAIN}>;tag={unique}")
    return request("INVITE", uri or f"sip:{user}@{DOMAIN}", **fields)


def register(user, contact="", **fields):
    aor = f"<sip:{user}@{DOMAIN}>"
    fields.setdefault("from_", f"{aor};tag={mark()}")
    return request("REGISTER", to=aor, extra=f"Contact: {contact}\r\n" if contact else "", **fields)


def acknowledge(client, sent, reply):
    """Hop by hop, RFC 3261 §17.1.1.3."""
    lines = sent.split("\r\n")
    kept = [line for line in lines if line.split(":")[0] in ("Via", "From", "Call-ID", "Max-Forwards")]
    client.send("\r\n".join([lines[0].replace("INVITE", "ACK", 1), *kept, f"To: {reply.get('to')}", "CSeq: 1 ACK",
                             "Content-Length: 0"]) + "\r\n\r\n")


def codes(client, sent, seconds=4.0):
    """All responses up to the first final one, which is acknowledged."""
    client.send(sent)
    end, got = time.monotonic() + seconds, []
    while (left := end - time.monotonic()) > 0 and not (got and got[-1].code >= 200):
        data = client.receive(left)
        if data and data.startswith(b"SIP/2.0"):
            got.append(Reply(data))
    if got and got[-1].code >= 300 and sent.startswith("INVITE"):
        acknowledge(client, sent, got[-1])
    return got


def expect(server, code, *requests, field=""):
    """The last of these requests gets the code, which carries the field; those before are for what they leave behind."""
    with Datagrams(server.port) as client:
        return expect_of(client, code, *requests, field=field)


def expect_of(client, code, *requests, field=""):
    for sent in requests:
        got = codes(client, sent)
    found = [reply for reply in got if reply.code == code]
    require(found, f"{code}: {[reply.line for reply in got]}")
    require(not field or found[0].get(field), f"{code} without {field}: {found[0].data!r}")
    seen.add(code)
    return found[0]


def table():
    """(code, requests, field): over UDP, to the server of OPTIONS."""
    twice = {"call_id": mark(), "from_": f"<sip:twice@{DOMAIN}>;tag=1"}
    order = {"call_id": mark()}
    anonymous = "<sip:anonymous@anonymous.invalid>;tag=1"
    return [
        (100, [invite("bob")], "via"),
        (181, [invite("forward")], "contact"),
        (182, [invite("desk")], "contact"),
        (199, [invite("fork", extra="Supported: 199\r\n")], "reason"),
        (200, [request()], "supported"),
        (300, [invite("redirect")], "contact"),
        (301, [invite("moved")], "contact"),
        (302, [invite("away")], "contact"),
        (380, [invite(uri="urn:service:sos")], "content-type"),
        (400, [request(cseq="1 INVITE")], ""),
        (402, [invite("0123", "poor")], ""),
        (403, [invite(uri="sip:x@elsewhere.invalid", from_="<sip:x@elsewhere.invalid>;tag=1")], ""),
        (404, [invite("nobody")], ""),
        (405, [invite(uri=f"sip:{DOMAIN}")], "allow"),
        (408, [invite("rings")], ""),
        (409, [register("twice", "<sip:a@127.0.0.1>;action=proxy"),
               register("twice", "<sip:b@127.0.0.1>;action=redirect")], ""),
        (410, [invite("closed")], ""),
        (413, [request("MESSAGE", f"sip:bob@{DOMAIN}", body="x" * 40000)], ""),
        (414, [request("MESSAGE", f"sip:{'x' * 4000}@{DOMAIN}")], ""),
        (415, [request(extra="Content-Type: text/plain\r\nContent-Encoding: zork\r\n", body="x")], "accept-encoding"),
        (416, [request("OPTIONS", "unknown:opaque", to=f"<sip:{DOMAIN}>")], ""),
        (417, [invite("bob", extra="Require: resource-priority\r\nResource-Priority: foo.1\r\n")],
         "accept-resource-priority"),
        (420, [invite("bob", extra="Proxy-Require: foo\r\n")], "unsupported"),
        (421, [request("REGISTER", "sip:inside.invalid")], "require"),
        (422, [invite("bob", extra="Supported: timer\r\nSession-Expires: 60\r\n")], "min-se"),
        (423, [register("carol", "<sip:carol@127.0.0.1>;expires=10")], "min-expires"),
        (433, [invite("hidden", from_=anonymous)], ""),
        (440, [invite("fork", extra="Max-Breadth: 1\r\n")], ""),
        (480, [invite("carol")], ""),
        (481, [request("BYE", to=f"<sip:{DOMAIN}>;tag=gone")], ""),
        (482, [register("twice", **twice), register("twice", **twice)], ""),
        (483, [invite("bob", max_forwards="0")], ""),
        (484, [invite("12")], ""),
        (485, [invite("lee")], "contact"),
        (487, [invite("bob", extra="Expires: 1\r\n")], ""),
        (500, [register("lee1", "<sip:lee1@127.0.0.1>", cseq="5 REGISTER", **order),
               register("lee1", "<sip:lee1@127.0.0.1>", cseq="4 REGISTER", **order)], ""),
        (501, [request("FOO")], "allow"),
        (502, [invite("broken")], ""),
        (504, [invite(uri="sip:x@elsewhere.invalid")], ""),
        (505, [request(version="SIP/7.0")], ""),
        (513, [request(extra="".join(f"X-{n}: 1\r\n" for n in range(300)))], ""),
        (600, [invite("busy")], ""),
        (604, [invite("1299")], ""),
        (607, [invite("choosy")], ""),
        (608, [invite("bob", from_="<sip:spam@elsewhere.invalid>;tag=1", extra="Feature-Caps: *;+sip.608\r\n")], ""),
    ]


def refuse(handler, question):
    handler.say('{"action": "refuse", "code": 608}' if "spam" in question["from"]["uri"] else '{"action": "pass"}')


def all_codes(bench):
    web = Web(refuse)
    web.done = web.stop
    bench.add(web)
    silent = socket.socket(type=socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", free_port()))
    server = bench.server(users=USERS, options=OPTIONS.format(url=web.url(), silent=silent.getsockname()[1]))
    for user, settings in SETTINGS.items():
        server.command("user", "set", f"{user}@{DOMAIN}", *settings.split())
    for user, replies in (("bob", (180,)), ("rings", (180,)), ("redirect", ()), ("redirect", ()), ("away", ()),
                          ("busy", (486,)), ("busy", (486,)), ("fork", (180, 486)), ("fork", (180,))):
        bench.add(Phone(server, user, *replies))
    bench.add(Phone(server, "broken", 486, broken=True))
    faults = []

    def play(code, requests, field):
        try:
            expect(server, code, *requests, field=field)
        except Exception as fault:  # the others are to be seen too
            faults.append(f"{code}: {fault}")

    threads = [threading.Thread(target=play, args=row) for row in table()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    require(not faults, "\n".join(faults))
    busy_line(server)
    queued = expect(server, 182, invite("desk"))
    require(queued.line.startswith("SIP/2.0 182 Queued; place 1; wait "), queued.line)
    silent.close()


def busy_line(server):
    """486 while as many calls as he may have ring; 487 for who gives up; both answers to CANCEL and INVITE have one tag."""
    with Datagrams(server.port) as first:
        sent = invite("rings")
        first.send(sent)
        while (data := first.receive(2)) and not data.startswith(b"SIP/2.0 180"):
            pass
        require(data, "nothing rings")
        expect(server, 486, invite("rings", "bob"))
        lines = [line for line in sent.split("\r\n")
                 if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "Max-Forwards")]
        first.send("\r\n".join([sent.split("\r\n")[0].replace("INVITE", "CANCEL", 1), *lines, "CSeq: 1 CANCEL",
                                "Content-Length: 0"]) + "\r\n\r\n")
        got = [first.final(2), first.final(2)]
        require(all(got) and sorted(reply.code for reply in got) == [200, 487], f"CANCEL: {got}")


def over_tcp(bench):
    server = bench.server(options="auth: {required: false}\nlegacy: {rfc2543: true}\n")
    with Stream(server.port) as stream:
        reply = stream.ask(request(via=f"SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK{mark()}", length=""))
        require(reply and reply.code == 411, f"no Content-Length: {reply and reply.line}")
        require(stream.wait_closed(2), "the connection goes on")
        seen.add(reply.code)


def challenges(bench):
    server = bench.server()
    expect(server, 401, register("alice"), field="www-authenticate")
    expect(server, 407, invite("bob"), field="proxy-authenticate")


def feature_code(bench):
    """The answer to a code that changes settings is a session description, which this caller does not accept."""
    server = bench.server(options="feature_codes: [{code: '*78', set: dnd=on}]\n")
    uri = f"sip:*78@{DOMAIN}"
    with Datagrams(server.port) as client:  # one address, as the nonce is good for one
        challenge = expect_of(client, 407, invite(uri=uri)).get("proxy-authenticate")
        proof = authorization(challenge, "alice", PASSWORD["alice"], "INVITE", uri, name="Proxy-Authorization")
        expect_of(client, 406, invite(uri=uri, extra=f"Accept: text/plain\r\n{proof}"), field="warning")


def maintenance(bench):
    server = bench.server(options="auth: {required: false}\n")
    server.command("drain")
    expect(server, 503, invite("bob"), field="retry-after")


def two_in_a_row(bench):
    """A phone registers and is called through an edge; the registrar behind it is a Strowger too (RFC 3327)."""
    core = bench.server(options="auth: {required: false}\n")
    edge = bench.server(users=(), domain="edge.invalid", options="auth: {required: false}\n"
                        f"edge: [{{domain: {DOMAIN}, registrar: 'sip:127.0.0.1:{core.port}', path: require}}]\n")
    with Datagrams(edge.port) as phone, Datagrams(core.port) as caller:
        where = f"Contact: <sip:alice@{phone.address}:{phone.port}>\r\n"
        aor = f"<sip:alice@{DOMAIN}>"
        for supported, code in (("", 421), ("Supported: path\r\n", 200)):
            got = codes(phone, request("REGISTER", f"sip:{DOMAIN}", to=aor, from_=f"{aor};tag={mark()}", extra=where + supported))
            require(got and got[-1].code == code, f"REGISTER, {code}: {[reply.line for reply in got]}")
        require("stw-flow=" in got[-1].get("path"), f"no Path: {got[-1].data!r}")
        caller.send(sent := invite("alice", "bob"))
        called = (phone.receive(2) or b"").decode()
        require(called.startswith(f"INVITE sip:alice@{phone.address}:{phone.port} "), f"alice is not called: {called!r}")
        require(called.count("\r\nVia: ") == 3 and called.count("\r\nRecord-Route: ") == 2, f"another way: {called!r}")
        kept = [line for line in called.split("\r\n") if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")]
        phone.send("\r\n".join(["SIP/2.0 486 Busy Here", *kept, f"To: {aor};tag=busy", "Content-Length: 0"]) + "\r\n\r\n")
        end = caller.final(2)
        require(end and end.code == 486, f"486: {end and end.line}")
        acknowledge(caller, sent, end)


def none_is_missing(_):
    require(len(sys.argv) > 1 or seen >= CODES, f"no case of {sorted(CODES - seen)}")


if __name__ == "__main__":
    run_tests([
        ("one case of each code", all_codes),
        ("411 over a connection", over_tcp),
        ("401 and 407", challenges),
        ("406 to a feature code", feature_code),
        ("503 while the server is being drained", maintenance),
        ("two servers in a row", two_in_a_row),
        ("none is missing", none_is_missing),
    ])
