#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Signs a command for a cabinet:  sign.sh PRIVATE-KEY.pem KEY-ID <command.json >command.jws
set -eu
[ $# = 2 ] || {
	echo "usage: sign.sh PRIVATE-KEY.pem KEY-ID <command.json >command.jws" >&2
	exit 2
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

header=$(printf '{"alg":"EdDSA","kid":"%s"}' "$2" | base64url)
payload=$(base64url)
printf '%s.%s' "$header" "$payload" >"$work/input"
openssl pkeyutl -sign -rawin -inkey "$1" -in "$work/input" -out "$work/signature"
printf '%s.%s.%s' "$header" "$payload" "$(base64url <"$work/signature")"
