#!/usr/bin/env python3
"""The dashboards of the kit, as code: writes etc/central/dashboards/LANGUAGE/NAME.json, for Grafana 10 and later.

    python3 dashboards.py FOLDER

Every text is in both languages: the folders en and ko. A panel is one line of a table below: title, unit, kind and
queries with their legends.
"""
import json
import pathlib
import sys

LANGUAGES = ("en", "ko")
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT = 12, 8  # of 24 columns
KEY = "customer_id, server_name"
ONE = 'customer_id="$customer"'
HOST = 'customer_id="$customer",server_name="$server"'
FS = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|overlay"'
SILENT = ("msp:server:stop_reason[1d]) unless on (customer_id, server_name) "
          "group by (customer_id, server_name) (present_over_time(node_uname_info[3m]))")


def cpu(labels: str, by: str) -> str:
    return f'100 * (1 - avg by ({by}) (rate(node_cpu_seconds_total{{{labels}mode="idle"}}[$__rate_interval])))'


def memory(labels: str) -> str:
    return f"100 * (1 - node_memory_MemAvailable_bytes{{{labels}}} / node_memory_MemTotal_bytes)"


def disk(labels: str) -> str:
    return f"100 * (1 - node_filesystem_avail_bytes{{{labels}{FS}}} / (node_filesystem_size_bytes > 0))"


def rate(metric: str, labels: str) -> str:
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


# (title in English, title in Korean, unit, kind, (query, legend)...)
FLEET = (
    ("Servers that send", "전송 중인 서버", "short", "stat",
     ("count(group by (customer_id, server_name) (node_uname_info))", "")),
    ("Customers", "고객사", "short", "stat", ("count(group by (customer_id) (node_uname_info))", "")),
    ("Servers down", "다운된 서버", "short", "stat", (f"count((last_over_time({SILENT}) == 0) or vector(0)", "")),
    ("Alerts", "알림", "short", "stat", ('count(ALERTS{alertstate="firing"}) or vector(0)', "")),
    ("Versions", "에이전트 버전 수", "short", "stat", ("count(count by (version) (msp_agent_build_info))", "")),
    ("Configurations", "설정 수", "short", "stat", ("count(count_values(\"hash\", msp_agent_config_hash))", "")),
    ("Servers by customer", "고객사별 서버 수", "short", "timeseries",
     ("count by (customer_id) (group by (customer_id, server_name) (node_uname_info))", "{{customer_id}}")),
    ("CPU by customer", "고객사별 CPU", "percent", "timeseries", (cpu("", "customer_id"), "{{customer_id}}")),
    ("Busiest servers", "CPU 사용률 상위 서버", "percent", "timeseries",
     (f"topk(10, {cpu('', KEY)})", "{{customer_id}}/{{server_name}}")),
    ("Least memory left", "메모리 사용률 상위 서버", "percent", "timeseries",
     (f"topk(10, {memory('')})", "{{customer_id}}/{{server_name}}")),
    ("Fullest disks", "디스크 사용률 상위", "percent", "timeseries",
     (f"topk(10, {disk('')})", "{{customer_id}}/{{server_name}} {{mountpoint}}")),
    ("Network received by customer", "고객사별 네트워크 수신", "Bps", "timeseries",
     (f"sum by (customer_id) ({rate('node_network_receive_bytes_total', '')})", "{{customer_id}}")),
)
CUSTOMER = (
    ("Servers that send", "전송 중인 서버", "short", "stat",
     (f"count(group by (server_name) (node_uname_info{{{ONE}}}))", "")),
    ("Alerts", "알림", "short", "stat", (f'count(ALERTS{{{ONE},alertstate="firing"}}) or vector(0)', "")),
    ("CPU", "CPU", "percent", "timeseries", (cpu(f"{ONE},", "server_name"), "{{server_name}}")),
    ("Memory", "메모리", "percent", "timeseries", (memory(ONE), "{{server_name}}")),
    ("Disks", "디스크", "percent", "timeseries", (disk(f"{ONE},"), "{{server_name}} {{mountpoint}}")),
    ("Load, 5 minutes", "5분 부하", "short", "timeseries", (f"node_load5{{{ONE}}}", "{{server_name}}")),
    ("Network received", "네트워크 수신", "Bps", "timeseries",
     (f"sum by (server_name) ({rate('node_network_receive_bytes_total', ONE)})", "{{server_name}}")),
    ("Network sent", "네트워크 송신", "Bps", "timeseries",
     (f"sum by (server_name) ({rate('node_network_transmit_bytes_total', ONE)})", "{{server_name}}")),
    ("Uptime", "가동 시간", "s", "table", (f"time() - node_boot_time_seconds{{{ONE}}}", "{{server_name}}")),
)
SERVER = (
    ("Uptime", "가동 시간", "s", "stat", (f"time() - node_boot_time_seconds{{{HOST}}}", "")),
    ("CPUs", "CPU 수", "short", "stat", (f'count(node_cpu_seconds_total{{{HOST},mode="idle"}})', "")),
    ("CPU by mode", "모드별 CPU", "percent", "timeseries",
     (f'100 * avg by (mode) ({rate("node_cpu_seconds_total", HOST)})', "{{mode}}")),
    ("Load", "부하", "short", "timeseries", (f"node_load1{{{HOST}}}", "1 m"), (f"node_load5{{{HOST}}}", "5 m")),
    ("Memory", "메모리", "bytes", "timeseries", (f"node_memory_MemTotal_bytes{{{HOST}}}", "total"),
     (f"node_memory_MemAvailable_bytes{{{HOST}}}", "available")),
    ("Disks", "디스크", "percent", "timeseries", (disk(f"{HOST},"), "{{mountpoint}}")),
    ("Network", "네트워크", "Bps", "timeseries", (rate("node_network_receive_bytes_total", HOST), "{{device}} received"),
     (rate("node_network_transmit_bytes_total", HOST), "{{device}} sent")),
    ("Disk I/O", "디스크 I/O", "Bps", "timeseries", (rate("node_disk_read_bytes_total", HOST), "{{device}} read"),
     (rate("node_disk_written_bytes_total", HOST), "{{device}} written")),
    ("Collectors without data", "데이터 없는 수집기", "short", "table",
     (f"node_scrape_collector_success{{{HOST}}} == 0", "{{collector}}")),
)
AGENTS = (
    ("Agents by version", "버전별 에이전트", "short", "timeseries",
     ("count by (version) (msp_agent_build_info)", "{{version}}")),
    ("Agents by configuration", "설정별 에이전트", "short", "timeseries",
     ('count_values by (customer_id) ("hash", msp_agent_config_hash)', "{{customer_id}} {{hash}}")),
    ("Reloads that failed", "실패한 설정 적용", "short", "stat",
     ("sum(1 - msp_agent_config_last_reload_successful)", "")),
    ("Endpoints that accept", "수신 중인 엔드포인트", "short", "stat", ("sum(msp_agent_endpoint_up)", "")),
    ("Furthest behind", "지연 상위", "s", "timeseries",
     ("topk(10, msp_agent_buffer_oldest_sample_age_seconds)", "{{customer_id}}/{{server_name}}")),
    ("Samples that wait", "대기 중인 샘플", "short", "timeseries",
     ("topk(10, msp_agent_buffer_samples)", "{{customer_id}}/{{server_name}}")),
    ("Samples dropped", "버려진 샘플", "short", "timeseries",
     ("sum by (customer_id, reason) (increase(msp_agent_samples_dropped_total[1h]))", "{{customer_id}} {{reason}}")),
    ("Samples sent a second", "초당 전송 샘플", "short", "timeseries",
     (f"topk(10, {rate('msp_agent_samples_sent_total', '')})", "{{customer_id}}/{{server_name}}")),
    ("CPU of the agents", "에이전트 CPU", "percent", "timeseries",
     (f"topk(10, 100 * {rate('msp_agent_cpu_seconds_total', '')})", "{{customer_id}}/{{server_name}}")),
    ("Memory of the agents", "에이전트 메모리", "bytes", "timeseries",
     ("topk(10, msp_agent_resident_memory_bytes)", "{{customer_id}}/{{server_name}}")),
    ("Series by server", "서버별 시계열", "short", "table",
     ('topk(20, count by (customer_id, server_name) ({customer_id!="",server_name!=""}))', "{{server_name}}")),
    ("Clock difference", "시계 차이", "s", "timeseries",
     ("topk(10, abs(msp_agent_endpoint_clock_difference_seconds))", "{{customer_id}}/{{server_name}}")),
)
DASHBOARDS = (
    ("fleet", "All customers", "전체 고객사", (), FLEET),
    ("customer", "One customer", "고객사", ("customer",), CUSTOMER),
    ("server", "One server", "서버", ("customer", "server"), SERVER),
    ("agents", "Agents", "에이전트", (), AGENTS),
)
VARIABLES = {"customer": ("Customer", "고객사", "label_values(node_uname_info, customer_id)"),
             "server": ("Server", "서버", 'label_values(node_uname_info{customer_id="$customer"}, server_name)')}


def panel(number: int, row: tuple, language: int) -> dict:
    unit, kind, queries = row[2], row[3], row[4:]
    targets = [{"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": query, "legendFormat": legend or "__auto",
                "instant": kind != "timeseries", "range": kind == "timeseries",
                "format": "table" if kind == "table" else "time_series"} for i, (query, legend) in enumerate(queries)]
    return {"id": number + 1, "type": kind, "title": row[language - 1], "datasource": DATASOURCE, "targets": targets,
            "gridPos": {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []}, "options": {}}


def variable(name: str, language: int) -> dict:
    query = VARIABLES[name][2]
    return {"name": name, "label": VARIABLES[name][language - 1], "type": "query", "datasource": DATASOURCE,
            "definition": query, "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1}


def dashboard(row: tuple, language: int) -> dict:
    name, variables, panels = row[0], row[3], row[4]
    datasource = {"name": "datasource", "label": ("Data source", "데이터 소스")[language - 1], "type": "datasource",
                  "query": "prometheus"}
    return {"uid": f"msp-{name}-{LANGUAGES[language - 1]}", "title": f"msp-agent: {row[language]}",
            "tags": ["msp-agent"], "schemaVersion": 38, "version": 1, "editable": True, "refresh": "1m",
            "time": {"from": "now-6h", "to": "now"}, "timezone": "browser",
            "templating": {"list": [datasource, *(variable(each, language) for each in variables)]},
            "panels": [panel(number, each, language) for number, each in enumerate(panels)]}


def files() -> dict[str, str]:
    """Each file's text, by its path."""
    return {f"{code}/{row[0]}.json": json.dumps(dashboard(row, language), ensure_ascii=False, indent=1) + "\n"
            for language, code in enumerate(LANGUAGES, 1) for row in DASHBOARDS}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: dashboards.py FOLDER")
    for name, text in files().items():
        path = pathlib.Path(sys.argv[1]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
