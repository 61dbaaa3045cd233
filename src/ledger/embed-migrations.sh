#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# embed-migrations.sh OUTPUT NNN-*.sql…: writes the migrations as a C table, so that the daemon needs no files at run time.
set -eu

output=$1
shift
{
        printf '/* Made by embed-migrations.sh from schema/. */\n#include "ledger/migrations.h"\n\n'
        printf 'const Migration ledger_migrations[] = {\n'
        n=0
        for file; do
                n=$((n + 1))
                name=${file##*/}
                case $name in
                "$(printf '%03d' "$n")"-*.sql) ;;
                *)
                        echo "$file: migrations must be numbered 001, 002, … without gaps" >&2
                        exit 1
                        ;;
                esac
                printf '{%d, "%s",\n' "$n" "$name"
                sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' "$file"
                printf '},\n'
        done
        printf '};\nconst int ledger_n_migrations = %d;\n' "$n"
} >"$output"
