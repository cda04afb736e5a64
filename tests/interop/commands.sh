#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line as an operator uses it, with the real executable on loopback. Prints TAP.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
strowger=${STROWGER:-$root/build/release/strowger}
home=$(mktemp -d)
server=
number=0
failed=0

for program in python3 curl; do
	if ! command -v "$program" >/dev/null; then
		echo "ok 1 - commands # SKIP $program is not installed"
		echo "1..1"
		rm -rf "$home"
		exit 0
	fi
done

export XDG_RUNTIME_DIR=$home/run XDG_STATE_HOME=$home/state TMPDIR=$home
unset STROWGER_CONFIG

finish() {
	[ "$BASHPID" = $$ ] || return # a child that a signal reached before it was the server
	[ -n "$server" ] && kill -KILL "$server" 2>/dev/null && wait "$server" 2>/dev/null
	rm -rf "$home"
}
trap finish EXIT

# ok CONDITION-STATUS NAME: one line of TAP; what the last command said is shown on failure.
ok() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $number - $2"
	sed 's/^/# /' "$home/said" | head -40
}

# run STATUS TEXT NAME ARGS…: exit status and a text (a grep pattern) in what it says.
run() {
	local status=$1 text=$2 name=$3
	shift 3
	"$strowger" "$@" >"$home/said" 2>&1 </dev/null
	local got=$?
	[ "$got" = "$status" ] || echo "exit status $got instead of $status" >>"$home/said"
	[ "$got" = "$status" ] && grep -q -- "$text" "$home/said"
	ok $? "$name"
}

# The same with standard input.
run_with() {
	local input=$1 status=$2 text=$3 name=$4
	shift 4
	printf '%b' "$input" | "$strowger" "$@" >"$home/said" 2>&1
	local got=${PIPESTATUS[1]}
	[ "$got" = "$status" ] || echo "exit status $got instead of $status" >>"$home/said"
	[ "$got" = "$status" ] && grep -q -- "$text" "$home/said"
	ok $? "$name"
}

free_port() {
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/tests/interop python3 -c 'import interop; print(interop.free_port())'
}

config() {
	cat >"$home/s.yaml" <<-END
		domains: [example.test, second.test]
		listen: ['udp:127.0.0.1:$port', 'tcp:127.0.0.1:$port']
		store: sqlite:$home/db/s.db
		admin: {socket: $home/s.sock}
		$*
	END
}

begin() { # ARGS…: a server, until its socket answers
	rm -f "$home/out" # the words of the last one
	"$strowger" serve "$@" >"$home/out" 2>"$home/log" &
	server=$!
	for _ in $(seq 200); do
		grep -q 'Ctrl-C' "$home/out" && return
		kill -0 "$server" 2>/dev/null || break
		sleep 0.02
	done
	cat "$home/out" "$home/log" >"$home/said"
}

end() { # SIGNAL STATUS NAME
	kill -"$1" "$server"
	wait "$server" 2>/dev/null
	local got=$?
	server=
	{ echo "exit status $got instead of $2"; grep '"event":"sandbox' "$home/log"; } >"$home/said"
	[ "$got" = "$2" ] && ! grep -q '"event":"sandbox' "$home/log"
	ok $? "$3"
}

# A SIP request as text from a socket; the answer's first line is printed.
request() {
	python3 - "$port" "$@" <<-'END'
		import socket, sys
		port, method, uri, call_id, sender = int(sys.argv[1]), *sys.argv[2:6]
		extra = sys.argv[6] if len(sys.argv) > 6 else ""
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.settimeout(3)
		s.bind(("127.0.0.1", 0))
		text = (f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{s.getsockname()[1]};branch=z9hG4bK{call_id}\r\n"
		        f"Max-Forwards: 70\r\nFrom: <{sender}>;tag=1\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n"
		        f"{extra}Content-Length: 0\r\n\r\n")
		s.sendto(text.encode("utf-8", "surrogateescape"), ("127.0.0.1", port))
		while True:
		    line = s.recv(65535).split(b"\r\n")[0].decode("latin-1")
		    if not line.startswith("SIP/2.0 1"):
		        break
		print(line)
	END
}

port=$(free_port)
config

# ---- without a server: the store itself ------------------------------------------------------
export STROWGER_CONFIG=$home/s.yaml
run 1 "no server is running" "status without a server" status
run 1 "no server is running" "why without a server" why last
run 1 "no server is running" "stop without a server" stop
run 1 "no server is running" "reload without a server" reload
run 0 "There are no users" "user list of an empty store" user list
run_with 'secret\n' 0 "User bob added" "user add" user add bob --password-stdin
run_with 'secret\n' 1 "exists already" "user add twice" user add bob@example.test --password-stdin
run_with 'secret\n' 1 "none of the domains" "user add of a foreign domain" user add bob@else.test --password-stdin
run_with 'secret\n' 1 "no user of the form" "user add of a bad name" user add 'b ob' --password-stdin
run_with '' 1 "no password" "user add without a password" user add eve --password-stdin
run 2 "password-stdin" "user add without a terminal" user add eve
run_with 'other\n' 0 "changed" "user passwd" user passwd sip:bob@example.test --password-stdin
run_with 'other\n' 1 "no user eve" "user passwd of nobody" user passwd eve --password-stdin
run 0 "^sip:bob@example.test$" "user list" user list
run 0 "not registered" "user show" user show bob
run 1 "no user eve" "user show of nobody" user show eve
run 1 "no user eve" "user remove of nobody" user remove eve
run_with 'a1:p:q\r\n# comment\n\na2@second.test:x\nbob:new\n' 0 "3 users imported" "user import" user import -
run 0 "sip:a2@second.test" "an imported user is there" user list
printf 'good:x\nno colon\n' >"$home/bad.txt"
run 1 "bad.txt:2: not of the form" "user import names the bad line" user import "$home/bad.txt"
run 1 "no user good" "a bad file imports nothing" user show good
printf 'good:x\nx@else.test:y\n' >"$home/bad.txt"
run 1 "bad.txt:2: else.test is none of the domains" "user import checks domains" user import "$home/bad.txt"
run 1 "No such file" "user import of a missing file" user import "$home/missing.txt"
run 0 "dnd=on" "user set" user set bob dnd=on "number=42,+49 30 12" forward.busy=a1
run 0 "  number=42,+49 30 12" "user show has the settings" user show bob
run 0 '"forward.busy": "a1"' "user show -o json has the settings by their keys" user show bob -o json
run 0 '"forward.no_answer_after": "20s"' "and what is standard" user show bob -o json
run 0 '"forward.always": ""' "and what has no value" user show bob -o json
run 1 "did you mean forward.busy" "user set names a slip" user set bob forward.bussy=a1
run 1 "allowed: on, off" "user set names what is allowed" user set bob dnd=maybe
run 1 "there is no user karl" "user set of a forwarding to nobody" user set bob forward.busy=karl
run 1 "a ring: a1 always -> bob busy -> a1" "user set of a ring" user set a1 forward.always=bob
run 1 "there is no queue support" "user set of a queue that is not there" user set a1 forward.always=queue:support
run 1 "is a name of sip:bob@example.test" "user set of a number that is taken" user set a1 number=42
run 0 "^forward.no_answer_after=20s" "explain settings" explain settings
run 2 "KEY=VALUE" "user set without a value" user set bob dnd
run 2 "argument is missing" "user set of nothing" user set bob
run 1 "no user eve" "user set of nobody" user set eve dnd=on
run 0 "are right" "user check" user check
run 0 "removed" "the target of a forwarding is removed" user remove a1
run 1 "sip:bob@example.test: forward.busy: there is no user a1" "user check finds who has gone" user check
run 1 '"error": "forward.busy' "user check as JSON" user check -o json
run 0 "sip:bob@example.test" "an empty value clears" user set bob dnd= number= forward.busy=
run 0 '"dnd": "off"' "it is cleared" user show bob -o json
run 0 "removed" "user remove" user remove a2@second.test
run 0 "Nobody is registered" "binding list" binding list
run 0 "bob is not registered" "binding list of a user" binding list bob
run 2 "did you mean remove" "user with a slip" user remov bob
run 2 "argument is missing" "user add without AOR" user add
run 2 "unexpected argument" "user list takes none" user list bob
run 2 "not known" "binding of a wrong kind" binding lits
run 0 '"sip:bob@example.test"' "user list as JSON" user list -o json
run 1 '"error"' "an error as JSON" user show eve -o json
run 1 "another/s.sock" "--socket of nobody is not replaced by the store" user list --socket "$home/another/s.sock"

# ---- a server ------------------------------------------------------------------------------------
begin
grep -q "udp 127.0.0.1:$port" "$home/out"
ok $? "serve says where it listens"
run 1 "running already" "a second server with the same store" serve
sed "s/s\.db/t.db/; s/s\.sock/t.sock/" "$home/s.yaml" >"$home/t.yaml"
run 1 "cannot listen on UDP 127.0.0.1:$port: another program has this port" "the port is in use" serve --config "$home/t.yaml"
sed "s/s\.db/t.db/; s/'udp:.*'/'udp:127.0.0.1:$(free_port)'/" "$home/s.yaml" >"$home/t.yaml"
run 1 "running already: it answers on" "the socket is in use" serve --config "$home/t.yaml"
run 0 "listens on         udp 127.0.0.1:$port" "status" status
run 0 '"pid"' "status as JSON" status -o json
run 0 "sip:bob@example.test" "user list through the server" user list
run_with 'pw\n' 0 "User carol added" "user add through the server" user add carol --password-stdin
run_with 'pw\n' 1 "exists already" "user add twice through the server" user add carol --password-stdin
run 0 "sip:carol@example.test" "user show through the server" user show carol
run 0 "dnd=on" "user set through the server" user set carol dnd=on
run 1 "allowed: on, off" "a wrong value through the server" user set carol dnd=perhaps
run 0 "removed" "user remove through the server" user remove carol
run 1 "no call is remembered" "why last before the first call" why last
run 1 "no call with Call-ID x/y@z" "why of an unknown call" why x/y@z

run 0 "^200 OK from udp 127.0.0.1:$port" "options to the server" options "sip:127.0.0.1:$port"
run 0 "^200 OK from tcp 127.0.0.1:$port" "options over TCP" options "sip:127.0.0.1:$port" --transport tcp
run 1 "480 Temporarily Unavailable" "options to a user who is not there" options "sip:bob@127.0.0.1:$port"
run 0 '"code": 200' "options as JSON" options "sip:127.0.0.1:$port" -o json
run 1 "nothing listens on tcp" "options to a closed port" options "sip:127.0.0.1:$(free_port)" --transport tcp
run 2 "no SIP URI" "options to nonsense" options 'http://x'
run 2 "2026-02-30T00:00:00Z is no time" "try at no day" try INVITE sip:bob@example.com --at 2026-02-30T00:00:00Z
run 2 "timeout takes seconds" "options with a bad timeout" options sip:127.0.0.1 --timeout x
run 0 "1 seeds, 0 with a broken invariant" "simulate a seed" simulate --seed 7 --calls 50
run 2 "is not a number" "simulate with a bad seed" simulate --seed x

request INVITE "sip:bob@127.0.0.1:$port" 'why/1@a' sip:visitor@far.test >"$home/said"
grep -q "480 Temporarily Unavailable" "$home/said"
ok $? "a call to a user who is not registered"
run 0 "cause not-registered" "why of that call" why 'why/1@a'
run 0 "|-- INVITE --*>|" "why draws the ladder" why 'why/1@a'
run 0 "user = sip:bob@example.test" "why shows the facts" why last
run 0 "strowger binding list" "why shows the remedy" why last
run 0 '"cause": "not-registered"' "why as JSON" why last -o json
"$strowger" why last | awk 'length > 100 { exit 1 }'
ok $? "why fits into 100 columns"

request REGISTER "sip:127.0.0.1:$port" auth@a "sip:bob@127.0.0.1:$port" \
	$'Authorization: Digest username="bob\xff", realm="example.test", nonce="x", uri="sip:127.0.0.1", response="00000000000000000000000000000000"\r\n' >"$home/said"
grep -q 401 "$home/said" && sleep 0.1 && grep '"event":"auth.failed"' "$home/log" >"$home/said" &&
	grep -q '"address":"127.0.0.1"' "$home/said"
ok $? "a wrong password is logged with the address of the socket"
filter=$root/packaging/fail2ban/strowger.conf
matches() { # the filter of fail2ban on the log: addresses
	python3 - "$filter" "$home/log" <<-'END'
		import re, sys
		line = next(l for l in open(sys.argv[1], encoding="utf-8") if l.startswith("failregex"))
		text = line.split("=", 1)[1].strip().replace("<ADDR>", r"(?P<ip>[0-9a-f.:]+)")
		for said in open(sys.argv[2], encoding="utf-8"):
		    for seen in (said, "host strowger[7]: " + re.sub(r'"time":"[^"]*",', "", said)):
		        found = re.search(text, seen)
		        if found:
		            print(found["ip"])
	END
}
matches >"$home/said" 2>&1
[ "$(tr '\n' ' ' <"$home/said")" = "127.0.0.1 127.0.0.1 " ]
ok $? "the filter for fail2ban finds its address, in a file and in the journal"
python3 - "$port" >"$home/said" 2>&1 <<-'END'
	import hashlib, re, socket, sys
	server, uri = ("127.0.0.1", int(sys.argv[1])), "sip:bob@example.test"
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(3)
	s.bind(("127.0.0.1", 0))
	def md5(*words):
	    return hashlib.md5(":".join(words).encode()).hexdigest()
	def ask(number, extra):
	    s.sendto((f"MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{s.getsockname()[1]};branch=z9hG4bKf{number}\r\n"
	              f"Max-Forwards: 70\r\nFrom: <sip:dave@example.test>;tag=1\r\nTo: <{uri}>\r\nCall-ID: from@a\r\n"
	              f"CSeq: {number} MESSAGE\r\n{extra}Content-Length: 0\r\n\r\n").encode(), server)
	    return s.recv(65535).decode()
	challenge = ask(1, "")
	realm, nonce = (re.search(name + '="([^"]+)"', challenge)[1] for name in ("realm", "nonce"))
	proof = md5(md5("bob", realm, "new"), nonce, "00000001", "c", "auth", md5("MESSAGE", uri))
	print(ask(2, f'Proxy-Authorization: Digest username="bob", realm="{realm}", nonce="{nonce}", uri="{uri}", '
	             f'response="{proof}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"\r\n').split("\r\n")[0])
END
grep -q "403 From Is Not Your Address" "$home/said" && sleep 0.1 &&
	grep '"event":"request.refused"' "$home/log" | grep -q '"cause":"from-not-yours"' && [ "$(matches | wc -l)" = 2 ]
ok $? "another From with the right password is refused, but no failed authentication"
python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]' "$home/log" 2>"$home/said"
ok $? "every line of the log is JSON"

# A socket's permissions, and what the HTTP side refuses.
[ "$(stat -c %a "$home/s.sock")" = 660 ]
ok $? "the socket is 0660"
[ "$(stat -c %a "$home/db/s.db.key")" = 600 ] && cp "$home/db/s.db.key" "$home/key"
ok $? "the key beside the store is 0600"
ask() { curl -s --max-time 5 --unix-socket "$home/s.sock" "$@" >"$home/said" 2>&1; }
ask -X POST --data '{"mode":"add","users":[{"aor":"x"}]}' http://l/v1/users
grep -q 'needs' "$home/said"
ok $? "a user without a password is refused"
ask -X POST --data '{broken' http://l/v1/users
grep -q 'no JSON' "$home/said"
ok $? "a body that is no JSON is refused"
ask -X PUT http://l/v1/status
grep -q 'not possible' "$home/said"
ok $? "a wrong method is refused"
ask http://l/v1/nothing
grep -q 'there is no /v1/nothing' "$home/said"
ok $? "an unknown path is refused"
head -c 17000000 /dev/zero >"$home/big"
ask -X POST --data-binary "@$home/big" -H 'Expect:' http://l/v1/users
grep -q 'longer than' "$home/said"
ok $? "a body without end is refused"

# ---- reload, drain, stop --------------------------------------------------------------------------
config 'call: {from_anyone: false}'
run 0 "is in force" "reload" reload
request INVITE "sip:bob@127.0.0.1:$port" reload@a sip:visitor@far.test >"$home/said"
grep -q "403" "$home/said"
ok $? "the reloaded option holds"
run 0 "call.from_anyone, .*s.yaml:" "why names the line that decided" why reload@a
config 'bogus: 1'
run 1 "unknown option" "reload of a file with an error, by --socket" reload --socket "$home/s.sock"
config 'workers: 1' 'store_sync: full'
sed -i 's/workers: 1 store_sync: full/store_sync: full/' "$home/s.yaml"
run 1 "store_sync has changed, which needs a restart" "reload of a restart option" reload
echo 'dns: {timeout: 3s}' >>"$home/s.yaml"
run 1 "store_sync and dns.timeout have changed, which needs a restart" "reload names each of them" reload
config 'log: {level: debug}'
kill -HUP "$server"
sleep 0.3
grep -q '"event":"config.reloaded"' "$home/log" && run 0 "" "SIGHUP reloads" status
sed -i 's/second.test/third.test/' "$home/s.yaml"
run 0 "is in force" "other domains are live" reload
run 0 "third.test" "status shows the domains of now" status
python3 - "$home/registrar" <<-'END' &
	import re, socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(5)
	s.bind(("127.0.0.1", 0))
	open(sys.argv[1], "w").write(str(s.getsockname()[1]))
	request, source = s.recvfrom(65535)
	lines = [line for line in request.split(b"\r\n") if re.match(rb"(Via|From|To|Call-ID|CSeq):", line)]
	s.sendto(b"\r\n".join([b"SIP/2.0 403 Verk\xe4uft", *lines, b"Content-Length: 0", b"", b""]), source)
END
for _ in $(seq 100); do [ -s "$home/registrar" ] && break; sleep 0.02; done
config "trunks: [{name: carrier, uri: 'sip:127.0.0.1:$(cat "$home/registrar")', user: me, password: x, register: true}]"
run 0 "is in force" "a trunk that registers" reload
for _ in $(seq 100); do "$strowger" status -o json | grep -q '"code": 403' && break; sleep 0.02; done
run 0 "carrier.*403" "status has a trunk whose phrase is no UTF-8" status
run 0 "new requests get 503" "drain" drain
request INVITE "sip:bob@127.0.0.1:$port" drain@a sip:visitor@far.test >"$home/said"
grep -q "503" "$home/said"
ok $? "a draining server refuses a call"
run 0 "draining" "status says that it drains" status
run 0 "Stopped" "stop" stop
wait "$server"
status=$?
server=
{ echo "exit status $status"; grep '"event":"sandbox' "$home/log"; } >"$home/said"
! grep -q '"event":"sandbox' "$home/log" && [ "$status" = 0 ] && [ ! -e "$home/s.sock" ]
ok $? "a stopped server exits 0 and removes its socket"
run 0 "sip:bob@example.test" "users outlive the server" user list
: >"$home/said"

# ---- signals, and a server that died -----------------------------------------------------------------
begin
end TERM 0 "SIGTERM stops in order"
cmp "$home/db/s.db.key" "$home/key" >"$home/said" 2>&1
ok $? "the key outlives the server"
begin
end INT 0 "SIGINT stops in order"
begin
end KILL 137 "a server is killed"
[ -S "$home/s.sock" ]
ok $? "its socket is left"
run 1 "no server is running" "nobody answers on the socket of a dead server" status
run 0 "sip:bob@example.test" "the store is opened without it" user list
begin
run 0 "running since" "the dead server's socket is replaced" status
end TERM 0 "and that one stops"

# ---- what keeps a server from starting ----------------------------------------------------------------
printf 'listen: [udp:127.0.0.1:99999]\n' >"$home/bad.yaml"
run 1 "bad.yaml:1:" "serve with a bad file names line and column" serve --config "$home/bad.yaml"
run 1 "No such file" "serve with a missing file" serve --config "$home/missing.yaml"
mkdir -p "$home/dir.db"
sed "s#sqlite:.*#sqlite:$home/dir.db#" "$home/s.yaml" >"$home/bad.yaml"
run 1 "store" "serve with a store that is a folder" serve --config "$home/bad.yaml"
touch "$home/file.sock"
sed "s#s\.sock#file.sock#" "$home/s.yaml" >"$home/bad.yaml"
run 1 "is no socket" "a file in the place of the socket is left alone" serve --config "$home/bad.yaml"
run 2 "unknown option --tyr" "serve with a slip" serve --tyr

# ---- --try ------------------------------------------------------------------------------------------------
unset STROWGER_CONFIG
begin --try --socket "$home/try.sock" # the default may be that of a running server
grep -q "password [a-z0-9]\{10\}$" "$home/out"
ok $? "--try prints passwords"
address=$(sed -n 's/.*SIP  *udp //p' "$home/out")
run 0 "200 OK" "--try answers where it says" options "sip:$address"
run 0 "sip:alice@localhost" "--try has its users" user list --socket "$home/try.sock"
run 1 "no file to read" "--try has nothing to reload" reload --socket "$home/try.sock"
http=$(sed -n 's/.*http:\/\/\([0-9.:]*\)\/v1.*/\1/p' "$home/out")
curl -s "http://$http/v1/users" >"$home/said"
grep -q alice "$home/said"
ok $? "--try can be read on loopback"
curl -s -i -X PUT "http://$http/v1/users" | tr -d '\r' >"$home/said"
grep -q "^HTTP/1.1 405" "$home/said" && grep -q "^Allow: GET, HEAD, POST, PATCH, DELETE$" "$home/said"
ok $? "over HTTP it is told which methods a path takes"
curl -s -X POST "http://$http/v1/stop" >"$home/said"
grep -q "Unix socket only" "$home/said"
ok $? "nothing is changed over loopback"
curl -s --max-time 5 -X POST -d '{}' "http://$http/v1/stop" >"$home/said"
grep -q "Unix socket only" "$home/said"
ok $? "nor with a body"
curl -s --max-time 5 -X POST -d '{"uri":"sip:alice@localhost"}' "http://$http/v1/try" >"$home/said"
grep -q "which URI" "$home/said"
ok $? "a body over loopback is not read"
curl -s -H 'Host: evil.test' "http://$http/v1/users" >"$home/said"
grep -q "no name of this address" "$home/said"
ok $? "another Host is refused"
curl -s -H 'Sec-Fetch-Site: cross-site' "http://$http/v1/users" >"$home/said"
grep -q "page of another site" "$home/said"
ok $? "so is what a page of another site asks for"
run 1 "running already" "a second --try on the same socket" serve --try --socket "$home/try.sock"
"$strowger" serve --try --socket "$home/other.sock" >"$home/out2" 2>/dev/null &
second=$!
for _ in $(seq 100); do grep -q Ctrl-C "$home/out2" && break; sleep 0.02; done
cp "$home/out2" "$home/said"
[ "$(sed -n 's/.*SIP  *udp //p' "$home/out2")" != "$address" ]
ok $? "a second --try takes the next free port"
kill "$second"
wait "$second"
end TERM 0 "--try stops in order"
ls -d "$home"/strowger-try-* >"$home/said" 2>&1
[ $? != 0 ]
ok $? "--try leaves nothing behind"

# ---- what a peer writes in a MESSAGE -----------------------------------------------------------------
port=$(free_port)
"$strowger" answer --listen "127.0.0.1:$port" --trace >"$home/out" 2>"$home/log" </dev/null &
server=$!
for _ in $(seq 200); do [ -s "$home/out" ] && break; sleep 0.02; done
python3 - "$port" <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(3)
	s.connect(("127.0.0.1", int(sys.argv[1])))
	body = b"a\xc2\x9bb\x9bc\xe2\x80\xaed\xc3\xa4\n   0.000  forged"
	s.send(b"MESSAGE sip:me@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKm\r\nMax-Forwards: 70\r\n"
	       b"From: <sip:eve@127.0.0.1>;tag=1\r\nTo: <sip:me@127.0.0.1>\r\nCall-ID: m\r\nCSeq: 1 MESSAGE\r\n"
	       b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % (s.getsockname()[1], len(body)) + body)
	s.recv(65535)
END
for _ in $(seq 100); do grep -q 'forged' "$home/out" && break; sleep 0.02; done
cat "$home/out" "$home/log" >"$home/said"
grep -qF 'a\xc2\x9bb\x9bc\xe2\x80\xaedä\n   0.000  forged' "$home/out" && ! grep -q '^   0.000  forged' "$home/out"
ok $? "a message steers no terminal and makes no line of its own"
grep -qF 'a\xc2\x9bb\x9bc\xe2\x80\xaedä' "$home/log" && grep -q '^CSeq: 1 MESSAGE$' "$home/log"
ok $? "nor does the trace, which has its lines"
kill "$server"
wait "$server" 2>/dev/null
server=

echo "1..$number"
[ "$failed" = 0 ]
