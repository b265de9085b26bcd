# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real guest is measured at rest, its migration predicted, made, and learned from."""

from harness.case import check, needs_kvm, run, same
from harness.stage import BANDWIDTH_MIB, CONVERGING, NAME, check_arrival, stage


def measured_predicted_and_learned():
    needs_kvm("under emulation a guest does not keep its rate")
    with stage(CONVERGING) as (bus, pair):
        found = bus.json("predict", NAME, pair.uri, "--seconds=2")
        same((found["known"], found["results_pct"]), (True, {"completed": 100}), "known, results")
        inputs = found["inputs"]
        same((inputs["dirty-curve"]["source"], inputs["filled"]["source"], inputs["bandwidth"]["source"]),
             ("measured", "measured", "limit"), "sources")
        periods = [us for us, _ in inputs["dirty-curve"]["points"]]
        check(len(periods) >= 2 and periods[-1] == 2_000_000, f"periods {periods}")
        log, domain = inputs["write-protect"], bus.json("write-protect", NAME)
        same(log["mechanism"], domain["WriteProtect"], "how its writes are tracked")
        check(log["value"] > 0 and "dirty log" in log["price"], f"price {log}")
        check("Dirty log: " + log["mechanism"] in bus.text("predict", NAME, pair.uri, "--seconds=1"), "not said")
        # No less than one copy of what the guest has touched, at the limit.
        copy_us = pair.touched / (BANDWIDTH_MIB << 20) * 1e6
        check(found["total_us"][1] > 0.9 * copy_us, f"total {found['total_us']}, one copy takes {copy_us:.0f} us")
        report = bus.json("migrate", NAME, pair.uri, "--wait")
        same((report["Result"], report["predicted_total_us"]), ("succeeded", found["total_us"]), "result, prediction")
        print(f"# total {report['total_us']} us, predicted {found['total_us']}; pause {report['downtime_us']} us, "
              f"predicted {found['downtime_us']}")
        (past,) = bus.json("history", NAME)
        same((past["downtime_us"], past["peer"]), (report["downtime_us"], "local"), "history")
        check(past["downtime_bytes"] > 0 and past["measured_bytes"] > 0, f"{past}")
        same((past["write_protect"], past["setup_us"]), (log["mechanism"], report["setup_us"]), "mechanism, setup")
        check(report["dirty_rate_bps"] > 0, f"{report}")
        check_arrival(pair, bus.max_downtime_ms())


run(measured_predicted_and_learned)
