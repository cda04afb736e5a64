#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classes 18, 19, 21, 22 and 32 of the attacks: who somebody says he is, what header fields make believe, text
that wants to be a command, a line of the log, or another header field; and the administration."""
import http.client
import json
import os
import re
import socket
import sqlite3
import stat

from common import (DOMAIN, LIMITS, OPEN, PASSWORD, Datagrams, UnixConnection, admin, aor, attack, attacks,
                    authorization, await_request, causes, expect, field, lines_of, log_in, log_lines, mark,
                    recorded, refused, register, request, require, respond, status, with_credentials)

# ---- class 18: who somebody says he is -------------------------------------------------


def call(client, caller, called="bob", extra="", from_=None, **fields):
    """An INVITE with the credentials of the caller; what comes back is taken elsewhere."""
    def make(credentials, number):
        return request("INVITE", aor(called), cseq=f"{number} INVITE", extra=extra + credentials,
                       from_=from_ or f"<{aor(caller)}>;tag={mark()}", **fields)
    challenge = expect(client.ask(make("", 1)), 407, "without credentials").get("proxy-authenticate")
    client.send(make(authorization(challenge, caller, PASSWORD[caller], "INVITE", aor(called),
                                   name="Proxy-Authorization"), 2))


@attack("From that is not the caller's")
def false_from(server):
    with Datagrams(server.port) as alice:
        for from_ in (f"<{aor('bob')}>;tag=1", "<sip:%62ob@strowger.test>;tag=1", "<sip:bob@STROWGER.TEST>;tag=1",
                      f"<sip:bob@127.0.0.1:{server.port}>;tag=1", "<sip:alice%00@strowger.test>;tag=1",
                      "<sip:strowger.test>;tag=1", f'"alice" <{aor("bob")}>;tag=1', "<sip:ALICE@strowger.test>;tag=1",
                      "<sip:alice%40strowger.test@strowger.test>;tag=1", "<sip:alice,bob@strowger.test>;tag=1"):
            call(alice, "alice", from_=from_)
            reply = expect(alice.final(), 403, from_)
            recorded(server, reply.get("call-id"), "from-not-yours", from_)
        for from_ in (f"<{aor('alice')}>, <{aor('bob')}>;tag=1", "<sip:al\0ice@strowger.test>;tag=1", "*",
                      f'"sip:bob@strowger.test <{aor("alice")}>;tag=1'):
            expect(alice.ask(request("INVITE", aor("bob"), from_=from_)), 400, from_)


@attack("asserted identities of callers go no further (RFC 3325 §5)")
def asserted_identity(server):
    """Nobody is trusted to assert who he is: what he says so himself does not reach the phone."""
    lines = "".join(f"{name}: <{aor('carol')}>\r\n" for name in ("P-Asserted-Identity", "X: y\r\np-asserted-IDENTITY"))
    with Datagrams(server.port) as bob, Datagrams(server.port) as alice:
        log_in(bob, "bob")
        call(alice, "alice", extra=lines, from_=f'"sip:carol@strowger.test" <{aor("alice")}>;tag=1')
        came = await_request(bob, "INVITE")
        require(b"sserted" not in came and b"X: y" in came, f"{came!r}")
        require(field(came, "from").endswith(f"<{aor('alice')}>;tag=1"), f"{came!r}")
        bob.send(respond(came, 486, extra=f"P-Asserted-Identity: <{aor('carol')}>\r\n"))
        reply = expect(alice.final(), 486, "busy")
        require(b"sserted" not in reply.data, f"{reply.data!r}")
        data = request("INVITE", aor("bob"), extra=lines)
        alice.send(data)
        require(b"sserted" not in await_request(bob, "INVITE"), "a stranger's assertion reaches the phone")
        for count in (3, 100):
            line = f"P-Asserted-Identity: <{aor('carol')}>\r\nX: y\r\n" * count
            refused(server, alice, request("INVITE", aor("bob"), extra=line), 400, "header-repeated",
                    f"{count} P-Asserted-Identity")


# ---- class 19: trust by header field ---------------------------------------------------


@attack("names of header fields with something before the colon (CVE-2020-28361)")
def smuggled_names(server):
    """A name is taken with the white space that the grammar allows before the colon, and as nothing else: what
    would be removed without it is removed with it, what is malformed gets 400."""
    with Datagrams(server.port) as bob, Datagrams(server.port) as alice:
        log_in(bob, "bob")
        for gap in ("", " ", "\t", "  \t "):
            line = f"P-Asserted-Identity{gap}: <{aor('carol')}>\r\n"
            alice.send(request("INVITE", aor("bob"), extra=line))
            came = await_request(bob, "INVITE")
            require(b"sserted" not in came, f"the gap {gap!r}: {came!r}")
            bob.send(respond(came, 486))
            expect(alice.final(), 486, f"the gap {gap!r}")
            line = f"Route{gap}: <sip:victim@127.0.0.66:9;lr>\r\n"
            expect(alice.ask(request("INVITE", aor("bob"), extra=line)), 403, f"Route with the gap {gap!r}")
            line = f"Proxy-Require{gap}: nonsense\r\n"
            expect(alice.ask(request("INVITE", aor("bob"), extra=line)), 420, f"Proxy-Require, the gap {gap!r}")
        for gap in ("\0", "\v", "\f", "\xa0", "\x7f", "\r", "\n", "\r\n ", ";", "=", "\u200b"):
            line = f"Route{gap}: <sip:victim@127.0.0.66:9;lr>\r\n"
            expect(alice.ask(request("INVITE", aor("bob"), extra=line)), 400, f"the gap {gap!r}")
        for line in (" : x\r\n", ": x\r\n", "Ro ute: x\r\n", "nocolon\r\n", "\tRoute\r\n: x\r\n"):
            expect(alice.ask(request("INVITE", aor("bob"), call_id=mark(), extra="X: y\r\n" + line)), (400, 480, 486),
                   repr(line))


@attack("header fields that make nobody trusted", LIMITS)
def trusted_by_nothing(server):
    for line in (f"P-Asserted-Identity: <{aor('alice')}>", f"Remote-Party-ID: <{aor('alice')}>;screen=yes",
                 f"Diversion: <{aor('alice')}>", f"X-Authenticated-User: {aor('alice')}", "P-Charging-Vector: x",
                 f"Referred-By: <{aor('alice')}>", f"History-Info: <{aor('alice')}>;index=1", "X-Forwarded-For: 127.0.0.1",
                 f"P-Preferred-Identity: <{aor('alice')}>", "Privacy: none", "P-Access-Network-Info: x"):
        with Datagrams(server.port) as client:
            expect(client.ask(request("INVITE", "sip:+1900@elsewhere.invalid", extra=line + "\r\n")), 403, line)
            expect(client.ask(request("INVITE", aor("bob"), from_=f"<{aor('alice')}>;tag=1",
                                      extra=line + "\r\n")), 407, line)
            expect(client.ask(register("alice", line + "\r\n")), 401, line)


# ---- class 21: text that wants to be a command -----------------------------------------

WORDS = ("a'or'3=3--", "%27;DROP%20TABLE%20users", "'); DELETE FROM bindings; --", "*)(uid=*", "$(id)", "`id`",
         "|id", ";id", "{{7*7}}", "${jndi:ldap://127.0.0.1/a}", "../../etc/passwd", "%s%n", "\\", "a%00b", "\u202eb")


def rows(server):
    with sqlite3.connect(f"file:{server.folder}/strowger.db?mode=ro", uri=True) as store:
        names = [row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        require("users" in " ".join(names) or names, "no table")
        return {name: store.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
                for name in names if "user" in name or name == "sqlite_sequence"}


@attack("SQL, LDAP, shell and templates in users, realms and Call-IDs")
def injection(server):
    before = rows(server)
    require(sum(before.values()) >= 2, f"the users are not there: {before}")
    with Datagrams(server.port) as client:
        log_in(client, "alice")
        challenge = client.ask(register("bob")).get("www-authenticate")
        for word in WORDS:
            escaped = "".join(c if c.isalnum() or c in "%'()*$;=+-_.!~&,?/" else
                              "".join(f"%{b:02x}" for b in c.encode()) for c in word)
            expect(client.ask(register("x", to=f"<sip:{escaped}@{DOMAIN}>")), (400, 401), word)
            expect(client.ask(request("INVITE", f"sip:{escaped}@{DOMAIN}")), (400, 404), word)
            expect(client.ask(request("INVITE", aor("bob"), call_id=f"{mark()}{escaped}")), (400, 480), word)
            quoted = word.replace("\\", "\\\\").replace('"', '\\"')
            for name in ("username", "realm", "nonce", "uri", "cnonce"):
                answer = authorization(challenge, "bob", PASSWORD["bob"], "REGISTER", f"sip:{DOMAIN}")
                answer = re.sub(f'{name}="[^"]*"', lambda _: f'{name}="{quoted}"', answer, count=1)
                expect(client.ask(register("bob", answer, 2)), (400, 401), f"{name}={word}")
            reply = expect(with_credentials(
                client, lambda extra, number: register("alice", extra, number,
                                                       contact=f"<sip:{escaped}@127.0.0.1:9>"),
                "alice", "REGISTER", f"sip:{DOMAIN}"), (200, 400, 403), f"Contact {word}")
            if reply.code == 200:
                with_credentials(client, lambda extra, number: register("alice", extra + "Expires: 0\r\n", number,
                                                                        contact="*"),
                                 "alice", "REGISTER", f"sip:{DOMAIN}")
    require(rows(server) == before, f"{before} rows have become {rows(server)}")
    require("alice" in server.command("user", "list") and "bob" in server.command("user", "list"), "users are gone")


# ---- class 22: lines of the log --------------------------------------------------------


@attack("lines of the log, and header fields, made by the one who is logged")
def log_injection(server):
    before = len(log_lines(server))
    fake = '{"event":"request.refused","code":403,"address":"9.9.9.9"}'
    with Datagrams(server.port) as client:
        texts = ("%0d%0a" + fake, "\x1b[31mred\x1b[0m", "\u202egnp.exe", "failed for '9.9.9.9'", '","address":"9.9.9.9', "\\",
                 "\\u000a", "a\x7fb", "a\tb", "\xff\xfe")
        for text in texts:
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            user = "".join(c if c.isalnum() else "".join(f"%{b:02x}" for b in c.encode()) for c in text)
            for what, data in (
                    ("display name", request("INVITE", aor("bob"), from_=f'"{quoted}" <sip:a@b.invalid>;tag=1')),
                    ("user", request("INVITE", aor("bob"), from_=f"<sip:{user}@b.invalid>;tag=1")),
                    ("called user", request("INVITE", f"sip:{user}@{DOMAIN}")),
                    ("User-Agent", request("INVITE", aor("bob"), extra=f"User-Agent: {text}\r\n")),
                    ("Call-ID", request("INVITE", aor("bob"), call_id=f"{mark()}@{text}")),
                    ("method", request("INVITE", aor("bob")).replace("INVITE", text)),
                    ("username", register("bob", f'Authorization: Digest username="{quoted}", realm="{DOMAIN}", '
                                                 'nonce="1", uri="sip:a", response="' + "0" * 32 + '"\r\n'))):
                client.send(data)
                client.final(0.2 if what == "method" else 1.0)
    lines = log_lines(server)[before:]
    require(len(lines) > 20, f"only {len(lines)} lines of the log")
    for line in lines:
        if not line.startswith("{"):
            continue
        entry = json.loads(line.encode("utf-8", "surrogateescape"))
        require(entry.get("address", client.address).startswith("127."), f"a false address: {line}")
        require(not re.search(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", line), f"control characters: {line!r}")
    require(not [line for line in lines if line.startswith('{"event":"request.refused","code":403')], "a forged line")


# ---- class 32: the administration ------------------------------------------------------


@attack("the administration from other origins, with paths and sizes that are not meant",
        "" + LIMITS, memory=False)
def administration(server):
    socket_mode = stat.S_IMODE(os.stat(server.folder / "admin.sock").st_mode)
    require(socket_mode & 0o007 == 0, f"everybody may use the socket: {socket_mode:o}")
    require(status(server)["http"] == "", "HTTP listens without being asked to")
    for path in ("/", "/../../etc/passwd", "/v1/../v1/status", "/v1/users/../../x", "/v1/why/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
                 "/v1/why/%00", "/v1/users/%27%20or%201=1--", "/v1/why/" + "a" * 20000, "/v1/calls?n=-1",
                 "/v1/calls?n=99999999999999999999", "/v1/calls?n=" + "9" * 5000, "//v1/status", "/v1/status/x", "/V1/STATUS",
                 "/v1/bindings/sip:bob@strowger.test?contact=" + "%00" * 1000):
        connection = UnixConnection(server.folder / "admin.sock")
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read()
            require(answer.status in (200, 400, 404, 413, 414, 431, 503), f"{path[:60]}: {answer.status}")
            require(b"root:" not in text, f"{path}: a file of the system")
            require(answer.status != 200 or "?" in path, f"{path[:60]}: 200 {text[:200]!r}")
        finally:
            connection.close()
    for body in (b"{", b"[" * 100000, b'{"a":' * 50000, b"x" * 5000000, b"\0", b'{"aor":"a","aor":"b"}'):
        connection = UnixConnection(server.folder / "admin.sock")
        try:
            connection.request("POST", "/v1/users", body)
            code = connection.getresponse().status
            require(code in (400, 413, 422), f"POST {body[:10]!r} ({len(body)} bytes): {code}")
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            connection.close()


def admin_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PORT = admin_port()


def listen_http(server, address):
    """Starts the server anew, with the administration on this address of loopback."""
    server.kill()
    text = server.config.read_text()
    server.config.write_text(re.sub(r"admin: {(listen: [^ ]*, )?", f"admin: {{listen: {address}:{PORT}, ", text))
    server.start()


@attack("the administration over HTTP on another address of loopback: it is a name of ours, and its neighbour none",
        memory=False, late=1.0)
def administration_address(server):
    listen_http(server, "127.0.0.2")
    for host, wanted in ((f"127.0.0.2:{PORT}", 200), ("127.0.0.2", 200), ("localhost", 200), (f"127.0.0.3:{PORT}", 403),
                         ("127.0.0.20", 403), ("127.0.0.2.evil.invalid", 403), ("[127.0.0.2]", 403),
                         ("evil.invalid", 403)):
        connection = http.client.HTTPConnection("127.0.0.2", PORT, timeout=5)
        try:
            connection.request("GET", "/v1/status", headers={"Host": host})
            code = connection.getresponse().status
        finally:
            connection.close()
        require(code == wanted, f"Host {host!r}: {code} instead of {wanted}")


def raw_http(place, text):
    """What comes back until the server closes, or for half a second."""
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family) as tcp:
        tcp.settimeout(0.5)
        tcp.connect(place)
        tcp.sendall(text.encode())
        answer = b""
        try:
            while data := tcp.recv(65536):
                answer += data
        except TimeoutError:
            pass
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+)", answer)], answer


def ambiguous(server):
    """RFC 9112 §3.2, §6.3: what says twice where it ends or whom it is for is refused, and nothing behind it read; a
    name with a zero in it is not the name before the zero."""
    get, host = "GET /v1/status HTTP/1.1\r\n", f"Host: 127.0.0.1:{PORT}\r\n"
    for place in (("127.0.0.1", PORT), str(server.folder / "admin.sock")):
        require(raw_http(place, (get + host + "\r\n") * 2)[0] == [200, 200], "two requests on one connection")
        codes, answer = raw_http(place, f"HEAD /v1/status HTTP/1.1\r\n{host}\r\n")
        require(codes == [200] and answer.endswith(b"\r\n\r\n"), f"HEAD: {answer}")
        for twice in (host + "Host: evil.invalid\r\n", host + "Content-Length: 0\r\nContent-Length: 40\r\n",
                      host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"):
            codes, _ = raw_http(place, get + twice + "\r\n" + get + host + "\r\n")
            require(codes == [400], f"{twice}: {codes}")
        codes, _ = raw_http(place, f"GET /v1/users/alice%00x HTTP/1.1\r\n{host}\r\n")
        require(codes[0] in (400, 404), f"alice%00x: {codes}")
    codes, _ = raw_http(place, f"DELETE /v1/users/alice%00x HTTP/1.1\r\n{host}\r\n")
    require(codes[0] in (400, 404) and "alice" in server.command("user", "list"), f"alice was removed: {codes}")


@attack("the administration over HTTP: names of others, changes, slow requests", memory=False,
        late=1.0)
def administration_http(server):
    listen_http(server, "127.0.0.1")

    def ask(method, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", "0")
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    require(ask("GET", "/v1/status", Host=f"127.0.0.1:{PORT}")[0] == 200, "no status")
    for host in ("evil.invalid", "127.0.0.1.evil.invalid", "localhost.evil.invalid", "", "127.0.0.2", "[::2]"):
        code = ask("GET", "/v1/status", Host=host)[0]
        require(code in (400, 403), f"Host {host!r}: {code}")
    code, headers, _ = ask("GET", "/v1/status", Host="localhost", Origin="http://evil.invalid")
    require("Access-Control-Allow-Origin" not in headers, f"other origins may read: {headers}")
    for method, path in (("POST", "/v1/stop"), ("POST", "/v1/drain"), ("POST", "/v1/users"), ("POST", "/v1/reload"),
                         ("DELETE", "/v1/users/alice"), ("DELETE", "/v1/bindings/alice"), ("TRACE", "/v1/status"),
                         ("OPTIONS", "/v1/status"), ("PUT", "/v1/users")):
        code = ask(method, path, Host=f"127.0.0.1:{PORT}", Origin="http://evil.invalid")[0]
        require(code in (400, 403, 404, 405, 501), f"{method} {path}: {code}")
    require(not status(server)["draining"], "the server was drained over HTTP")
    ambiguous(server)
    slow = []
    try:
        for _ in range(200):
            slow.append(socket.create_connection(("127.0.0.1", PORT), 0.3))
            slow[-1].sendall(b"GET /v1/status HTTP/1.1\r\nHost: local")
    except TimeoutError:
        pass
    try:
        require(status(server)["pid"] == server.process.pid, "slow requests over HTTP keep the socket from answering")
    finally:
        for tcp in slow:
            tcp.close()


attacks()
