#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a running server has given away: privileges, capabilities, system calls; and what it keeps to
itself: its files. Privileges can be dropped by root only; the tests of that are skipped otherwise."""
import json
import os
import pathlib
import pwd
import re
import socket
import stat
import subprocess
import tempfile
import unicodedata

from interop import (DOMAIN, STROWGER, WAIT_S, Server, Skip, exchange, options_request,
                     require, run_tests, start, stop, tail, wait_until)

USER = "nobody"
ALL_BITS = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}


def fields(pid, task):
    with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def threads(server):
    """The process is setpriv's, which becomes the server; every thread of the administration has had
    a connection, which is when it takes its filter."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.folder / "admin.sock"))
        client.sendall(b"GET /v1/status HTTP/1.0\r\n\r\n")
        require(client.recv(1000).startswith(b"HTTP/1.1 200"), "the administration answers")
    pid = server.process.pid
    return [fields(pid, task) for task in os.listdir(f"/proc/{pid}/task")]


def each_thread_is_filtered(bench):
    server = bench.server(options="workers: 2\n")
    found = threads(server)
    require(len(found) >= 5, f"{len(found)} threads: main, a worker, store, log, administration are five")
    for thread in found:
        require(thread["Seccomp"] == "2", f"{thread['Name']} has no filter")
        require(thread["NoNewPrivs"] == "1", f"{thread['Name']} may gain privileges")


def sandbox_off(bench):
    server = bench.server(options="sandbox: off\n")
    for thread in threads(server):
        require(thread["Seccomp"] == "0", f"{thread['Name']} has a filter")
        require(thread["NoNewPrivs"] == "1", f"{thread['Name']} may gain privileges")


def no_core(bench):
    """A process that cannot be dumped belongs to root in /proc, and its memory is not in core files."""
    if os.geteuid() != 0:
        server = bench.server()
        require(os.stat(f"/proc/{server.process.pid}/mem").st_uid == 0, "the process can be dumped")
        return
    server = bench.add(Dropped())
    require(os.stat(f"/proc/{server.process.pid}/mem").st_uid == 0, "the process can be dumped")


def new_folder():
    """Not below /tmp/strowger-*, where the command line trusts its own folders only."""
    return pathlib.Path(tempfile.mkdtemp(prefix="dropped-"))


class Dropped(Server):
    """Started by root, runs as USER."""

    def __init__(self):
        if os.geteuid() != 0:
            raise Skip("only root can drop privileges")
        super().__init__(users=(), options=f"user: {USER}\n", folder=new_folder())

    def start(self):
        os.chmod(self.folder, 0o755)
        os.chown(self.folder, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
        super().start()


def privileges_are_dropped(bench):
    server = bench.add(Dropped())
    entry = pwd.getpwnam(USER)
    groups = sorted({group for group in os.getgrouplist(USER, entry.pw_gid)})
    for thread in threads(server):
        require(thread["Uid"].split() == [str(entry.pw_uid)] * 4, f"Uid {thread['Uid']}")
        require(thread["Gid"].split() == [str(entry.pw_gid)] * 4, f"Gid {thread['Gid']}")
        require(sorted(map(int, thread["Groups"].split())) == groups, f"Groups {thread['Groups']}")
        for name in sorted(ALL_BITS):
            require(int(thread[name], 16) == 0, f"{thread['Name']}: {name} {thread[name]}")
        require(thread["NoNewPrivs"] == "1" and thread["Seccomp"] == "2", "no sandbox")


def serves_without_privileges(bench):
    """Store, reload and the end, as somebody else and under the filters."""
    server = bench.add(Dropped())
    server.command("user", "add", f"carol@{DOMAIN}", "--password-stdin", text="singer\n")
    require("carol" in server.command("user", "list"), "a user is kept")
    os.chmod(server.config, 0o644)
    server.command("reload")
    require(exchange(server.port, options_request(server.port), 1), "OPTIONS is answered")
    server.command("stop")
    wait_until(lambda: server.process.poll() is not None, "the server ends")
    require(server.process.returncode == 0, f"status {server.process.returncode}\n{tail(server.log)}")
    require(not (server.folder / "admin.sock").exists(), "the socket is removed")


def lent_capabilities_are_dropped(bench):
    """As systemd starts it: not root, with a capability to bind low ports."""
    if os.geteuid() != 0:
        raise Skip("only root can lend a capability")
    server = Lent()
    bench.add(server)
    for thread in threads(server):
        for name in sorted(ALL_BITS - {"CapBnd"}):
            require(int(thread[name], 16) == 0, f"{thread['Name']}: {name} {thread[name]}")


class Lent(Server):
    """Started as USER with an ambient capability."""

    def __init__(self):
        super().__init__(users=(), folder=new_folder())

    def start(self):
        entry = pwd.getpwnam(USER)
        os.chmod(self.folder, 0o755)
        os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        os.chmod(self.config, 0o644)
        self.process = start(["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}",
                              "--clear-groups", "--inh-caps=-all,+net_bind_service",
                              "--ambient-caps=+net_bind_service", STROWGER, "serve", "--config",
                              self.config], self.folder, self.log)
        wait_until(self.answers, f"the server answers\n{tail(self.log)}")


class Journalled(Server):
    """Its standard error is what systemd says is the journal."""

    def start(self):
        self.log.touch()
        status = self.log.stat()
        os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
        try:
            super().start()
        finally:
            del os.environ["JOURNAL_STREAM"]


def needs_no_time_zone(bench):
    """Lines for the journal have no time: the administration is the first to need one. What is denied
    then is found at the end."""
    server = bench.add(Journalled())
    threads(server)
    server.command("status")
    require("<6>" in tail(server.log) or "<5>" in tail(server.log), f"no journal: {tail(server.log)}")


def files_are_private(bench):
    server = bench.server()
    server.command("status")  # this one has started, whoever answered on its port
    for path in sorted(server.folder.glob("strowger.db*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        require(mode & 0o027 == 0, f"{path.name} has mode {mode:o}")
    require(stat.S_IMODE((server.folder / "strowger.db.key").stat().st_mode) == 0o600, "the key")
    require(stat.S_IMODE((server.folder / "admin.sock").stat().st_mode) == 0o660, "the socket")


def memory_holds(pid, text):
    """Where a text stands in the memory of a process that may be written."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if line.split()[1].startswith("rw"):
                try:
                    memory.seek(begin)
                    data = memory.read(end - begin)
                except OSError:
                    continue
                found += [f"{begin + at:x} {line.split()[-1]}" for at in
                          [match.start() for match in re.finditer(re.escape(text), data)]]
    return found


def passwords_are_wiped(bench):
    """Not in the memory of the server after the user was stored; its name is, which shows that this
    test can see."""
    if os.geteuid() != 0:
        raise Skip("only root can read the memory of a process that cannot be dumped")
    server = bench.server()
    password = "pass" + os.urandom(12).hex()
    server.command("user", "add", f"carol@{DOMAIN}", "--password-stdin", text=password + "\n")
    require(memory_holds(server.process.pid, b"carol"), "the memory of the server can be read")
    found = memory_holds(server.process.pid, password.encode())
    require(not found, f"the password is still in memory: {found}")


def passwords_of_trunks_are_wiped(bench):
    """Not in the memory of the server after a reload without the trunk."""
    if os.geteuid() != 0:
        raise Skip("only root can read the memory of a process that cannot be dumped")
    password = "pass" + os.urandom(12).hex()
    server = bench.server()
    text = server.config.read_text()
    server.config.write_text(f"{text}trunks: [{{name: carrier, uri: 'sip:127.0.0.1:9', user: me, "
                             f"register: true, password: {password}}}]\n")
    server.command("reload")
    require(memory_holds(server.process.pid, password.encode()), "a password that is needed is there")
    server.config.write_text(text)
    server.command("reload")
    wait_until(lambda: not memory_holds(server.process.pid, password[4:].encode()),
               "the password leaves the memory")


# What a log must never carry as it came: controls, the escape of terminals, what turns the direction
# of a line (U+202E, U+2066) or hides in it. And what other programs would execute.
HOSTILE = [b"a%n%n%s%s%p", b"x';DROP TABLE users;--", b"x' OR '1'='1", b"a\xe2\x80\xaeb",
           b"a\xe2\x81\xa6b", b"a\xd8\x9cb", b"a\xc2\x9bb", b"a\xe2\x80\x8bb", b"a\xe2\x80\xa8b",
           b"a\xef\xbb\xbfb", b"a\xffb", b'a\\"b', b"a\\\\b", b"a\tb", b"a\x1b[2Jb", b"a\x7fb",
           b"j\xc3\xbcrg", b"$(id)", b"a\\\nb"]


def hostile_requests(number, text):
    """The same words as user name of Digest, in From, the Request-URI, Call-ID and a header field."""
    quoted = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    bare = text.replace(b'"', b"").replace(b"\\", b"").replace(b" ", b"")
    name = DOMAIN.encode()
    for method, uri, user, call in ((b"REGISTER", b"sip:" + name, b"bob@" + name, b"plain"),
                                    (b"INVITE", b"sip:%s@%s" % (bare, name), bare + b"@far.test", bare)):
        yield (b"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKlog%d%s\r\n"
               b'Max-Forwards: 70\r\nFrom: "%s" <sip:%s>;tag=1\r\nTo: <sip:bob@%s>\r\n'
               b"Call-ID: %s%d\r\nCSeq: 1 %s\r\nSubject: %s\r\n"
               b'Authorization: Digest username="%s", realm="%s", nonce="x", uri="sip:%s", response="%s"\r\n'
               b"Content-Length: 0\r\n\r\n"
               % (method, uri, number, method, quoted, user, name, call, number, method, text, quoted,
                  name, name, b"0" * 32))


def log_lines_are_escaped(bench):
    server = bench.server(options="log: {level: debug}\n")
    for number, text in enumerate(HOSTILE):
        for request in hostile_requests(number, text):
            require(exchange(server.port, request, 1), f"{text} is answered")
    server.command("why", "last")
    data = server.log.read_bytes().split(b"Ctrl-C stops it.\n", 1)[1]
    names = []
    for line in data.decode("utf-8").splitlines():
        event = json.loads(line)
        names.append(event.get("user", ""))
        bad = [char for char in line if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs")]
        require(not bad, f"as it came: {bad} in {line!r}")
    for expected in ("a%n%n%s%s%p", "x';DROP TABLE users;--", 'a\\"b', "a\ufffdb", "j\u00fcrg"):
        require(any(expected in name for name in names), f"{expected} is in the log: {names}")
    require(server.command("user", "list").count("sip:") == 2, "the users are still there")


def no_sql_from_requests(bench):
    """An AOR that would end a statement is one that nobody has; users are those that were added."""
    server = bench.server()
    for text in ("x' OR '1'='1", "x';DROP TABLE users;--", 'x"; DELETE FROM bindings; --', "%", "_ob"):
        done = subprocess.run([STROWGER, "user", "show", text, "--config", server.config], text=True,
                              capture_output=True, timeout=WAIT_S, check=False)
        require(done.returncode == 1, f"user show {text}: status {done.returncode}: {done.stdout}")
        done = subprocess.run([STROWGER, "binding", "remove", text, "--config", server.config],
                              text=True, capture_output=True, timeout=WAIT_S, check=False)
        require(done.returncode == 1, f"binding remove {text}: {done.returncode}: {done.stdout}")
    require(server.command("user", "list").count("sip:") == 2, "the users are still there")


def keeps_what_was_freed():
    """The address sanitizer does; then a search of the memory says nothing about what is wiped."""
    return b"__asan_init" in pathlib.Path(STROWGER).read_bytes()


if __name__ == "__main__":
    run_tests([test for test in [
        ("each thread is filtered", each_thread_is_filtered),
        ("sandbox: off", sandbox_off),
        ("no core file", no_core),
        ("privileges are dropped", privileges_are_dropped),
        ("it serves without privileges", serves_without_privileges),
        ("lent capabilities are dropped", lent_capabilities_are_dropped),
        ("no time zone is opened later", needs_no_time_zone),
        ("files are private", files_are_private),
        ("passwords are wiped", passwords_are_wiped),
        ("passwords of trunks are wiped", passwords_of_trunks_are_wiped),
        ("log lines are escaped", log_lines_are_escaped),
        ("no SQL from requests", no_sql_from_requests),
    ] if test[1] not in (passwords_are_wiped, passwords_of_trunks_are_wiped) or not keeps_what_was_freed()])
