#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The contract with the backend (schema/mqtt): test_contract.py BUILD-DIRECTORY

The documents are held against validators that are not ours, the examples against the documents, and the documents against
the code: what the daemon can say has a schema, what the schemas allow the daemon takes. With LOCKERD_NPM=yes the document
is also read by the npm packages named below (they are fetched)."""
import copy
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
try:
    import referencing  # with it, since 4.18, jsonschema resolves references; what it still has of its own then resolves them wrongly
except ImportError:
    referencing = None

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
MQTT = os.path.join(ROOT, "schema", "mqtt")
EXAMPLES = os.path.join(MQTT, "examples")
BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else os.path.join(ROOT, "build-check")
TOOL = os.path.join(BUILD, "tests", "daemon", "contract")
NPM = ["@asyncapi/parser@3.6.3", "ajv@8.20.0", "ajv-formats@3.0.1"]
CABINET = "C-0004"


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def unique(pairs):
    if len({k for k, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


SCHEMAS = {os.path.basename(p)[:-len(".schema.json")]: load(p) for p in sorted(glob.glob(os.path.join(MQTT, "*.schema.json")))}
STORE = {s["$id"]: s for s in SCHEMAS.values()}
CHECKER = jsonschema.FormatChecker()


def validator(name):
    schema = SCHEMAS[name]
    if referencing:
        where = {"registry": referencing.Registry().with_contents(STORE.items())}
    else:
        where = {"resolver": jsonschema.RefResolver(schema["$id"], schema, store=STORE)}
    return jsonschema.Draft202012Validator(schema, format_checker=CHECKER, **where)


def resolve(schema, ref):
    """What that schema's reference means; raises when it means nothing."""
    if referencing:
        return referencing.Registry().with_contents(STORE.items()).resolver(schema["$id"]).lookup(ref).contents
    return jsonschema.RefResolver(schema["$id"], schema, store=STORE).resolve(ref)[1]


def complaints(name, value):
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator(name).iter_errors(value)]


def tool(*arguments, given=None):
    done = subprocess.run([TOOL, *arguments], input=given, capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"contract {' '.join(arguments)}: {done.returncode} {done.stderr.decode()}")
    return json.loads(done.stdout, object_pairs_hook=unique)


def command(name, text, keys=os.path.join(EXAMPLES, "keys")):
    return tool("command", CABINET, name, keys, given=text)


def commands(rows):
    """[(name, command)] → what the code says of each."""
    lines = "".join(f"{name} {json.dumps(value)}\n" for name, value in rows)
    done = subprocess.run([TOOL, "commands", CABINET], input=lines.encode(), capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def schema_of_example(path):
    """event.parcel.stored.json → event, command-open.json → command-open, signed.open.jws → signed"""
    return os.path.basename(path).split(".")[0]


def examples():
    return sorted(glob.glob(os.path.join(EXAMPLES, "*.json")))


RECORDING = ("locker", "people", "cabinet", "records")


def recording_sources():
    return [p for folder in RECORDING for p in sorted(glob.glob(os.path.join(ROOT, "src", folder, "*.c")))]


def emitted_types():
    """What the daemon can record: every text of the form "noun.verb" in the folders that do, and a parcel's states."""
    types = {f"parcel.{s}" for s in TABLE["states"]}
    for path in recording_sources():
        with open(path, encoding="utf-8") as f:
            types |= {t for t in re.findall(r'"([a-z]+\.[a-z-]+)"', f.read()) if not t.endswith((".h", ".c", ".key"))}
    return types


def prompt_words():
    """What somebody can be told: the errands' prompts, and the words that are named where they are told."""
    words = set(TABLE["prompts"])
    for path in recording_sources():
        with open(path, encoding="utf-8") as f:
            words |= set(re.findall(r'notify_prompt\([^;"]*"([a-z-]+)"', f.read()))
    return words


def data_schemas():
    """Event type → name of the schema of its data, as event.schema.json says."""
    found = {}
    for rule in SCHEMAS["event"]["allOf"]:
        condition = rule["if"]["properties"]["type"]
        for type_ in condition.get("enum", [condition.get("const")]):
            found[type_.removeprefix("org.lockerd.")] = rule["then"]["properties"]["data"]["$ref"][:-len(".schema.json")]
    return found


class Documents(unittest.TestCase):
    def test_every_schema_is_one_and_names_itself(self):
        self.assertGreater(len(SCHEMAS), 20)
        for name, schema in SCHEMAS.items():
            with self.subTest(name):
                jsonschema.Draft202012Validator.check_schema(schema)
                self.assertEqual(schema["$schema"], "https://json-schema.org/draft/2020-12/schema")
                self.assertTrue(schema["$id"].endswith(f"/{name}.schema.json"))
                self.assertTrue(schema["title"] and schema["description"])
                for ref in re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema)):
                    self.assertIsInstance(resolve(schema, ref), dict)

    def test_asyncapi_document_is_one(self):
        with open(os.path.join(MQTT, "asyncapi.yaml"), encoding="utf-8") as f:
            document = yaml.safe_load(f)
        judge = jsonschema.Draft7Validator(load(os.path.join(ROOT, "tests", "daemon", "asyncapi-3.0.0.json")))
        self.assertEqual([e.message for e in judge.iter_errors(document)], [])
        broken = copy.deepcopy(document)
        broken["operations"]["publishEvent"]["action"] = "publish"
        self.assertTrue(list(judge.iter_errors(broken)), "the judge finds nothing wrong with a wrong document")

        used = set()
        for ref in re.findall(r"\$ref: '([^']+)'", open(os.path.join(MQTT, "asyncapi.yaml"), encoding="utf-8").read()):
            if ref.startswith("./"):
                self.assertTrue(os.path.exists(os.path.join(MQTT, ref)), ref)
                used.add(ref[2:])
            else:
                at = document
                for part in ref.lstrip("#/").split("/"):
                    at = at[part]
        names = {c["name"] for c in TABLE["commands"]}
        addresses = {c["address"] for c in document["channels"].values()}
        self.assertEqual({a.rsplit("/", 1)[1] for a in addresses if "/command/" in a}, names)
        self.assertLessEqual({f"command-{n}.schema.json" for n in names}, used)
        for c in TABLE["commands"]:
            messages = next(ch for ch in document["channels"].values() if ch["address"].endswith("/command/" + c["name"]))["messages"]
            self.assertEqual("signedCommand" in messages, c["signed"], c["name"])

    def test_every_example_fits_its_schema_and_every_schema_has_one(self):
        seen = {"signed-payload", "command", "signed"} | {n for n in SCHEMAS if n.startswith("event-")}
        for path in examples():
            with self.subTest(os.path.basename(path)):
                name = schema_of_example(path)
                with open(path, encoding="utf-8") as f:
                    value = json.load(f, object_pairs_hook=unique)
                self.assertEqual(complaints(name, value), [])
                seen.add(name)
                if name == "event":
                    self.assertEqual(os.path.basename(path), value["type"].replace("org.lockerd.", "event.") + ".json")
        self.assertEqual(seen, set(SCHEMAS))
        shown = {os.path.basename(p)[len("event."):-len(".json")] for p in examples() if "/event." in p}
        self.assertEqual(shown, set(data_schemas()))

    def test_wrong_messages_do_not_fit(self):
        event = load(os.path.join(EXAMPLES, "event.parcel.stored.json"))
        online = load(os.path.join(EXAMPLES, "state.online.json"))
        done = load(os.path.join(EXAMPLES, "answer.announce.json"))
        for name, value in [
                ("event", {**event, "specversion": "0.3"}), ("event", {**event, "sequence": 17}), ("event", {**event, "id": "17"}),
                ("event", {**event, "data": {}}), ("event", {**event, "time": "yesterday"}), ("event", {**event, "extra": 1}),
                ("event", {k: v for k, v in event.items() if k != "clocksynced"}),
                ("state", {"cabinet": CABINET, "presence": "online"}), ("state", {**online, "presence": "away"}),
                ("state", {**online, "place": {"latitude": 1}}),
                ("answer", {**done, "status": "ok"}), ("answer", {**done, "result": {}}), ("answer", {**done, "error": "Expired"}),
                ("answer", {"id": "1", "name": "open", "status": "refused"}),
                ("answer", {"id": "1", "name": "open", "status": "failed", "error": "Nonsense", "message": ""}),
                ("signed", "a.b"), ("signed", "a.b.c"), ("signed", "a=.b." + 86 * "A")]:
            with self.subTest(name=name, value=value):
                self.assertTrue(complaints(name, value))


class Code(unittest.TestCase):
    def test_every_event_type_has_a_schema(self):
        self.assertEqual(emitted_types() - set(data_schemas()), set(), "events without a schema: schema/mqtt/event.schema.json")
        self.assertEqual(set(data_schemas()) - emitted_types(), set(), "schemas of events that are never recorded")

    def test_events_are_recorded_in_one_place(self):
        """Else emitted_types() would look in the wrong folder."""
        for path in glob.glob(os.path.join(ROOT, "src", "*", "*.c")):
            with open(path, encoding="utf-8") as f:
                if re.search(r"\b(ledger_record|records_add)\(", f.read()):
                    self.assertIn(os.path.basename(os.path.dirname(path)), (*RECORDING, "ledger"), path)

    def test_events_states_and_answers_of_the_cabinet_fit(self):
        for path in examples():
            if "/event." not in path:
                continue
            example = load(path)
            data = dict(example["data"])
            secret = data.pop("secret", None)
            made = tool("event", CABINET, str(int(example["sequence"])), example["type"][len("org.lockerd."):], example["subject"],
                        json.dumps(data), *([json.dumps(secret)] if secret else []))
            with self.subTest(example["type"]):
                self.assertEqual(complaints("event", made), [])
                for key in ("id", "source", "type", "subject", "sequence", "data"):
                    self.assertEqual(made[key], example[key])
        for arguments in (["state"], ["state", "bare"], ["will"]):
            self.assertEqual(complaints("state", tool(*arguments)), [])
        self.assertEqual(tool("will"), load(os.path.join(EXAMPLES, "state.will.json")))
        for refusal in TABLE["refusals"]:
            self.assertEqual(complaints("answer", tool("answer", "a1", "open", refusal)), [], refusal)
        for path in examples():
            value = load(path)
            if "/answer." in path and "result" in value:
                made = tool("answer", value["id"], value["name"], "None", json.dumps(value["result"]))
                self.assertEqual(made, value)
        self.assertEqual(SCHEMAS["answer"]["properties"]["error"]["enum"], TABLE["refusals"])
        self.assertEqual(SCHEMAS["event-parcel"]["properties"]["state"]["enum"], TABLE["states"])
        self.assertEqual(set(SCHEMAS["event-session-prompt"]["properties"]["what"]["enum"]), prompt_words())

    def test_every_command_has_a_schema_with_the_same_arguments(self):
        names = {c["name"] for c in TABLE["commands"]}
        self.assertEqual({n[len("command-"):] for n in SCHEMAS if n.startswith("command-")}, names)
        for c in TABLE["commands"]:
            schema = SCHEMAS["command-" + c["name"]]
            arguments = schema["$defs"]["arguments"]
            with self.subTest(c["name"]):
                self.assertEqual(set(arguments["properties"]), {a["key"] for a in c["arguments"]})
                self.assertEqual(set(arguments.get("required", [])), {a["key"] for a in c["arguments"] if a["required"]})
                self.assertIs(arguments["additionalProperties"], False)
                self.assertEqual(schema.get("x-signed", False), c["signed"])
                self.assertEqual(schema["properties"]["name"]["const"], c["name"])
            for a in c["arguments"]:
                said = arguments["properties"][a["key"]]
                with self.subTest(command=c["name"], argument=a["key"]):
                    if a["words"]:
                        self.assertEqual(said["enum"], a["words"])
                    else:
                        self.assertEqual(said["type"], a["type"])
                    if a["type"] in ("integer", "number"):
                        self.assertEqual((said["minimum"], said["maximum"]), (a["min"], a["max"]))
                    if a["length"]:
                        self.assertEqual((said.get("minLength", 0), said["maxLength"]), (a["min"], a["max"]))

    def test_examples_of_commands_are_taken(self):
        for path in examples():
            if "/command-" in path:
                name = schema_of_example(path)[len("command-"):]
                with self.subTest(os.path.basename(path)), open(path, "rb") as f:
                    answer = command(name, f.read())
                    self.assertEqual((answer["refusal"], answer["detail"]), ("None", ""))
                    self.assertFalse(answer["signed"])

    def test_code_and_schemas_agree_on_what_is_wrong(self):
        """Every example, damaged in every argument in many ways: what the schema refuses the code refuses and the other way round."""
        values = [None, True, False, 0, 1, -1, 2**63 - 1, 255, 256, 1.5, 91.5, -180, 31622401, "", " ", "x", "P1", "1234567", "+49 (170) 1234567",
                  "12345678901234567", "a/b", "a\nb", "a\u0085b", "\u00e4" * 31, "\u00e4" * 32, "y" * 128, "y" * 129, "y" * 256, "y" * 257,
                  "recipient", "courier", "frozen", [], {}, ["x"]]
        rows = []
        for path in examples():
            if "/command-" not in path:
                continue
            name = schema_of_example(path)
            whole = load(path)
            keys = SCHEMAS[name]["$defs"]["arguments"]["properties"]
            damaged = [{**whole, "arguments": {k: v for k, v in whole.get("arguments", {}).items() if k != gone}} for gone in keys]
            damaged += [{**whole, "arguments": {**whole.get("arguments", {}), key: value}} for key in [*keys, "unheard"] for value in values]
            damaged += [{k: v for k, v in whole.items() if k != gone} for gone in whole]
            damaged += [{**whole, "id": i} for i in ("", "a b", "\u00e4", 1, None, "a" * 64, "a" * 65)]
            damaged += [{**whole, "arguments": a} for a in ([], None, "x")] + [{**whole, "unheard": 1}]
            rows += [(name[len("command-"):], value) for value in damaged]
        answers = commands(rows)
        self.assertEqual(len(answers), len(rows))
        self.assertGreater(len(rows), 2000)
        for (name, value), answer in zip(rows, answers):
            # What a schema cannot say is said in its description.
            beyond = "smaller than" in answer["detail"] or "longer than" in answer["detail"]
            found = complaints("command-" + name, value)
            if (answer["refusal"] != "None") != bool(found) and not beyond:
                self.fail(f"{name} {json.dumps(value)}: the code says {answer}, the schema {found}")


class Signing(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.mkdtemp(prefix="lockerd-contract-")
        self.addCleanup(shutil.rmtree, self.place)

    def test_the_signed_example_is_verified(self):
        """Requirement: F5"""
        with open(os.path.join(EXAMPLES, "signed.open.jws"), "rb") as f:
            jws = f.read()
        self.assertEqual(complaints("signed", jws.decode()), [])
        answer = command("open", jws)
        self.assertEqual((answer["refusal"], answer["signed"], answer["key"]), ("None", True, "backend-2026"))
        self.assertEqual(answer["id"], load(os.path.join(EXAMPLES, "command-open.json"))["id"])
        self.assertEqual(command("collect", jws)["refusal"], "BadSignature")
        self.assertEqual(command("open", jws, keys=self.place)["refusal"], "BadSignature")

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_the_signed_example_can_be_made_again(self):
        """The private key is the one of RFC 8037, appendix A.1, which everybody knows."""
        private = os.path.join(self.place, "rfc8037.key")
        with open(private, "w", encoding="ascii") as f:
            f.write("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                    "-----END PRIVATE KEY-----\n")
        payload = json.dumps(load(os.path.join(EXAMPLES, "command-open.json")), separators=(",", ":")).encode()
        jws = subprocess.run(["sh", os.path.join(EXAMPLES, "sign.sh"), private, "backend-2026"], input=payload, capture_output=True,
                             check=True).stdout
        with open(os.path.join(EXAMPLES, "signed.open.jws"), "rb") as f:
            self.assertEqual(jws, f.read())

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_signing_by_openssl_as_the_guide_says_is_verified(self):
        """Requirement: F5"""
        private, keys = os.path.join(self.place, "backend.key"), os.path.join(self.place, "keys")
        os.mkdir(keys)
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", os.path.join(keys, "dispatch.pem")], check=True)
        for name in ("open", "deposit", "collect"):
            with open(os.path.join(EXAMPLES, f"command-{name}.json"), "rb") as f:
                payload = f.read()
            self.assertEqual(complaints("signed-payload", json.loads(payload)), [])
            jws = subprocess.run(["sh", os.path.join(EXAMPLES, "sign.sh"), private, "dispatch"], input=payload, capture_output=True,
                                 check=True).stdout
            answer = command(name, jws, keys)
            self.assertEqual((answer["refusal"], answer["signed"], answer["key"]), ("None", True, "dispatch"))
            self.assertEqual(command(name, jws[:-4] + b"AAAA", keys)["refusal"], "BadSignature")
            self.assertEqual(command(name, jws)["refusal"], "BadSignature", "a key that the cabinet does not have")


NODE = """
import {Parser, fromFile} from '@asyncapi/parser';
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import fs from 'fs';
const [,, mqtt, work] = process.argv;
let bad = 0;
const {document, diagnostics} = await fromFile(new Parser(), mqtt + '/asyncapi.yaml').parse();
for (const d of diagnostics) if (d.severity < 2) { bad++; console.log(d.code, d.message, (d.path || []).join('/')); }
if (!document) { bad++; console.log('no document'); }
const ajv = new Ajv.default({strict: false, allErrors: true});
formats.default(ajv);
const ids = {};
for (const f of fs.readdirSync(mqtt).filter(f => f.endsWith('.schema.json'))) {
    const schema = JSON.parse(fs.readFileSync(mqtt + '/' + f));
    ajv.addSchema(schema);
    ids[f.slice(0, -'.schema.json'.length)] = schema.$id;
}
for (const f of fs.readdirSync(mqtt + '/examples').filter(f => f.endsWith('.json'))) {
    const check = ajv.getSchema(ids[f.split('.')[0]]);
    if (!check(JSON.parse(fs.readFileSync(mqtt + '/examples/' + f)))) { bad++; console.log(f, ajv.errorsText(check.errors)); }
}
console.log(bad + ' complaints');
process.exit(bad ? 1 : 0);
"""


class OtherValidators(unittest.TestCase):
    @unittest.skipUnless(os.environ.get("LOCKERD_NPM") == "yes" and shutil.which("npm"), "only with npm and LOCKERD_NPM=yes")
    def test_asyncapi_parser_and_ajv_have_no_complaints(self):
        with tempfile.TemporaryDirectory(prefix="lockerd-npm-") as work:
            with open(os.path.join(work, "package.json"), "w", encoding="utf-8") as f:
                json.dump({"name": "contract", "version": "1.0.0", "private": True, "type": "module"}, f)
            try:
                fetched = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--save-exact", *NPM], cwd=work,
                                         capture_output=True, check=False, timeout=240)
            except subprocess.TimeoutExpired:
                self.skipTest("npm takes too long")
            if fetched.returncode != 0:
                self.skipTest("npm cannot fetch the packages")
            with open(os.path.join(work, "judge.mjs"), "w", encoding="utf-8") as f:
                f.write(NODE)
            judged = subprocess.run(["node", "judge.mjs", MQTT, work], cwd=work, capture_output=True, check=False, timeout=120)
            self.assertEqual(judged.returncode, 0, judged.stdout.decode() + judged.stderr.decode())


TABLE = tool("table")

if __name__ == "__main__":
    unittest.main(verbosity=2)
