#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two and three baresip phones and the real server: what people do with telephones."""
import sys
import time

sys.dont_write_bytecode = True
from interop import DOMAIN, run_tests  # noqa: E402

RINGING = ("CALL_RINGING", "CALL_PROGRESS")


def two_phones(bench, transport, server=None, **options):
    server = server or bench.server()
    alice = bench.phone("alice", server, transport)
    bob = bench.phone("bob", server, transport, **options)
    alice.registered()
    bob.registered()
    return alice, bob


def ring(caller, callee, user):
    caller.dial(user)
    callee.wait("CALL_INCOMING")
    caller.wait(*RINGING)


def talk(caller, callee, user):
    ring(caller, callee, user)
    callee.tell("accept")
    caller.wait("CALL_ESTABLISHED")
    callee.wait("CALL_ESTABLISHED")


def call_and_hang_up(caller, callee, user):
    talk(caller, callee, user)
    time.sleep(0.1)
    caller.tell("hangup")
    callee.closed()


def call(bench, transport):
    alice, bob = two_phones(bench, transport)
    call_and_hang_up(alice, bob, "bob")
    alice.closed()
    call_and_hang_up(bob, alice, "alice")


def callee_hangs_up(bench, transport):
    alice, bob = two_phones(bench, transport)
    talk(alice, bob, "bob")
    bob.tell("hangup")
    alice.closed()


def busy(bench, transport):
    server = bench.server(("alice", "bob", "carol"))
    alice, bob = two_phones(bench, transport, server, calls=1)
    carol = bench.phone("carol", server, transport)
    carol.registered()
    talk(alice, bob, "bob")
    carol.dial("bob")
    carol.closed("486")


def decline(bench, transport):
    alice, bob = two_phones(bench, transport)
    ring(alice, bob, "bob")
    bob.tell("hangup")
    alice.closed("486")


def cancel(bench, transport):
    alice, bob = two_phones(bench, transport)
    ring(alice, bob, "bob")
    alice.tell("hangup")
    bob.closed()
    call_and_hang_up(bob, alice, "alice")


def no_answer(bench, transport):
    server = bench.server(options="call: {ring_timeout: 2s}\n")
    alice, bob = two_phones(bench, transport, server)
    ring(alice, bob, "bob")
    alice.closed("408")
    bob.closed()


def unregistered(bench, transport):
    alice = bench.phone("alice", bench.server(), transport)
    alice.registered()
    alice.dial("bob")
    alice.closed("480")


def unknown_user(bench, transport):
    alice = bench.phone("alice", bench.server(), transport)
    alice.registered()
    alice.dial("nobody")
    alice.closed("404")


def wrong_password(bench, transport):
    server = bench.server()
    alice = bench.phone("alice", server, transport, password="guess")
    alice.registered("40[13]")
    assert "alice" not in server.command("binding", "list")


def one_of_two_answers(bench, transport):
    server = bench.server()
    alice, desk = two_phones(bench, transport, server)
    mobile = bench.phone("bob", server, transport)
    mobile.registered()
    ring(alice, desk, "bob")
    mobile.wait("CALL_INCOMING")
    mobile.tell("accept")
    alice.wait("CALL_ESTABLISHED")
    mobile.wait("CALL_ESTABLISHED")
    desk.closed()
    alice.tell("hangup")
    mobile.closed()


def survives_a_crash(bench, transport):
    server = bench.server()
    alice, bob = two_phones(bench, transport, server)
    call_and_hang_up(alice, bob, "bob")
    server.kill()
    server.start()
    bindings = server.command("binding", "list")
    assert f"alice@{DOMAIN}" in bindings and f"bob@{DOMAIN}" in bindings, bindings
    alice.events.clear()
    call_and_hang_up(alice, bob, "bob")
    call_and_hang_up(bob, alice, "alice")


def talks_through_a_crash(bench, transport):
    """A call in progress ends properly although the server forgot that it exists."""
    server = bench.server()
    alice, bob = two_phones(bench, transport, server)
    talk(alice, bob, "bob")
    server.kill()
    server.start()
    alice.tell("hangup")
    bob.closed()


TESTS = [
    ("register, call, answer, hang up", call),
    ("the callee hangs up", callee_hangs_up),
    ("a callee who is busy: 486", busy),
    ("a callee who declines", decline),
    ("the caller gives up: CANCEL", cancel),
    ("nobody answers: 408", no_answer),
    ("a callee without a phone: 480", unregistered),
    ("an unknown user: 404", unknown_user),
    ("a wrong password", wrong_password),
    ("two phones of one user: one answers, the other is cancelled", one_of_two_answers),
    ("kill -9 between two calls: still registered", survives_a_crash),
]
# Over TCP baresip's Contact in a dialog is the connection itself: once that is gone, nobody can reach it there.
UDP_TESTS = [("kill -9 during a call: the BYE arrives", talks_through_a_crash)]

run_tests([(f"{transport}: {name}", lambda bench, function=function, transport=transport:
            function(bench, transport))
           for transport, tests in (("udp", TESTS + UDP_TESTS), ("tcp", TESTS)) for name, function in tests])
