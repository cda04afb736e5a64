#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guide does what it says: each configuration in docs/guide is good, and the `strowger user set` lines of its page work
# with it. Prints TAP.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
strowger=${STROWGER:-$root/build/release/strowger}
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export XDG_RUNTIME_DIR=$home XDG_STATE_HOME=$home
unset STROWGER_CONFIG
number=0
failed=0

tell() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		sed 's/^/# /' "$home/out"
		failed=1
	fi
}

# The blocks of a kind, one file each: PAGE KIND
blocks() {
	awk -v kind="\`\`\`$2" -v out="$home/block." '
		$0 == "```" { inside = 0 }
		inside { print > (out n) }
		$0 == kind { inside = 1; n++ }' "$1"
}

for page in "$root"/docs/guide/*.md; do
	name=$(basename "$page")
	rm -f "$home"/block.* "$home"/*.db*
	blocks "$page" yaml
	for block in "$home"/block.*; do
		[ -e "$block" ] || continue
		sed -i '/^user: strowger$/d' "$block" # this machine has no such user
		"$strowger" check "$block" > "$home/out" 2>&1
		tell $? "$name: configuration ${block##*.}"
	done
	[ -e "$home/block.1" ] || continue
	cp "$home/block.1" "$home/guide.yaml"
	echo "store: sqlite:$home/guide.db" >> "$home/guide.yaml"
	grep -E '^strowger (user set|queue (login|logout|pause)) ' "$page" > "$home/lines"
	[ -s "$home/lines" ] || continue
	printf '%s@example.com:guide\n' alice bob carol dave erin > "$home/users"
	"$strowger" user import "$home/users" --config "$home/guide.yaml" > "$home/out" 2>&1
	tell $? "$name: users"
	while read -r _ line; do
		# shellcheck disable=SC2086
		"$strowger" $line --config "$home/guide.yaml" > "$home/out" 2>&1
		tell $? "$name: strowger $line"
	done < "$home/lines"
done
echo "1..$number"
exit $failed
