# SPDX-License-Identifier: Apache-2.0
"""What the scripts here share: starting a server through its adaptor, its CPU
time and memory from /proc, one run of the load generator."""
import atexit, ctypes, fcntl, mmap, json, os, shutil, signal, socket, statistics, struct, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("BENCH_BUILD", os.path.join(HERE, "../build/bench")))


def own_network():
    """a network of our own with nothing but a loopback, so that no other
    program's ports or traffic are met; without the right to it, go on"""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))      # SIOCSIFFLAGS, up and running


own_network()
signal.signal(signal.SIGTERM, lambda *a: sys.exit(143))       # so that servers are ended


def settle_memory():
    """A virtual machine may give free memory back to its host (free page reporting), and a page that comes from
    there costs twenty times as much as one that is only cleared: this is the host's work, not the server's. Until the
    end of this program the machine keeps what it has, and most of it is touched once."""
    reporting = "/sys/module/page_reporting/parameters/page_reporting_order"
    try:
        before = open(reporting).read()
        open(reporting, "w").write("11")                      # larger than any block of free pages
        atexit.register(lambda: open(reporting, "w").write(before))
    except OSError:
        return
    available = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    with mmap.mmap(-1, available * 1024 // 4 * 3, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for at in range(0, len(memory), mmap.PAGESIZE):
            memory[at] = 1


def descendants(pid):
    kids = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                ppid = int(open(f"/proc/{d}/stat").read().rsplit(")", 1)[1].split()[1])
                kids.setdefault(ppid, []).append(int(d))
            except OSError:
                pass
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        todo += kids.get(p, [])
    return out


def cpu(pids):
    """(seconds run, of which system) by all threads of pids. The sum is the
    scheduler's, in ns (schedstat); the user/system split is by clock ticks."""
    run, usr, sys_ = 0, 0, 0
    for p in pids:
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                run += int(open(f"/proc/{p}/task/{t}/schedstat").read().split()[0])
            f = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
            usr, sys_ = usr + int(f[11]), sys_ + int(f[12])
        except OSError:
            pass
    return run / 1e9, sys_ / max(1, usr + sys_), sys_ / os.sysconf("SC_CLK_TCK")


def steal():
    f = open("/proc/stat").readline().split()
    return int(f[8]) / os.sysconf("SC_CLK_TCK")


def memory(pids):
    """KiB: sums of Pss (shared pages counted once) and of private pages."""
    pss = priv = 0
    for p in pids:
        try:
            for line in open(f"/proc/{p}/smaps_rollup"):
                w = line.split()
                if w[0] == "Pss:":
                    pss += int(w[1])
                elif w[0] in ("Private_Dirty:", "Private_Clean:"):
                    priv += int(w[1])
        except OSError:
            pass
    return pss, priv


class Server:
    """One server, through its adaptor servers/NAME (see README)."""

    def __init__(self, name, scen, port=5070, workers=2, users=10000, cpus=None, env=None, fresh=True, dir=None):
        self.name, self.port = name, port
        places = [os.path.join(HERE, "servers", name), os.path.join(HERE, name)]
        self.adaptor = next((p for p in places if os.path.isfile(p)), name)
        self.own_dir = dir is None
        self.dir = dir or tempfile.gettempdir()
        self.env = dict(os.environ, DIR=self.dir, PORT=str(port), TLSPORT=str(port + 1), WORKERS=str(workers),
                        USERS=str(users), BENCH=HERE, BUILD=BUILD, **(env or {}))
        self.scen = scen
        self.prefix = ["taskset", "-c", cpus] if cpus else []

    def can(self):
        return subprocess.run([self.adaptor, "can", self.scen], env=self.env).returncode == 0

    def __enter__(self):
        if self.own_dir:
            self.dir = self.env["DIR"] = tempfile.mkdtemp(prefix=f"bench-{os.path.basename(self.name)}-")
        if subprocess.run([self.adaptor, "prepare", self.scen], env=self.env).returncode:
            raise RuntimeError(f"{self.name}: prepare failed")
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.t0 = time.monotonic()
        self.proc = subprocess.Popen(self.prefix + [self.adaptor, "run", self.scen], env=self.env,
                                     stdout=self.log, stderr=self.log)
        self.wait_ready()
        return self

    def wait_ready(self, limit=60):
        """ready: it answers anything at all to an OPTIONS"""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        me = s.getsockname()[1]
        s.settimeout(0.02)
        msg = (f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{me};branch=z9hG4bKready%d;rport\r\n"
               f"Max-Forwards: 1\r\nFrom: <sip:r@bench.test>;tag=1\r\nTo: <sip:bench.test>\r\nCall-ID: ready%d\r\n"
               "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
        n = 0
        while time.monotonic() - self.t0 < limit:
            if self.proc.poll() is not None:
                raise RuntimeError(f"{self.name} ended at start; see {self.dir}/log")
            n += 1
            try:
                s.sendto((msg % (n, n)).encode(), ("127.0.0.1", self.port))
                s.recv(4096)
                self.ready_s = time.monotonic() - self.t0
                s.close()
                return
            except OSError:
                time.sleep(0.01)
        self.__exit__()
        raise RuntimeError(f"{self.name} is not ready after {limit} s; see {self.dir}/log")

    def settle(self, limit=3, quiet=0.1):
        """waits until nothing is left to do for `quiet` s: after a run that failed, the next one shall not pay for it"""
        end, before, since = time.monotonic() + limit, cpu(self.pids())[0], time.monotonic()
        while time.monotonic() < min(end, since + quiet):
            time.sleep(0.1)
            now = cpu(self.pids())[0]
            if now - before > 0.004:
                since = time.monotonic()
            before = now

    def pids(self):
        return descendants(self.proc.pid)

    def __exit__(self, *a):
        pids = self.pids()
        self.proc.terminate()
        try:
            self.proc.wait(20)
        except subprocess.TimeoutExpired:
            for p in pids:
                try:
                    os.kill(p, 9)
                except OSError:
                    pass
            self.proc.wait()
        self.log.close()
        if self.own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)


def load(server, args, cpus=None, limit=120):
    """one run of sipload against the server, with the server's CPU time added; with -W that behind the warm-up"""
    cmd = (["taskset", "-c", cpus] if cpus else []) + [f"{BUILD}/sipload"] + args + ["-s", f"127.0.0.1:{server.port}"]
    pids = server.pids()
    c0, s0 = cpu(pids), steal()
    line, errors = "", tempfile.TemporaryFile("w+")
    with subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=errors, text=True) as out:
        watch = threading.Timer(limit, out.kill)
        watch.start()
        for line in out.stdout:                 # at once: what the server does behind the last line is not of this run
            now = cpu(server.pids()), steal()
            if line.startswith('{"warm"'):
                c0, s0 = now
            else:
                c1, s1 = now
        watch.cancel()
    try:
        r = json.loads(line)
    except ValueError:
        errors.seek(0)
        raise RuntimeError(f"sipload: {line} {errors.read()}")
    r["cpu_s"], r["steal_s"] = c1[0] - c0[0], s1 - s0
    r["sys_share"] = (c1[2] - c0[2]) / (c1[0] - c0[0]) if c1[0] > c0[0] else 0
    r["us"] = r["cpu_s"] / max(1, r["completed"]) * 1e6
    r["clean"] = r["completed"] == r["started"] and not (r["retrans"] or r["dup_requests"] or r["failed"])
    return r


def spread(v):
    return {"median": statistics.median(v), "min": min(v), "max": max(v), "n": len(v)}
