#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The messages of RFC 4475, RFC 5118 and of published faults and the real server: each over UDP and over TCP, byte by byte
as they are, and what comes back beside tests/torture/server.tsv. `torture.py --print` shows the table."""
import re
import sys

sys.dont_write_bytecode = True
from interop import DOMAIN, ROOT, Bench, Server, require, run_tests  # noqa: E402
from wire import Datagrams, Health, Stream, request  # noqa: E402

FOLDER = ROOT / "tests/torture"
# The messages are for an element that serves these, with a user of each name that they register or call.
DOMAINS = ["example.com", "example.net", "example.org", "company.com", "chair-dnrc.example.com",
           "registrar.example.com", "host.example.net", '"[2001:db8::10]"', '"[2001:db8::10:5070]"']
USERS = ["user", "j.user", "watson"]
# No name of the messages resolves, here as anywhere.
COMMON = "limits: {message_timeout: 1s}\ndns: {servers: [127.0.0.1:9], timeout: 100ms}\n"
OPEN = "auth: {required: false}\n" + COMMON
CLOSED = "auth: {required: true}\n" + COMMON
ANSWER_S, NOTHING_S, CLOSE_S = 1.0, 0.25, 3.0


class TortureServer(Server):
    """Serves the domains of the messages instead of that of the tests."""

    def __init__(self, options):
        super().__init__(users=(), options=options)

    def start(self):
        text = self.config.read_text()
        self.config.write_text(text.replace(f"[{DOMAIN}]", f"[{', '.join(DOMAINS)}]"))
        for user in USERS:
            self.command("user", "add", f"{user}@example.com", "--password-stdin", text="secret\n")
        super().start()


def field(message, *names):
    """The value of a header field, unfolded; the first when there are several."""
    head = re.sub(rb"\r\n[ \t]+", b" ", message.partition(b"\r\n\r\n")[0])
    match = re.search(rb"\r\n(?:%s)[ \t]*:[ \t]*([^\r]*)" % b"|".join(names), head, re.I)
    return match[1] if match else b""


def sent_by_ports(message):
    """Where a response over UDP may arrive, RFC 3261 §18.2.2: the port of sent-by, or the default."""
    via = field(message, b"Via", b"v")
    match = re.match(rb"SIP\s*/\s*[\d.]+\s*/\s*\w+\s+(?:\[[^]]*\]|[^\s:;,]+)\s*:\s*(\d+)", via)
    return sorted({5060, 5061} | ({int(match[1])} if match else set()))


def transaction(message):
    """What makes the server take a message for a retransmission of another, RFC 3261 §17.2.3."""
    return field(message, b"Via", b"v").split(b",")[0], b"".join(field(message, b"CSeq").split()[-1:])


def verify(message, reply):
    """Rules common to all responses: RFC 3261 §8.2.6.2, §20.14."""
    require(reply.get("content-length"), f"no Content-Length: {reply.data!r}")
    require(len(reply.body) == int(reply.get("content-length")), f"wrong length: {reply.data!r}")
    require(not reply.get("to") or re.search(r";\s*tag\s*=", reply.get("to")),
            f"no To tag: {reply.data!r}")
    call_id = field(message, b"Call-ID", b"i")
    require(not call_id or reply.get("call-id").encode() == call_id.strip(), f"Call-ID: {reply.data!r}")
    sent_by = re.search(rb"[^\s;,]+", field(message, b"Via", b"v").partition(b"/")[2].split()[-1])
    require(reply.get("via") and sent_by, f"no Via: {reply.data!r}")


def over_udp(server, message):
    with Datagrams(server.port, sent_by_ports(message)) as client:
        client.send(message)
        reply = client.final(NOTHING_S if message.startswith((b"SIP/2.0", b"ACK ")) else ANSWER_S)
    if not reply:
        return "none"
    verify(message, reply)
    return str(reply.code)


def over_tcp(server, message):
    """The code; "+close" when the connection ends too; "close" alone; "none"."""
    call_id = field(message, b"Call-ID", b"i").decode("utf-8", "replace").strip()
    with Stream(server.port) as client:
        client.send(message)
        reply = client.final(NOTHING_S if message.startswith((b"SIP/2.0", b"ACK ")) else CLOSE_S)
        while reply and call_id not in ("", reply.get("call-id")):  # dblreq is two requests here
            reply = client.final()
        closed = client.wait_closed(0.05)
    if reply:
        verify(message, reply)
        return f"{reply.code}+close" if closed else str(reply.code)
    return "close" if closed else "none"


def read_table():
    rows = [line.split("\t") for line in (FOLDER / "server.tsv").read_text().splitlines()
            if line and not line.startswith("#")]
    require(all(len(row) == 5 for row in rows), "server.tsv: five columns")
    files = sorted(str(path.relative_to(FOLDER)) for folder in ("rfc4475", "rfc5118", "published")
                   for path in (FOLDER / folder).glob("*.dat"))
    require(sorted(row[0] for row in rows) == files and len(files) == 61 + 35,
            "server.tsv names each of the 49, 12 and 35 messages once")
    return rows


def rounds(names):
    """Messages in sets in which none looks like a retransmission of another: a server for each set."""
    sets = []
    for name in names:
        message = (FOLDER / name).read_bytes()
        key = transaction(message)
        chosen = next((one for one in sets if key not in one), None)
        if chosen is None:
            sets.append(chosen := {})
        chosen[key] = (name, message)
    return [list(one.values()) for one in sets]


def play(bench, names, send, options):
    """What each message gets, and the health of the server behind it."""
    results = {}
    for messages in rounds(names):
        server = bench.server_of(TortureServer, options)
        health = Health(server)
        for name, message in messages:
            results[name] = send(server, message)
            health.check(name)
        health.check_memory("all messages")
    return results


class TortureBench(Bench):
    def server_of(self, kind, *arguments):
        return self.add(kind(*arguments))


def compare(expected, results):
    wrong = [f"{name}: {results[name]}, expected {code}" for name, code in expected.items()
             if results[name] != code]
    require(not wrong, "\n".join(wrong))


def test(column, send, options):
    def run(_):
        with TortureBench() as bench:
            expected = {row[0]: row[column] for row in read_table()}
            compare(expected, play(bench, list(expected), send, options))
    return run


def bindings(_):
    """RFC 4475 §3.1.1.4, §3.3.12–14: what REGISTER binds is what a later fetch shows."""
    gateway = "sip:+19725552222@gw1.example.net"
    with TortureBench() as bench:
        for name, user, shown, hidden in (
                ("cparam01", "watson", f"<{gateway}>", f"<{gateway};unknownparam"),
                ("cparam02", "watson", f"<{gateway};unknownparam>", f"<{gateway}>"),
                ("regescrt", "user", "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>", "Route: "),
                ("dblreq", "j.user", "<sip:j.user@host.example.com>", "joe")):
            server = bench.server_of(TortureServer, OPEN)
            over_udp(server, (FOLDER / f"rfc4475/{name}.dat").read_bytes())
            address = f"<sip:{user}@example.com>"
            with Datagrams(server.port) as client:
                reply = client.ask(request("REGISTER", "sip:example.com", to=address,
                                           from_=f"{address};tag=1"))
            require(reply and reply.code == 200, f"{name}: a fetch gets {reply and reply.line}")
            contacts = ", ".join(reply.all("contact"))
            require(shown in contacts and hidden not in contacts, f"{name}: bound to {contacts}")


def print_table():
    names = sorted(str(path.relative_to(FOLDER)) for folder in ("rfc4475", "rfc5118", "published")
                   for path in (FOLDER / folder).glob("*.dat"))
    with TortureBench() as bench:
        columns = [play(bench, names, *how)
                   for how in ((over_udp, OPEN), (over_tcp, OPEN), (over_udp, CLOSED))]
    for name in names:
        print("\t".join([name, *(column[name] for column in columns)]))


if sys.argv[1:] == ["--print"]:
    print_table()
    sys.exit()
run_tests([
    ("RFC 4475, RFC 5118 and published faults over UDP", test(1, over_udp, OPEN)),
    ("RFC 4475, RFC 5118 and published faults over TCP", test(2, over_tcp, OPEN)),
    ("RFC 4475, RFC 5118 and published faults over UDP, our users need a password", test(3, over_udp, CLOSED)),
    ("RFC 4475: what its REGISTERs bind", bindings),
])
