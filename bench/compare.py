# SPDX-License-Identifier: Apache-2.0
"""The same loads against several servers, which take turns."""
import contextlib
import math
import statistics
import time

from benchlib import Server, load, spread

QUIET_LIMIT_S = 120  # a server may retransmit, and forget its calls, for so long after a load that it could not serve
QUIET_S = 4.5        # … with pauses of T2, 4 s
RECOVERY_S = 2       # behind more than it can serve a server may refuse for so long: the next run shall not pay for it
LOCATED = ["register", "-u", "1000", "-n", "1000"]
#  name            unit            rate   set-up of sipload                    load
SCENARIOS = {
    "options": ("request", 5000, [], ["options"]),
    "register": ("REGISTER", 5000, [["register", "-u", "10000", "-n", "10000", "-r", "3000"]],
                 ["register", "-u", "10000"]),
    "auth-md5": ("registration of 2 REGISTERs", 2500, [], ["register", "-u", "10000"]),
    "auth-sha256": ("registration of 2 REGISTERs", 2500, [], ["register", "-u", "10000"]),
    "auth-sqlite": ("registration of 2 REGISTERs", 2500, [], ["register", "-u", "10000"]),
    "message": ("MESSAGE", 2000, [LOCATED], ["message", "-u", "1000"]),
    "proxy": ("call", 1000, [LOCATED], ["call", "-u", "1000"]),
    # the Request-URI is the callee: no location
    "direct": ("call", 1000, [], ["call", "-u", "1000", "-D", "127.0.0.1:21000"]),
    "stateless": ("call", 1000, [LOCATED], ["call", "-u", "1000"]),
    "fork3": ("call", 300, [LOCATED + ["-f", "3"]], ["call", "-u", "1000", "-f", "3", "-a", "20"]),
}

HEAD = (f"{'scenario':12} {'server':12} {'wrk':>3} {'rate/s':>7} {'CPU us/unit: median':>19} {'min':>7} {'max':>7} "
        f"{'sys':>4} {'p50 us':>7} {'p99 us':>7} {'max rate/s':>10} {'failed':>6} {'retr':>5} {'steal s':>7}")


class Options:
    """How long and how often: `runs` of `secs` at the fixed rate, then a search with steps of `step_s`
    until the bounds differ by less than `precision`, and `runs` of `step_s` at 90 % of what it found."""

    def __init__(self, runs=5, secs=5.0, step_s=2.0, precision=1.04, find_max=True, pinned=True, rate_scale=1.0):
        self.runs, self.secs, self.step_s, self.precision = runs, secs, step_s, precision
        self.find_max, self.rate_scale, self.pinned = find_max, rate_scale, pinned
        self.server_cpu, self.load_cpu = ("0", "1") if pinned else (None, None)


def is_clean(run):
    """no failure or retransmission, and the load kept pace"""
    return run["clean"] and run["lag_ms"] < 200 and run["p99_us"] < 250000


def step(server, args, rate, options):
    """the run at this rate, if it is clean; one retry, more while the host takes CPU time away"""
    for attempt in range(4):
        run = load(server, args + ["-r", str(int(rate)), "-d", str(options.step_s), "-x"], options.load_cpu)
        server.settle()
        if is_clean(run):
            return run
        time.sleep(RECOVERY_S)
        if attempt and run["steal_s"] < 0.05:
            return None
    return None


def find_max(server, args, guess, options):
    """bisection on a log scale. Returns the highest clean rate and its run, or 0, None."""
    low, high = guess * 0.4, guess * 1.6
    best = step(server, args, low, options)
    while not best and low > 20:
        high, low = low, low / 2
        best = step(server, args, low, options)
    if not best:
        return 0, None
    while high >= guess * 1.6:
        run = step(server, args, high, options)
        if not run:
            break
        low, high, best = high, high * 1.6, run
    while high / low >= options.precision:
        middle = math.sqrt(low * high)
        run = step(server, args, middle, options)
        if run:
            low, best = middle, run
        else:
            high = middle
    return low, best


class Entry:
    """One server in one scenario."""

    def __init__(self, name, workers, server):
        self.name, self.workers, self.server = name, workers, server
        self.runs, self.max_runs, self.max_rate, self.best = [], [], 0, None


def start_entries(scenario, servers, options, fixed, stack, say):
    unit, rate, set_up, args = SCENARIOS[scenario]
    entries = []
    for name, workers in servers:
        server = Server(name, scenario, port=5070 + 10 * len(entries), workers=workers, cpus=options.server_cpu)
        if not server.can():
            continue
        try:
            stack.enter_context(server)
            for one in set_up:
                run = load(server, one, options.load_cpu)
                if run["completed"] != run["started"]:
                    raise RuntimeError(f"set-up failed: {run}")
            load(server, fixed, options.load_cpu)              # discarded
            entries.append(Entry(name, workers, server))
        except RuntimeError as error:
            say(f"{scenario:12} {name:12} {workers:>3}  {error}")
    return entries


def measure_fixed(entries, fixed, options):
    """in turns, so that all meet the same disturbance; runs from which the host stole are repeated"""
    def undisturbed(runs):
        return sum(run["steal_s"] < 0.02 * options.secs for run in runs)
    for _ in range(2 * options.runs):
        for entry in entries:
            if undisturbed(entry.runs) < options.runs:
                entry.runs.append(load(entry.server, fixed, options.load_cpu))
    for entry in entries:
        entry.runs = sorted(entry.runs, key=lambda run: run["steal_s"])[:options.runs]


def wait_quiet(entries, quiet):
    """what one server has left to do must not take the time of the next: they share a CPU"""
    for entry in entries:
        entry.server.settle(QUIET_LIMIT_S, quiet)


def measure_max(entries, args, options):
    for entry in entries:
        wait_quiet(entries, QUIET_S)
        guess = 1e6 / max(statistics.median(run["us"] for run in entry.runs), 1)
        entry.max_rate, entry.best = find_max(entry.server, args, guess, options)
    for _ in range(2 * options.runs):
        for entry in entries:
            if entry.best and len(entry.max_runs) < options.runs:
                wait_quiet(entries, 0.1)
                rate = str(int(entry.max_rate * 0.9))
                run = load(entry.server, args + ["-r", rate, "-d", str(options.step_s)], options.load_cpu)
                entry.server.settle()
                if is_clean(run):
                    entry.max_runs.append(run)


def row_of(scenario, entry, options):
    def median(key, runs):
        return statistics.median(run[key] for run in runs)
    unit, rate, _, _ = SCENARIOS[scenario]
    runs = entry.runs
    row = dict(scenario=scenario, unit=unit, server=entry.name, workers=entry.workers, pinned=options.pinned,
               rate=rate * options.rate_scale, us=spread([run["us"] for run in runs]),
               sys_share=median("sys_share", runs), p50=median("p50_us", runs), p99=median("p99_us", runs),
               failed=sum(run["failed"] for run in runs),
               retrans=sum(run["retrans"] + run["dup_requests"] for run in runs),
               steal_s=sum(run["steal_s"] for run in runs), runs=runs)
    if entry.best:
        at_max = entry.max_runs or [entry.best]
        row.update(max=entry.max_rate, max_us=median("us", at_max), max_n=len(at_max),
                   max_load_busy=statistics.median(run["load_cpu"] / run["wall"] for run in at_max))
    return row


def text_of(row):
    text = (f"{row['scenario']:12} {row['server'].rsplit('/', 1)[-1]:12} {row['workers']:>3} {row['rate']:7.0f} "
            f"{row['us']['median']:19.1f} {row['us']['min']:7.1f} {row['us']['max']:7.1f} {row['sys_share']:4.2f} "
            f"{row['p50']:7.0f} {row['p99']:7.0f} {row.get('max', 0):10.0f} {row['failed']:6d} {row['retrans']:5d} "
            f"{row['steal_s']:7.2f}")
    if "max_us" in row:
        text += f"  (at max: {row['max_us']:.1f} us/unit, median of {row['max_n']}; load {row['max_load_busy']:.0%} busy)"
    return text


def compare(scenario, servers, options, say=lambda text: print(text, flush=True)):
    """servers: pairs of name and workers. Prints and returns a row for each that can do the scenario."""
    _, rate, _, args = SCENARIOS[scenario]
    fixed = args + ["-r", str(rate * options.rate_scale), "-d", str(options.secs)]
    with contextlib.ExitStack() as stack:
        entries = start_entries(scenario, servers, options, fixed, stack, say)
        measure_fixed(entries, fixed, options)
        if options.find_max:
            measure_max(entries, args, options)
        rows = [row_of(scenario, entry, options) for entry in entries]
    for row in rows:
        say(text_of(row))
    return rows
