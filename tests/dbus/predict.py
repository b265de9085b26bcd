# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prediction before the start and what is learned from the end, over D-Bus with the fake backend."""

import json
import os
from pathlib import Path

from fake import EASY, ENDLESS, ERROR, MANAGER, ROOT, Fake, refused
from gi.repository import Gio, GLib

from harness.bus import NAME
from harness.case import check, run, same

# Its guest is at rest: what it would dirty is nothing.
IDLE = "memory=16MiB dirty-rate=0 bandwidth=40MB/s"
PATIENCE_MS = 30000


def options(**values) -> dict:
    types = {"bandwidth": "t", "seconds": "u", "max-age": "u", "postcopy": "b"}
    named = {k.replace("_", "-"): v for k, v in values.items()}
    return {k: GLib.Variant(types.get(k, "s"), v) for k, v in named.items()}


def predict(bus: Fake, domain: str, **values) -> dict:
    return bus.call(ROOT, MANAGER, "Predict", "(sa{sv})", domain, options(**values))[0]


def history(bus: Fake, **values) -> list[dict]:
    return bus.call(ROOT, MANAGER, "ListHistory", "(a{sv})", options(**values))[0]


def a_prediction_and_its_inputs():
    with Fake(easy=EASY) as bus:
        found = predict(bus, "easy", destination="unix:/there", bandwidth=40_000_000, seconds=1)
        same((found["known"], found["verdict"]), (True, "converging"), "known, verdict")
        same((found["arrives_pct"], found["alone_pct"]), (100, 100), "ways that it may go")
        low, mid, high = found["total_us"]
        # 16 MiB at 40 MB/s, and the little that is dirtied meanwhile.
        check(350_000 < low <= mid <= high < 700_000, f"total {found['total_us']}")
        check(found["downtime_us"][2] <= 300_000, f"pause {found['downtime_us']}")
        inputs = found["inputs"]
        same((inputs["bandwidth"]["source"], inputs["bandwidth"]["value"]), ("option", 40_000_000), "bandwidth")
        same(inputs["dirty-curve"]["source"], "measured", "curve")
        points = inputs["dirty-curve"]["points"]
        check(len(points) >= 2 and points[-1][0] == 1_000_000, f"points {points}")
        same(inputs["fixed-downtime"]["source"], "assumed", "fixed pause")
        same((inputs["peer"], inputs["profile"]), ("local", "default"), "peer, profile")
        log = inputs["write-protect"]
        same((log["mechanism"], log["source"], log["others"]), ("unknown", "unknown", {}), "mechanism")


def what_was_measured_is_seen_at_the_domain():
    with Fake(here_and_there=ENDLESS, in_order=ENDLESS + " sweep=yes") as bus:
        for name, domain in bus.domains().items():
            same(domain["WorkingSet"], 0, "never measured")
            predict(bus, name, bandwidth=20_000_000, seconds=2)
            size = bus.domains()[name]["WorkingSet"] / (60 << 20)
            check(0.9 < size < 1.1, f"{name}: working set {size:.2f} of what it is")


def what_the_profile_forbids_is_not_predicted():
    with Fake(endless=ENDLESS) as bus:
        found = predict(bus, "endless", bandwidth=20_000_000, seconds=1, Allow="abort", Deadline="20s")
        same((found["arrives_pct"], found["results_pct"]), (0, {"aborted": 100}), "results")
        shares = {a["action"]: a["share_pct"] for a in found["actions"]}
        same((shares.get("abort"), shares.get("throttle")), (100, None), "abort, throttle")
        same(found["total_us"][1], 2**64 - 1, "total time")
        harsher = predict(bus, "endless", bandwidth=20_000_000, seconds=1, MaxThrottle="99%")
        check(harsher["results_pct"].get("aborted", 0) < 100, f"with a throttle: {harsher['results_pct']}")


def what_is_not_known_is_said():
    """Nobody told the bandwidth, nothing was learned of it, and no limit is in force."""
    with Fake(idle=IDLE) as bus:
        bus.do("idle", "max-bandwidth 0")
        found = predict(bus, "idle", seconds=1)
        same((found["known"], found["verdict"]), (False, "unknown"), "known, verdict")
        check("bandwidth" in found["missing"] and "total_us" not in found, f"{found}")
        same(found["inputs"]["bandwidth"]["source"], "unknown", "source of the bandwidth")
        bus.do("idle", "max-bandwidth 50000000")
        same(predict(bus, "idle", seconds=1)["inputs"]["bandwidth"]["source"], "limit", "source with a limit")


def refusals():
    with Fake(easy=EASY, endless=ENDLESS) as bus:
        bad = ERROR + "InvalidArgument"
        for word, values in (("speed", {"speed": "1"}), ("seconds", {"seconds": 0}), ("seconds", {"seconds": 61}),
                             ("expected type t", {"bandwidth": "fast"}), ("exec:", {"destination": "exec:cat"}),
                             ("profile", {"profile": "none-such"}), ("MaxDowntime", {"MaxDowntime": "soon"})):
            wrong = {k: GLib.Variant("u" if isinstance(v, int) else "s", v) for k, v in values.items()}
            refused(bad, word, call=lambda wrong=wrong: bus.call(ROOT, MANAGER, "Predict", "(sa{sv})", "easy", wrong))
        refused(ERROR + "NoSuchDomain", "nobody", call=lambda: predict(bus, "nobody"))
        refused(ERROR + "NotSupported", call=lambda: predict(bus, "easy", mode="dirty-ring"))
        refused(bad, "speed", call=lambda: history(bus, speed="1"))
        path = bus.migrate("endless", Deadline="none")
        bus.wait(lambda: bus.get(path)["State"] != "preparing", "the migration")
        refused(ERROR + "MigrationInProgress", call=lambda: predict(bus, "endless", seconds=1))


def others_are_served_meanwhile():
    """Questions about one guest share its measurement; another guest, and other calls, do not wait for it."""
    with Fake(easy=EASY, idle=IDLE) as bus:
        answers = []

        def ask(domain: str):
            question = GLib.Variant("(sa{sv})", (domain, options(bandwidth=40_000_000, seconds=2)))
            bus.connection().call(NAME, ROOT, MANAGER, "Predict", question, None, Gio.DBusCallFlags.NONE, PATIENCE_MS,
                                  None, lambda c, r: answers.append((domain, c.call_finish(r).unpack())))
        for domain in ("easy", "easy", "idle"):
            ask(domain)
        same(sorted(bus.domains()), ["easy", "idle"], "domains, meanwhile")
        same(answers, [], "answers before anything can have been measured")
        bus.wait(lambda: len(answers) == 3, "three answers")
        same(sorted(d for d, _ in answers), ["easy", "easy", "idle"], "who was answered")
        curves = [a[0]["inputs"]["dirty-curve"]["points"] for d, a in answers if d == "easy"]
        same(curves[0], curves[1], "curves of the two")


def whoever_leaves_is_forgotten():
    with Fake(easy=EASY) as bus:
        asking = bus.popen("predict", "easy", "--bandwidth=40MB/s", "--seconds=60")
        bus.wait(lambda: bus.domains() and asking.poll() is None, "the question")
        asking.kill()
        asking.wait()
        bus.remove("easy")  # and its measurement with it
        bus.wait(lambda: not bus.domains(), "the end of the domain")


def the_end_teaches():
    with Fake(easy=EASY) as bus:
        same(history(bus), [], "history at first")
        found = predict(bus, "easy", destination="unix:/there", bandwidth=40_000_000, seconds=1)
        result, report = bus.wait_end(bus.migrate("easy"))
        same((result, report["prediction"]), ("succeeded", "known"), "result")
        same(tuple(report["predicted_total_us"]), tuple(found["total_us"]), "what was predicted")
        (past,) = history(bus, domain="easy")
        same((past["result"], past["total_us"], past["peer"]), ("succeeded", report["total_us"], "local"), "history")
        same(past["write_protect"], report["write_protect"], "mechanism")
        same(history(bus, domain="other"), [], "history of another")
        path = f"{bus.state_dir}/history.jsonl"
        bus.wait(lambda: os.path.exists(path), "the file")
        line = json.loads(Path(path).read_text().splitlines()[0])
        same((line["domain_uuid"], line["total_us"]), (past["domain_uuid"], report["total_us"]), "the file")
        shown = bus.text("history", "easy")
        check("succeeded" in shown and "local" in shown, shown)
        # Another daemon knows it too, and a damaged line does not cost it the rest.
        bus.stop_daemon()
        with open(path, "a", encoding="utf-8") as file:
            file.write("{nonsense\n")
        bus.launch()
        same(len(history(bus)), 1, "history after a restart")
        check(os.path.exists(path + ".bad") and "line 2" in bus.log_text(), "the damage is not told")


def without_a_question_the_report_says_what_was_known():
    with Fake(idle=IDLE) as bus:
        _, report = bus.wait_end(bus.migrate("idle"))
        same(report["prediction"], "unknown", "prediction")
        check("predicted_total_us" not in report, f"{report}")


run(a_prediction_and_its_inputs, what_was_measured_is_seen_at_the_domain,
    what_the_profile_forbids_is_not_predicted, what_is_not_known_is_said, refusals,
    others_are_served_meanwhile, whoever_leaves_is_forgotten, the_end_teaches,
    without_a_question_the_report_says_what_was_known)
