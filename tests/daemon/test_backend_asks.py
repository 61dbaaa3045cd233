# SPDX-License-Identifier: Apache-2.0
"""What the backend sets and asks: after how long parcels are reminded of and recalled, and which cabinet of the community to use."""
import json

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
