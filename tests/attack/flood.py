#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classes 10, 11 and 27 of the attacks: floods from one source and from many, amplification, subscriptions."""
import os
import pathlib
import random
import signal
import time

from common import (DOMAIN, LIMITS, OPEN, SANITIZED, SDP, Datagrams, Health, aor, attack, attacks, await_code,
                    await_request, expect, full, log_causes, mark, register, request, require, respond, status)

# ---- class 10: work without end from one datagram --------------------------------------

AGENTS = [f"agent{number}" for number in range(70)]


def processor_s(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@attack("a call to a queue of many agents of whom none can get it", OPEN + "queues: [{name: support}]\n", memory=False)
def unfit_agents(server):
    """Each is looked at once: the phones are not reached by sips (RFC 5630 §5.3)."""
    server.command("user", "import", "-", text="".join(f"{name}@{DOMAIN}:secret\n" for name in AGENTS))
    with Datagrams(server.port) as phones, Datagrams(server.port) as caller:
        for name in AGENTS:
            server.command("user", "set", aor(name).removeprefix("sip:"), "queues=support")
            expect(phones.ask(register(name, contact=f"<sip:{name}@{phones.address}:{phones.port}>")), 200, name)
        caller.send(request("INVITE", f"sips:support@{DOMAIN}", extra=SDP, body="v=0\r\n"))
        while (reply := caller.receive(2)) and b" 182 " not in reply[:12]:
            pass
        require(reply, "no 182")
        begin = processor_s(server)
        time.sleep(1)
        spent = processor_s(server) - begin
        require(spent < 0.2, f"a call that waits takes {spent:.2f} s of a second")


ROOM = 4000
LARGE = 60000


@attack("large calls to a phone that only rings", f"auth: {{required: false}}\nlimits: {{max_transactions: {ROOM}}}\n"
        "decisions: {keep_calls: 1000}\n", late=0.05, memory=False)
def large_calls(server):
    """Each KiB of them is as a transaction: what waits is no more than there is room for, and who talks may hang up."""
    extra = "".join(f"X-{letter}: {'x' * 7000}\r\n" for letter in "abcd")
    with Datagrams(server.port) as phone, Datagrams(server.port) as caller, Datagrams(server.port) as flooder:
        expect(phone.ask(register("bob", contact=f"<sip:bob@{phone.address}:{phone.port}>")), 200, "bob")
        caller.send(request("INVITE", aor("bob"), extra=f"Contact: <sip:c@{caller.address}:{caller.port}>\r\n"))
        phone.send(respond(await_request(phone, "INVITE"), 200,
                           extra=f"Contact: <sip:bob@{phone.address}:{phone.port}>\r\n"))
        answer = await_code(caller, 200)

        def in_dialog(method, number):
            return request(method, f"sip:bob@{phone.address}:{phone.port}", from_=answer.get("from"),
                           to=answer.get("to"), call_id=answer.get("call-id"), cseq=f"{number} {method}",
                           extra="".join(f"Route: {route}\r\n" for route in reversed(answer.all("record-route"))))

        def large(user):
            return request("INVITE", aor(user), extra=extra + SDP, body="x" * (LARGE - 4 * 7000))

        caller.send(in_dialog("ACK", 1))
        await_request(phone, "ACK")
        for _ in range(50):                                # what they are read into is not growth
            expect(flooder.ask(large("alice")), 480, "a call to nobody")
        health = Health(server)
        rings, refused = [], 0
        for _ in range(full(2000, 500)):
            flooder.send(large("bob"))
            while (data := phone.receive(0)):
                if data.startswith(b"INVITE "):
                    rings.append(data)
                    phone.send(respond(data, 180))
            # A 100 or 503 to each, before the next: the room of several workers is known by batches.
            while (data := flooder.receive()) and data[8:11] not in (b"100", b"503"):
                pass
            require(data, "no answer")
            refused += data[8:11] == b"503"
        now = status(server)
        require(refused and now["overload"]["room_refused"], "none of them is refused")
        require(ROOM <= now["room_used"] < ROOM + 4 * LARGE // 1024, f"there is room for {ROOM}: {now}")
        grown = health.resident() - health.base
        # Beside them what waits for the phone to read (limits.max_output), and the records of the refused.
        require(SANITIZED or grown < 5 * ROOM, f"{grown} KiB more, with room for {ROOM}")
        require(f"counted as {now['room_used'] // 1000}" in server.command("status"), "status says why")
        caller.send(in_dialog("BYE", 2))
        phone.send(respond(await_request(phone, "BYE"), 200))
        await_code(caller, 200)
        # All of it is there for others again when the calls are answered.
        end = time.monotonic() + 10
        while status(server)["room_used"] > ROOM // 2 and time.monotonic() < end:
            if (data := phone.receive(0.1)) and data.startswith(b"INVITE "):
                rings.append(data)
            while rings:
                phone.send(respond(rings.pop(), 200, extra=f"Contact: <sip:bob@{phone.address}>\r\n"))


# ---- class 11: sources that are not true -----------------------------------------------


def everything(server):
    """Requests of strangers and of those who claim to be users, and what they are."""
    yield "OPTIONS", request()
    yield "OPTIONS to bob", request("OPTIONS", aor("bob"))
    yield "INVITE to bob", request("INVITE", aor("bob"), extra=SDP, body="v=0\r\n")
    yield "INVITE to nobody", request("INVITE", aor("nobody"))
    yield "INVITE as alice", request("INVITE", aor("bob"), from_=f"<{aor('alice')}>;tag=1")
    yield "INVITE elsewhere", request("INVITE", "sip:a@elsewhere.invalid")
    yield "REGISTER", register("alice")
    yield "SUBSCRIBE", request("SUBSCRIBE", f"sip:{DOMAIN}", extra="Event: presence\r\n")
    yield "SUBSCRIBE to bob", request("SUBSCRIBE", aor("bob"), extra="Event: presence\r\n")
    yield "PUBLISH", request("PUBLISH", f"sip:{DOMAIN}", extra="Event: presence\r\n")
    yield "an unknown method", request("NEWMETHOD")
    yield "BYE", request("BYE", f"sip:{DOMAIN}", to=f"<sip:{DOMAIN}>;tag=1")
    yield "CANCEL", request("CANCEL", f"sip:{DOMAIN}")
    yield "a fault", request(cseq="1 INVITE")
    yield "another version", request(version="SIP/3.0")


@attack("one answer for one datagram, and no state, for sources that nobody has proven", rounds=2)
def amplification(server):
    """The answer to a source that may be forged is sent once, keeps no state, and is hardly larger than what came
    (it repeats Via, From, To and Call-ID, and a challenge or the answer to OPTIONS says more)."""
    with Datagrams(server.port) as client:
        ratios, sizes = {}, {}
        for what, data in everything(server):
            reply = expect(client.ask(data), tuple(range(200, 700)), what)
            ratios[what], sizes[what] = len(reply.data) / len(data), len(reply.data) - len(data)
        time.sleep(0.7)  # T1, after which a transaction would repeat a final response
        again = client.receive(0)
        require(again is None, f"a response is repeated: {again!r}")
        now = status(server)
        require(now["transactions"] == 0 and now["requests"] == 0, f"state for strangers: {now}")
        for what, ratio in ratios.items():
            says_more = ("REGISTER", "INVITE as alice", "OPTIONS")  # a challenge, or what §11.2 asks for
            require(ratio <= (1.8 if what in says_more else 1.3), f"{what}: {ratio:.2f} times as many bytes")
        worst = max(ratios, key=ratios.get)
        print(f"# the most: {worst}, {ratios[worst]:.2f} times, {sizes[worst]:+d} bytes")


@attack("more than the kernel keeps, while the server stands still", memory=False, late=1.0)
def standing_server(server):
    """What is lost before it could be read is counted."""
    with Datagrams(server.port) as client:
        server.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(full(60000, 40000)):
                client.send(request())
        finally:
            server.process.send_signal(signal.SIGCONT)
    with Datagrams(server.port) as other:
        end = time.monotonic() + 5
        while not other.ask(request(), 0.2) and time.monotonic() < end:
            pass
        require(status(server)["overload"]["lost_unread"] > 0, "datagrams were lost, and nobody says so")


@attack("a flood from random sources", late=0.05, rounds=2)
def random_sources(server):
    generator = random.Random(3)
    clients = [Datagrams(server.port) for _ in range(50)]
    try:
        for _ in range(full(4000, 60)):
            for client in clients:
                _, data = generator.choice(list(everything(server)))
                client.send(data)
            for client in clients:
                while client.receive(0):
                    pass
        require(status(server)["transactions"] <= 1, f"state for strangers: {status(server)}")
    finally:
        for client in clients:
            client.sockets[0].close()


# ---- class 10: one source --------------------------------------------------------------


def flood(port, seconds, make):
    """As many as one process can send, answers not read."""
    child = os.fork()
    if child:
        return child
    try:
        with Datagrams(port) as client:
            messages = [make() for _ in range(500)]
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for data in messages:
                    try:
                        client.sockets[0].send(data.encode())
                    except OSError:
                        pass
    finally:
        os._exit(0)


@attack("a flood from one source, of each method", late=1.0, memory=False)
def one_source(server):
    """The others get at least 95 % of what they ask, with the repetitions that UDP demands (§17.1.2.2)."""
    for what, make in (("INVITE", lambda: request("INVITE", aor("bob"))),
                       ("INVITE as alice", lambda: request("INVITE", aor("bob"), from_=f"<{aor('alice')}>;tag={mark()}")),
                       ("REGISTER", lambda: register("alice")), ("OPTIONS", request),
                       ("SUBSCRIBE", lambda: request("SUBSCRIBE", aor("bob"), extra="Event: presence\r\n"))):
        child = flood(server.port, full(5, 0.6), make)
        asked = answered = 0
        while os.waitpid(child, os.WNOHANG)[0] == 0:
            with Datagrams(server.port) as client:
                data = request()
                asked += 1
                for _ in range(4):
                    if client.ask(data, 0.5):
                        answered += 1
                        break
            time.sleep(0.01)
        require(asked and answered >= 0.95 * asked, f"{what}: {answered} of {asked} requests of others are answered")


# ---- class 27: subscriptions -----------------------------------------------------------


@attack("subscriptions by the thousand, with the Contact of a victim", rounds=2)
def subscriptions(server):
    """There is no notifier yet: each is refused, without state and without a NOTIFY to anybody."""
    with Datagrams(server.port) as victim, Datagrams(server.port) as client:
        contact = f"Contact: <sip:victim@{victim.address}:{victim.port}>\r\nExpires: 3600\r\n"
        for number in range(full(100000, 1000)):
            for event in ("presence", "dialog", "message-summary", "reg", "x" * 50)[number % 5:number % 5 + 1]:
                to_us = number % 2
                data = request("SUBSCRIBE", f"sip:{DOMAIN}" if to_us else aor("bob"),
                               extra=f"Event: {event}\r\n{contact}")
                expect(client.ask(data), (405, 480, 489, 503), f"SUBSCRIBE {event}")
        require(status(server)["transactions"] == 0, "a refused SUBSCRIBE keeps state")
        got = victim.receive(0.1)
        require(got is None, f"a NOTIFY to somebody who has not asked: {got!r}")
        require(set(log_causes(server)) & {"method-not-served-here", "not-registered"}, "no cause in the log")


attacks()
