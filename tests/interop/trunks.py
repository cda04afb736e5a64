#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server that is a customer of another one, with baresip phones on both sides, or of SIPp, which checks its Digest; codes on
the phone."""
import sys
import types

sys.dont_write_bytecode = True
from interop import DOMAIN, free_port, require, run_tests, tail, wait_until  # noqa: E402
from sipp import Sipp  # noqa: E402

OFFICE = """auth: {{required: false, insecure_listen: true}}
trunks:
  - name: provider
    uri: "sip:127.0.0.1:{port}"
    user: {user}
    {password}
    realm: {realm}
    register: {register}
    aor: "sip:alice@{domain}"
dialplan:
  - {{match: "0.", strip: 1, prepend: "+49", to: trunk provider}}
feature_codes:
  - {{code: "*78#", set: "dnd=on"}}
"""


def customer(bench, password='password: "wonderland"'):
    """Office and provider. Both serve the same domain, so the office knows its callers by their word."""
    provider = bench.server(("alice", "bob"))
    provider.command("user", "set", f"bob@{DOMAIN}", "number=+49123")
    return provider, office_of(bench, provider.port, password)


def office_of(bench, port, password, user="alice", realm=DOMAIN, register="true"):
    return bench.server(("alice",), OFFICE.format(port=port, domain=DOMAIN, password=password, user=user, realm=realm,
                                                  register=register))


def registered(office):
    wait_until(lambda: "provider: registered for" in office.command("status"), "the office is registered")


def calls_out_and_in(bench):
    provider, office = customer(bench)
    registered(office)
    require("sip:t" in provider.command("binding", "list"), "the provider has our Contact")
    alice, bob = bench.phone("alice", office), bench.phone("bob", provider)
    alice.registered()
    bob.registered()
    for ending in (alice, bob):
        alice.dial("0123")
        bob.wait("CALL_INCOMING")
        bob.tell("accept")
        alice.wait("CALL_ESTABLISHED")
        bob.wait("CALL_ESTABLISHED")
        ending.tell("hangup")
        (bob if ending is alice else alice).closed()
    bob.dial("alice")
    alice.wait("CALL_INCOMING")
    alice.tell("accept")
    bob.wait("CALL_ESTABLISHED")
    bob.tell("hangup")
    alice.wait("CALL_CLOSED")
    office.process.terminate()
    office.process.wait(15)
    require("sip:t" not in provider.command("binding", "list"), "the office has removed its Contact")


def password_from_a_file(bench):
    folder = bench.server(("bob",)).folder
    (folder / "secret").write_text("wonderland\n")
    _, office = customer(bench, f"password_file: {folder}/secret")
    registered(office)
    office.command("reload")
    registered(office)


def wrong_password(bench):
    _, office = customer(bench, 'password: "guess"')
    wait_until(lambda: "trunk-registration-password" in office.command("status"), "status tells the cause")
    alice = bench.phone("alice", office)
    alice.registered()
    alice.dial("0123")
    alice.closed("502")
    require("account-refused" in office.command("why", "last"), "the cause is told")


def sipp_provider(bench, scenario, password="wonderland", **trunk):
    """SIPp stands for the provider: what it knows of Digest, it does not have from us."""
    provider = bench.add(Sipp(types.SimpleNamespace(port=free_port()), "provider"))
    provider.serve(scenario)
    return office_of(bench, provider.port, f'password: "{password}"', "office", "provider.test", **trunk), provider


def sipp_checks(bench):
    office, provider = sipp_provider(bench, "provider", register="false")
    alice = bench.phone("alice", office)
    alice.registered()
    for _ in range(2):
        alice.dial("0123")
        alice.wait("CALL_ESTABLISHED")
        alice.tell("hangup")
        alice.wait("CALL_CLOSED")
    require("401 Prove It" in office.command("why", "last"), "the challenge is told")
    require(not tail(provider.folder / "errors.log"), tail(provider.folder / "errors.log"))


def sipp_refuses(bench):
    """The other side of it: SIPp lets nobody in who does not know the password."""
    office, _ = sipp_provider(bench, "provider", password="guess", register="false")
    alice = bench.phone("alice", office)
    alice.registered()
    alice.dial("0123")
    alice.closed("403")


def sipp_registrar(bench):
    office, _ = sipp_provider(bench, "provider_register")
    registered(office)


def sipp_registrar_refuses(bench):
    office, _ = sipp_provider(bench, "provider_register", password="guess")
    wait_until(lambda: "403" in office.command("status"), f"status tells that it is refused: {office.command('status')}")


def code(bench):
    _, office = customer(bench)
    alice = bench.phone("alice", office)
    alice.registered()
    alice.dial("*78%23")
    alice.wait("CALL_ESTABLISHED")
    alice.wait("CALL_CLOSED")
    require("dnd=on" in office.command("user", "show", f"alice@{DOMAIN}").replace(" ", ""), "dnd is on")


run_tests([
    ("a customer calls and is called", calls_out_and_in),
    ("a password from a file, and again after a reload", password_from_a_file),
    ("a wrong password is told", wrong_password),
    ("SIPp asks by 401, and checks the answer", sipp_checks),
    ("SIPp is told a wrong password", sipp_refuses),
    ("SIPp is the registrar, and checks the answer", sipp_registrar),
    ("SIPp is the registrar, and is told a wrong password", sipp_registrar_refuses),
    ("a code on the phone", code),
])
