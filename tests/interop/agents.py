#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our own user agent (`strowger call`, `answer`, `message`, `register`): with itself, with the server, with
other people's programs; sound is heard where it should be."""
import math
import socket
import struct
import subprocess
import sys
import time
import wave

sys.dont_write_bytecode = True
from agent import Agent, answer, call, hears, listening, sipp, sipp_called, sipp_ends  # noqa: E402
from dns import Knot  # noqa: E402
from interop import (DOMAIN, PASSWORD, STROWGER, free_port, new_folder, require, require_program,  # noqa: E402
                     run_tests, stop, tail)
from wire import SERVER, Datagrams, mark, request  # noqa: E402


def sound(bench):
    """Two of ours, without a server: each hears the other's tone; digits arrive; nothing is lost."""
    bob = answer(bench, "--ring", 0.1, "--count", 1, "--tone", 700, "--record", "heard.wav")
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--tone", 1000, "--record", "heard.wav",
                 "--dtmf", "5#", "--duration", 2.4)
    alice.ends()
    bob.ends()
    hears(alice, "heard.wav", 700)
    hears(bob, "heard.wav", 1000)
    digits = "".join(event["digit"] for event in bob.events() if event["event"] == "digit")
    require(digits == "5#", f"digits {digits}")
    ended = alice.wait("ended")
    require(ended["by_us"] and ended["sound"]["lost_packets"] == 0 and
            ended["sound"]["received_packets"] > 50 and ended["sound"]["jitter_ms"] < 20, str(ended))


def strangers(bench):
    """Who is not in the call is not heard, and nobody records more sound than there was time (RFC 3550 §8.2)."""
    bob = answer(bench, "--ring", 0, "--count", 1, "--record", "heard.wav")
    caller, stranger = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
    with caller, stranger, Datagrams(bob.port) as phone:
        caller.bind((phone.address, 0))
        stranger.bind((SERVER, 0))
        sdp = (f"v=0\r\no=- 1 1 IN IP4 {phone.address}\r\ns=-\r\nc=IN IP4 {phone.address}\r\nt=0 0\r\n"
               f"m=audio {caller.getsockname()[1]} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n")
        uri, me = f"sip:bob@{SERVER}:{bob.port}", f"{phone.address}:{phone.port}"
        fields = {"via": f"SIP/2.0/UDP {me};branch=z9hG4bK{mark()}", "from_": f"<sip:a@{me}>;tag=a", "call_id": mark()}
        reply = phone.ask(request("INVITE", uri, body=sdp, extra=f"Contact: <sip:a@{me}>\r\nContent-Type: application/sdp\r\n",
                                  **fields))
        require(reply.code == 200, reply.line)
        fields.update(to=reply.get("to"), via=f"SIP/2.0/UDP {me};branch=z9hG4bK{mark()}")
        phone.send(request("ACK", uri, cseq="1 ACK", **fields))
        bob.wait("established")
        place = SERVER, int(reply.body.decode().split("m=audio ")[1].split()[0])
        for number in range(20):
            packet = struct.pack("!BBHII", 0x80, 0, number, number * 160, 1) + b"\x20" * 160
            caller.sendto(packet, place)
            for _ in range(20):
                stranger.sendto(packet, place)
            stranger.sendto(struct.pack("!BBHIIBBH", 0x80, 101, number, number * 160, 1, 5, 10, 800), place)
            time.sleep(0.02)
        stranger.sendto(struct.pack("!BBHI", 0x81, 203, 1, 1), place)
        for number in range(20, 2000):
            caller.sendto(struct.pack("!BBHII", 0x80, 0, number, number * 160, 1) + b"\x20" * 160, place)
            time.sleep(0.0002)
        time.sleep(0.1)
        fields.update(via=f"SIP/2.0/UDP {me};branch=z9hG4bK{mark()}", cseq="2 BYE")
        require(phone.ask(request("BYE", uri, **fields)).code == 200, "BYE")
    bob.ends()
    ended = bob.wait("ended")["sound"]
    require(1000 < ended["received_packets"] <= 2000 and ended["reordered_packets"] == 0, str(ended))
    require(not [event for event in bob.events() if event["event"] == "digit"], "a stranger's digit")
    with wave.open(str(bob.folder / "heard.wav")) as heard:
        require(0.3 < heard.getnframes() / 8000 < 10, f"{heard.getnframes() / 8000} s")


def preconditions(bench):
    """Nobody is alerted before the caller has her resources; who cannot have them says 580."""
    bob = answer(bench, "--ring", 0.2, "--qos", "ok", "--count", 1, "--tone", 700)
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--qos", "--duration", 1.5, "--record", "heard.wav")
    alice.ends()
    bob.ends()
    hears(alice, "heard.wav", 700)
    codes = [event["code"] for event in alice.events() if event["event"] == "progress" and event["code"] > 100]
    require(codes == [183, 180], f"progress: {codes}")
    names = [event["event"] for event in bob.events()]
    require(names.index("incoming") < names.index("preconditions") < names.index("established"), f"bob: {names}")
    refused = call(bench, f"sip:bob@127.0.0.1:{answer(bench, '--qos', 'fail').port}", "--qos")
    refused.ends(1)
    require(refused.wait("ended")["code"] == 580, "580")


def referred(bench):
    """A phone is asked, without a call, to call another one: it does, and the asker is told."""
    bob = answer(bench, "--ring", 0, "--obey-refer")
    carol = answer(bench, "--ring", 0.2, "--hangup-after", 0.2, "--count", 1)
    asker = bench.add(Agent("refer", f"sip:bob@127.0.0.1:{bob.port}", f"sip:carol@127.0.0.1:{carol.port}"))
    asker.ends()
    told = [event["code"] for event in asker.events() if event["event"] == "transferred"]
    require(told[-1] == 200 and 180 in told, f"told: {told}")
    carol.ends()
    again = bench.add(Agent("refer", f"sip:bob@127.0.0.1:{bob.port}", f"sip:carol@127.0.0.1:{free_port()}"))
    again.ends(1)
    declined = bench.add(Agent("refer", f"sip:bob@127.0.0.1:{answer(bench).port}", "sip:carol@127.0.0.1:9"))
    declined.ends(1)
    require(declined.wait("response")["code"] == 603, "603")


def conference(bench):
    """A third party joins a call (RFC 3911): it is heard by the first, and hears it; --replace then takes a place."""
    bob = answer(bench, "--ring", 0, "--mix")
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--tone", 1000, "--record", "heard.wav", "--duration", 5)
    dialog = bob.wait("established")["dialog"]
    carol = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--join", dialog, "--tone", 700, "--record", "heard.wav",
                 "--duration", 4.5)
    bob.wait("joined")
    carol.ends()
    alice.ends()
    hears(alice, "heard.wav", 700)
    hears(carol, "heard.wav", 1000)
    gone = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--replace", dialog)
    gone.ends(1)
    require(gone.wait("ended")["code"] == 603, "the call that is to be replaced is over")


def files(bench):
    """A file is played and echoed; the call ends when it was played."""
    bob = answer(bench, "--ring", 0, "--count", 1, "--echo", "--codecs", "PCMA")
    folder = new_folder()
    path = folder / "tone.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(b"".join(
            int(9000 * math.sin(2 * math.pi * 440 * i / 8000)).to_bytes(2, "little", signed=True)
            for i in range(9600)))
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--play", path, "--record", "heard.wav")
    require(alice.wait("media")["codec"] == "PCMA", "the codec is not PCMA")
    alice.ends()
    bob.ends()
    hears(alice, "heard.wav", 440)
    bob = answer(bench, "--ring", 0)
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--record", folder / "none" / "heard.wav", "--duration", 0.1)
    alice.ends(1)
    require("heard.wav: No such file" in alice.log.read_text(), tail(alice.log))
    subprocess.run(["rm", "-rf", folder], check=True)


def through_server(bench):
    """Bob registers, Alice proves who she is, and they hear each other."""
    server = bench.server()
    bob = answer(bench, "--ring", 0.1, "--count", 1, "--tone", 700, "--record", "heard.wav", user="bob",
                 server=server)
    bob.wait("registered")
    alice = call(bench, f"sip:bob@{DOMAIN}", "--tone", 1000, "--record", "heard.wav", "--duration", 1,
                 user="alice", server=server)
    alice.ends()
    bob.ends()
    hears(alice, "heard.wav", 700)
    hears(bob, "heard.wav", 1000)
    require("bob" not in server.command("binding", "list"), "the binding was not removed")


REFUSALS = (  # what the called side is told, what the calling side is told, the code
    (("--then", 486), (), 486),
    (("--then", 603), (), 603),
    (("--dnd",), (), 480),
    (("--users", "carol, 1234"), (), 404),
    (("--require", "foo"), (), 421),
    (("--reject-anonymous",), ("--anonymous",), 433),
    (("--codecs", "PCMA"), ("--codecs", "PCMU"), 488),
    (("--codecs", "PCMA", "--media-everywhere"), ("--codecs", "PCMU"), 606),
    (("--qos", "fail"), ("--qos",), 580),
)


def codes(bench):
    """What `answer` is told to say is said, and `call` explains it and ends with status 1."""
    for called, calling, code in REFUSALS:
        bob = answer(bench, "--ring", 0, "--count", 1, *called)
        alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}", *calling)
        alice.ends(1)
        ended = alice.wait("ended")
        require(ended["code"] == code, f"{called}: {ended}")
        explained = alice.wait("explanation")
        require(explained["code"] == code and explained["meaning"] and explained["remedy"], str(explained))
        require(ended["headers"].get("Require") == ("foo" if code == 421 else None), str(ended))
        bob.ends()


def password(bench):
    """Callers must know the password of the called side: 401, then it goes, or not."""
    bob = answer(bench, "--ring", 0, "--auth", "--no-register", user="bob")
    call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--duration", 0.2, user="bob").ends()
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}", user="alice")
    alice.ends(1)
    require(alice.wait("ended")["code"] == 401, tail(alice.log))


def busy(bench):
    bob = answer(bench, "--ring", 0, "--busy-everywhere")
    first = call(bench, f"sip:bob@127.0.0.1:{bob.port}")
    first.wait("established")
    second = call(bench, f"sip:bob@127.0.0.1:{bob.port}")
    second.ends(1)
    require(second.wait("ended")["code"] == 600, tail(second.log))
    first.tell("hangup")
    first.ends()


def redirect(bench):
    """302: the call goes on to the other place by itself."""
    carol = answer(bench, "--ring", 0, "--count", 1)
    bob = answer(bench, "--redirect", f"sip:carol@127.0.0.1:{carol.port}")
    call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--duration", 0.2).ends()
    carol.ends()


def repaired(bench):
    """What a refusal asks for is done by itself, or because it was allowed, and the call goes on."""
    for called, calling, code in ((("--priorities", "q735.3"), ("--header", "Require: resource-priority"), 417),
                                  (("--reject-anonymous",), ("--anonymous-or-openly",), 433)):
        bob = answer(bench, "--ring", 0, "--count", 2, *called)
        call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--duration", 0.2, *calling).ends()
        require(bob.wait("refused")["code"] == code, f"{code}")
        bob.ends()


def digits(bench):
    """484: the number is dialled digit by digit; the call is unwanted, and the BYE says so (607)."""
    bob = answer(bench, "--ring", 0, "--users", "1234")
    alice = call(bench, f"sip:12@127.0.0.1:{bob.port}", "--overlap")
    require(alice.wait("incomplete")["code"] == 484, tail(alice.log))
    alice.tell("dial 34")
    alice.wait("established")
    alice.tell("unwanted")
    require("cause=607" in bob.wait("ended")["text"], tail(bob.log))
    alice.ends()


def give_up(bench):
    bob = answer(bench, "--ring", 30, "--count", 1)
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--cancel-after", 0.4)
    alice.ends()
    bob.ends()
    require(alice.wait("ended")["code"] == 487, tail(alice.log))


def hold(bench):
    """Hold and resume by lines of standard input; then the called side hangs up."""
    bob = answer(bench, "--ring", 0, "--count", 1, "--hangup-after", 3)
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--tone", 1000)
    require(alice.wait("media")["direction"] == 3, tail(alice.log))
    bob.wait("media")
    alice.wait("established")
    alice.tell("hold")
    require(bob.wait("media")["direction"] == 2, tail(bob.log))
    alice.wait("changed")
    alice.tell("resume")
    require(bob.wait("media")["direction"] == 3, tail(bob.log))
    alice.ends()
    bob.ends()


def keys_at_once(bench):
    """Lines that come in one piece: what ends the call is not the last of them."""
    bob = answer(bench, "--ring", 0, "--hangup-after", 20)
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}")
    alice.wait("established")
    alice.tell("hold\nunwanted\nhold\ntransfer sip:x@127.0.0.1:9\nhangup")
    require("cause=607" in bob.wait("ended")["text"], tail(bob.log))
    alice.ends()
    bob = answer(bench, "--ring", 20, "--count", 1)
    alice = call(bench, f"sip:bob@127.0.0.1:{bob.port}")
    bob.wait("incoming")
    bob.tell("unwanted\nhold\nunwanted\nresume")
    alice.ends(1)
    require(alice.wait("ended")["code"] == 607, tail(alice.log))
    bob.ends()


def refused_here(bench):
    """What cannot be sent at all ends the command at once."""
    del bench
    for command, *more in (("call",), ("options",), ("message", "lunch?"), ("refer", "sip:carol@127.0.0.1")):
        words = said(command, "sips:bob@127.0.0.1:9", *more, status=1)
        require("cannot send by the transport" in words, words)


def last_call(bench):
    """Behind the last of --count calls nobody is answered any more, also while another one goes on."""
    bob = answer(bench, "--ring", 0, "--count", 1)
    longer = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--duration", 4)
    longer.wait("established")
    call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--duration", 0.2).ends()
    bob.wait("ended")
    late = call(bench, f"sip:bob@127.0.0.1:{bob.port}", "--duration", 0.2)
    late.ends(1)
    require(late.wait("ended")["code"] == 480, tail(late.log))
    longer.ends()
    bob.ends()


def stopped(bench):
    """Who is stopped before an answer came did not get one."""
    del bench
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        for command, *more in (("options",), ("message", "lunch?"), ("refer", "sip:carol@127.0.0.1")):
            with subprocess.Popen([STROWGER, command, f"sip:bob@127.0.0.1:{silent.getsockname()[1]}", *more],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as asks:
                silent.settimeout(8)
                while not silent.recv(65535).startswith(command.upper().encode()):  # the last one's, sent again
                    pass
                asks.terminate()
                words = asks.communicate(timeout=20)[0]
            require(asks.returncode == 1 and "before an answer came" in words, f"{command}: {asks.returncode} {words}")


def text(bench):
    server = bench.server()
    bob = answer(bench, user="bob", server=server)
    bob.wait("registered")
    secret = bob.folder / "alice"
    secret.write_text(PASSWORD["alice"])
    done = subprocess.run([STROWGER, "message", "--user", f"sip:alice@{DOMAIN}", "--password-file", secret, "--proxy",
                           f"sip:127.0.0.1:{server.port}", f"sip:bob@{DOMAIN}", "lunch?"], capture_output=True,
                          text=True, timeout=20, check=False)
    require(done.returncode == 0, done.stdout + done.stderr)
    require("alice" in bob.wait("message")["from"], tail(bob.log))
    done = subprocess.run([STROWGER, "message", "--proxy", f"sip:127.0.0.1:{server.port}",
                           f"sip:nobody@{DOMAIN}", "lunch?"], capture_output=True, text=True, timeout=20, check=False)
    require(done.returncode == 1 and "404" in done.stdout, done.stdout + done.stderr)
    spoken = said("call", f"sip:bob@{DOMAIN}", "--from", f"sip:carol@{DOMAIN}", "--user", f"sip:alice@{DOMAIN}", "--password-file",
                  secret, "--proxy", f"sip:127.0.0.1:{server.port}", status=1)
    refused = said("call", f"sip:112@{DOMAIN}", "--proxy", f"sip:127.0.0.1:{server.port}", status=1).split("they say: ")
    require(len(refused) == 2 and "\\n" not in refused[1], f"the words of a 380: {refused}")
    require("403" in spoken, f"the user logs in, whoever From names, and may not call as carol: {spoken}")


def registration(bench):
    server = bench.server()
    folder = new_folder()
    secret = folder / "password"
    base = [STROWGER, "register", "--user", f"sip:bob@{DOMAIN}", "--proxy", f"sip:127.0.0.1:{server.port}",
            "--password-file", secret]
    for password, more, status, words in ((PASSWORD["bob"], ("--fetch",), 0, "there are no bindings"),
                                          (PASSWORD["bob"], (), 0, "binding <sip:bob@"),
                                          ("guess", (), 1, "registration not done: 401"),
                                          (PASSWORD["bob"], ("--fetch",), 0, "binding <sip:bob@")):
        secret.write_text(password + "\n")
        done = subprocess.run([*base, *more], capture_output=True, text=True, timeout=20, check=False)
        require(done.returncode == status, f"{password} {more}: {done.returncode} {done.stdout} {done.stderr}")
        require(words in done.stdout and ("registered for" in done.stdout) == (not status and not more), done.stdout)
    require("bob" in server.command("binding", "list"), "no binding")
    subprocess.run(["rm", "-rf", folder], check=True)


def said(*arguments, status=0):
    done = subprocess.run([STROWGER, *map(str, arguments)], capture_output=True, text=True, timeout=20, check=False)
    require(done.returncode == status, f"{arguments}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout + done.stderr


def sixth(bench):
    """The whole telephone over IPv6; who listens on all addresses serves each caller in his family."""
    bob = answer(bench, "--ring", 0, "--tone", 700, host="[::1]")
    alice = call(bench, f"sip:bob@[::1]:{bob.port}", "--tone", 1000, "--record", "heard.wav", "--duration", 1.5, host="[::1]")
    alice.ends()
    hears(alice, "heard.wav", 700)
    require("200 OK from udp [::1]" in said("options", f"sip:bob@[::1]:{bob.port}"), "OPTIONS over IPv6")
    said("message", f"sip:bob@[::1]:{bob.port};transport=tcp", "lunch?")
    require(bob.wait("message")["code"] == 200, "MESSAGE over IPv6")
    said("refer", f"sip:bob@[::1]:{bob.port}", "sip:carol@[::1]:9", status=1)
    server = bench.server()
    server.config.write_text(server.config.read_text().replace("listen:\n", f"listen:\n  - udp:[::1]:{server.port}\n"))
    stop(server.process)
    server.start()
    secret = bob.folder / "secret"
    secret.write_text(PASSWORD["bob"] + "\n")
    said("register", "--user", f"sip:bob@{DOMAIN}", "--password-file", secret, "--proxy", f"sip:[::1]:{server.port}")
    require("[::1]" in server.command("binding", "list"), "a Contact of IPv6")
    both = bench.add(Agent("answer", "--ring", 0, "--tone", 700, host=None))
    listening(both)
    for host in ("127.0.0.1", "[::1]"):
        caller = call(bench, f"sip:bob@{host}:{both.port}", "--record", "heard.wav", "--duration", 1.2, host=host)
        caller.ends()
        hears(caller, "heard.wav", 700)


def by_name(bench):
    """Targets and --proxy are names of the DNS (RFC 3263): SRV with its port, the next one when the first is dead."""
    bob = answer(bench, "--ring", 0)
    knot = bench.add(Knot(f"_sip._udp.phone SRV 1 0 {free_port()} host\n_sip._udp.phone SRV 2 0 {bob.port} host\n"
                          "host A 127.0.0.1\n"))
    dns = f"127.0.0.1:{knot.port}"
    require(f"from udp 127.0.0.1:{bob.port}" in said("options", "sip:phone.test", "--dns", dns), "the second place")
    require("no address" in said("options", "sip:nobody.test", "--dns", dns, status=1), "no such name")
    for arguments in (("sip:bob@phone.test",), ("sip:bob@elsewhere.invalid", "--proxy", "sip:phone.test")):
        caller = bench.add(Agent("call", *arguments, "--dns", dns, "--duration", 0.3, host=""))
        caller.ends()
        bob.wait("established")
    said("message", "sip:bob@phone.test", "lunch?", "--dns", dns)


def calls_baresip(bench):
    """Baresip gives back what it hears; hold and resume; we hang up."""
    server = bench.server()
    bob = bench.phone("bob", server)
    bob.registered()
    alice = call(bench, f"sip:bob@{DOMAIN}", "--tone", 1000, "--record", "heard.wav", user="alice", server=server)
    bob.wait("CALL_INCOMING")
    bob.tell("accept")
    alice.wait("established")
    bob.wait("CALL_ESTABLISHED")
    time.sleep(1.5)
    alice.holds_and_hangs_up()
    bob.closed()
    hears(alice, "heard.wav", 1000)


def baresip_calls(bench):
    server = bench.server()
    bob = answer(bench, "--ring", 0.1, "--count", 1, "--tone", 700, "--record", "heard.wav", user="bob",
                 server=server)
    bob.wait("registered")
    alice = bench.phone("alice", server)
    alice.registered()
    alice.dial("bob")
    alice.wait("CALL_ESTABLISHED")
    bob.wait("established")
    time.sleep(1)
    alice.tell("hold")
    require(bob.wait("media")["direction"] >= 0, tail(bob.log))
    time.sleep(0.2)
    alice.tell("resume")
    bob.wait("media")
    alice.tell("hangup")
    bob.ends()
    hears(bob, "heard.wav", 700)


def transfers_baresip(bench):
    """We transfer Baresip to a third party, blindly."""
    server = bench.server(("alice", "bob", "carol"))
    bob = bench.phone("bob", server)
    bob.registered()
    carol = answer(bench, "--ring", 0, user="carol", server=server)
    carol.wait("registered")
    alice = call(bench, f"sip:bob@{DOMAIN}", user="alice", server=server)
    bob.wait("CALL_INCOMING")
    bob.tell("accept")
    alice.wait("established")
    alice.tell(f"transfer sip:carol@{DOMAIN}")
    alice.wait("transferred")
    carol.wait("established")


def sipp_calls(bench):
    bob = answer(bench, "--ring", 0.1, "--count", 1)
    sipp_ends(*sipp(f"127.0.0.1:{bob.port}", "-sn", "uac", "-d", 300, port=free_port()))
    bob.ends()


def calls_sipp(bench):
    things, port = sipp_called("-sn", "uas")
    alice = call(bench, f"sip:service@127.0.0.1:{port}", "--duration", 0.3)
    alice.ends()
    sipp_ends(*things)


def sofia(bench):
    require_program("sip-options")
    bob = answer(bench)
    done = subprocess.run(["sip-options", f"sip:bob@127.0.0.1:{bob.port}"], capture_output=True, text=True,
                          timeout=20, check=False)
    require("200" in done.stdout + done.stderr, done.stdout + done.stderr)


run_tests([
    ("two of ours hear each other, and digits", sound),
    ("who is not in the call is not heard", strangers),
    ("a file is played and echoed", files),
    ("two of ours through the server", through_server),
    ("each refusal has its code and explanation", codes),
    ("the called side asks for its password", password),
    ("busy everywhere", busy),
    ("a redirected call goes on", redirect),
    ("what a refusal asks for is done", repaired),
    ("digits one by one, and an unwanted call", digits),
    ("a call is given up", give_up),
    ("hold and resume", hold),
    ("preconditions", preconditions),
    ("a third one joins and is heard", conference),
    ("a phone is asked to call another", referred),
    ("a whole telephone over IPv6", sixth),
    ("names of the DNS", by_name),
    ("lines in one piece", keys_at_once),
    ("what cannot be sent", refused_here),
    ("behind the last call", last_call),
    ("stopped before an answer", stopped),
    ("MESSAGE", text),
    ("REGISTER", registration),
    ("we call baresip", calls_baresip),
    ("baresip calls us", baresip_calls),
    ("we transfer baresip", transfers_baresip),
    ("SIPp's uac calls us", sipp_calls),
    ("we call SIPp's uas", calls_sipp),
    ("sip-options of sofia-sip", sofia),
])
