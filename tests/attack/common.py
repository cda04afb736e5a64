# SPDX-License-Identifier: Apache-2.0
"""What all attacks share: a server of their own, a peaceful peer that watches it meanwhile, and the rule
that each attack must pass. Standard library only."""
import http.client
import json
import os
import pathlib
import re
import select
import socket
import sys
import time
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
from interop import (DOMAIN, PASSWORD, ROOT, SANITIZED, STROWGER, WORKERS, Failure, Server, options_request,  # noqa: E402
                     require, run_tests, tail)
from wire import Datagrams, Health, Reply, Stream, authorization, mark, request  # noqa: E402

FULL = bool(os.environ.get("ATTACK_FULL"))
SEVERAL = int(WORKERS or 1) > 1
LIMITS = """limits: {message_timeout: 1s, connection_idle: 10s, max_connections: 60,
  max_connections_per_source: 20}
decisions: {keep_calls: 1000}
"""
OPEN = "auth: {required: false}\n" + LIMITS
ELSEWHERE = "sip:stranger@elsewhere.invalid"
QUIET_S = 0.3
ANSWER_S = 0.5 if SANITIZED else 0.1
SDP = "Content-Type: application/sdp\r\n"
TESTS = []


def full(much, little):
    """How much of an attack: in ./test, or with --full."""
    return much if FULL else little


# ---- the server ------------------------------------------------------------------------


class UnixConnection(http.client.HTTPConnection):
    """The administration's socket, as the command line uses it."""

    def __init__(self, path):
        super().__init__("localhost", timeout=5)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self.path)


def admin(server, path):
    connection = UnixConnection(server.folder / "admin.sock")
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def status(server):
    return admin(server, "/v1/status")[1]


def causes(server, call_id):
    """The causes in the decision record of a call: what `strowger why CALL-ID -o json` shows."""
    code, record = admin(server, "/v1/why/" + urllib.parse.quote(call_id, safe=""))
    require(code == 200, f"no decision record of {call_id}: {record}")
    return [line["cause"] for line in record["records"] if line.get("cause")]


def recorded(server, call_id, cause, what):
    got = causes(server, call_id)
    require(cause in got, f"{what}: the record says {got}, not {cause}")


def log_lines(server):
    return server.log.read_text(errors="surrogateescape").splitlines()


def log_causes(server):
    return [json.loads(line).get("cause") for line in log_lines(server) if line.startswith("{")]


# ---- the peaceful peer -----------------------------------------------------------------


def echo_until_closed(sock, life):
    """The measure of the machine: what a program needs that does nothing but answer."""
    while True:
        ready = select.select([sock, life], [], [])[0]
        if life in ready:
            os._exit(0)
        data, address = sock.recvfrom(2048)
        sock.sendto(data, address)


def probe_until_closed(port, echo_port, life, result):
    """Every 25 ms an OPTIONS to the server and a datagram to the echo, each from a socket of its own."""
    server, echo = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    server.bind(("127.0.0.77", 0))
    server.connect(("127.0.0.1", port))
    echo.connect(("127.0.0.1", echo_port))
    seen = []

    def once(sock, data, seconds):
        begin = time.monotonic()
        sock.send(data)
        if select.select([sock], [], [], seconds)[0]:
            try:
                sock.recv(65535)
            except OSError:
                return seconds
        return time.monotonic() - begin

    while True:
        control = once(echo, b"x", 2.0)
        seen.append((once(server, options_request(port), 2.0), control))
        if select.select([life], [], [], 0.025)[0]:
            os.write(result, json.dumps(seen).encode())
            os._exit(0)


class Watch:
    """A legal OPTIONS is answered within 100 ms all the while. What the machine itself is late, as an
    echo shows at the same time, is not the server's."""

    def __init__(self, server, allowed=0.0):
        self.port, self.allowed, self.children = server.port, allowed, []

    def __enter__(self):
        self.life, self.alive = os.pipe()
        self.result, write = os.pipe()
        echo = socket.socket(type=socket.SOCK_DGRAM)
        echo.bind(("127.0.0.1", 0))
        for work in ((echo_until_closed, echo, self.life),
                     (probe_until_closed, self.port, echo.getsockname()[1], self.life, write)):
            child = os.fork()
            if not child:
                os.close(self.alive)
                try:
                    work[0](*work[1:])
                finally:
                    os._exit(1)
            self.children.append(child)
        os.close(write)
        echo.close()
        return self

    def __exit__(self, kind, *_):
        os.close(self.alive)
        data = b""
        while block := os.read(self.result, 65536):
            data += block
        for child in self.children:
            os.waitpid(child, 0)
        os.close(self.life)
        os.close(self.result)
        if kind is None:
            self.judge(json.loads(data or b"[]"))

    def judge(self, seen):
        require(seen, "the peaceful peer has seen nothing")
        late = [pair for pair in seen if pair[0] > ANSWER_S + 2 * pair[1]]
        # One of them may be late once, on a machine that does other things too; not lost.
        lost = [pair for pair in late if pair[0] >= 1]
        require(len(late) <= max(self.allowed * len(seen), 1) and len(lost) <= self.allowed * len(seen),
                f"{len(late)} of {len(seen)} OPTIONS are not answered within {ANSWER_S} s meanwhile; "
                f"seconds of the server and of an echo: {late[:5]}")


# ---- an attack -------------------------------------------------------------------------


def warm_up(server):
    """What the first messages allocate for good is not growth."""
    with Datagrams(server.port) as udp, Stream(server.port) as tcp:
        for _ in range(100):
            udp.ask(request("INVITE", f"sip:bob@{DOMAIN}"))
            tcp.ask(request())


def settle():
    """Until timers B, F, H, J, L and M have ended (64*T1). Only --full has the time."""
    if FULL:
        time.sleep(33)


def attack(name, options=LIMITS, users=("alice", "bob"), late=0.0, memory=True, rounds=1):
    """A test on a server of its own. Afterwards and meanwhile it must be well: the same process, a legal
    OPTIONS answered within 100 ms, no more memory. `late`: part of the OPTIONS that may be late. With
    two `rounds` the first is the warm-up: what it took, the second may use again."""
    def decorate(function):
        def run(bench):
            server = bench.server(users=users, options=options)
            warm_up(server)
            if rounds == 2:
                function(server)
                settle()
            health = Health(server)
            with Watch(server, late):
                function(server)
            health.check("after the attack")
            if rounds == 2:
                settle()
            if memory:
                health.check_memory("after the attack")
        TESTS.append((name, run))
        return function
    return decorate


def expect(reply, code, what):
    codes = code if isinstance(code, tuple) else (code,)
    require(reply is not None, f"{what}: no answer, expected {code}")
    require(reply.code in codes, f"{what}: {reply.line}, expected {code}")
    return reply


def refused(server, client, data, code, cause, what):
    """The answer has this code, and the decision record this cause."""
    reply = expect(client.ask(data), code, what)
    recorded(server, reply.get("call-id"), cause, what)
    return reply


def behind(message, method="OPTIONS", **fields):
    """A request that is answered behind this message, and what its answer has. With the same Call-ID it goes to
    the same worker; what has none that could be read is not handed over to another one."""
    message = message if isinstance(message, bytes) else message.encode("utf-8", "surrogateescape")
    call_id = re.search(rb"\r\nCall-ID: *([!-~]+)\r\n", message)
    unique = mark()
    fence = request(method, call_id=call_id[1].decode() if call_id else unique,
                    from_=f"<sip:probe@example.invalid>;tag={unique}", **fields)
    return fence, unique.encode()


def nothing(client, data, what):
    """No answer to this: what comes first is the answer to the request behind it."""
    fence, unique = behind(data)
    client.send(data)
    client.send(fence)
    got = client.receive(1)
    require(got is not None, f"{what}: the request behind it is not answered")
    require(unique in got, f"{what}: {got!r}, expected nothing")


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


# ---- users and phones ------------------------------------------------------------------


def aor(user):
    return f"sip:{user}@{DOMAIN}"


def register(user, extra="", number=1, contact="<sip:a@127.0.0.1:9>", **fields):
    """A REGISTER of the user's own bindings."""
    fields.setdefault("to", f"<{aor(user)}>")
    fields.setdefault("from_", f"<{aor(user)}>;tag={mark()}")
    contact = f"Contact: {contact}\r\n" if contact else ""
    return request("REGISTER", fields.pop("uri", f"sip:{DOMAIN}"), cseq=f"{number} REGISTER",
                   extra=contact + extra, **fields)


def with_credentials(client, make, user, method, uri, password=None, header="Authorization"):
    """Ask, answer the challenge, and return the reply to that. `make(extra, number)` makes the request."""
    proxy = header == "Proxy-Authorization"
    challenge = expect(client.ask(make("", 1)), 407 if proxy else 401, "without credentials")
    field = challenge.get("proxy-authenticate" if proxy else "www-authenticate")
    answer = authorization(field, user, password or PASSWORD[user], method, uri, name=header)
    return client.ask(make(answer, 2))


def log_in(client, user, contact=None):
    """The client is a phone of the user from now on."""
    contact = contact or f"<sip:{user}@{client.address}:{client.port}>"
    reply = with_credentials(client, lambda extra, number: register(user, extra, number, contact=contact),
                             user, "REGISTER", f"sip:{DOMAIN}")
    return expect(reply, 200, f"{user} registers")


def lines_of(message):
    """Start line and header fields of what came, as (name in lower case, value)."""
    head = message.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").split("\r\n")
    return head[0], [(name.strip().lower(), value.strip())
                     for name, _, value in (line.partition(":") for line in head[1:])]


def field(message, name):
    return next((value for key, value in lines_of(message)[1] if key == name), "")


def respond(message, code, phrase="Whatever", tag="phone", extra=""):
    """What a phone answers to a request that came."""
    start, fields = lines_of(message)
    text = [f"SIP/2.0 {code} {phrase}"]
    for name, value in fields:
        if name == "to" and code > 100 and ";tag=" not in value:
            value += f";tag={tag}"
        if name in ("via", "from", "to", "call-id", "cseq") or (name == "record-route" and code < 300):
            text.append(f"{name}: {value}")
    return "\r\n".join(text) + f"\r\n{extra}Content-Length: 0\r\n\r\n"


def await_request(client, method, seconds=1.0):
    """The next request of this method that comes to a phone."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        data = client.receive(left)
        if data and data.startswith(method.encode() + b" "):
            return data
    raise Failure(f"no {method} comes")


def await_code(client, code, seconds=1.0):
    """The next response with this code."""
    end = time.monotonic() + seconds
    seen = []
    while (left := end - time.monotonic()) > 0:
        data = client.receive(left)
        if data and data.startswith(b"SIP/2.0 "):
            if data.startswith(b"SIP/2.0 %d " % code):
                return Reply(data)
            seen.append(data.split(b"\r\n")[0])
    raise Failure(f"no {code} comes, but {seen}")


def attacks():
    run_tests(TESTS)


__all__ = [name for name in globals() if not name.startswith("_")]
