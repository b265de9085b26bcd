#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the manual page of the bus interface: dbus-page.py XML AUTHZ TEMPLATE OUTPUT.

Text comes from the comments of the XML ("NAME: text", "@argument: text"), the polkit action of each method from the
table of the daemon. @INTERFACES@ in the template is replaced. A method without a text or a row is an error.
"""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROW = re.compile(r'\{MIGD_IFACE_(\w+), "(\w+)", MIGD_ACTION_ID_(\w+)\}')
COMMENT = re.compile(r"\s*([\w.]+):\s*(.*)", re.DOTALL)


class Builder(ET.TreeBuilder):
    """Keeps comments in the tree."""

    def __init__(self):
        super().__init__(insert_comments=True)


def escape(text: str) -> str:
    return re.sub(r"([*`|_\\])", r"\\\1", " ".join(text.split()))


def documented(parent: ET.Element):
    """(element, text) of each child, with the comment right before it."""
    comment = ""
    for child in parent:
        if child.tag is ET.Comment:
            comment = child.text or ""
        else:
            yield child, comment
            comment = ""


def split(comment: str, name: str) -> tuple[str, dict[str, str]]:
    """The text of NAME, and those of its @arguments."""
    match = COMMENT.match(comment)
    if match is None or match[1] != name:
        return "", {}
    arguments, paragraphs = {}, []
    last = None
    for line in match[2].splitlines():
        found = re.match(r"\s*@(\w+): (.*)", line)
        if found and found[1] != "short_description":
            last = found[1]
            arguments[last] = found[2]
        elif not line.strip():
            last = None
            paragraphs.append("")
        elif last is not None:
            arguments[last] += " " + line.strip()
        elif not line.strip().startswith("@short_description"):
            paragraphs.append(line.strip())
    text = "\n".join(paragraphs)
    return "\n\n".join(escape(p) for p in re.split(r"\n\n+", text) if p.strip()), arguments


def indent(text: str, by: str = "    ") -> str:
    return "\n".join(by + line if line else "" for line in text.splitlines())


def signature(element: ET.Element) -> str:
    def words(direction: str) -> str:
        return ", ".join(f"{a.get('type')} {a.get('name')}" for a in element.findall("arg")
                         if a.get("direction", "out") == direction)
    if element.tag == "signal":
        return f"{element.get('name')}({words('out')})"
    result = words("out")
    return f"{element.get('name')}({words('in')})" + (f" → {result}" if result else "")


def section(title: str, items: list[str]) -> str:
    return f"{title}\n{'~' * len(title)}\n\n" + "\n\n".join(items) + "\n" if items else ""


def method(element: ET.Element, comment: str, action: str) -> str:
    text, arguments = split(comment, element.get("name"))
    lines = [f"*{a}*: {escape(t)}" for a, t in arguments.items()]
    if not text and not lines:
        raise SystemExit(f"{element.get('name')}: no text in the XML")
    body = "\n\n".join([t for t in [text] if t] + ["\n\n".join(lines)] * bool(lines) + [f"Action: ``{action}``"])
    return f"``{signature(element)}``\n" + indent(body)


def signal(element: ET.Element, comment: str) -> str:
    text, arguments = split(comment, element.get("name"))
    lines = [text] + [f"*{a}*: {escape(t)}" for a, t in arguments.items()]
    return f"``{signature(element)}``\n" + indent("\n\n".join(line for line in lines if line) or "See above.")


def prop(element: ET.Element, comment: str) -> str:
    text, _ = split(comment, element.get("name"))
    note = element.find("annotation[@name='org.freedesktop.DBus.Property.EmitsChangedSignal']")
    emits = f"Changes are not announced ({note.get('value')})." if note is not None else ""
    body = " ".join(t for t in (text, emits) if t) or "As the name says."
    return f"``{element.get('type')} {element.get('name')}``\n" + indent(body)


def interface(element: ET.Element, comment: str, actions: dict) -> str:
    name = element.get("name")
    text, _ = split(comment, name)
    short = re.search(r"@short_description: (.*)", comment)
    out = [f"{name}\n{'-' * len(name)}\n", escape(short[1]) + ".\n" if short else "", text + "\n" if text else ""]
    children = list(documented(element))
    methods, last = [], name.rsplit(".", 1)[1]
    for child, words in children:
        if child.tag == "method":
            if (name, child.get("name")) not in actions:
                raise SystemExit(f"{name}.{child.get('name')}: no row in the table")
            methods.append(method(child, words, actions[name, child.get("name")]))
    out.append(section(f"Methods of {last}", methods))
    out.append(section(f"Signals of {last}", [signal(c, w) for c, w in children if c.tag == "signal"]))
    out.append(section(f"Properties of {last}", [prop(c, w) for c, w in children if c.tag == "property"]))
    return "\n".join(part for part in out if part)


def main(xml: str, authz: str, template: str, output: str):
    root = ET.parse(xml, ET.XMLParser(target=Builder())).getroot()
    actions = {("org.migrationd1." + i.capitalize(), m): "org.migrationd1." + a.lower()
               for i, m, a in ROW.findall(Path(authz).read_text(encoding="utf-8"))}
    text = "\n".join(interface(e, c, actions) for e, c in documented(root) if e.tag == "interface")
    page = Path(template).read_text(encoding="utf-8").replace("@INTERFACES@", text)
    Path(output).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
