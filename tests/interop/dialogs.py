#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Dialogs of our agent that go on: reliable provisional responses, transfers and Replaces with SIPp by
scenarios of ours (sipp/), with linphone, and with baresip."""
import math
import shutil
import subprocess
import sys
import time
import wave

sys.dont_write_bytecode = True
from agent import Agent, answer, call, hears, listening, sipp, sipp_called, sipp_ends  # noqa: E402
from interop import (DOMAIN, ROOT, free_port, new_folder, require, require_program, run_tests, stop, tail,  # noqa: E402
                     wait_until)

SCENARIOS = ROOT / "tests/interop/sipp"


def scenario(name):
    return "-sf", SCENARIOS / f"{name}.xml"


# ---- SIPp ---------------------------------------------------------------------------------------


def prack_by_sipp(bench):
    bob = answer(bench, "--ring", 0.2, "--early-media", "--reliable", "--count", 1)
    sipp_ends(*sipp(*scenario("prack_caller"), f"127.0.0.1:{bob.port}", port=free_port()))
    bob.ends()


def prack_by_us(bench):
    things, port = sipp_called(*scenario("prack_called"))
    alice = call(bench, f"sip:sipp@127.0.0.1:{port}", "--duration", 0.3)
    require(alice.wait("media")["direction"] == 3, tail(alice.log))
    alice.ends()
    sipp_ends(*things)


def transferred_by_sipp(bench):
    """We are the one who is transferred to the target of a consultation."""
    target, port = sipp_called(*scenario("transfer_target"))
    bob = answer(bench, "--ring", 0)
    sipp_ends(*sipp(*scenario("transferor"), "-key", "target", port, f"127.0.0.1:{bob.port}", port=free_port()))
    sipp_ends(*target)


def replaced_by_sipp(bench):
    """We are the target of the transfer: the second call takes the place of the first."""
    bob = answer(bench, "--ring", 0, "--count", 2)
    sipp_ends(*sipp(*scenario("replacing"), f"127.0.0.1:{bob.port}", port=free_port()))
    bob.ends()


# ---- linphone -----------------------------------------------------------------------------------

LINPHONE_CONFIG = """[sip]
sip_port={sip}
sip_tcp_port=0
sip_tls_port=0
bind_address=127.0.0.1
use_ipv6=0
ipv6_migration_done=1
supported=replaces, outbound, gruu, 100rel
session_expires_enabled={timer}
session_expires_value=90
session_expires_min_value=90
[rtp]
audio_rtp_port={rtp}
[sound]
echocancellation=0
[misc]
history_max_size=0
"""


class Linphone:
    """linphonec with its sound from and to files, driven by lines of its standard input."""

    def __init__(self, hz, timer=False):
        require_program("linphonec", "setpriv")
        self.folder = new_folder()
        self.log = self.folder / "said"
        self.sip = free_port()
        for name in (".local/share/linphone", ".config/linphone"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "rc").write_text(LINPHONE_CONFIG.format(sip=self.sip, rtp=free_port(), timer=int(timer)))
        tone(self.folder / "tone.wav", hz)
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        with open(self.log, "wb") as said:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "linphonec", "-c", "rc", "-d", "6", "-l", "log"],
                stdin=subprocess.PIPE, stdout=said, stderr=said, cwd=self.folder, env=environment)
        wait_until(lambda: f":{self.sip:04X} " in open("/proc/net/udp").read().upper(),
                   f"linphone listens\n{tail(self.log)}", 12)
        self.tell("soundcard use files")
        self.tell(f"play {self.folder}/tone.wav")
        self.tell(f"record {self.folder}/heard.wav")

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, text, seconds=8):
        wait_until(lambda: text in self.log.read_text(errors="replace"),
                   f"linphone says '{text}'\n{tail(self.log)}", seconds)

    def done(self):
        stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def tone(path, hz):
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(b"".join(int(9000 * math.sin(2 * math.pi * hz * i / 8000)).to_bytes(2, "little", signed=True)
                                 for i in range(80000)))


def linphone_calls(bench):
    """It acknowledges our 183 by PRACK, hears us and is heard, holds and resumes."""
    lin = bench.add(Linphone(500))
    bob = answer(bench, "--ring", 0.5, "--early-media", "--reliable", "--count", 1, "--tone", 700, "--record",
                 "heard.wav", "--trace")
    lin.tell(f"call sip:bob@127.0.0.1:{bob.port}")
    bob.wait("media")
    bob.wait("established")
    require("PRACK sip:" in bob.log.read_text(errors="replace"), "linphone has sent no PRACK")
    time.sleep(2)
    lin.tell("pause")
    require(bob.wait("media")["direction"] in (0, 2), tail(bob.log))
    lin.tell("resume")
    require(bob.wait("media")["direction"] == 3, tail(bob.log))
    time.sleep(0.5)
    lin.tell("terminate")
    bob.ends()
    hears(bob, "heard.wav", 500)


def calls_linphone(bench):
    """We hold and resume."""
    lin = bench.add(Linphone(500))
    alice = call(bench, f"sip:lin@127.0.0.1:{lin.sip}", "--tone", 700, "--record", "heard.wav")
    lin.wait("incoming call")
    lin.tell("answer")
    alice.wait("established")
    time.sleep(2)
    alice.holds_and_hangs_up()
    lin.wait("ended")
    hears(alice, "heard.wav", 500)
    hears(lin, "heard.wav", 700)


timed = []  # linphone and our agent, in a call that outlives its test: half of the interval is long


def timer_of_linphone(bench):
    """It asks for a session timer, and does not say who sees to it: it does."""
    lin = Linphone(500, timer=True)
    timed.append(lin)
    bob = Agent("answer", "--ring", 0, "--count", 1, "--trace")
    timed.append(bob)
    listening(bob)
    lin.tell(f"call sip:bob@127.0.0.1:{bob.port}")
    bob.wait("established")
    said = bob.log.read_text(errors="replace")
    require("Session-Expires: 90;refresher=uac" in said, f"no session timer\n{said}")


def linphone_refreshed(bench):
    """After half of the 90 seconds; the call goes on."""
    if not timed:
        timer_of_linphone(bench)
    lin, bob = map(bench.add, timed)
    require(bob.wait("refreshed", 50)["expires_s"] == 90, tail(bob.log))
    time.sleep(0.3)
    require(bob.process.poll() is None, tail(bob.log))
    lin.tell("terminate")
    bob.ends()


# ---- baresip ------------------------------------------------------------------------------------


def transferred_by_baresip(bench):
    """Blindly, with sound: who was transferred is heard by the third party."""
    server = bench.server(("alice", "bob", "carol"))
    alice = bench.phone("alice", server)
    alice.registered()
    bob = answer(bench, "--ring", 0, "--tone", 700, "--record", "heard.wav", user="bob", server=server)
    carol = answer(bench, "--ring", 0.2, "--tone", 1000, "--record", "heard.wav", "--hangup-after", 1.5, "--count", 1,
                   user="carol", server=server)
    bob.wait("registered")
    carol.wait("registered")
    alice.dial("bob")
    alice.wait("CALL_ESTABLISHED")
    bob.wait("established")
    alice.tell("transfer", f"sip:carol@{DOMAIN}")
    bob.wait("transfer")
    carol.wait("established")
    carol.ends()
    hears(carol, "heard.wav", 700)


run_tests([
    ("linphone asks for a session timer", timer_of_linphone),
    ("SIPp sends PRACK", prack_by_sipp),
    ("we send PRACK to SIPp", prack_by_us),
    ("SIPp transfers us to who it has talked to", transferred_by_sipp),
    ("SIPp replaces its call by another", replaced_by_sipp),
    ("linphone calls us", linphone_calls),
    ("we call linphone", calls_linphone),
    ("baresip transfers us", transferred_by_baresip),
    ("linphone refreshes its session", linphone_refreshed),
])
