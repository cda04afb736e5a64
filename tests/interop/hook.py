#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real server asks real web servers about calls: answers, keep-alive, names, TLS; servers that are slow, dead, half closed,
huge, redirecting, or not to be trusted. In virtual time the same is in tests/scenario/hook."""
import base64
import http.server
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from agent import answer, call, hears  # noqa: E402
from interop import free_port, require, require_program, run_tests, wait_until  # noqa: E402
from interop import DOMAIN, new_folder, stop  # noqa: E402
from wire import Datagrams, request  # noqa: E402

OPTIONS = """auth: {{required: false}}
workers: {workers}
analytics: {{url: '{url}', timeout: 1s, on_failure: closed{more}}}
{hook}"""


class Web:
    """A web server that answers as `play` says: a function of the handler and what was asked."""

    def __init__(self, play, tls=None):
        self.port = free_port()
        self.asked, self.connections = [], set()
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                lines = self.headers["Content-Type"] == "application/x-ndjson"
                web.asked.append((self.headers, [json.loads(line) for line in body.splitlines()] if lines else json.loads(body)))
                web.connections.add(self.client_address)
                play(self, web.asked[-1][1])

            def say(self, text, status=200, headers=()):
                data = text.encode() if isinstance(text, str) else text
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # the server has hung up

        self.server = Threads(("127.0.0.1", self.port), Handler)
        self.scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}/call"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def serve(bench, url, workers=1, more="", hook=""):
    return bench.server(options=OPTIONS.format(url=url, workers=workers, more=more, hook=hook))


def ask(server, seconds=4, uri=None):
    with Datagrams(server.port) as udp:
        return udp.ask(request("MESSAGE", uri or f"sip:nobody@{DOMAIN}"), seconds)


def counters(server):
    return json.loads(server.command("status", "-o", "json"))["hook"]


def refuses(reply, code):
    require(reply is not None and reply.code == code, f"{code} is expected, not {reply and reply.code}")


def answers(bench):
    """The facts arrive, the answer counts, one connection is enough; what it allows passes (404: no such user)."""
    said = ['{"action": "refuse"}', '{"action": "pass"}', '{"action": "refuse", "code": 403}']
    web = Web(lambda handler, _: handler.say(said[len(web.asked) - 1]))
    server = serve(bench, web.url())
    for code in (608, 404, 403):
        refuses(ask(server), code)
    headers, body = web.asked[0]
    require(headers["Content-Type"] == "application/json", "the type of the body")
    require(body["request_uri"] == f"sip:nobody@{DOMAIN}" and body["source"].startswith("127."), str(body))
    require(len(web.connections) == 1, f"{len(web.connections)} connections for three questions")
    require(counters(server)["asked"] == 3, "three questions are counted")
    web.stop()


def by_name(bench):
    """A name is looked up (localhost, in the hosts file), and one that is nobody's is told."""
    web = Web(lambda handler, _: handler.say('{"action": "refuse"}'))
    server = serve(bench, web.url("localhost"))
    refuses(ask(server), 608)
    refuses(ask(server), 608)
    web.stop()


def slow(bench):
    """504 in time, others are answered meanwhile, and one that is late for one call is not asked less for the next."""
    first = threading.Event()

    def play(handler, _):
        if not first.is_set():
            first.set()
            time.sleep(3)
        handler.say('{"action": "refuse"}')

    web = Web(play)
    server = serve(bench, web.url())
    begin = time.monotonic()
    with Datagrams(server.port) as udp, Datagrams(server.port) as other:
        udp.send(request("MESSAGE", f"sip:nobody@{DOMAIN}"))
        require(first.wait(2), "it is asked")
        refuses(other.ask(request("OPTIONS"), 1), 200)
        refuses(other.ask(request("MESSAGE", f"sip:nobody@{DOMAIN}"), 1), 608)
        require(time.monotonic() - begin < 0.9, "nobody waits for the slow one")
        refuses(udp.final(2), 504)
        require(0.9 < time.monotonic() - begin < 2, "504 after a second")
    require(counters(server)["late"] == 1, "it is counted")
    web.stop()


def dead(bench):
    """Nothing listens; then it does."""
    web = Web(lambda handler, _: handler.say('{"action": "refuse"}'))
    web.stop()
    server = serve(bench, web.url())
    refuses(ask(server), 504)
    require(counters(server)["unreachable"] == 1, "it is counted")


def half_closed(bench):
    """Less than it promised, or nothing at all, and the connection closes."""
    def play(handler, _):
        handler.close_connection = True
        if len(web.asked) == 1:
            handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"action": "pass"}')
        elif len(web.asked) == 2:
            handler.wfile.write(b"")
        else:
            handler.wfile.write(b"220 smtp.example.net ESMTP\r\n")

    web = Web(play)
    server = serve(bench, web.url())
    for _ in range(3):
        refuses(ask(server), 504)
    web.stop()


def huge(bench):
    """Endless bodies and heads end the exchange, not the server."""
    def play(handler, _):
        handler.close_connection = True
        if len(web.asked) == 1:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                handler.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X-Filler: " + b"x" * 1000 + b"\r\n")

    web = Web(play)
    server = serve(bench, web.url())
    refuses(ask(server), 502)
    refuses(ask(server), 502)
    require(counters(server)["nonsense"] == 2, "they are counted")
    web.stop()


def nonsense(bench):
    """HTML, another status, a redirect (not followed: it could lead into the house), an empty body."""
    def play(handler, _):
        n = len(web.asked)
        if n == 1:
            handler.say("<html>It works!</html>")
        elif n == 2:
            handler.say('{"action": "pass"}', 201)
        elif n == 3:
            handler.say("", 307, [("Location", web.url())])
        else:
            handler.say("")

    web = Web(play)
    server = serve(bench, web.url())
    for _ in range(4):
        refuses(ask(server), 502)
    require(len(web.asked) == 4, "the redirect was followed")
    web.stop()


def certificate(folder, name):
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    return cert, key


def tls(bench):
    """With the right certificate; with one that nobody vouches for; with one of another name."""
    require_program("openssl")
    folder = new_folder()
    right, wrong = certificate(folder, "localhost"), certificate(folder, "other.example.net")
    web = Web(lambda handler, _: handler.say('{"action": "refuse"}'), right)
    server = serve(bench, web.url("localhost"), hook=f"hook: {{ca: {right[0]}}}")
    refuses(ask(server), 608)
    server = serve(bench, web.url("localhost"))
    refuses(ask(server), 504)
    require(not web.asked[1:], "it was told of a call without being trusted")
    web.stop()
    web = Web(lambda handler, _: handler.say('{"action": "refuse"}'), wrong)
    server = serve(bench, web.url("localhost"), hook=f"hook: {{ca: {wrong[0]}}}")
    refuses(ask(server), 504)
    require(not web.asked, "it was told of a call under another name")
    web.stop()


def integer(half):
    """A number of DER: no sign, no zeros in front."""
    half = half.lstrip(b"\0") or b"\0"
    half = b"\0" + half if half[0] & 0x80 else half
    return b"\x02" + bytes([len(half)]) + half


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def card(bench):
    """The 608 names the card; what the administration gives for it is fresh, and openssl verifies its signature."""
    require_program("openssl")
    folder = new_folder()
    cert, key = certificate(folder, "blocker.example.net")
    web = Web(lambda handler, _: handler.say('{"action": "refuse"}'))
    server = serve(bench, web.url(), more=f""", card_url: 'https://blocker.example.net/card', card_key: {key},
  card_certificate: 'https://blocker.example.net/cert.pem', card_name: Appeals, card_contacts: ['mailto:appeals@example.net']""")
    reply = ask(server)
    refuses(reply, 608)
    require(reply.get("call-info") == "<https://blocker.example.net/card>;purpose=jwscard", str(reply.fields))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.folder / "admin.sock"))
        client.sendall(b"GET /v1/card HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    head, _, jws = answer.partition("\r\n\r\n")
    require(" 200 " in head.splitlines()[0] and "Content-Type: application/jose" in head, head)
    header, payload, signature = jws.split(".")
    require(json.loads(decoded(header)) == {"alg": "ES256", "typ": "vcard+json",
                                            "x5u": "https://blocker.example.net/cert.pem"}, header)
    claims = json.loads(decoded(payload))
    require(abs(claims["iat"] - time.time()) < 5, f"issued at {claims['iat']}")
    require(["email", {}, "text", "appeals@example.net"] in claims["jcard"][1], payload)
    raw = decoded(signature)
    require(len(raw) == 64, f"{len(raw)} bytes of signature")
    numbers = integer(raw[:32]) + integer(raw[32:])
    (folder / "signature").write_bytes(b"\x30" + bytes([len(numbers)]) + numbers)
    public = subprocess.run(["openssl", "x509", "-in", cert, "-pubkey", "-noout"], check=True, capture_output=True).stdout
    (folder / "public").write_bytes(public)
    for text, verdict in ((f"{header}.{payload}", 0), (f"{header}.x{payload}", 1)):
        done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", folder / "public", "-signature",
                               folder / "signature"], input=text.encode(), capture_output=True, check=False)
        require(done.returncode == verdict, f"openssl says {done.stdout} of the signature")
    web.stop()


def announced(bench):
    """Who does not understand 608 hears a media server before he gets it: one of the server, one of the phone he calls."""
    media = answer(bench, "--ring", 2, "--early-media", "--tone", 700, "--then", 480, "--count", 2)
    said = ['{"action": "refuse"}', '{"action": "pass"}']
    web = Web(lambda handler, _: handler.say(said[len(web.asked) - 1]))
    server = serve(bench, web.url(), more=f", announcement: 'sip:sorry@127.0.0.1:{media.port}'")
    bob = answer(bench, "--ring", 0, "--then", 608, "--count", 1, user="bob", server=server)
    bob.wait("registered")
    for cause in ("analytics-announced", "rejection-announced"):
        alice = call(bench, f"sip:bob@{DOMAIN}", "--tone", 1000, "--record", "heard.wav", user="alice", server=server)
        alice.ends(1)
        require([event["code"] for event in alice.events() if event["event"] in ("progress", "ended")][-2:] == [183, 608],
                f"{cause}: {alice.events()}")
        hears(alice, "heard.wav", 700)
        wait_until(lambda: cause in server.command("why", "last"), f"why tells of {cause}")
    bob.ends()
    media.ends()
    web.stop()


def refused_call(server):
    with Datagrams(server.port) as udp:
        reply = udp.ask(request("INVITE", f"sip:nobody@{DOMAIN}"), 2)
        refuses(reply, 404)
        return reply.get("call-id")


def records(bench):
    """Call records arrive, in their order; a POST that failed comes again after a second; the last ones at the end."""
    web = Web(lambda handler, _: handler.say("", 503 if len(web.asked) == 1 else 204))
    server = bench.server(options=f"auth: {{required: false}}\nworkers: 2\ncdr: {{url: '{web.url()}'}}\n")
    first = refused_call(server)
    wait_until(lambda: len(web.asked) == 1, "the first POST")
    second = refused_call(server)
    begin = time.monotonic()
    wait_until(lambda: len(web.asked) == 2, "it comes again")
    require(time.monotonic() - begin > 0.5, "it came again at once")
    got = [record["call_id"] for record in web.asked[1][1]]
    require(got == [first, second], f"{got} instead of {[first, second]}")
    require(web.asked[1][1][0]["code"] == 404, str(web.asked[1][1][0]))
    wait_until(lambda: json.loads(server.command("status", "-o", "json"))["records"]["delivered"] == 2, "they are counted")
    third = refused_call(server)
    stop(server.process)
    require(web.asked[2][1][0]["call_id"] == third, "the last one is delivered at the end")
    web.stop()


def many(bench):
    """Three workers, two connections, more calls than may wait: each is answered, the server is well."""
    def play(handler, _):
        time.sleep(0.05)
        handler.say('{"action": "refuse", "ttl": 60}')

    web = Web(play)
    server = serve(bench, web.url(), workers=3, hook="hook: {connections: 2, max_waiting: 16}")
    codes = []
    with Datagrams(server.port) as udp:
        for i in range(60):
            udp.send(request("MESSAGE", f"sip:nobody{i % 20}@{DOMAIN}"))
        for _ in range(60):
            reply = udp.final(3)
            require(reply is not None, f"{len(codes)} of 60 are answered")
            codes.append(reply.code)
    require(set(codes) <= {608, 504} and codes.count(608) >= 16, str(codes))
    require(len(web.connections) <= 2 and counters(server)["waiting"] == 0, "its limits are kept")
    web.stop()


def one_hangs(bench):
    """60 calls a second, and the web server of `analytics` takes connections and never answers. That costs each call its
    timeout and nothing more: the one about credit, which is well, is asked at once."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=1000)

    def play(handler, _):
        time.sleep(0.1)
        handler.say('{"action": "refuse"}')

    web = Web(play)
    server = bench.server(options=f"""auth: {{required: false}}
analytics: {{url: 'http://127.0.0.1:{silent.getsockname()[1]}/', timeout: 1s, on_failure: open}}
credit: {{url: '{web.url()}', timeout: 1s}}
trunks: [{{name: out, uri: 'sip:127.0.0.1:{free_port()}'}}]
dialplan: [{{match: 0., to: trunk out}}]
""")
    sent, took, codes = {}, {}, {}
    with Datagrams(server.port) as udp:
        def take(end):
            while (left := end - time.monotonic()) > 0 and len(codes) < 120:
                if reply := udp.final(left):
                    data, at = sent[reply.get("call-id")]
                    codes[reply.get("call-id")] = reply.code
                    took.setdefault(reply.get("call-id"), time.monotonic() - at)
                    udp.send(re.sub(r"To: .*", f"To: {reply.get('to')}\r", data.replace("INVITE", "ACK")))

        begin = time.monotonic()
        for i in range(120):
            data = request("INVITE", f"sip:0301234@{DOMAIN}", call_id=f"hangs-{i}", from_=f"<sip:alice@{DOMAIN}>;tag=a{i}")
            sent[f"hangs-{i}"] = data, time.monotonic()
            udp.send(data)
            take(begin + (i + 1) / 60)
        take(time.monotonic() + 4)
    counts = {code: list(codes.values()).count(code) for code in codes.values()}
    require(counts == {402: 120}, f"120 calls are refused with 402, not {counts}")
    require(max(took.values()) < 1.8, f"a call was refused after {max(took.values()):.2f} s")
    silent.close()
    web.stop()


def stops(bench):
    """A server that is stopped while it waits for an answer ends in time."""
    asked = threading.Event()

    def play(handler, _):
        asked.set()
        time.sleep(4)
        handler.say('{"action": "pass"}')

    web = Web(play)
    server = serve(bench, web.url(), workers=2)
    with Datagrams(server.port) as udp:
        udp.send(request("MESSAGE", f"sip:nobody@{DOMAIN}"))
        require(asked.wait(2), "it is asked")
        begin = time.monotonic()
        stop(server.process)
    require(time.monotonic() - begin < 2, f"it took {time.monotonic() - begin:.1f} s")
    web.stop()


if __name__ == "__main__":
    run_tests([("a web server answers", answers), ("a name is looked up", by_name), ("a slow one", slow), ("a dead one", dead),
               ("a half-closed one", half_closed), ("a huge one", huge), ("nonsense", nonsense), ("certificates", tls),
               ("a card", card), ("a 608 is announced", announced), ("call records", records),
               ("many calls, several workers", many), ("one that hangs beside another", one_hangs),
               ("the server stops meanwhile", stops)])
