#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Baresip phones and what users have set: forwarding, do-not-disturb, lists of callers; queues, and music for who waits in
one; and whether `strowger why` tells it."""
import sys

sys.dont_write_bytecode = True
from agent import answer, call, hears  # noqa: E402
from interop import DOMAIN, require, run_tests, wait_until  # noqa: E402


QUEUES = """queues:
  - {name: support, agents: [bob, carol], agent_timeout: 2s, wrap_up: 1s, announce: 5s}
"""


def three_phones(bench, *settings, configuration="", **options):
    server = bench.server(("alice", "bob", "carol"), configuration)
    if settings:
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


def established(caller, callee):
    callee.wait("CALL_INCOMING")
    callee.tell("accept")
    caller.wait("CALL_ESTABLISHED")
    callee.wait("CALL_ESTABLISHED")


def answered_by(caller, callee):
    established(caller, callee)
    caller.tell("hangup")
    callee.closed()


def busy(bench):
    server, alice, bob, carol = three_phones(bench, f"forward.busy=sip:carol@{DOMAIN}", calls=1)
    carol.dial("bob")
    established(carol, bob)
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


def queued(bench):
    """The only agent is in a call; alice waits, and gets him when he has hung up and wrapped up."""
    server, alice, bob, carol = three_phones(bench, configuration=QUEUES, calls=1)
    server.command("queue", "login", "support", f"bob@{DOMAIN}")
    carol.dial("bob")
    established(carol, bob)
    alice.dial("support")
    wait_until(lambda: "place 1" in server.command("queue", "show", "support"), "alice waits")
    require("busy" in server.command("queue", "show", "support"), "bob is busy")
    carol.tell("hangup")
    bob.closed()
    answered_by(alice, bob)
    tells(server, "182 Queued; place 1; wait", "queue-waits", "queue-agent-rings", f"bob@{DOMAIN}", "200")
    require("queue-agent-declined" not in server.command("why", "last"), "bob was rung while he talked")


def music(bench):
    """Who waits hears a media server in its 183; it is cancelled when the agent is free, and he is heard."""
    media = answer(bench, "--ring", 60, "--early-media", "--tone", 700, "--count", 1)
    server = bench.server(("alice", "bob", "carol"),
                          f"queues:\n  - {{name: support, media: 'sip:music@127.0.0.1:{media.port}'}}\n")
    bob = answer(bench, "--ring", 0.1, "--count", 2, "--tone", 1000, user="bob", server=server)
    bob.wait("registered")
    server.command("queue", "login", "support", f"bob@{DOMAIN}")
    carol = call(bench, f"sip:bob@{DOMAIN}", "--duration", 4, user="carol", server=server)
    bob.wait("established")
    alice = call(bench, f"sip:support@{DOMAIN}", "--duration", 1, "--record", "heard.wav", user="alice", server=server)
    wait_until(lambda: "place 1" in server.command("queue", "show", "support"), "alice waits")
    carol.ends()
    alice.ends()
    bob.ends()
    hears(alice, "heard.wav", 700)  # most of the time
    codes = {event["code"] for event in alice.events() if event["event"] in ("progress", "accepted")}
    require(codes == {100, 182, 183, 180, 199, 200}, f"alice got {codes}")
    require(media.wait("ended")["code"] == 487, "the music ended otherwise")
    tells(server, "queue-media-plays", "183", "CANCEL", "queue-agent-rings", "200")


def next_agent(bench):
    """Who has had nothing to do for the longest time is rung, and lets it ring; the other one gets the call."""
    server, alice, bob, carol = three_phones(bench, configuration=QUEUES)
    server.command("queue", "login", "support", f"bob@{DOMAIN}")
    server.command("queue", "login", "support", f"carol@{DOMAIN}")
    carol.dial("bob")
    answered_by(carol, bob)
    alice.dial("support")
    first, second = (bob, carol) if rings(bob, carol) is bob else (carol, bob)
    answered_by(alice, second)
    first.closed()
    tells(server, "CANCEL", "queue-agent-declined", "queue-agent-rings", f"{second.user}@{DOMAIN}", "200")


def rings(*phones, seconds=8):
    """The one of them that rings first."""
    found = []

    def look():
        for phone in phones:
            phone.read_events(0.05)
            if any(event["type"] == "CALL_INCOMING" for event in phone.events):
                found.append(phone)
        return found

    wait_until(look, "a phone rings", seconds)
    found[0].wait("CALL_INCOMING")
    return found[0]


def nobody_logged_in(bench):
    server, alice, bob, _ = three_phones(bench, configuration=QUEUES)
    alice.dial("support")
    alice.closed("480")
    require(not bob.events, f"bob's phone rang: {bob.events}")
    tells(server, "480", "queue-nobody-logged-in", "queue login")


run_tests([
    ("forwarded on busy", busy),
    ("forwarded on no answer", no_answer),
    ("do-not-disturb, but for those who are allowed", do_not_disturb),
    ("a list of callers", blocked),
    ("a caller waits until the agent of a queue is free", queued),
    ("who waits in a queue hears a media server", music),
    ("an agent of a queue does not answer: the next one", next_agent),
    ("no agent is logged in", nobody_logged_in),
])
