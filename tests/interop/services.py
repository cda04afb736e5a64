#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Baresip phones and what users have set: forwarding, do-not-disturb, lists of callers; and whether `strowger why` tells it."""
import sys

sys.dont_write_bytecode = True
from interop import DOMAIN, require, run_tests, wait_until  # noqa: E402


def three_phones(bench, *settings, **options):
    server = bench.server(("alice", "bob", "carol"))
    server.command("user", "set", f"bob@{DOMAIN}", *settings)
    phones = [bench.phone(user, server, **(options if user == "bob" else {})) for user in ("alice", "bob", "carol")]
    for phone in phones:
        phone.registered()
    return server, *phones


def tells(server, *words):
    """The record is kept when the call has ended, a moment after the phone knows."""
    def told():
        story = server.command("why", "last")
        return all(word in story for word in words)

    try:
        wait_until(told, f"why tells of {words}")
    except Exception:
        print("\n".join("# " + line for line in server.command("why", "last").splitlines()))
        raise


def answered_by(caller, callee):
    callee.wait("CALL_INCOMING")
    callee.tell("accept")
    caller.wait("CALL_ESTABLISHED")
    callee.wait("CALL_ESTABLISHED")
    caller.tell("hangup")
    callee.closed()


def busy(bench):
    server, alice, bob, carol = three_phones(bench, f"forward.busy=sip:carol@{DOMAIN}", calls=1)
    carol.dial("bob")
    bob.wait("CALL_INCOMING")
    bob.tell("accept")
    carol.wait("CALL_ESTABLISHED")
    alice.dial("bob")
    answered_by(alice, carol)
    tells(server, "486", "181", "forwarded-busy", "carol")


def no_answer(bench):
    server, alice, bob, carol = three_phones(bench, f"forward.no_answer=sip:carol@{DOMAIN}", "forward.no_answer_after=2s")
    alice.dial("bob")
    bob.wait("CALL_INCOMING")
    answered_by(alice, carol)
    bob.closed()
    tells(server, "CANCEL", "181", "forwarded-no-answer", "carol")


def do_not_disturb(bench):
    server, alice, bob, _ = three_phones(bench, "dnd=on")
    alice.dial("bob")
    alice.closed("480")
    tells(server, "480", "do-not-disturb")
    require(not bob.events, f"bob's phone rang: {bob.events}")
    server.command("user", "set", f"bob@{DOMAIN}", f"allow=alice@{DOMAIN}")
    alice.dial("bob")
    answered_by(alice, bob)


def blocked(bench):
    server, alice, bob, carol = three_phones(bench, f"block=alice@{DOMAIN}")
    alice.dial("bob")
    alice.closed("403")
    tells(server, "403", "caller-blocked", f"alice@{DOMAIN}")
    server.command("user", "set", f"bob@{DOMAIN}", "block_code=607")
    alice.dial("bob")
    alice.closed("607")
    tells(server, "607", "caller-unwanted")
    carol.dial("bob")
    answered_by(carol, bob)


run_tests([
    ("forwarded on busy", busy),
    ("forwarded on no answer", no_answer),
    ("do-not-disturb, but for those who are allowed", do_not_disturb),
    ("a list of callers", blocked),
])
