#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The user agents of the examples against one another, and one against a registrar of a few lines.
usage: run.py FOLDER of the executables example_call, example_answer, example_options, example_register"""
import atexit
import re
import socket
import subprocess
import sys
import threading

FOLDER = sys.argv[1]


def run(name, *arguments):
    done = subprocess.run([f"{FOLDER}/example_{name}", *arguments], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout


def expect(what, pattern, status, result):
    code, text = result
    if code != status or not re.search(pattern, text, re.S):
        sys.exit(f"{what}: exit {code}, wanted {status} and {pattern!r}; said:\n{text}")


def answerer(*arguments):
    process = subprocess.Popen([f"{FOLDER}/example_answer", *arguments], stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process, process.stdout.readline().strip()


def registrar(server, bodies):
    """Answers two REGISTERs with what they have asked for."""
    for _ in range(2):
        request, peer = server.recvfrom(65535)
        lines = request.decode().split("\r\n")
        keep = [line for line in lines if line.startswith(("Via:", "From:", "Call-ID:", "CSeq:", "Contact:"))]
        keep += [line + ";tag=r" for line in lines if line.startswith("To:")]
        bodies.append(lines)
        server.sendto("\r\n".join(["SIP/2.0 200 OK", *keep, "Content-Length: 0", "", ""]).encode(), peer)


process, uri = answerer()
expect("options", r"200 OK\nAllow: .*INVITE", 0, run("options", uri))
expect("call", "progress 180 Ringing.*accepted 200 OK.*established.*ended 200 OK", 0, run("call", uri))
expect("answer", "incoming.*established.*ended 200 OK", 0, (process.wait(20), process.stdout.read()))
process, uri = answerer("486")
expect("call that is refused", "ended 486 Busy Here\n.+", 1, run("call", uri))
expect("answer that refuses", "ended 486", 0, (process.wait(20), process.stdout.read()))
server, asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), []
server.bind(("127.0.0.1", 0))
server.settimeout(20)
thread = threading.Thread(target=registrar, args=(server, asked))
thread.start()
expect("register", "registered 200 OK, for 60 s\nunregistered 200 OK", 0,
       run("register", f"sip:127.0.0.1:{server.getsockname()[1]}"))
thread.join()
if not any("expires=0" in line for line in asked[1]):
    sys.exit("register: the binding was not removed")
print("examples: options, call, answer, register: ok")
