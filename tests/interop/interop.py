# SPDX-License-Identifier: Apache-2.0
"""What the black-box tests share: a real server, real phones, TAP. Standard library only."""
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STROWGER = pathlib.Path(os.environ.get("STROWGER", ROOT / "build/release/strowger"))
# With a sanitizer everything takes its time, and what was freed is kept.
SANITIZED = STROWGER.exists() and any(name in STROWGER.read_bytes()
                                      for name in (b"AddressSanitizer", b"ThreadSanitizer"))
DOMAIN = "strowger.test"
PASSWORD = {"alice": "wonderland", "bob": "builder", "carol": "singer"}
WAIT_S = 8
WORKERS = os.environ.get("TEST_WORKERS", "")  # of each server, where a test does not say it itself


class Failure(Exception):
    """A test that did not see what it expects."""


class Skip(Exception):
    """A test that cannot run here, and why."""


def require(condition, text):
    if not condition:
        raise Failure(text)


def require_program(*names):
    for name in names:
        if not shutil.which(name):
            raise Skip(f"{name} is not installed")


def wait_until(condition, text, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise Failure(f"{text}: not within {seconds} seconds")


def port_is_taken(port, kind=socket.SOCK_DGRAM):
    with socket.socket(type=kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def tcp_listens(port):
    """Unlike a connection that has ended a short while ago, a listener keeps others from its port even so."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


given_lately = collections.deque(maxlen=30)


def free_port():
    """A port of loopback that is free for UDP and TCP. Below the ephemeral ones, so that no socket of
    another program takes it before it is used, and of four digits, since sipsak cuts off a fifth. Programs
    that run at the same time get ranges of their own in TEST_PORTS. What was given lately is not given
    again: it may not be in use yet."""
    first, end = map(int, os.environ.get("TEST_PORTS", "6000-10000").split("-"))
    while True:
        port = random.randrange(first, end, 2)
        if port not in given_lately and not any(
                port_is_taken(port + odd, kind) for odd in (0, 1)
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)):
            given_lately.append(port)
            return port


def new_folder():
    return pathlib.Path(tempfile.mkdtemp(prefix="strowger-"))


def start(command, folder, log, **options):
    """A child that dies with us, whatever ends us; its output goes to a file."""
    environment = dict(os.environ, HOME=str(folder), XDG_RUNTIME_DIR=str(folder))
    with open(log, "ab") as output:
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *map(str, command)],
                                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                cwd=folder, env=environment, **options)


def stop(process, how=signal.SIGTERM, seconds=5):
    if process and process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode if process else None


def tail(path, lines=25):
    try:
        return "".join(path.read_text(errors="replace").splitlines(True)[-lines:])
    except OSError:
        return ""


class Server:
    """The real executable with its own store and free ports of loopback."""

    def __init__(self, users=("alice", "bob"), options="", folder=None, domain=DOMAIN):
        if not STROWGER.exists():
            raise Failure(f"{STROWGER} is not built")
        self.folder = folder or new_folder()
        self.port = free_port()
        self.config = self.folder / "strowger.yaml"
        self.log = self.folder / "server.log"
        self.process = None
        if WORKERS and "workers:" not in options:
            options += f"\nworkers: {WORKERS}\n"
        self.config.write_text(f"""domains: [{domain}]
listen:
  - udp:127.0.0.1:{self.port}
  - tcp:127.0.0.1:{self.port}
store: sqlite:{self.folder}/strowger.db
admin: {{socket: {self.folder}/admin.sock}}
{options}""")
        for user in users:
            self.command("user", "add", f"{user}@{domain}", "--password-stdin",
                         text=PASSWORD[user] + "\n")
        self.start()

    def command(self, *arguments, text=""):
        done = subprocess.run([STROWGER, *arguments, "--config", self.config], input=text, text=True,
                              capture_output=True, timeout=WAIT_S, check=False)
        require(done.returncode == 0,
                f"strowger {' '.join(arguments)}: status {done.returncode}: {done.stderr}")
        return done.stdout

    def start(self):
        self.process = start([STROWGER, "serve", "--config", self.config], self.folder, self.log)
        wait_until(self.answers, f"the server answers\n{tail(self.log)}")

    def answers(self):
        if self.process.poll() is not None:
            raise Failure(f"the server ended with {self.process.returncode}\n{tail(self.log)}")
        return bool(exchange(self.port, options_request(self.port), 0.2))

    def kill(self):
        """What a crash is: no time to say or write anything."""
        stop(self.process, signal.SIGKILL)

    def done(self):
        ends_itself = self.process.poll() is None
        status = stop(self.process, seconds=15)
        log = tail(self.log)
        denied = [line for line in self.log.read_text(errors="replace").splitlines()
                  if '"event":"sandbox.' in line]
        shutil.rmtree(self.folder, ignore_errors=True)
        require(status == 0 or (status == -signal.SIGKILL and not ends_itself), f"the server ended with {status}\n{log}")
        require(not denied, f"system calls that the sandbox does not know: {denied}")


def exchange(port, request, seconds):
    """The first datagram that comes back, or nothing."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.settimeout(seconds)
        probe.connect(("127.0.0.1", port))
        try:
            probe.send(request)
            return probe.recv(65535)
        except OSError:
            return b""


def options_request(port):
    mark = os.urandom(6).hex()
    return (f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;"
            f"branch=z9hG4bK{mark}\r\nMax-Forwards: 70\r\nFrom: <sip:probe@example.invalid>;tag={mark}"
            f"\r\nTo: <sip:127.0.0.1:{port}>\r\nCall-ID: {mark}\r\nCSeq: 1 OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n").encode()


PHONE_CONFIG = """poll_method epoll
sip_listen 127.0.0.1:{sip}
call_local_timeout 120
call_max_calls {calls}
audio_path {folder}
audio_player aubridge,{name}
audio_source aubridge,{name}
audio_alert aubridge,{name}-alert
rtp_ports {rtp}-{rtp_end}
module_path /usr/lib/baresip/modules
module g711.so
module aubridge.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


class Phone:
    """A baresip, driven through its ctrl_tcp module: netstrings of JSON, commands and events."""

    def __init__(self, user, server, transport="udp", password=None, calls=4):
        require_program("baresip", "setpriv")
        self.user = user
        self.folder = new_folder()
        self.log = self.folder / "phone.log"
        self.buffer = b""
        self.events = []
        self.control = None
        control, self.sip = free_port(), free_port()
        rtp = free_port()
        values = {"sip": self.sip, "calls": calls, "folder": self.folder, "name": user, "rtp": rtp,
                  "rtp_end": rtp + 60, "control": control}
        (self.folder / "config").write_text(PHONE_CONFIG.format(**values))
        route = f"sip:127.0.0.1:{server.port};transport={transport}"
        (self.folder / "accounts").write_text(
            f"<sip:{user}@{DOMAIN};transport={transport}>;auth_user={user};"
            f"auth_pass={password or PASSWORD[user]};outbound=\"{route}\";regint=3600;"
            "answermode=manual;audio_codecs=pcmu\n")
        self.process = start(["baresip", "-4", "-f", self.folder], self.folder, self.log)
        wait_until(lambda: self.connect(control), f"{user}'s phone starts\n{tail(self.log)}")

    def connect(self, port):
        require(self.process.poll() is None, f"{self.user}'s phone ended\n{tail(self.log)}")
        try:
            self.control = socket.create_connection(("127.0.0.1", port), 1)
            return True
        except OSError:
            return False

    def tell(self, command, params=""):
        text = json.dumps({"command": command, "params": params, "token": "t"}).encode()
        self.control.sendall(b"%d:%s," % (len(text), text))

    def read_events(self, seconds):
        self.control.settimeout(seconds)
        try:
            data = self.control.recv(65536)
        except TimeoutError:
            return
        require(data, f"{self.user}'s phone closed its control\n{tail(self.log)}")
        self.buffer += data
        while match := re.match(rb"(\d+):", self.buffer):
            length, start_at = int(match[1]), match.end()
            if len(self.buffer) < start_at + length + 1:
                break
            event = json.loads(self.buffer[start_at:start_at + length])
            self.buffer = self.buffer[start_at + length + 1:]
            if event.get("event"):
                self.events.append(event)

    def wait(self, *types, seconds=WAIT_S):
        """The next event of one of these types; those before it are forgotten."""
        end = time.monotonic() + seconds
        seen = []
        while True:
            while self.events:
                event = self.events.pop(0)
                seen.append(f"{event['type']} {event.get('param', '')}")
                if event["type"] in types:
                    return event
            if time.monotonic() > end:
                raise Failure(f"{self.user}'s phone: no {' or '.join(types)} but {seen}\n"
                              f"{tail(self.log)}")
            self.read_events(0.1)

    def registered(self, answer="200 OK"):
        """The answer to the first REGISTER, read in the log: it may come before we can listen."""
        wait_until(lambda: re.search(rf"{DOMAIN}.*{answer}", self.log.read_text(errors="replace")),
                   f"{self.user}'s phone: REGISTER gets {answer}\n{tail(self.log)}")

    def dial(self, user):
        self.tell("dial", user if ":" in user else f"sip:{user}@{DOMAIN}")

    def closed(self, expected=""):
        """The call ended; its reason holds the text that is expected."""
        event = self.wait("CALL_CLOSED")
        require(expected in event.get("param", ""),
                f"{self.user}: closed by '{event.get('param')}', not '{expected}'")

    def done(self):
        if self.control:
            self.control.close()
        stop(self.process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Bench:
    """What a test starts, and stops again in reverse order."""

    def __init__(self):
        self.things = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        server_log, fault = "", None
        for thing in reversed(self.things):
            if isinstance(thing, Server):
                server_log = tail(thing.log)
            try:
                thing.done()
            except Failure as failure:
                fault = failure
        if kind and issubclass(kind, Failure):
            raise Failure(f"{value}\nserver: {server_log}") from None
        if fault and not kind:
            raise fault

    def add(self, thing):
        self.things.append(thing)
        return thing

    def server(self, *arguments, **options):
        return self.add(Server(*arguments, **options))

    def phone(self, *arguments, **options):
        return self.add(Phone(*arguments, **options))


def run_tests(tests):
    """Run (name, function) pairs, each on a bench of its own; print TAP and exit."""
    wanted = sys.argv[1:]
    tests = [test for test in tests if not wanted or any(word in test[0] for word in wanted)]
    failed = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"TAP version 13\n1..{len(tests)}", flush=True)
    for number, (name, function) in enumerate(tests, 1):
        begin = time.monotonic()
        try:
            with Bench() as bench:
                function(bench)
            print(f"ok {number} - {name} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Skip as skip:
            print(f"ok {number} - {name} # SKIP {skip}", flush=True)
        except Exception as error:
            failed += 1
            text = str(error) if isinstance(error, Failure) else traceback.format_exc()
            print(f"not ok {number} - {name}")
            print("\n".join("# " + line for line in text.splitlines()), flush=True)
    sys.exit(1 if failed else 0)
