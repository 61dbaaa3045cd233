#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A handheld at the command line, to read and to run: a courier's with a certificate, a recipient's without.

    handheld.py --at unix:/run/lockerd-link/link --cabinet C-0012 --ca ca.pem --cert 4711.pem --key 4711.key deposit --size S
    handheld.py --at ble:hci0 --cabinet C-0012 --ca ca.pem collect 7Q2M9X

It shows what the cabinet says until the errand is over. Meanwhile a line of input is a request: too-small, not-empty, does-not-open,
reopen, cancel, accept, reject, end. Exit status: 0 done, 1 refused or gone, 2 wrong usage.
"""
import argparse
import ssl
import sys
import threading

from link import Gone, Link, Refused, SocketStream
from offline_code import pickup_code

OVER = {"stored", "collected", "rejected", "cancelled", "done", "timed-out", "unverified"}


def show(message):
    place = f" [slot {message['slot']}, position {message['position']}]" if "slot" in message else ""
    print(f"{message.get('sentence') or message.get('prompt')}{place}", flush=True)


def show_code(link, result):
    if "key" in result:
        code = pickup_code(bytes.fromhex(result["key"]), result["slot"], result["deposited"], link.hello["code_alphabet"])
        print(f"Pickup code: {code}", flush=True)


def stream(options):
    if not options.at.startswith("ble:"):
        return SocketStream(options.at)
    import ble  # it needs python3-gi, and BlueZ
    return ble.connect(options.cabinet, options.at.removeprefix("ble:"))


def errand(link, options):
    """The first request."""
    if options.request == "deposit":
        wishes = {k: getattr(options, k) for k in ("size", "recipient", "phone", "waybill", "parcel") if getattr(options, k) is not None}
        return link.request("deposit", **wishes)
    if options.request == "collect":
        claims = {k: getattr(options, k) for k in ("slot", "phone_tail") if getattr(options, k) is not None}
        return link.request("collect", code=options.code, cabinet=options.cabinet, **claims)
    return link.request(options.request)


def read_requests(said):
    for line in sys.stdin:
        said.append(line.strip())


def follow(link):
    """Shows prompts and passes on what is typed, until it is over."""
    said = []
    threading.Thread(target=read_requests, args=(said,), daemon=True).start()
    while True:
        while said:
            request = said.pop(0)
            try:
                result = link.request(request)
                show(result)
                show_code(link, result)
            except Refused as e:
                print(e, flush=True)
        try:
            message = link.prompt(timeout=0.2)
        except TimeoutError:
            continue
        show(message)
        if message["prompt"] in OVER:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at", required=True, help="ble:ADAPTER, such as ble:hci0; unix:PATH or tcp:PORT of this machine")
    parser.add_argument("--cabinet", required=True, help="the number of the cabinet that it must be")
    parser.add_argument("--ca", required=True, help="the operator's authority (PEM)")
    parser.add_argument("--cert", help="a courier's certificate (PEM)")
    parser.add_argument("--key", help="and its key")
    requests = parser.add_subparsers(dest="request", required=True)
    deposit = requests.add_parser("deposit")
    for name in ("size", "recipient", "phone", "waybill"):
        deposit.add_argument(f"--{name}")
    deposit.add_argument("--parcel", type=int)
    collect = requests.add_parser("collect")
    collect.add_argument("code")
    collect.add_argument("--slot")
    collect.add_argument("--phone-tail")
    requests.add_parser("take-back")
    requests.add_parser("hello")
    options = parser.parse_args()
    try:
        with Link(stream(options), options.cabinet, options.ca, options.cert, options.key) as link:
            if options.request == "hello":
                print("\n".join(f"{k}: {v}" for k, v in link.hello.items()))
                return 0
            result = errand(link, options)
            show(result)
            show_code(link, result)
            follow(link)
            return 0
    except (Refused, Gone, ssl.SSLError, OSError) as e:
        print(e, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
