#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks still run: each load a little against our server, through its adaptor. No figure is judged."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
from interop import ROOT, STROWGER, require, run_tests  # noqa: E402

os.environ["STROWGER"] = str(STROWGER)
sys.path.insert(0, str(ROOT / "bench"))
from benchlib import BUILD, Server, load  # noqa: E402
from compare import SCENARIOS  # noqa: E402
from footprint import start_up  # noqa: E402

COUNT = 200


def build(_):
    result = subprocess.run(
        ["make", "-s", "-C", ROOT / "bench", f"BENCH_BUILD={BUILD}", f"{BUILD}/sipload", f"{BUILD}/floor"],
        capture_output=True, text=True)
    require(result.returncode == 0, result.stderr)


def run_load(name, scenario):
    _, _, set_up, args = SCENARIOS[scenario]
    with Server(name, scenario, port=28070, workers=1, users=COUNT) as server:
        for one in [*set_up, args]:
            some = ["-u", str(COUNT), "-n", str(COUNT), "-r", "1000"]
            run = load(server, one + some)
            require(run["completed"] == COUNT and run["failed"] == 0, f"{one}: {run}")


def scenario(name):
    return f"{name}: {COUNT} units", lambda _: run_load("strowger", name)


def stored(_):
    lines = []
    found, wrong = start_up("strowger", COUNT, 1, 1, lines.append)
    require(found is not None and wrong == 0 and f"{COUNT} contacts" in lines[0], "\n".join(lines))


run_tests([
    ("load generator and floor are built", build),
    ("the floor answers", lambda _: run_load("floor-mmsg", "options")),
    *(scenario(name) for name in ("options", "register", "auth-md5", "auth-sha256", "message", "proxy", "fork3")),
    (f"start with {COUNT} stored contacts", stored),
])
