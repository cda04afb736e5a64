# SPDX-License-Identifier: Apache-2.0
"""`strowger call` and `answer` as the black-box tests drive them, and what is heard in a recording."""
import json
import math
import subprocess
import wave

from interop import (DOMAIN, PASSWORD, STROWGER, Failure, free_port, new_folder, require, require_program,
                     start, stop, tail, wait_until)


class Agent:
    """One `strowger call` or `answer`; its events are lines of JSON."""

    def __init__(self, command, *arguments, user="", server=None, host="127.0.0.1"):
        self.folder = new_folder()
        self.log = self.folder / "said"
        self.port = free_port()
        if host != "":
            arguments = ["--listen", f"{host}:{self.port}" if host else self.port, *arguments]
        if user:
            secret = self.folder / "password"
            secret.write_text(PASSWORD[user] + "\n")
            arguments += ["--user", f"sip:{user}@{DOMAIN}", "--password-file", secret]
        if server:
            arguments += ["--proxy", f"sip:127.0.0.1:{server.port}"]
        with open(self.log, "wb") as said:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", STROWGER, command, "-o", "json", *map(str, arguments)],
                stdin=subprocess.PIPE, stdout=said, stderr=said, cwd=self.folder)
        self.seen = 0

    def events(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def wait(self, name, seconds=8):
        """The next event of this name."""
        found = []

        def look():
            for index, event in enumerate(self.events()):
                if index >= self.seen and event["event"] == name:
                    self.seen = index + 1
                    found.append(event)
                    return True
            return False
        wait_until(look, f"event {name}\n{tail(self.log)}", seconds)
        return found[0]

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def holds_and_hangs_up(self):
        for line in ("hold", "resume"):
            self.tell(line)
            self.wait("changed")
        self.tell("hangup")
        self.ends()

    def ends(self, status=0, seconds=10):
        try:
            got = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            got = "no end"
        require(got == status, f"status {got} instead of {status}\n{tail(self.log)}")

    def done(self):
        stop(self.process)
        subprocess.run(["rm", "-rf", self.folder], check=True)


def listening(agent):
    """Its socket is bound."""
    wait_until(lambda: any(f":{agent.port:04X} " in open(f"/proc/net/{table}").read().upper()
                           for table in ("udp", "udp6")),
               f"the agent listens\n{tail(agent.log)}")


def answer(bench, *arguments, **options):
    agent = bench.add(Agent("answer", *arguments, **options))
    listening(agent)
    return agent


def call(bench, uri, *arguments, **options):
    return bench.add(Agent("call", *arguments, uri, **options))


def share(path, hz):
    """The part of the power in the loud half second in the middle of a recording that is this tone."""
    with wave.open(str(path)) as sound:
        require(sound.getparams()[:3] == (1, 2, 8000), f"{path}: {sound.getparams()}")
        data = sound.readframes(sound.getnframes())
    samples = memoryview(data).cast("h")
    middle = samples[len(samples) // 2 - 2000:len(samples) // 2 + 2000] if len(samples) > 4000 else samples
    turn, last, before = 2 * math.cos(2 * math.pi * hz / 8000), 0.0, 0.0
    for sample in middle:
        last, before = sample + turn * last - before, last
    power = sum(sample * sample for sample in middle)
    require(power > len(middle) * 1e5, f"{path}: {len(samples)} samples are all but silent")
    return (last * last + before * before - turn * last * before) * 2 / (power * len(middle))


def hears(agent, name, hz):
    got = share(agent.folder / name, hz)
    require(got > 0.9, f"{hz} Hz are {got:.2f} of what is heard")


def sipp(*options, port):
    """A SIPp that plays one call; its errors go to its log."""
    require_program("sipp")
    folder = new_folder()
    log = folder / "sipp.log"
    process = start(["sipp", *options, "-i", "127.0.0.1", "-p", port, "-mi", "127.0.0.1", "-mp", free_port() + 20000,
                     "-m", 1, "-timeout", 25, "-timeout_error", "-nostdin", "-trace_err"], folder, log)
    return process, folder, log


def sipp_called(*options):
    """One that is called. @return it, and its port"""
    port = free_port()
    things = sipp(*options, port=port)
    wait_until(lambda: f":{port:04X} " in open("/proc/net/udp").read().upper(), "SIPp listens")
    return things, port


def sipp_ends(process, folder, log):
    status = process.wait(30)
    said = tail(log, 40) + "".join(tail(path, 40) for path in folder.glob("*_errors.log"))
    subprocess.run(["rm", "-rf", folder], check=True)
    if status:
        raise Failure(f"SIPp: status {status}\n{said}")
