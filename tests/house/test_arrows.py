#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""arrows.py finds what it is there for: each rule is broken once, in a small tree of its own."""
import os
import shlex
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import arrows  # noqa: E402

CC = shlex.split(os.environ.get("CC", "cc"))
# A door uses the store behind the use cases: by its own declaration, so that no include shows it.
TREE = {
    "ledger/store.c": "int ledger_read(void) { return 1; } int ledger_write(void) { return 2; }",
    "locker/use.c": "int ledger_write(void); int locker_use(void) { return ledger_write(); }",
    "bus/door.c": "int locker_use(void); int ledger_read(void); int door(void) { return locker_use() + ledger_read(); }",
}
TABLE = {"ledger": set(), "locker": {"ledger"}, "bus": {"locker"}}


def build(directory, tree):
    for path, text in tree.items():
        target = os.path.join(directory, "src", os.path.dirname(path), "lib.a.p", os.path.basename(path) + ".o")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        subprocess.run([*CC, "-x", "c", "-c", "-o", target, "-"], input=text, text=True, check=True)


class Symbols(unittest.TestCase):
    def problems(self, exceptions=None, tree=None, table=None):
        with tempfile.TemporaryDirectory() as directory:
            build(directory, tree or TREE)
            return arrows.check_symbols(directory, table or TABLE, exceptions or {})[2]

    def test_use_against_the_table_is_named_with_object_and_owner(self):
        self.assertEqual(self.problems(), ["door.c.o: bus may not use ledger_read of ledger"])

    def test_declared_exception_is_no_problem(self):
        self.assertEqual(self.problems({("bus", "ledger"): ("reads", {"ledger_read"})}), [])

    def test_exception_covers_its_symbol_only(self):
        tree = {**TREE, "bus/door.c": TREE["bus/door.c"] + " int ledger_write(void); int more(void) { return ledger_write(); }"}
        self.assertEqual(self.problems({("bus", "ledger"): ("reads", {"ledger_read"})}, tree),
                         ["door.c.o: bus may not use ledger_write of ledger"])

    def test_exception_that_is_not_used_is_reported(self):
        stale = {("bus", "ledger"): ("reads", {"ledger_read", "ledger_gone"})}
        self.assertEqual(self.problems(stale), ["ledger_gone: declared as an exception for bus, but bus does not use it"])

    def test_arrow_up_is_a_problem(self):
        tree = {**TREE, "ledger/up.c": "int locker_use(void); int ledger_up(void) { return locker_use(); }"}
        self.assertIn("up.c.o: ledger may not use locker_use of locker", self.problems(tree=tree))

    def test_own_symbol_and_system_symbol_are_no_problem(self):
        tree = {"ledger/a.c": "int b(void); int puts(const char *); int a(void) { return b() + puts(\"\"); }",
                "ledger/b.c": "int b(void) { return 1; }", "bus/b.c": "int b(void) { return 2; }"}
        self.assertEqual(self.problems(tree=tree), [])

    def test_folder_without_objects_is_a_problem(self):
        with tempfile.TemporaryDirectory() as directory:
            build(directory, TREE)
            os.remove(os.path.join(directory, "src", "bus", "lib.a.p", "door.c.o"))
            self.assertEqual(len(arrows.check_symbols(directory, TABLE, {})[2]), 1)

    def test_broken_object_is_an_error(self):
        with tempfile.TemporaryDirectory() as directory:
            build(directory, TREE)
            with open(os.path.join(directory, "src", "bus", "lib.a.p", "door.c.o"), "w", encoding="utf-8") as f:
                f.write("no object")
            with self.assertRaises(subprocess.CalledProcessError):
                arrows.check_symbols(directory, TABLE, {})


class Includes(unittest.TestCase):
    def complaints(self, folder, text):
        return list(arrows.complaints(folder, f"src/{folder}/x.c", text))

    def test_each_rule_is_broken_once(self):
        for folder, text in (("core", "#include <time.h>"), ("bus", "#include <sqlite3.h>"), ("core", '#include "ledger/ledger.h"'),
                             ("bus", '#include "ledger/ledger.h"'), ("base", '#include "../core/code.h"'), ("base", '#include "nowhere.h"'),
                             ("sync", '#include "locker/locker_struct.h"')):
            with self.subTest(folder=folder, text=text):
                self.assertEqual(len(self.complaints(folder, text)), 1)

    def test_what_the_table_allows_is_no_problem(self):
        self.assertEqual(self.complaints("locker", '#include <errno.h>\n#include "ledger/ledger.h"\n#include "lockerd/bus_names.h"\n'
                                                   '#include "locker/locker_struct.h"'), [])


class Headers(unittest.TestCase):
    def test_header_of_nothing_in_particular_is_a_problem(self):
        for name in ("private.h", "internal.h"):
            with self.subTest(name=name):
                self.assertEqual(arrows.check_headers({f"bus/{name}": "", "bus/peer.h": ""}),
                                 [f"src/bus/{name}: name it after what it declares, one header a module"])

    def test_circle_of_headers_is_named_once(self):
        circle = {"bus/a.h": '#include "bus/b.h"\n', "bus/b.h": '#include <stdint.h>\n#include "bus/c.h"\n', "bus/c.h": '#include "bus/b.h"\n'}
        self.assertEqual(arrows.check_headers(circle), ["headers in a circle: bus/b.h → bus/c.h → bus/b.h"])

    def test_headers_that_meet_again_are_no_circle(self):
        self.assertEqual(arrows.check_headers({"a/a.h": '#include "a/b.h"\n#include "a/c.h"\n', "a/b.h": '#include "a/c.h"\n', "a/c.h": ""}), [])

    def test_tree_is_checked(self):
        with tempfile.TemporaryDirectory() as directory:
            os.makedirs(os.path.join(directory, "src", "bus"))
            with open(os.path.join(directory, "src", "bus", "internal.h"), "w", encoding="utf-8"):
                pass
            self.assertEqual(len(arrows.check_includes(directory)[1]), 1)


if __name__ == "__main__":
    unittest.main()
