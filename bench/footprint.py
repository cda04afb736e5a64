# SPDX-License-Identifier: Apache-2.0
"""Memory per registered contact, and start-up time with contacts stored."""
import statistics
import subprocess
import tempfile
import time

from benchlib import Server, cpu, load, memory

# Timer J (RFC 3261 §17.2.2) and two sweeps: what is left behind them belongs to the contacts
TRANSACTIONS_END_S = 100


def contact_bytes(name, count, workers, say=print):
    """The sum of Pss of all processes (shared pages counted once), before and after `count` registrations,
    divided by them. The users are there before, and the same load has come from 1,000 of them."""
    with Server(name, "register", workers=workers, users=count + 1000, cpus="0") as server:
        # the same load by few users: what transactions and the records of the last calls take is there before
        load(server, ["register", "-n", str(count), "-u", "1000", "-U", str(count), "-r", "5000"], "1", 300)
        time.sleep(TRANSACTIONS_END_S)
        before = memory(server.pids())[0]
        run = load(server, ["register", "-n", str(count), "-u", str(count), "-r", "5000"], "1", 300)
        time.sleep(TRANSACTIONS_END_S)
        after = memory(server.pids())[0]
        each = (after - before) * 1024 / max(1, run["completed"])
        say(f"{name}: {len(server.pids())} processes, Pss {before} KiB idle, {after} KiB with {run['completed']} "
            f"contacts: {each:.0f} bytes per contact (failed {run['failed']}, retransmitted {run['retrans']})")
        own = subprocess.run([server.adaptor, "stat", "register"], env=server.env, capture_output=True, text=True)
        if own.returncode == 0 and own.stdout:
            say("  the server's own figures: " + " ".join(own.stdout.split()))
    return each


def find_last(server, count):
    """Until a MESSAGE to the last contact arrives. Returns the seconds since the start, or None, and how
    often it was refused before."""
    refused = 0
    while time.monotonic() - server.t0 < 60 and server.proc.poll() is None:
        run = load(server, ["message", "-n", "1", "-u", "1", "-U", str(count - 1)], "1")
        if run["completed"]:
            return time.monotonic() - server.t0, refused
        refused += run["rejected"]
        time.sleep(0.01)
    return None, refused


def spread_text(values):
    values = [value for value in values if value is not None]
    if not values:
        return "never"
    return f"{statistics.median(values):.3f} s ({min(values):.3f}-{max(values):.3f})"


def start_up(name, count, workers, runs, say=print):
    """One contact is registered and stored, the adaptor clones it to `count`, and the time from exec to the
    first answer to OPTIONS is taken, and that until a MESSAGE to the last of them arrives. Returns the
    median of the latter, and how often that MESSAGE was refused before it was found; None, None: cannot."""
    if not Server(name, "persist").can():
        return None, None
    empty, loaded, found, wrong = [], [], [], 0
    with tempfile.TemporaryDirectory(prefix="bench-persist-") as folder:
        def start():
            return Server(name, "persist", workers=workers, cpus="0", dir=folder)
        for _ in range(runs):
            with start() as server:
                empty.append(server.ready_s)
        with start() as server:
            load(server, ["register", "-n", "1", "-u", "1"], "1")
        clone = subprocess.run([server.adaptor, "clone", str(count)], env=server.env, capture_output=True, text=True)
        say(f"{name}, store: {clone.stdout.strip()} {clone.stderr.strip()[-200:]}")
        for _ in range(runs):
            with start() as server:
                loaded.append(server.ready_s)
                seconds, refused = find_last(server, count)
                found.append(seconds)
                wrong += refused
                busy = cpu(server.pids())[0]
    say(f"{name}: first answer, empty: {spread_text(empty)}; with {count} contacts: {spread_text(loaded)}; last contact "
        f"found after: {spread_text(found)}, {wrong} times refused before; {busy:.2f} s of CPU time")
    if None in found:
        return None, wrong
    return statistics.median(found), wrong
