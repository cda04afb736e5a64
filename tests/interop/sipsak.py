#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sipsak and the real server: ping, registration, small floods, broken requests."""
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from interop import (DOMAIN, PASSWORD, exchange, options_request, require, require_program,  # noqa: E402
                     run_tests)


def sipsak(server, *arguments, user=""):
    require_program("sipsak")
    name = f"{user}@" if user else ""
    done = subprocess.run(["sipsak", "-s", f"sip:{name}127.0.0.1:{server.port}", "-i", *arguments],
                          capture_output=True, text=True, errors="replace", timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def succeeds(server, *arguments, user=""):
    status, output = sipsak(server, *arguments, user=user)
    require(status == 0, f"sipsak {' '.join(arguments)}: status {status}\n{output[-1500:]}")
    return output


def ping(bench):
    output = succeeds(bench.server(), "-vvv")
    require(re.search(r"^SIP/2.0 200 ", output, re.M), output)
    require("Allow:" in output, f"no Allow\n{output}")


def register(bench):
    server = bench.server()
    succeeds(server, "-U", "-C", "sip:bob@127.0.0.1:7777", "-u", "bob", "-a", PASSWORD["bob"],
             "-x", "600",
             user="bob")
    require(f"bob@{DOMAIN}" in server.command("binding", "list"), "no binding after REGISTER")


def register_wrong_password(bench):
    server = bench.server()
    status, output = sipsak(server, "-U", "-C", "sip:bob@127.0.0.1:7777", "-u", "bob", "-a", "guess", user="bob")
    require(status != 0, output)
    require("bob" not in server.command("binding", "list"), "a binding with a wrong password")


def flood(bench):
    server = bench.server()
    sipsak(server, "-F", "-e", "2000")
    require(exchange(server.port, options_request(server.port), 5).startswith(b"SIP/2.0 200"),
            "no answer after the flood")


def random_trash(bench):
    server = bench.server()
    for _ in range(3):
        sipsak(server, "-R", "-t", "60", "--timer-t1=100")
    succeeds(server)


run_tests([
    ("OPTIONS: 200 with Allow", ping),
    ("REGISTER with a password", register),
    ("REGISTER with a wrong password", register_wrong_password),
    ("2000 OPTIONS in a flood", flood),
    ("randomly broken requests", random_trash),
])
