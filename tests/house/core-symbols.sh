#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The core library takes nothing from outside but what computes: no clock, no files, no randomness.
#   core-symbols.sh BUILD-DIRECTORY
set -eu

build=${1:?usage: core-symbols.sh BUILD-DIRECTORY}
core=$build/src/core/libcore.a
base=$build/src/base/libbase.a

for library in "$core" "$base"; do
	[ -e "$library" ] || { echo "$library is not built" && exit 1; }
done

# What the C library may give: memory, strings, formatting into memory, sorting; and what the compiler puts in.
allowed='^(abort|bsearch|calloc|free|malloc|qsort|realloc|reallocarray|explicit_bzero
|mem(chr|cmp|cpy|mem|move|set)|str(casecmp|cat|chr|chrnul|cmp|cpy|cspn|dup|len|ncasecmp|ncmp|ndup|nlen|pbrk|rchr|spn|str|tol|toll|toul|toull|tod)
|__isoc23_str(tol|toll|toul|toull)|v?snprintf|v?asprintf|floor|ceil|trunc|sin|cos|asin|sqrt|isnan|fabs|nan
|__(v?snprintf|v?asprintf|memcpy|memmove|memset|strcpy|strcat|strncpy|explicit_bzero)_chk
|__ctype_(b|tolower|toupper)_loc|tolower|toupper|__stack_chk_fail|__assert_fail|__errno_location|_GLOBAL_OFFSET_TABLE_)$'
allowed=$(printf '%s' "$allowed" | tr -d '\n')

# Of base only the text helpers: they compute. Its clock and its log are not for the core.
own=$(nm --defined-only -g "$core" | awk 'NF == 3 { print $3 }' | sort -u)
text=$(nm --defined-only -g "$base" | awk 'NF == 3 && $3 ~ /^text_/ { print $3 }' | sort -u)
wrong=$(nm -u "$core" | awk '$1 == "U" { print $2 }' | sort -u | grep -vE "$allowed" |
	grep -vxF -e "$(printf '%s\n%s' "$own" "$text")" || true)
if [ -n "$wrong" ]; then
	echo "The core uses what it may not:"
	echo "$wrong"
	nm -A -u "$core" | grep -wF -e "$wrong"
	exit 1
fi
echo "$(nm -u "$core" | awk '$1 == "U" { print $2 }' | sort -u | wc -l) outside symbols, all allowed"
