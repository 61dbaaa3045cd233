# SPDX-License-Identifier: Apache-2.0
"""Deposits and pickups over the link while there is no backend, with the daemon killed at each step."""
from daemonlib import main, wait
from linklib import Gone, LinkTest, pickup_code, place_of
from backendlib import BackendTest


class Offline(LinkTest, BackendTest):
    settings = {"Session": {"ReopenGrace": "2s"}}

    def power_cut(self):
        self.cabinet.restart(kill=True)
        self.wait_listening()

    def test_what_is_done_offline_reaches_the_backend_in_order_and_once(self):
        """No backend, no administrator, power cuts between; then the network returns.

        Requirement: B1, B2, B3, B4"""
        self.wait_drained()
        self.broker.leave()
        wait(lambda: self.admin.health()["backend"][0] == "degraded", "a degraded backend")
        codes = {}
        # Killed before the answer: whoever deposits looks, and begins anew.
        link = self.handheld("4711")
        link.last_id += 1
        link.send_frame({"id": link.last_id, "request": "deposit", "size": "S"})
        wait(lambda: self.admin.parcels(), "the commit")
        self.power_cut()
        with self.assertRaises((Gone, OSError)):
            link.receive_frame(5)
        lost, = self.admin.parcels()
        # Killed at the open door, and with the item inside.
        link = self.handheld("4711")
        put = place_of(link.request("deposit", size="S"))
        codes[put.parcel] = self.code_of(link, vars(put))
        self.put(put)
        self.power_cut()
        self.shut(put)
        wait(lambda: self.admin.parcels()[put.parcel]["State"] in ("stored", "unverified"), "what came of it")
        # Killed after it was stored.
        with self.handheld("4711") as link:
            other, code = self.bring(link, phone="015112345678")
        codes[other.parcel] = code
        self.power_cut()
        self.assertEqual(self.admin.parcel(other.parcel)["State"], "stored")
        # Both open by the codes that the handheld has computed; one after another cut, at the open door.
        self.assertEqual(self.fetch(codes[other.parcel]).slot, other.slot)
        link = self.handheld()
        got = place_of(link.request("collect", code=codes[put.parcel]))
        self.take(got)
        self.power_cut()
        self.shut(got)
        wait(lambda: self.admin.parcels().get(put.parcel, {"State": "collected"})["State"] in ("collected", "unverified"), "what came of it")
        self.assertEqual(self.opened(put.slot, other.slot)[1], 2)

        self.broker.start()
        self.wait_drained()
        last = self.last_event()
        events = wait(lambda: any(int(e["sequence"]) >= last for e in self.backend.events()) and self.backend.events(), "all of the story")
        first = list({e["id"]: e for e in events}.values())
        sequences = [int(e["sequence"]) for e in first]
        self.assertEqual(sequences, list(range(sequences[0], sequences[0] + len(sequences))), "in order, without a gap")
        # The backend computes the codes, too.
        issued = {e["data"]["parcel"]: e["data"] for e in first if e["type"] == "org.lockerd.code.issued"}
        self.assertEqual(set(issued), {lost, put.parcel, other.parcel})
        for parcel, code in codes.items():
            data = issued[parcel]
            self.assertEqual(pickup_code(bytes.fromhex(data["secret"]["key"]), data["slot"], data["deposited"]), code)
            self.assertEqual(data["secret"]["code"], code)
        told = [e["type"].removeprefix("org.lockerd.parcel.") for e in first if e["subject"] == f"parcel:{other.parcel}" and ".parcel." in e["type"]]
        self.assertEqual(told, ["depositing", "stored", "collecting", "collected"])


main()
