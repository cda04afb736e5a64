#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classes 6, 7, 8 and 30 of the attacks: allocation before proof, slow and many connections, transports that
vanish."""
import re
import resource
import socket
import struct
import time

from common import (DOMAIN, FULL, LIMITS, OPEN, PASSWORD, SANITIZED, SDP, SEVERAL, Datagrams, Failure, Health,
                    Stream, aor, attack, attacks, await_request, closes, expect, full, log_in, mark, nothing, request, require, respond,
                    status)

MANY = """limits: {message_timeout: 300s, connection_idle: 1d, max_connections: 100000,
  max_connections_per_source: 2000}
decisions: {keep_calls: 100}
"""
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

# ---- class 6: allocation before proof --------------------------------------------------


@attack("Content-Length: 2147483647 on many connections and no body", MANY, memory=False)
def allocation(server):
    """Each is refused at once; of one that is not too large yet no more is kept than has come."""
    health = Health(server)
    streams = []
    try:
        for number in range(full(1000, 200)):
            streams.append(Stream(server.port, f"127.0.3.{1 + number % 200}"))
            length = "2147483647" if number % 2 else "32000"
            streams[-1].send(request(length=f"Content-Length: {length}\r\n"))
        for stream in streams[1::2]:
            expect(stream.final(), 413, "Content-Length: 2147483647")
            require(stream.wait_closed(1), "Content-Length: 2147483647: the connection stays open")
        require(health.resident() - health.base < 64 * len(streams) + 2048,
                f"{health.resident() - health.base} KiB for {len(streams)} connections")
    finally:
        for stream in streams:
            stream.tcp.close()


# ---- class 7: slow ---------------------------------------------------------------------


@attack("half a message and silence")
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


@attack("line ends that are no keep-alive, and silence")
def bare_line_ends(server):
    """A CR or LF alone is the begin of a message (RFC 3261 §7.5 lets only CRLF stand before one)."""
    for ends in ("\n", "\r\r", "\n" * 60000):
        with Stream(server.port) as client:
            begin = time.monotonic()
            closes(client, ends, f"{len(ends)} line ends", 2.5)
            require(time.monotonic() - begin > 0.8, "closed before limits.message_timeout")


@attack("byte by byte")
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


@attack("silent connections")
def silent_connections(server):
    streams = [Stream(server.port) for _ in range(10)]
    begin = time.monotonic()
    require(all(stream.wait_closed(14) for stream in streams), "silent connections stay open")
    require(time.monotonic() - begin > 9, "closed before limits.connection_idle")
    for stream in streams:
        stream.tcp.close()


# Nothing is shed: where overload control drops requests there is no answer to be kept. What waits between workers is
# bounded, but not by the allowance.
@attack("requests without end and no reading", LIMITS + "overload: {target_delay: 0s}\n", memory=not SEVERAL)
def slow_reader(server):
    """Requests without end, answers never read: the connection is closed, nothing is kept."""
    with socket.socket() as tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        tcp.connect(("127.0.0.1", server.port))
        tcp.settimeout(5)
        data = "".join(request() for _ in range(100)).encode()  # of 100 calls: all workers have some
        sent, end = 0, time.monotonic() + 20
        try:
            while time.monotonic() < end:
                tcp.sendall(data)
                sent += 100
        except TimeoutError:
            raise Failure(f"after {sent} requests the server neither reads nor closes") from None
        except OSError:
            return
        raise Failure(f"after {sent} requests the server still reads from a peer that does not")


@attack("half-closed connection", LIMITS)
def half_closed(server):
    with Stream(server.port) as client:
        client.send(request())
        client.tcp.shutdown(socket.SHUT_WR)
        expect(client.final(), 200, "a request and the end of what is sent")
        require(client.wait_closed(2), "the other half stays open")


# ---- class 8: many ---------------------------------------------------------------------


@attack("connection flood from one address, and in all")
def connection_flood(server):
    def stay(sources, expected):
        """How many are not closed at once. A busy server may be late with some."""
        streams = [Stream(server.port, source) for source in sources]
        kept.extend(streams)
        end = time.monotonic() + 2
        while (count := sum(not stream.wait_closed(0.001) for stream in streams)) > expected and time.monotonic() < end:
            time.sleep(0.05)
        return count

    def await_connections(count):
        """A worker may still have some in its queue, or not have seen the end of others."""
        end = time.monotonic() + 5
        while (now := status(server)["connections"]) != count and time.monotonic() < end:
            time.sleep(0.05)
        require(now == count, f"{now} connections, not {count}")

    kept = []
    try:
        ours = stay(["127.0.0.9"] * 100, 20)
        require(ours == 20, f"{ours} of 100 connections of an address stay, not 20")
        await_connections(20)
        live = [stream for stream in kept if not stream.closed]
        expect(live[0].ask(request()), 200, "a connection that was there before the flood")
        in_all = ours + stay([f"127.0.1.{host}" for host in range(1, 61)], 40)
        require(in_all == 60, f"{in_all} connections stay, not 60")
        await_connections(60)
        for stream in live[:10]:
            stream.tcp.close()
        await_connections(50)
        require(stay(["127.0.0.9"], 1) == 1, "no connection after others have ended")
        await_connections(51)
    finally:
        for stream in kept:
            stream.tcp.close()


@attack("idle connections from many addresses", MANY, memory=False, late=full(0.05, 0.0))
def idle_connections(server):
    """Those that are there live on, keep-alives work, and memory comes back."""
    health = Health(server)
    kept, count = [], full(50000, 1500)
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100
    with Stream(server.port) as old:
        try:
            for number in range(min(count, room)):
                kept.append(socket.create_connection(("127.0.0.1", server.port), 5,
                                                     (f"127.4.{number % 500 // 250}.{1 + number % 250}", 0)))
            expect(old.ask(request()), 200, "a connection that was there before")
            for tcp in kept[::100]:
                tcp.sendall(b"\r\n\r\n")
                tcp.settimeout(2)
                require(tcp.recv(10) == b"\r\n", "no answer to a keep-alive")
            used = health.resident() - health.base
            print(f"# {len(kept)} idle connections: {used} KiB")
            require(SANITIZED or used < 4 * len(kept) + 2048, f"{used} KiB for {len(kept)} idle connections")
        finally:
            for tcp in kept:
                tcp.close()
        end = time.monotonic() + 5
        while status(server)["connections"] > 2 and time.monotonic() < end:
            time.sleep(0.05)
        require(status(server)["connections"] <= 2, f"{status(server)['connections']} connections are left")


@attack("connections that come and go without a word", rounds=2)
def connect_and_leave(server):
    for number in range(full(20000, 1000)):
        with socket.create_connection(("127.0.0.1", server.port), 5) as tcp:
            if number % 2:
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end, none = time.monotonic() + 5, 0
    while none < 5 and time.monotonic() < end:                # some wait to be accepted still
        left = status(server)["connections"]
        none = 0 if left else none + 1
        time.sleep(0.02)
    require(none == 5, f"{left} connections are left")


# ---- class 30: transports that vanish --------------------------------------------------


def reset(stream):
    """RST instead of FIN."""
    stream.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.tcp.close()


def invite(number, port):
    return request("INVITE", aor("bob"), extra=f"Contact: <sip:probe@127.0.0.1:{port};transport=tcp>\r\n",
                   via=f"SIP/2.0/TCP 127.0.0.1:{port};rport;branch=z9hG4bKvanish{number}{mark()}")


@attack("RST after INVITE, and before each response", OPEN, memory=FULL, rounds=2)
def caller_vanishes(server):
    """The caller's connection goes at each point of a call; nothing is left behind of any."""
    with Datagrams(server.port) as bob:
        expect(bob.ask(request("REGISTER", f"sip:{DOMAIN}", to=f"<{aor('bob')}>",
                               extra=f"Contact: <sip:bob@{bob.address}:{bob.port}>\r\n")), 200, "bob registers")
        for number in range(full(500, 25)):
            for stop_at in ("at once", "100", "180", "486", "200"):
                stream = Stream(server.port)
                stream.send(invite(number, stream.port))
                if stop_at == "at once":
                    reset(stream)
                came = await_request(bob, "INVITE")
                if stop_at == "100":
                    reset(stream)
                bob.send(respond(came, 180))
                if stop_at == "180":
                    stream.read(1)
                    reset(stream)
                bob.send(respond(came, 486 if stop_at != "200" else 200,
                                 extra=f"Contact: <sip:bob@{bob.address}:{bob.port}>\r\n"))
                if stop_at in ("486", "200"):
                    reset(stream)
                while bob.receive(0):
                    pass
    no_leftovers(server)


@attack("the called phone's connection goes, at each point of a call", OPEN, rounds=2)
def callee_vanishes(server):
    with Datagrams(server.port) as caller:
        for number in range(full(300, 15)):
            for stop_at in ("at once", "180", "200"):
                phone = Stream(server.port)
                contact = f"<sip:bob@127.0.0.1:{phone.port};transport=tcp>"
                expect(phone.ask(request("REGISTER", f"sip:{DOMAIN}", to=f"<{aor('bob')}>",
                                         extra=f"Contact: {contact}\r\n")), 200, "bob registers")
                data = request("INVITE", aor("bob"), extra=f"Contact: <sip:a@{caller.address}:{caller.port}>\r\n")
                caller.send(data)
                came = read_request(phone, "INVITE")
                if stop_at == "180":
                    phone.send(respond(came, 180))
                elif stop_at == "200":
                    phone.send(respond(came, 200, extra=f"Contact: {contact}\r\n"))
                reset(phone)
                caller.send(re.sub("(?m)^INVITE|(?<=1 )INVITE", "CANCEL", data, count=2)
                            .replace("1 INVITE", "1 CANCEL"))
                while (reply := caller.receive(1.0 if stop_at == "at once" else 0.05)) and b" 487 " not in reply[:12]:
                    if reply[8:11] >= b"300" and b"INVITE" in reply:
                        break
                with Datagrams(server.port) as other:
                    expect(other.ask(register_none()), 200, "bob's bindings are removed")
    no_leftovers(server)


def register_none():
    return request("REGISTER", f"sip:{DOMAIN}", to=f"<{aor('bob')}>", extra="Contact: *\r\nExpires: 0\r\n")


def read_request(stream, method):
    end = time.monotonic() + 2
    while time.monotonic() < end:
        stream.read(end - time.monotonic())
        at = stream.buffer.find(method.encode() + b" ")
        if at >= 0 and b"\r\n\r\n" in stream.buffer[at:]:
            data, stream.buffer = stream.buffer[at:], b""
            return data
    raise Failure(f"no {method} comes over the connection")


def no_leftovers(server):
    """In the end nothing of all that is left; only --full waits so long. A CANCEL that nobody answers takes 32 s
    (§9.1), and then the 487 that nobody acknowledges (Timer H)."""
    end = time.monotonic() + 5
    while status(server)["connections"] > 1 and time.monotonic() < end:
        time.sleep(0.05)
    end = time.monotonic() + 100
    while FULL and status(server)["transactions"] and time.monotonic() < end:
        time.sleep(1)
    now = status(server)
    require(now["connections"] <= 1, f"{now['connections']} connections are left")
    require(not FULL or now["transactions"] == 0, f"{now['transactions']} transactions are left")
    require(not FULL or now["requests"] == 0, f"{now['requests']} requests are left")


attacks()
