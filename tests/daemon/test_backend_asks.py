# SPDX-License-Identifier: Apache-2.0
"""What the backend sets and asks: after how long parcels are reminded of and recalled, and which cabinet of the community to use."""
import glob
import json
import os
import tempfile
import time

from backendlib import BackendTest
from daemonlib import main, wait


class Thresholds(BackendTest):
    settings = {"Reminders": {"QuietFrom": "00:00", "QuietUntil": "00:00"}}

    def events(self, type):
        return [e for e in self.backend.events() if e["type"] == f"org.lockerd.{type}"]

    def test_thresholds_of_the_backend_win_and_last(self):
        """Requirement: E3, E4"""
        for wrong in ({"reminder": 5, "recall": 5}, {"recall": 86400}, {"reminder": 3 * 86400}, {}):
            answer = self.backend.command("set-thresholds", wrong)
            self.assertEqual((answer["status"], answer["error"]), ("refused", "InvalidArgument"), wrong)
        answer = self.backend.command("set-thresholds", {"reminder": 3, "recall": 6})
        self.assertEqual(answer["status"], "done", answer)
        number = int(self.store().parcel.rsplit("/", 1)[1])
        self.cabinet.restart(kill=True)
        # The recall request is the courier's errand: it goes to the backend, which recalls.
        request = wait(lambda: self.events("parcel.recall-requested"), "the recall request at the backend")
        self.assertEqual([r["subject"] for r in request], [f"parcel:{number}"])
        self.assertEqual(request[0]["data"]["state"], "stored")
        self.assertEqual([r["subject"] for r in self.events("parcel.reminder")], [f"parcel:{number}"])
        self.assertEqual(self.events("thresholds.set")[0]["data"], {"recall": 6, "reminder": 3})
        answer = self.backend.command("recall", {"parcel": number, "reason": "goes to the recipient's door"})
        self.assertEqual(answer["status"], "done", answer)
        self.assertEqual(self.admin.parcels()[number]["State"], "recalled")
        session = self.courier()
        [(_, slot, _)] = session.take_back()
        self.sim.wait(slot, door="open", coil=False)
        self.sim.do(f"take {slot}", f"close {slot}")
        wait(lambda: number not in self.admin.parcels(), "the parcel gone")
        self.assertEqual(self.admin.find_history(number)["state"], "returned")


class Refused(BackendTest):
    """The broker lets nobody hear of C-0014."""

    mqtt = {"Community": "C-0013 C-0014"}

    def setUp(self):
        plugins = glob.glob("/usr/lib/*/mosquitto_dynamic_security.so")
        if not plugins:
            self.skipTest("mosquitto has no plugin for access rights here")
        self.place = tempfile.TemporaryDirectory(prefix="rights-")
        self.addCleanup(self.place.cleanup)
        os.chmod(self.place.name, 0o755)
        self.rights = os.path.join(self.place.name, "rights.json")
        self.allow(False)
        self.broker_extra = f"plugin {plugins[0]}\nplugin_opt_config_file {self.rights}\n"
        super().setUp()

    def allow(self, yes):
        acl = {"acltype": "subscribePattern", "topic": "lockerd/v1/C-0014/state", "priority": 1, "allow": yes}
        everything = {"publishClientSend": True, "publishClientReceive": True, "subscribe": True, "unsubscribe": True}
        with open(self.rights, "w", encoding="utf-8") as f:
            json.dump({"defaultACLAccess": everything, "anonymousGroup": "all", "roles": [{"rolename": "all", "acls": [acl]}],
                       "groups": [{"groupname": "all", "roles": [{"rolename": "all"}]}], "clients": []}, f)

    def test_refused_neighbour_is_told_and_the_rest_goes_on(self):
        """Requirement: E6, F4"""
        wait(lambda: self.admin.health()["backend"][0] == "degraded", "a degraded backend")
        self.assertIn("lockerd/v1/C-0014/state: Not authorized", self.admin.health()["backend"][1])
        self.cabinet.wait_log("The broker refuses the subscription to lockerd/v1/C-0014/state")
        self.assertEqual(self.backend.command("announce", {"size": "S"})["status"], "done")
        # The other one is heard all the same.
        state = {"cabinet": "C-0013", "presence": "online", "place": {"latitude": 52.5, "longitude": 13.4},
                 "kinds": [{"ordinal": 1, "temperature": "ambient", "accessible": False, "free": 1}]}
        self.backend.client.publish("lockerd/v1/C-0013/state", json.dumps(state), qos=1, retain=True).wait_for_publish()
        place = {"size": "S", "latitude": 52.5, "longitude": 13.4}
        wait(lambda: self.backend.command("recommend", place).get("result", {}).get("cabinet") == "C-0013", "the neighbour that may be heard")
        time.sleep(2)  # tried again meanwhile
        self.assertEqual(self.cabinet.log().count("The broker refuses the subscription"), 1, "said once")
        self.broker.leave()
        self.allow(True)
        self.broker.start()
        wait(lambda: self.admin.health()["backend"][0] == "ok", "a backend without trouble")


class Recommendations(BackendTest):
    mqtt = {"Community": "C-0013 C-0014"}

    def say(self, cabinet, latitude=52.52, longitude=13.405, presence="online", **kind):
        kind = {"ordinal": 1, "temperature": "ambient", "accessible": False, "free": 1, **kind}
        state = {"cabinet": cabinet, "presence": presence}
        if presence == "online":
            state |= {"place": {"latitude": latitude, "longitude": longitude}, "kinds": [kind]}
        self.backend.client.publish(f"lockerd/v1/{cabinet}/state", json.dumps(state), qos=1, retain=True).wait_for_publish()

    def recommended(self, *wanted, **arguments):
        """Waits until the answer is this order of cabinets → the answer's result."""
        def ask():
            answer = self.backend.command("recommend", {"size": "S", "latitude": 52.53, "longitude": 13.405, **arguments})
            if answer["status"] != "done":
                self.assertEqual(answer["error"], "NoFreePosition")
                return ([], None)
            result = answer["result"]
            return [result["cabinet"]] + [a["cabinet"] for a in result["alternatives"]], result
        return wait(lambda: (lambda order, result: order == list(wanted) and (result or {"nothing": True}))(*ask()), f"{wanted}")

    def test_nearest_cabinet_with_room_is_recommended(self):
        """Requirement: E6"""
        self.recommended("C-0012")
        self.say("C-0013", 52.5295)
        self.say("C-0014", 52.51)
        self.say("C-0099", 52.53)  # of another community
        result = self.recommended("C-0013", "C-0012", "C-0014")
        self.assertEqual((result["distance"], result["alternatives"][0]["distance"]), (56, 1112))
        # Another size, another temperature: only who has it.
        self.recommended("C-0012", size="L")
        self.recommended(temperature="frozen")
        self.say("C-0014", 52.51, ordinal=3, accessible=True)
        self.recommended("C-0012", "C-0014", temperature="ambient", accessible=True, size="L")
        self.assertEqual(self.backend.command("recommend", {"size": "XXL"})["error"], "UnknownSize")
        # The nearest one is full, then gone.
        self.say("C-0013", 52.5295, free=0)
        self.recommended("C-0012", "C-0014")
        self.say("C-0013", 52.5295)
        self.recommended("C-0013", "C-0012", "C-0014")
        self.say("C-0013", presence="offline")
        self.recommended("C-0012", "C-0014")
        # What the others said is retained: it is known again after a restart.
        self.cabinet.restart(kill=True)
        self.wait_online()
        self.recommended("C-0012", "C-0014")

    def test_own_free_positions_are_told_in_detail(self):
        """Requirement: E6, F7"""
        self.recommended("C-0012")
        state = self.backend.state()
        by_size = {s["ordinal"]: s["free"] for s in state["sizes"]}
        told = {}
        for kind in state["kinds"]:
            told[kind["ordinal"]] = told.get(kind["ordinal"], 0) + kind["free"]
        self.assertEqual(told, by_size)
        self.assertEqual({k["temperature"] for k in state["kinds"]}, {"ambient"})


if __name__ == "__main__":
    main()
