#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classes 13 to 17 of the attacks: digest leaks, replay, poisoning, downgrade, hijacking of registrations,
enumeration of users."""
import re
import time

from common import (DOMAIN, LIMITS, PASSWORD, SANITIZED, Datagrams, admin, aor, attack, attacks, authorization,
                    await_code, await_request, expect, field, full, log_in, mark, recorded, refused, register,
                    request, require, respond, with_credentials)

REALM_URI = f"sip:{DOMAIN}"


def challenge_of(client, user="alice"):
    return expect(client.ask(register(user)), 401, "no credentials").get("www-authenticate")


# ---- class 13: digest leak -------------------------------------------------------------


@attack("a called phone that challenges learns nothing")
def digest_leak(server):
    """A phone may answer what we forward with a challenge of any realm; it goes to the caller, and we answer
    none. The phone sees the credentials of nobody but what the caller himself put there."""
    with Datagrams(server.port) as bob, Datagrams(server.port) as caller:
        log_in(bob, "bob")
        for code, name in ((401, "WWW-Authenticate"), (407, "Proxy-Authenticate")):
            for realm in ("evil.invalid", DOMAIN):
                line = f'{name}: Digest realm="{realm}", nonce="{mark()}", algorithm=MD5, qop="auth"\r\n'
                data = request("INVITE", aor("bob"))
                caller.send(data)
                came = await_request(bob, "INVITE")
                require(b"uthorization" not in came, f"credentials for nobody: {came!r}")
                bob.send(respond(came, code, extra=line))
                reply = await_code(caller, code)
                require(reply.get(name.lower()) in line, f"another challenge: {reply.data!r}")
                await_request(bob, "ACK")
                again = bob.receive(0.15)
                require(again is None, f"after {code} for {realm}: {again!r}")


# ---- class 14: replay and poisoning ----------------------------------------------------


@attack("replayed nonce count")
def replayed_nonce(server):
    with Datagrams(server.port) as client:
        challenge = expect(client.ask(register("alice")), 401, "no credentials").get("www-authenticate")
        answers = [authorization(challenge, "alice", PASSWORD["alice"], "REGISTER", f"sip:{DOMAIN}", count)
                   for count in (1, 2)]
        expect(client.ask(register("alice", answers[0], 2)), 200, "right credentials")
        reply = expect(client.ask(register("alice", answers[0], 3)), 401, "the same credentials again")
        require("stale=true" in reply.get("www-authenticate").lower(), f"no stale=true: {reply.data!r}")
        expect(client.ask(register("alice", answers[1], 4)), 200, "the next nonce count")
        foreign = answers[1].replace("nc=00000002", "nc=00000003")
        expect(client.ask(register("alice", foreign, 5)), 401, "a nonce count that is not in the response")


@attack("credentials used again: from elsewhere, for another method, for another URI")
def replayed_elsewhere(server):
    with Datagrams(server.port) as client, Datagrams(server.port) as thief:
        challenge = challenge_of(client)
        answer = authorization(challenge, "alice", PASSWORD["alice"], "REGISTER", REALM_URI)
        expect(client.ask(register("alice", answer, 2)), 200, "right credentials")
        for what, sender in (("from another address", thief), ("from the same address", client)):
            refused(server, sender, register("alice", answer, 3, contact="<sip:thief@127.0.0.2:9>"), 401,
                    "nonce-stale", what)
        answer = authorization(challenge, "alice", PASSWORD["alice"], "REGISTER", REALM_URI, 2)
        stolen = answer.replace("Authorization:", "Proxy-Authorization:")
        refused(server, thief, request("INVITE", "sip:+1900@elsewhere.invalid", extra=stolen,
                                       from_=f"<{aor('alice')}>;tag=1"), 407, "proxy-credentials-wrong",
                "REGISTER's answer for an INVITE")
        other = authorization(challenge, "alice", PASSWORD["alice"], "REGISTER", "sip:elsewhere.invalid", 3)
        expect(thief.ask(register("alice", other, 4)), (400, 401), "an answer for the URI of another server")
        # An INVITE's answer is worth nothing for another target, nor for another method.
        make = lambda extra, number: request("INVITE", aor("bob"), extra=extra, cseq=f"{number} INVITE",
                                             from_=f"<{aor('alice')}>;tag=1")
        challenge = expect(client.ask(make("", 1)), 407, "INVITE").get("proxy-authenticate")
        answer = authorization(challenge, "alice", PASSWORD["alice"], "INVITE", aor("bob"),
                               name="Proxy-Authorization")
        for method in ("MESSAGE", "SUBSCRIBE", "BYE"):
            expect(thief.ask(request(method, aor("bob"), extra=answer, from_=f"<{aor('alice')}>;tag=1")), 407,
                   f"an INVITE's answer for {method}")
        expect(thief.ask(request("INVITE", "sip:+1900@elsewhere.invalid", extra=answer,
                                 from_=f"<{aor('alice')}>;tag=1")), (400, 407), "an answer for another target")
        expect(client.ask(make(answer, 2)), 480, "the true one, after all that")


@attack("a wrong password with somebody's nonce does not spoil it")
def poisoned(server):
    with Datagrams(server.port) as victim, Datagrams(server.port) as thief:
        challenge = challenge_of(victim)
        for count in (1, 2, 3, 0xffffffff):
            wrong = authorization(challenge, "alice", "guess", "REGISTER", REALM_URI, count)
            refused(server, thief, register("alice", wrong, 2), 401, "credentials-wrong", f"nc={count:x}")
        for count in (1, 2):
            right = authorization(challenge, "alice", PASSWORD["alice"], "REGISTER", REALM_URI, count)
            expect(victim.ask(register("alice", right, 2 + count)), 200, f"the owner, nc={count}")
        # A nonce nobody gave out, and one of another realm.
        for nonce in ("0" * 32, "", "a" * 200, challenge_of(victim).split('nonce="')[1][:10]):
            forged = re.sub('nonce="[^"]*"', f'nonce="{nonce}"', challenge)
            answer = authorization(forged, "alice", PASSWORD["alice"], "REGISTER", REALM_URI)
            expect(thief.ask(register("alice", answer, 9)), 401, f"the nonce {nonce!r}")


@attack("many nonces, each used once", users=("alice",), rounds=2)
def nonce_table(server):
    """The table of nonce counts is bounded, and full it forgets nothing that makes a replay good."""
    with Datagrams(server.port) as client:
        first = authorization(challenge_of(client), "alice", PASSWORD["alice"], "REGISTER", REALM_URI)
        expect(client.ask(register("alice", first, 1)), 200, "the first")
        for number in range(full(20000, 300)):
            answer = authorization(challenge_of(client), "alice", PASSWORD["alice"], "REGISTER", REALM_URI)
            expect(client.ask(register("alice", answer, number + 2)), 200, f"nonce {number}")
        expect(client.ask(register("alice", first, 30000)), 401, "the first again")


# ---- class 15: downgrade ---------------------------------------------------------------


@attack("MD5 where SHA-256 is demanded", "auth: {algorithms: [SHA-256]}\n" + LIMITS)
def downgrade(server):
    with Datagrams(server.port) as client:
        challenge = challenge_of(client)
        require("algorithm=SHA-256" in challenge and "MD5" not in challenge, challenge)
        answer = authorization(challenge, "alice", PASSWORD["alice"], "REGISTER", REALM_URI)
        refused(server, client, register("alice", answer, 2), 401, "algorithm-not-offered", "algorithm=MD5")
        for other in ("", "algorithm=MD5-sess, ", "algorithm=md5, ", "algorithm=SHA-1, ", "algorithm=none, "):
            changed = answer.replace("algorithm=MD5, ", other)
            expect(client.ask(register("alice", changed, 3)), 401, f"{other or 'no algorithm'}")
        for changed in (answer.replace("qop=auth, ", ""), answer.replace("qop=auth", "qop=auth-int"),
                        answer.replace("algorithm=MD5", "algorithm=SHA-256")):
            expect(client.ask(register("alice", changed, 4)), 401, changed)


# ---- class 16: hijacking ---------------------------------------------------------------


def as_user(client, user, to, uri=REALM_URI, contact="<sip:thief@127.0.0.66:9>"):
    """A REGISTER of `to` with the credentials of `user`."""
    def make(extra, number):
        return register(user, extra, number, contact=contact, to=to, uri=uri)
    first = client.ask(make("", 1))
    if first and first.code == 400:
        return first
    return with_credentials(client, make, user, "REGISTER", uri)


def bindings(server, user):
    code, answer = admin(server, "/v1/bindings/" + aor(user).replace(":", "%3A"))
    return str(answer)


@attack("registrations of somebody else")
def hijack(server):
    """Alice's credentials bind alice's address and no other, however the other one is spelt."""
    us = f"127.0.0.1:{server.port}"
    with Datagrams(server.port) as client, Datagrams(server.port) as bob:
        log_in(bob, "bob")
        before = bindings(server, "bob")
        require(bob.address in before, f"bob is not bound: {before}")
        for to, code in ((f"<{aor('bob')}>", 403), ("<sip:%62ob@strowger.test>", 403),
                         ("<sip:bo%62@STROWGER.TEST>", 403), (f"<sip:bob@{us}>", 403),
                         ("<sips:bob@strowger.test>", (400, 403)), ("<sip:bob:secret@strowger.test>", 403),
                         ("<sip:bob@strowger.test:5060>", 403), ("<sip:bob@strowger.test;user=phone>", 403),
                         ("<sip:bob@strowger.test;maddr=127.0.0.1>", 403),
                         ('"alice" <sip:bob@strowger.test>', 403), ("sip:bob@strowger.test", 403),
                         ("<sip:BOB@strowger.test>", 404), ("<sip:bob@strowger.test.>", 403),
                         ("<sip:bob%00@strowger.test>", 404), ("<sip:bob%40strowger.test@strowger.test>", 404),
                         ("<sip:bob%20@strowger.test>", 404), ("<sip:strowger.test>", 404),
                         ("<tel:+15551234>", 400), ("<tel:bob>", 400), ("<mailto:bob@strowger.test>", 400),
                         ("<sip:bob@elsewhere.invalid>", 404), ("<sip:@strowger.test>", 400),
                         ("<sip:alice,bob@strowger.test>", 404), ("<sip:alice;bob@strowger.test>", 404),
                         ("<sip:alice@strowger.test>, <sip:bob@strowger.test>", 400),
                         ("<sip:bob@strowger.test?To=sip:alice@strowger.test>", (400, 403))):
            expect(as_user(client, "alice", to), code, to)
            require(bindings(server, "bob") == before, f"{to} has changed bob's bindings")
        for name, value in (("wildcard", "*"), ("nothing", "")):
            reply = with_credentials(
                client, lambda extra, number: register("alice", extra + "Expires: 0\r\n", number,
                                                       contact=value, to=f"<{aor('bob')}>"),
                "alice", "REGISTER", REALM_URI)
            expect(reply, 403, f"{name} for bob")
            require("127." not in ",".join(reply.all("contact")), f"{name}: bob's bindings are shown")
        for to in ("<sip:%61lice@strowger.test>", "<sip:alice@StrowGer.Test>", f"<sip:alice@{us}>"):
            reply = expect(as_user(client, "alice", to, contact="<sip:own@127.0.0.66:9>"), 200, to)
            require("sip:own@127.0.0.66:9" in reply.get("contact"), f"{to}: {reply.data!r}")
        require(bindings(server, "bob") == before, "bob's bindings have changed")


@attack("credentials of other people, realms and places")
def confused_credentials(server):
    with Datagrams(server.port) as client:
        challenge = challenge_of(client)
        right = authorization(challenge, "alice", PASSWORD["alice"], "REGISTER", REALM_URI)
        for what, changed in (("the username bob", right.replace('"alice"', '"bob"')),
                              ("two usernames", right.replace("Digest ", 'Digest username="bob", ')),
                              ("another realm", right.replace(f'realm="{DOMAIN}"', 'realm="elsewhere.invalid"')),
                              ("alice@elsewhere", right.replace('"alice"', '"alice@elsewhere.invalid"')),
                              ("no username", right.replace('username="alice", ', "")),
                              ("an empty username", right.replace('"alice"', '""')),
                              ("an empty response", re.sub('response="[^"]*"', 'response=""', right)),
                              ("Basic", "Authorization: Basic YWxpY2U6d29uZGVybGFuZA==\r\n"),
                              ("Proxy-Authorization", "Proxy-" + right)):
            expect(client.ask(register("alice", changed, 2)), (400, 401), what)
            expect(client.ask(register("bob", changed, 2)), (400, 401), f"{what}, To bob")
        expect(client.ask(register("bob", right, 3)), (401, 403), "To bob")


# ---- class 17: enumeration -------------------------------------------------------------


def shape(reply, user):
    """What is the same for everybody."""
    text = re.sub(r'nonce="[^"]*"|tag=\w+|branch=\w+|Call-ID: \w+', "*", reply.data.decode())
    return text.replace(user, "USER")


@attack("who exists cannot be guessed")
def no_enumeration(server):
    """Who exists is not to be learned by guessing: the answers differ in the nonce alone."""
    def answers(user):
        challenge = expect(client.ask(register(user)), 401, user)
        wrong = authorization(challenge.get("www-authenticate"), user, "guess", "REGISTER", f"sip:{DOMAIN}")
        return [shape(challenge, user), shape(expect(client.ask(register(user, wrong, 2)), 401, user), user)]

    with Datagrams(server.port) as client:
        known, unknown = answers("alice"), answers("nobody")
        require(known == unknown, f"{known}\n{unknown}")


@attack("who exists cannot be learned by calling as one of us")
def no_enumeration_by_from(server):
    """407 comes for each From of ours, also of nobody, and before the called user is looked for."""
    with Datagrams(server.port) as client:
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE", "BYE"):
            shapes = {shape(expect(client.ask(request(method, aor(called), from_=f"<{aor(caller)}>;tag=1")), 407,
                                   f"{caller} calls {called}"), caller).replace(called, "CALLED")
                      for caller in ("alice", "nobody") for called in ("bob", "no-one")}
            require(len(shapes) == 1, "\n".join(shapes))


@attack("who exists cannot be learned by strangers who may not call", "call: {from_anyone: false}\n" + LIMITS)
def no_enumeration_by_strangers(server):
    """Where strangers may call, 404 and 480 differ, as RFC 3261 §16.5 and §21.4.18 say; elsewhere nothing does."""
    with Datagrams(server.port) as client:
        for method in ("INVITE", "OPTIONS", "MESSAGE"):
            shapes = {shape(expect(client.ask(request(method, aor(called))), 403, called), called)
                      for called in ("bob", "no-one")}
            require(len(shapes) == 1, "\n".join(shapes))


@attack("the time of an answer does not tell who exists")
def no_timing(server):
    """Medians of answers to wrong passwords of a user and of nobody, asked in turns. What a sanitizer adds is
    no measure."""
    tries, allowed = full(2000, 400), 0.5 if SANITIZED else 0.05
    with Datagrams(server.port) as client:
        challenges = {user: challenge_of(client, user) for user in ("alice", "nobod")}

        def measure(number):
            taken = {user: [] for user in challenges}
            for turn in range(tries):
                for user, challenge in challenges.items():
                    wrong = authorization(challenge, user, "guess", "REGISTER", REALM_URI, turn + 1)
                    data = register(user, wrong, number + turn)
                    begin = time.perf_counter()
                    expect(client.ask(data), 401, user)
                    taken[user].append(time.perf_counter() - begin)
            known, unknown = (sorted(times)[tries // 2] for times in taken.values())
            return abs(known - unknown) / known

        ratios = []
        while len(ratios) < 5 and min(ratios, default=1) > allowed:
            ratios.append(measure(len(ratios) * tries))
        require(min(ratios) <= allowed, f"known and unknown differ by {[round(r, 3) for r in ratios]}")


@attack("2,000 INVITEs without credentials")
def unauthenticated_calls(server):
    alice = f"<sip:alice@{DOMAIN}>;tag="
    with Datagrams(server.port) as client:
        for _ in range(40):
            for _ in range(50):
                client.send(request("INVITE", f"sip:bob@{DOMAIN}", from_=alice + mark()))
            for _ in range(50):
                expect(client.final(), 407, "an INVITE without credentials")


attacks()
