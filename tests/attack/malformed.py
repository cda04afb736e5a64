#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Class 1 of the attacks: thousands of malformed messages, each over UDP and over TCP, each answered as
protos.py says. ./test takes each tenth of them, --full all."""
import re
import socket
import time

from common import DOMAIN, LIMITS, OPEN, Datagrams, Failure, attack, attacks, behind, full, mark, request, require
from protos import cases

STEP = full(1, 10)


def codes(data):
    """The final responses in what came."""
    return [code.decode() for code in re.findall(rb"(?:^|\r\n\r\n)SIP/2\.0 ([2-6]\d\d) ", data)]


def over_udp(client, message):
    """What comes back before the answer to the request behind it: "none", or the code. A REGISTER waits for
    the store, and so must what is behind it."""
    if message.startswith(b"REGISTER"):
        fence, unique = behind(message, "REGISTER", to=f"<sip:alice@{DOMAIN}>")
    else:
        fence, unique = behind(message)
    client.send(message)
    client.send(fence)
    got, end = b"", time.monotonic() + 2
    while time.monotonic() < end:
        data = client.receive(end - time.monotonic()) or b""
        if unique in data:
            found = codes(got)
            require(len(found) <= 1, f"several answers: {got[:500]!r}")
            return found[0] if found else "none"
        got += data
    raise Failure(f"the request behind it is not answered; {got[:300]!r} came")


def over_tcp(port, message):
    """The answers of a connection, ["none"] when it ends without. But for a REGISTER, which is answered later,
    the other half is closed behind the message."""
    waits = message.startswith(b"REGISTER")
    with socket.create_connection(("127.0.0.1", port), 2) as tcp:
        tcp.settimeout(3)
        data = b""
        try:
            tcp.sendall(message)
            if not waits:
                tcp.shutdown(socket.SHUT_WR)
            while block := tcp.recv(65536):
                data += block
                if waits and codes(data):
                    break
        except TimeoutError:
            raise Failure("the connection stays open") from None
        except OSError:
            pass
    return codes(data) or ["none"]


def play(server, kind, offset):
    wrong, seen = [], 0
    with Datagrams(server.port, [5060]) as client:
        host = f"{client.address}:5060".encode()
        pairs = zip(cases(kind, host, mark().encode()), cases(kind, host, mark().encode()))
        for number, ((name, datagram, right), (_, stream, _)) in enumerate(pairs):
            if number % STEP != offset % STEP:
                continue
            seen += 1
            try:
                got = over_udp(client, datagram)
                if got not in right:
                    wrong.append(f"{name}: {got} over UDP, not {sorted(right)}")
                got = over_tcp(server.port, stream)
                if not stream_right(got, stream, right):
                    wrong.append(f"{name}: {got} over TCP, not {sorted(right)}")
            except (Failure, OSError) as fault:
                wrong.append(f"{name}: {fault}")
            require(server.process.poll() is None, f"{name}: the server has ended\n" + "\n".join(wrong))
            require(len(wrong) < 40, "\n".join(wrong))
    require(not wrong, f"{len(wrong)} of {seen} cases:\n" + "\n".join(wrong))


def stream_right(got, message, right):
    """On a stream a message may be cut short by the end of what is sent, or be two; nothing else differs."""
    whole = b"\r\n\r\n" in message
    allowed = set(right)
    # Where the body ends is not known, or the framing is lost before there is a Via to answer to.
    length = re.search(rb"\r\nContent-Length: *([^\r]*)", message)
    if not whole or right & {"414"} or not length or length[1].strip() not in (b"0", b"5"):
        allowed |= {"none"}
    if re.search(rb"\r\n\r\n.*\r\n", message, re.S):
        allowed |= {"200", "400"}
    return set(got) <= allowed


@attack("malformed requests, each element with each anomaly", OPEN, rounds=2)
def requests(server):
    play(server, "open", 3)


@attack("malformed credentials", LIMITS, rounds=2)
def credentials(server):
    play(server, "closed", 5)


attacks()
