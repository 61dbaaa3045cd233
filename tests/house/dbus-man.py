#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the manual page of the D-Bus interfaces from their XML: dbus-man.py [--version V] [--date D] IN.xml OUT.5

The XML is the only place where the interfaces are described; what has no description there gets none here.
"""
import argparse
import os
import re
import sys
import xml.etree.ElementTree as ET

DOC = "{http://www.freedesktop.org/dbus/1.0/doc.dtd}"
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def roff(text):
    """Plain text as one roff line: escapes, no control line by accident, blanks collapsed."""
    text = re.sub(r"\s+", " ", text or "").strip()
    text = text.replace("\\", r"\e").replace("-", r"\-")
    text = text.translate({ord("~"): r"\(ti", ord("^"): r"\(ha", ord("`"): r"\(ga", ord("'"): r"\(aq"})
    return r"\&" + text if text[:1] in (".", "'") else text


def sentence(text):
    """Ends a summary with a full stop, so that pages read alike."""
    text = re.sub(r"\s+", " ", text or "").strip()
    return text if text.endswith((".", ":", "?", "!")) else text + "."


def doc_texts(element, tag):
    doc = element.find(DOC + "doc")
    return [] if doc is None else [e.text or "" for e in doc.findall(DOC + tag)]


def signature(member):
    """name(s kind) → (o session), as people write it."""
    def side(direction):
        args = [a for a in member.findall("arg") if a.get("direction", "in") == direction]
        return ", ".join(f"{a.get('type')} {a.get('name', '')}".strip() for a in args)

    if member.tag == "signal":
        args = ", ".join(f"{a.get('type')} {a.get('name', '')}".strip() for a in member.findall("arg"))
        return f"{member.get('name')}({args})"
    out = side("out")
    return f"{member.get('name')}({side('in')})" + (f" -> ({out})" if out else "")


def property_line(prop):
    words = [{"read": "read-only", "write": "write-only"}.get(prop.get("access"), "read and write")]
    emits = {a.get("name"): a.get("value") for a in prop.findall("annotation")}.get(EMITS, "true")
    words.append({"true": "changes are signalled", "const": "never changes",
                  "false": "changes are not signalled", "invalidates": "changes are signalled without the value"}[emits])
    return f"{prop.get('type')} {prop.get('name')}", ", ".join(words)


def member_page(out, member):
    if member.tag == "property":
        head, note = property_line(member)
        out += [".TP", f".B {roff(head)}", f"({roff(note)})"]
    else:
        out += [".TP", f".B {roff(signature(member))}"]
    body = [sentence(t) for t in doc_texts(member, "summary")]
    out += [roff(t) for t in body]
    for text in doc_texts(member, "para"):
        out += [".IP", roff(text)]
    described = [(a.get("name", ""), " ".join(doc_texts(a, "summary"))) for a in member.findall("arg")]
    described = [(name, text) for name, text in described if text]
    if described:
        out += [".RS"]
        for name, text in described:
            out += [".TP", f".I {roff(name)}", roff(sentence(text))]
        out += [".RE"]
    for text in doc_texts(member, "errors"):
        out += [".IP", f"Errors: {roff(sentence(text))}"]
    if member.tag != "property" and not body:
        out += [r"\&"]


def page(root, name, version, date):
    title = os.path.basename(name)
    out = [r".\" Made from " + title + ".xml by dbus-man.py: edit that.",
           rf'.TH "{roff(title)}" 5 "{date}" "lockerd {version}" "D\-Bus interfaces"',
           ".SH NAME", rf"{roff(title)} \- the D\-Bus interfaces of lockerd",
           ".SH DESCRIPTION",
           r"All objects are on the system bus under the name \fB" + roff(title) + r"\fR. The root object",
           ".B /" + title.replace(".", "/"),
           r"also has \fBorg.freedesktop.DBus.ObjectManager\fR; every object has",
           r"\fBorg.freedesktop.DBus.Properties\fR. Types are written as D\-Bus signatures."]
    for interface in root.findall("interface"):
        out += [f'.SH "INTERFACE {roff(interface.get("name").split(".")[-1].upper())}"',
                f".B {roff(interface.get('name'))}"]
        for text in doc_texts(interface, "summary") + doc_texts(interface, "para"):
            out += [".PP", roff(sentence(text))]
        for text in doc_texts(interface, "errors"):
            out += [".PP", f"Errors of every member: {roff(sentence(text))}"]
        for tag, heading in (("method", "Methods"), ("signal", "Signals"), ("property", "Properties")):
            members = interface.findall(tag)
            if members:
                out += [f".SS {heading}"]
            for member in members:
                member_page(out, member)
    out += [".SH ERRORS",
            r"The errors above are short for \fB" + roff(title) + r".Error.\fIName\fR; the message is a sentence for people.",
            ".SH SEE ALSO", r"\fBlockerd\fR(8), \fBlockerctl\fR(1), \fBbusctl\fR(1)"]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", default="")
    parser.add_argument("--date", default="")
    parser.add_argument("input")
    parser.add_argument("output")
    args = parser.parse_args()
    try:
        root = ET.parse(args.input).getroot()
    except (OSError, ET.ParseError) as error:
        sys.exit(f"dbus-man.py: {args.input}: {error}")
    name = os.path.splitext(os.path.basename(args.input))[0]
    with open(args.output, "w", encoding="utf-8") as f:
        f.write(page(root, name, args.version, args.date))


if __name__ == "__main__":
    main()
