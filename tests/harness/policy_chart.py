# SPDX-License-Identifier: LGPL-2.1-or-later
"""The picture of a bench of engines: time against guest work lost, one dot an engine, as SVG."""


def draw(summaries: list[dict], profile: str) -> str:
    return ""
