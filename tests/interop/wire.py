# SPDX-License-Identifier: Apache-2.0
"""What the tests with broken and hostile input share: raw sockets, replies, health of the server."""
import ctypes
import hashlib
import os
import re
import select
import socket
import time

from interop import DOMAIN, PASSWORD, SANITIZED, Failure, options_request, require

SERVER = "127.0.0.1"

# Servers that are started from here have no large pages: their size is known to 4 KiB, not to 2 MiB.
PR_SET_THP_DISABLE = 41
ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


class Reply:
    """One response, taken apart no further than a test needs."""

    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.data = data
        lines = head.decode("utf-8", "replace").split("\r\n")
        match = re.match(r"SIP/2\.0 (\d{3}) ", lines[0])
        require(match, f"no SIP response: {data[:200]!r}")
        self.code, self.line = int(match[1]), lines[0]
        self.fields = [(name.strip().lower(), value.strip())
                       for name, _, value in (line.partition(":") for line in lines[1:])]

    def all(self, name):
        return [value for field, value in self.fields if field == name]

    def get(self, name):
        return next(iter(self.all(name)), "")


class Datagrams:
    """UDP sockets of one client address. Each test takes an address that late copies do not reach."""

    last = [0]

    def __init__(self, port, ports=()):
        self.last[0] += 1
        # The process id keeps two runs apart; 127.0.0.0/8 is all ours.
        self.address = f"127.{1 + os.getpid() % 200}.{self.last[0] // 250}.{1 + self.last[0] % 250}"
        self.sockets = []
        for own in list(ports) or [0]:
            udp = socket.socket(type=socket.SOCK_DGRAM)
            udp.bind((self.address, own))
            udp.connect((SERVER, port))
            self.sockets.append(udp)
        self.port = self.sockets[0].getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for udp in self.sockets:
            udp.close()

    def send(self, data):
        self.sockets[0].send(data if isinstance(data, bytes) else data.encode())

    def receive(self, seconds=1.0):
        """The bytes that came, or None."""
        for udp in select.select(self.sockets, [], [], seconds)[0]:
            return udp.recv(65535)
        return None

    def final(self, seconds=1.0):
        """The next final response, or None."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            data = self.receive(left)
            if data and data.startswith(b"SIP/2.0"):
                reply = Reply(data)
                if reply.code >= 200:
                    return reply
        return None

    def ask(self, data, seconds=1.0):
        self.send(data)
        return self.final(seconds)


class Stream:
    """A TCP connection; closed is set when the server has ended it."""

    def __init__(self, port, source=""):
        self.tcp = socket.create_connection((SERVER, port), 2, (source, 0) if source else None)
        self.buffer, self.closed = b"", False
        self.port = self.tcp.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tcp.close()

    def send(self, data):
        try:
            self.tcp.sendall(data if isinstance(data, bytes) else data.encode())
        except OSError:
            self.closed = True

    def read(self, seconds):
        """Whether anything came."""
        if self.closed:
            return False
        self.tcp.settimeout(max(seconds, 0.001))
        try:
            data = self.tcp.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        self.closed = not data
        self.buffer += data
        return bool(data)

    def take(self):
        """The next whole response of what was read, or None; answers to a ping are skipped."""
        self.buffer = self.buffer.lstrip(b"\r\n")
        match = re.match(rb"SIP/2\.0 .*?\r\n\r\n", self.buffer, re.S)
        if not match:
            return None
        length = re.search(rb"^Content-Length\s*:\s*(\d+)", match[0], re.M | re.I)
        require(length, f"no Content-Length on a stream: {match[0]!r}")
        end = match.end() + int(length[1])
        if len(self.buffer) < end:
            return None
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return Reply(data)

    def final(self, seconds=1.0):
        end = time.monotonic() + seconds
        while True:
            while reply := self.take():
                if reply.code >= 200:
                    return reply
            if time.monotonic() > end or not self.read(end - time.monotonic()):
                if self.closed or time.monotonic() > end:
                    return None

    def ask(self, data, seconds=1.0):
        self.send(data)
        return self.final(seconds)

    def wait_closed(self, seconds):
        """Whether the server ends the connection in time."""
        end = time.monotonic() + seconds
        while not self.closed and time.monotonic() < end:
            self.read(end - time.monotonic())
        return self.closed


def mark():
    return os.urandom(6).hex()


def request(method="OPTIONS", uri=f"sip:{DOMAIN}", **fields):
    """A legal request; a field named in `fields` (To_tag, extra, body, …) is changed."""
    unique = mark()
    value = {
        "via": f"SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK{unique}", "max_forwards": "70",
        "from_": f"<sip:probe@example.invalid>;tag={unique}", "to": f"<{uri}>", "call_id": unique,
        "cseq": f"1 {method}", "extra": "", "body": "", "length": None, "version": "SIP/2.0",
    }
    unknown = set(fields) - set(value)
    require(not unknown, f"request() knows no {unknown}")
    value.update(fields)
    if value["length"] is None:
        value["length"] = f"Content-Length: {len(value['body'])}\r\n"
    return (f"{method} {uri} {value['version']}\r\nVia: {value['via']}\r\n"
            f"Max-Forwards: {value['max_forwards']}\r\nFrom: {value['from_']}\r\nTo: {value['to']}\r\n"
            f"Call-ID: {value['call_id']}\r\nCSeq: {value['cseq']}\r\n{value['extra']}"
            f"{value['length']}\r\n{value['body']}")


def authorization(challenge, user, password, method, uri, count=1, name="Authorization"):
    """The answer to a Digest challenge, RFC 7616 §3.4, MD5 with qop auth."""
    realm, nonce = (re.search(rf'{key}="([^"]*)"', challenge)[1] for key in ("realm", "nonce"))

    def md5(*parts):
        return hashlib.md5(":".join(parts).encode()).hexdigest()

    cnonce, nc = "0a4f113b", f"{count:08x}"
    response = md5(md5(user, realm, password), nonce, nc, cnonce, "auth", md5(method, uri))
    return (f'{name}: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'response="{response}", algorithm=MD5, cnonce="{cnonce}", qop=auth, nc={nc}\r\n')


class Health:
    """The server after an attack is the process it was, answers at once, and has not grown."""

    SLACK_KIB = 2048

    def __init__(self, server):
        self.server, self.pid = server, server.process.pid
        self.check("before")
        self.base = self.resident()

    def resident(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s*(\d+)", status.read())[1])

    def check(self, what, seconds=1.0):
        """A legal OPTIONS gets 200 from the same process."""
        begin = time.monotonic()
        with Datagrams(self.server.port) as client:
            reply = client.ask(options_request(self.server.port), seconds)
        ended = self.server.process.poll()
        require(ended is None, f"{what}: the server ended with {ended}")
        require(reply and reply.code == 200, f"{what}: OPTIONS gets {reply and reply.line}")
        return time.monotonic() - begin

    def grown(self):
        """KiB above the allowance of 5 % or 2 MiB; 0 or less is well."""
        return self.resident() - self.base - max(self.base // 20, self.SLACK_KIB)

    def check_memory(self, what):
        if SANITIZED:
            return
        over = self.grown()
        require(over <= 0, f"{what}: {over} KiB more than allowed above {self.base} KiB")


__all__ = ["DOMAIN", "PASSWORD", "Datagrams", "Failure", "Health", "Reply", "Stream", "authorization",
           "mark", "request"]
