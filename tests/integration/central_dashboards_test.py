"""The dashboards of the kit: as their code writes them, and every query of every panel and variable against what the
fleet of packaging/central/fleet.py sends to a real VictoriaMetrics, with the kit's rules in vmalert."""
import importlib.util
import json
import math
import os
import re

from support.agent import BINARY, temporary_folder
from support.central import KIT, PROGRAMS, running_vmalert, shortened
from support.check import run_checks
from support.process import Process, poll_until, started
from support.victoria_metrics import running_victoria_metrics

FOLDER = KIT / "dashboards"
specification = importlib.util.spec_from_file_location("dashboards", PROGRAMS / "dashboards.py")
dashboards = importlib.util.module_from_spec(specification)
specification.loader.exec_module(dashboards)


def the_files_are_what_the_code_writes() -> None:
    there = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*.json")}
    assert there == dashboards.files(), "run: python3 packaging/central/dashboards.py etc/central/dashboards"


def they_are_as_grafana_reads_them() -> None:
    uids = set()
    for path in sorted(FOLDER.rglob("*.json")):
        board = json.loads(path.read_text())
        uids.add(board["uid"])
        assert len(board["uid"]) <= 40 and board["title"] and board["schemaVersion"] >= 36, path
        known = {variable["name"] for variable in board["templating"]["list"]} | {"__rate_interval"}
        ids, places = set(), set()
        for panel in board["panels"]:
            ids.add(panel["id"])
            places.add((panel["gridPos"]["x"], panel["gridPos"]["y"]))
            assert panel["type"] in ("stat", "timeseries", "table"), panel["title"]
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0, panel["title"]
            used = set(re.findall(r"\$\{?(\w+)", json.dumps(panel)))
            assert used <= known, f"{path.name}: {used - known} in {panel['title']}"
        assert len(ids) == len(places) == len(board["panels"]), f"{path}: two panels in one place"
    assert len(uids) == len(list(FOLDER.rglob("*.json"))) == 8
    korean = "".join(path.read_text() for path in (FOLDER / "ko").glob("*.json"))
    assert re.search("[가-힣]", korean)
    assert not re.search("[가-힣]", "".join(path.read_text() for path in (FOLDER / "en").glob("*.json")))


def no_panel_is_empty() -> None:
    if os.geteuid() != 0:
        print("not root: the fleet cannot be started")
        return
    with temporary_folder() as folder, running_victoria_metrics(folder) as storage:
        rules = []
        for name in ("servers", "agents", "hosts"):
            rules.append(folder / f"{name}.yaml")
            rules[-1].write_text(shortened((KIT / f"rules/{name}.yaml").read_text()))
        fleet = Process(["python3", str(PROGRAMS / "fleet.py"), "--agent", BINARY, "--url", storage.url, "--folder",
                         str(folder / "fleet"), "--interval", "1"], folder / "fleet.log")
        with started(fleet), running_vmalert(folder, storage.base, rules):
            def fourteen(query: str) -> bool:
                return len(storage.query(query)) == 14
            poll_until("rates of 14 servers", lambda: fourteen("rate(msp_agent_cpu_seconds_total[8s])"), process=fleet)
            poll_until("recorded series", lambda: fourteen("last_over_time(msp:server:stop_reason[1d])"), process=fleet)

            def has_data(query: str) -> bool:
                results = storage.query(query)
                return bool(results) and all(math.isfinite(value) for _, value in results)
            for path in sorted((FOLDER / "en").glob("*.json")):
                board = json.loads(path.read_text())
                for panel in board["panels"]:
                    for target in panel["targets"]:
                        query = target["expr"].replace("$__rate_interval", "8s")
                        query = query.replace("$customer", "gamma").replace("$server", "batch-01")
                        poll_until(f"{path.name}: {panel['title']}: {query}", lambda query=query: has_data(query),
                                   process=fleet)
            servers = {labels["server_name"] for labels, _ in storage.query('node_uname_info{customer_id="gamma"}')}
            assert servers == {"web-01", "web-02", "db-01", "batch-01"}, servers
        assert "ended" not in fleet.log(), fleet.log()


run_checks(the_files_are_what_the_code_writes, they_are_as_grafana_reads_them, no_panel_is_empty)
