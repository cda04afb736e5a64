#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classes 12, 20, 23 and 31 of the attacks: amplification by forking, relaying for strangers, header fields in
URIs, and messages of calls that are somebody else's or over."""
import re
import time

from common import (DOMAIN, ELSEWHERE, LIMITS, OPEN, QUIET_S, Datagrams, Failure, Reply, Server, admin, aor, attack,
                    attacks, await_code, await_request, causes, expect, field, full, lines_of, log_in, mark, nothing,
                    recorded, register, request, require, respond, run_tests, TESTS, status, with_credentials)

# ---- class 20: open relay --------------------------------------------------------------


@attack("no relaying for strangers")
def relay(server):
    """Nothing gets through us to another host for somebody who is not one of our users."""
    with Datagrams(server.port) as victim, Datagrams(server.port) as client:
        there = f"sip:victim@{victim.address}:{victim.port}"
        us = f"sip:127.0.0.1:{server.port}"
        target = f"<{there}>"

        def refused(what, codes=(403,), method="INVITE", **fields):
            fields.setdefault("from_", f"<{ELSEWHERE}>;tag={mark()}")
            reply = client.ask(request(method, **{"uri": there, **fields}))
            require(reply and reply.code in codes, f"{what}: {reply and reply.line}, expected {codes}")

        for method in ("INVITE", "MESSAGE", "OPTIONS", "REGISTER", "BYE", "SUBSCRIBE", "UNKNOWN"):
            refused(f"{method} to a foreign domain", method=method)
            refused(f"{method} with a Route through us", method=method, extra=f"Route: <{us};lr>\r\n")
            refused(f"{method} with a To tag", method=method, to=target + ";tag=1")
        refused("Route to a foreign host", uri=f"sip:bob@{DOMAIN}", extra=f"Route: <{there};lr>\r\n")
        refused("Route through us to a foreign host", uri=f"sip:bob@{DOMAIN}",
                extra=f"Route: <{us};lr>, <{there};lr>\r\n")
        refused("Route through our domain", extra=f"Route: <sip:{DOMAIN};lr>\r\n")
        for name in ("d", "m", "mark", "stw"):
            refused(f"forged mark {name}", extra=f"Route: <{us};lr;{name}=0123456789abcdef>\r\n",
                    to=target + ";tag=1")
            refused(f"forged mark {name} as user", to=target + ";tag=1",
                    extra=f"Route: <sip:{name}-0123456789abcdef@127.0.0.1:{server.port};lr>\r\n")
        refused("our user without a password", (407,), from_=f"<sip:alice@{DOMAIN}>;tag=1")
        refused("our user without a password, To tag", (407,), from_=f"<sip:alice@{DOMAIN}>;tag=1",
                to=target + ";tag=1")
        refused("maddr of another", uri=f"sip:bob@{DOMAIN};maddr={victim.address}", codes=(403, 480))
        for route in ("", f"Route: <{us};lr>\r\n"):
            for sender in (f"<{ELSEWHERE}>;tag=1", f"<{aor('alice')}>;tag=1"):
                client.send(request("ACK", there, extra=route, from_=sender, to=target + ";tag=1"))
                client.send(request("CANCEL", there, extra=route, from_=sender))
        client.ask(request())
        got = victim.receive(QUIET_S)
        require(got is None, f"this was relayed: {got!r}")


@attack("no relaying by strict routing, maddr, other schemes and forms of our address")
def relay_by_form(server):
    us = f"127.0.0.1:{server.port}"
    with Datagrams(server.port) as victim, Datagrams(server.port) as client:
        there = f"{victim.address}:{victim.port}"
        for what, uri, extra, codes in (
                ("a strict router's request", f"sip:{us};lr", f"Route: <sip:v@{there}>\r\n", (403,)),
                ("two of ours, then there", f"sip:bob@{DOMAIN}",
                 f"Route: <sip:{us};lr>, <sip:{us};lr>, <sip:{there};lr>\r\n", (403,)),
                ("three of ours", f"sip:v@{there}", f"Route: <sip:{us};lr>, <sip:{us};lr>, <sip:{us};lr>\r\n", (403,)),
                ("a Route without lr", f"sip:bob@{DOMAIN}", f"Route: <sip:{there}>\r\n", (403,)),
                ("maddr in the Request-URI", f"sip:{DOMAIN};maddr={victim.address}", "", (403,)),
                ("maddr and port", f"sip:bob@{DOMAIN}:{victim.port};maddr={victim.address}", "", (403,)),
                ("maddr in a Route of ours", f"sip:bob@{DOMAIN}", f"Route: <sip:{us};lr;maddr={victim.address}>\r\n",
                 (403, 480)),
                ("our address, another port", f"sip:bob@{victim.address}:{victim.port}", "", (403,)),
                ("tel", "tel:+1900", "", (403, 404, 416)), ("sips", f"sips:v@{there}", "", (403,)),
                ("an escaped host", f"sip:v@%31{there[1:]}", "", (400, 403)),
                ("our domain with a dot", f"sip:v@{DOMAIN}.", "", (404,)),
                ("our domain as user", f"sip:{DOMAIN}@{there}", "", (403,)),
                ("our domain before @", f"sip:bob@{DOMAIN}@{there}", "", (400,)),
                ("Path", f"sip:bob@{DOMAIN}", f"Path: <sip:{there};lr>\r\n", (480,)),
                ("Record-Route", f"sip:bob@{DOMAIN}", f"Record-Route: <sip:{there};lr>\r\n", (480,)),
                ("Contact", f"sip:bob@{DOMAIN}", f"Contact: <sip:v@{there}>\r\n", (480,))):
            for method in ("INVITE", "MESSAGE", "OPTIONS"):
                data = request(method, uri, extra=extra, to=f"<sip:x@{DOMAIN}>")
                reply = expect(client.ask(data), codes, f"{method}, {what}")
                if reply.code == 403:
                    recorded(server, reply.get("call-id"), "relay-refused", f"{method}, {what}")
        got = victim.receive(QUIET_S)
        require(got is None, f"this was relayed: {got!r}")


def talk(server, caller, bob, extra=""):
    """A stranger calls bob, who answers. Returns the INVITE as bob got it, and the 200 as the caller got it."""
    caller.send(request("INVITE", aor("bob"), call_id=mark(),
                        extra=f"Contact: <sip:caller@{caller.address}:{caller.port}>\r\n{extra}"))
    came = await_request(bob, "INVITE")
    bob.send(respond(came, 200, extra=f"Contact: <sip:bob@{bob.address}:{bob.port}>\r\n"))
    answer = await_code(caller, 200)
    caller.send(in_dialog(answer, "ACK", f"sip:bob@{bob.address}:{bob.port}"))
    await_request(bob, "ACK")
    return came, answer


def in_dialog(answer, method, uri, number=1, swap=False, **fields):
    """A request of the caller in the dialog of this answer; with `swap` as the called one would send it."""
    one, other = answer.get("from"), answer.get("to")
    routes = [value for value in re.split(r",\s*(?=<)", ", ".join(answer.all("record-route"))) if value]
    if not swap:
        routes.reverse()
    fields.setdefault("extra", "".join(f"Route: {route}\r\n" for route in routes))
    return request(method, uri, from_=other if swap else one, to=one if swap else other,
                   call_id=answer.get("call-id"), cseq=f"{number} {method}", **fields)


@attack("a stranger's call with one of us opens no way to anybody else")
def relay_in_dialog(server):
    """The mark in our Record-Route makes requests of this dialog in-dialog; not those to other places, from
    either of its sides."""
    with Datagrams(server.port) as bob, Datagrams(server.port) as caller, Datagrams(server.port) as victim:
        log_in(bob, "bob")
        came, answer = talk(server, caller, bob)
        there = f"sip:+1900@{victim.address}:{victim.port}"
        asked = Reply(b"SIP/2.0 200 OK\r\n" + came.split(b"\r\n", 1)[1].split(b"\r\n\r\n")[0] + b"\r\nX: y\r\n\r\n")
        for method in ("INVITE", "MESSAGE", "BYE", "REFER", "OPTIONS"):
            reply = expect(caller.ask(in_dialog(answer, method, there, 2)), 403, f"{method} as the caller")
            recorded(server, reply.get("call-id"), "in-dialog-elsewhere", f"{method} as the caller")
            expect(caller.ask(in_dialog(answer, method, there, 3, swap=True)), (403, 407), f"{method} as bob")
            expect(caller.ask(in_dialog(answer, method, f"sip:bob@{bob.address}:{bob.port};maddr={victim.address}", 4)),
                   403, f"{method} with maddr")
            routes = "".join(f"Route: {value}\r\n" for value in answer.all("record-route"))
            more = routes + f"Route: <sip:{victim.address}:{victim.port};lr>\r\n"
            expect(caller.ask(in_dialog(answer, method, f"sip:bob@{bob.address}:{bob.port}", 5, extra=more)),
                   403, f"{method} with one more Route")
        got = victim.receive(QUIET_S)
        require(got is None, f"this was relayed: {got!r}")
        # The dialog itself works on, from both sides.
        bob.send(in_dialog(answer_of(asked, answer), "INFO", f"sip:caller@{caller.address}:{caller.port}", 1, swap=True))
        caller.send(respond(await_request(caller, "INFO"), 200))
        await_code(bob, 200)
        caller.send(in_dialog(answer, "BYE", f"sip:bob@{bob.address}:{bob.port}", 9))
        bob.send(respond(await_request(bob, "BYE"), 200))
        await_code(caller, 200)


def answer_of(asked, answer):
    """The dialog as the called one knows it: the route set of the INVITE, and the tag he gave."""
    data = answer.data
    head = [line for line in data.split(b"\r\n\r\n")[0].split(b"\r\n") if not line.lower().startswith(b"record-route")]
    head += [f"Record-Route: {value}".encode() for value in asked.all("record-route")]
    return Reply(b"\r\n".join(head) + b"\r\n\r\n")


@attack("marks of other dialogs, other tags and nobody")
def forged_marks(server):
    with Datagrams(server.port) as bob, Datagrams(server.port) as caller:
        log_in(bob, "bob")
        _, answer = talk(server, caller, bob)
        target = f"sip:bob@{bob.address}:{bob.port}"
        route = answer.get("record-route")
        good = re.search(r"stw=([0-9a-f]+)", route)[1]
        for what, changed in (("a digit", good[:15] + ("0" if good[15] != "0" else "1") + good[16:]),
                              ("nothing", ""), ("half", good[:8]), ("zeros", "0" * len(good))):
            data = in_dialog(answer, "BYE", target, 2, extra=f"Route: {route.replace(good, changed)}\r\n")
            expect(caller.ask(data), (400, 403), what)
        for what, data in (("another Call-ID", in_dialog(answer, "BYE", target, 2).replace(answer.get("call-id"), mark())),
                           ("another From tag", re.sub(r"(?m)^From: [^\r]*", f"From: <sip:a@b.invalid>;tag={mark()}",
                                                       in_dialog(answer, "BYE", target, 2))),
                           ("no To tag", re.sub(r"(?m)^(To: <[^>]*>)[^\r]*", r"\1", in_dialog(answer, "BYE", target, 2)))):
            expect(caller.ask(data), 403, what)
        require(bob.receive(QUIET_S) is None, "a forged request reaches the phone")


# ---- class 23: header fields in URIs ---------------------------------------------------


@attack("header fields in URIs make no header field", OPEN)
def uri_headers(server):
    headers = "Route=%3Csip:victim%40127.0.0.66%3E&Replaces=1&Call-ID=%0d%0aX:y&body=%0d%0a%0d%0aINVITE"
    with Datagrams(server.port) as bob, Datagrams(server.port) as client:
        for method in ("INVITE", "OPTIONS", "REGISTER"):
            expect(client.ask(request(method, f"sip:bob@{DOMAIN}?{headers}", to=f"<{aor('bob')}>")), 400, method)
        contact = f"<sip:bob@{bob.address}:{bob.port}?{headers}>"
        expect(bob.ask(register("bob", contact=contact)), 200, "a Contact with headers")
        client.send(request("INVITE", aor("bob")))
        came = await_request(bob, "INVITE")
        start, fields = lines_of(came)
        require("?" not in start, f"headers in the Request-URI: {start}")
        require("victim" not in field(came, "route") and not field(came, "replaces"), f"{came!r}")
        bob.send(respond(came, 302, extra=f"Contact: <sip:x@127.0.0.66?{headers}>\r\n"))
        expect(client.final(), 302, "the redirection goes to the caller")
        for name in ("Refer-To", "Referred-By", "Reply-To"):
            line = f"{name}: <sip:a@b.invalid?{headers}>,<sip:c@d.invalid>;x=%0d%0a\r\n"
            client.send(request("MESSAGE", aor("bob"), extra=line))
            came = await_request(bob, "MESSAGE")
            require(line.encode() in came, f"{name} was changed: {came!r}")
            bob.send(respond(came, 200))
            expect(client.final(), 200, name)


# ---- class 31: races, late replies, forged responses -----------------------------------


@attack("ACK and responses out of the blue")
def out_of_the_blue(server):
    with Datagrams(server.port) as client:
        bob = f"sip:bob@{DOMAIN}"
        nothing(client, request("ACK", bob), "an ACK")
        nothing(client, request("ACK", bob, to=f"<{bob}>;tag=1"), "an ACK of a dialog")
        nothing(client, request("ACK", "nonsense"), "a malformed ACK")
        nothing(client, request("ACK", bob, version="SIP/3.0"), "an ACK of another version")
        for code in ("100 Trying", "180 Ringing", "200 OK", "486 Busy Here", "999 Odd"):
            ours, theirs = f"127.0.0.1:{server.port};branch=z9hG4bK", f"{client.address}:{client.port}"
            for via in (ours + mark(), f"{theirs};branch=z9hG4bK1", f"{ours}1, SIP/2.0/UDP {theirs}"):
                response = request(via="SIP/2.0/UDP " + via).split("\r\n", 1)[1]
                client.send(f"SIP/2.0 {code}\r\n{response}")
        got = client.receive(QUIET_S)
        require(got is None, f"responses out of the blue are answered: {got!r}")


def cancel_tells(bench):
    """A CANCEL cannot be challenged (§22.1): what it is told must not depend on whom it names (§9.2)."""
    server = bench.server(users=("bob", "carol"), options="call: {from_anyone: false}\n" + LIMITS)
    with Datagrams(server.port) as bob, Datagrams(server.port) as stranger:
        log_in(bob, "bob")
        for user in ("bob", "carol", "no-one"):
            for sender in (ELSEWHERE, aor("carol")):
                expect(stranger.ask(request("CANCEL", aor(user), from_=f"<{sender}>;tag=1")), 481, f"{user} by {sender}")
        require(bob.receive(QUIET_S) is None, "the CANCEL reaches the phone")


TESTS.append(("CANCEL of nothing tells nobody who is there", cancel_tells))


@attack("CANCEL that is not the caller's")
def foreign_cancel(server):
    with Datagrams(server.port) as bob, Datagrams(server.port) as caller, Datagrams(server.port) as stranger:
        log_in(bob, "bob")
        data = request("INVITE", aor("bob"))
        caller.send(data)
        came = await_request(bob, "INVITE")
        bob.send(respond(came, 180))
        await_code(caller, 180)
        cancel = data.replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL")
        branch = re.search(r"branch=(z9hG4bK\w+)", data)[1]
        for what, sender, forged in (
                ("another branch", caller, cancel.replace(branch, "z9hG4bK" + mark())),
                ("another sent-by", stranger, cancel.replace("UDP 127.0.0.1;", f"UDP {stranger.address};")),
                ("no branch", stranger, cancel.replace(f";branch={branch}", "")),
                ("the branch that the phone sees", stranger,
                 re.sub(r"(?m)^Via: [^\r]*", "Via: " + field(came, "via"), cancel))):
            sender.send(forged)
            got = bob.receive(0.1)
            require(got is None, f"{what}: it reaches the phone: {got!r}")
            if sender is caller:
                await_code(caller, 481)
        expect(caller.ask(cancel), 200, "the true CANCEL")
        await_request(bob, "CANCEL")
        bob.send(respond(came, 487))
        expect(caller.final(), 487, "INVITE")


@attack("200 after 487, 486 after 200, and other late answers")
def late_answers(server):
    with Datagrams(server.port) as bob, Datagrams(server.port) as caller:
        log_in(bob, "bob")
        contact = f"Contact: <sip:bob@{bob.address}:{bob.port}>\r\n"
        for first, then, passes in ((487, 200, False), (486, 180, False), (486, 486, False), (200, 486, False),
                                    (200, 180, False), (603, 200, False), (200, 200, True)):
            caller.send(request("INVITE", aor("bob"), call_id=(call_id := mark())))
            came = await_request(bob, "INVITE")
            bob.send(respond(came, first, extra=contact))
            before = await_code(caller, first)
            if first >= 300:
                await_request(bob, "ACK")
            bob.send(respond(came, then, extra=contact))
            # §16.7 step 5, RFC 6026 §7.2: behind a 2xx its repetition passes; nothing passes behind another.
            got, end = None, time.monotonic() + 0.2
            while not got and (left := end - time.monotonic()) > 0:
                got = caller.receive(left)
                # Of other calls, or repeated because no ACK has come: not what is meant.
                if got and (call_id.encode() not in got or first >= 300 and got == before.data):
                    got = None
            seen = bool(got) and got.startswith(b"SIP/2.0 %d" % then)
            require(seen == passes, f"{then} after {first}: {got!r}")


@attack("responses of somebody who is not asked")
def forged_responses(server):
    """Who knows neither branch nor address of the phone cannot answer for it; who has seen the INVITE (a phone
    of the same fork) can answer for himself alone."""
    with Datagrams(server.port) as bob, Datagrams(server.port) as caller, Datagrams(server.port) as stranger:
        log_in(bob, "bob")
        caller.send(request("INVITE", aor("bob")))
        came = await_request(bob, "INVITE")
        await_code(caller, 100)
        good = respond(came, 200, tag="stranger", extra=f"Contact: <sip:thief@{stranger.address}>\r\n")
        branch = re.search(r"branch=(z9hG4bK[^;\r]+)", good)[1]
        for what, forged in (("another branch", good.replace(branch, "z9hG4bK" + mark(), 1)),
                             ("the branch but its end", good.replace(branch, branch[:-1], 1)),
                             ("another method", good.replace("1 INVITE", "1 CANCEL")),
                             ("another sent-by", good.replace(f"UDP 127.0.0.1:{server.port};", f"UDP 127.0.0.1:{server.port + 1};", 1)),
                             ("one Via alone", re.sub(r"(?m)^via: SIP/2.0/UDP 127.0.0.1;.*\r\n", "", good)),
                             ("no Via", re.sub(r"(?m)^via:.*\r\n", "", good))):
            stranger.send(forged)
            got = caller.receive(0.1)
            require(got is None, f"{what}: {got!r}")
        bob.send(respond(came, 486))
        expect(caller.final(), 486, "the true answer")


@attack("BYE of a third party who guesses tags")
def foreign_bye(server):
    """Without our mark it is a new request to a place that is not ours; with the AOR it reaches the phone,
    which knows its tags (RFC 3261 §12.2.2)."""
    with Datagrams(server.port) as bob, Datagrams(server.port) as caller, Datagrams(server.port) as stranger:
        log_in(bob, "bob")
        _, answer = talk(server, caller, bob)
        for extra in ("", f"Route: <sip:127.0.0.1:{server.port};lr>\r\n"):
            forged = in_dialog(answer, "BYE", f"sip:bob@{bob.address}:{bob.port}", 2, extra=extra)
            forged = forged.replace("tag=phone", "tag=guess")
            expect(stranger.ask(forged), 403, f"BYE with {extra or 'no Route'}")
        require(bob.receive(QUIET_S) is None, "the forged BYE reaches the phone")


# ---- class 12: amplification by forking (RFC 5393 §3) ----------------------------------

PLAIN = "auth: {required: false}\nregistration: {use_source: never}\ndecisions: {keep_calls: 1000}\n"


def bind(server, user, contacts):
    with Datagrams(server.port) as client:
        reply = client.ask(register(user, contact=", ".join(f"<{contact}>" for contact in contacts)))
    return reply.code


def forwarded(servers):
    """Requests that the servers have sent: each INVITE has an ACK, since each ends with 482."""
    return sum(status(server)["requests_out"] for server in servers) // 2


def amplification(bench):
    """Two servers with two users each, all bound to both of the other: 14 requests and not 2^71."""
    servers = [bench.server(users=("alice", "bob"), options=PLAIN) for _ in range(2)]
    for one, other in (servers, servers[::-1]):
        for user in ("alice", "bob"):
            code = bind(one, user, [f"sip:{name}@127.0.0.1:{other.port}" for name in ("alice", "bob")])
            require(code == 200, f"the bindings: {code}")
    with Datagrams(servers[0].port) as client:
        # By the address that the bindings have: the same Request-URI comes back.
        reply = expect(client.ask(request("INVITE", f"sip:alice@127.0.0.1:{servers[0].port}"), 10), 482,
                       "2 x 2 users")
    count = forwarded(servers)
    require(count == 14, f"{count} requests are forwarded, RFC 5393 §3 says 14")
    require("loop" in causes(servers[0], reply.get("call-id")), "no loop in the record")


def amplification_one(bench):
    """One user bound to himself twice: refused, or 10 requests."""
    server = bench.server(users=("alice",), options=PLAIN)
    for form in (f"sip:alice@{DOMAIN}", f"sip:alice@127.0.0.1:{server.port}"):
        code = bind(server, "alice", [f"{form};unknown-param={word}" for word in ("whack", "thud")])
        if code == 403:
            continue
        require(code == 200, f"the bindings: {code}")
        with Datagrams(server.port) as client:
            expect(client.ask(request("INVITE", aor("alice")), 10), 482, form)
        count = forwarded([server])
        require(count == 10, f"{form}: {count} requests are forwarded, RFC 5393 §3 says 10")


def amplification_many(bench):
    """RFC 5393 §3: N users who are bound to one another make more than N! requests of one (5: 1,630; 8: nearly a
    million). Max-Breadth ends that: 440, and not all branches in turn."""
    count = full(10, 5)
    server = bench.server(users=(), options=PLAIN)
    users = [f"user{number}" for number in range(count)]
    (server.folder / "users").write_text("".join(f"{user}:x\n" for user in users))
    server.command("user", "import", str(server.folder / "users"))
    for user in users:
        code = bind(server, user, [f"sip:{name}@127.0.0.1:{server.port}" for name in users])
        require(code == 200, f"the bindings: {code}")
    with Datagrams(server.port) as client:
        begin = time.monotonic()
        reply = expect(client.ask(request("INVITE", aor(users[0])), 10), (440, 482), f"{count} users")
        taken = time.monotonic() - begin
    total = forwarded([server])
    require(total <= 200, f"{count} users: {total} requests are forwarded in {taken:.1f} s")
    print(f"# {count} users: {total} requests are forwarded, {reply.code}")


TESTS.append(("RFC 5393: many users, each bound to all", amplification_many))
TESTS.append(("RFC 5393: two users of two servers, each bound to both of the other", amplification))
TESTS.append(("RFC 5393: one user, bound to himself with two parameters", amplification_one))

attacks()
