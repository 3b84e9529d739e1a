"""Probes of the modules icmp and dns beside Debian's blackbox_exporter, in a network of the test's own: a far side that
answers, one that does not, and a real name server."""
import contextlib
import pathlib
import re
from typing import Iterator

from support.agent import run_once, temporary_folder, write_config
from support.blackbox import differences, running_exporter, values
from support.check import run_checks
from support.link import HERE, THERE, enter_own_network, linked, run
from support.process import Process, free_port, poll_until
from support.nginx import listens

EXPORTER = """modules:
  icmp: {prober: icmp, timeout: 5s, icmp: {preferred_ip_protocol: ip4}}
  a: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: www.example, query_type: A}}
  a_tcp: {prober: dns, timeout: 5s,
          dns: {preferred_ip_protocol: ip4, query_name: www.example., query_type: A, transport_protocol: tcp}}
  none: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: none.example, query_type: A}}
  none_valid: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: none.example, query_type: A,
               valid_rcodes: [NXDOMAIN]}}
  soa: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: example, query_type: SOA}}
  any: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: www.example}}
  good_a: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: www.example, query_type: A,
           validate_answer_rrs: {fail_if_not_matches_regexp: ['^www\\.example\\.\\t\\d+\\tIN\\tA\\t10\\.1\\.2\\.3$']}}}
  bad_a: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: www.example, query_type: A,
          validate_answer_rrs: {fail_if_matches_regexp: ['\\t10\\.1\\.']}}}
  good_mx: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: example, query_type: MX,
            validate_answer_rrs: {fail_if_not_matches_regexp: ['^example\\.\\t\\d+\\tIN\\tMX\\t7 mail\\.example\\.$']}}}
  good_txt: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: example, query_type: TXT,
             validate_answer_rrs: {fail_if_not_matches_regexp: ['\\tTXT\\t"v=spf1 -all"$']}}}
  none_match: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: www.example, query_type: A,
               validate_answer_rrs: {fail_if_none_matches_regexp: [nothing, never]}}}
  no_authority: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: www.example, query_type: A,
                 validate_additional_rrs: {fail_if_none_matches_regexp: [ns]}}}
"""
ZONE = ("--auth-zone=example", "--auth-server=ns.example,127.0.0.1", "--host-record=www.example,10.1.2.3",
        "--mx-host=example,mail.example,7", "--txt-record=example,v=spf1 -all", "--auth-soa=2026112800")


def modules() -> dict[str, str]:
    """The keys of the agent for each module of the exporter: they have the same names."""
    found = {}
    for module in re.split(r"\n  (?=\S)", EXPORTER)[1:]:
        name, _, rest = module.partition(": {prober: ")
        if rest:
            prober, _, options = rest.partition(", timeout: 5s,")
            inner = options.partition(": {")[2].rstrip().removesuffix("}}")
            found[name] = f"module: {prober}, timeout: 5s, " + " ".join(map(str.strip, inner.splitlines()))
    return found


@contextlib.contextmanager
def name_server(folder: pathlib.Path) -> Iterator[int]:
    port = free_port()
    process = Process(["dnsmasq", "--keep-in-foreground", f"--port={port}", "--listen-address=127.0.0.1",
                       "--bind-interfaces", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file",
                       "--user=root", *ZONE], folder / "dnsmasq.log")
    try:
        poll_until("the name server listens", lambda: listens(port), process=process)
        yield port
    finally:
        process.stop()


def compare(folder: pathlib.Path, cases: list[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """probe_success of each case, which both must have."""
    options = modules()
    probes = "".join(f"  - {{name: p{i}, job: p{i}, target: '{target}', {options[module]}}}\n"
                     for i, (module, target) in enumerate(cases))
    config = write_config(folder, "http://127.0.0.1:1/w", interval="30s", more="probes:\n" + probes)
    said = run_once("--config", str(config), "--dry-run").stdout
    problems, successes = [], {}
    with running_exporter(folder, EXPORTER) as exporter:
        for i, (module, target) in enumerate(cases):
            ours, theirs = values(said, job=f"p{i}"), exporter.says(module, target)
            problems += differences(f"{module} {target}", ours, theirs)
            successes[module, target] = ours["probe_success", ""]
    assert not problems, "\n".join(problems)
    return successes


def icmp_says_what_the_exporter_says() -> None:
    silent = "10.77.0.99"
    with temporary_folder() as folder, linked(folder) as link:
        run("sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647")
        run(*link.there("ip", "address", "add", f"{silent}/24", "dev", "msp-there"))
        run(*link.there("nft", "add table inet a; add chain inet a in { type filter hook input priority 0; }; "
                        f"add rule inet a in ip daddr {silent} drop"))
        targets = ["127.0.0.1", "::1", HERE, THERE, silent]
        found = compare(folder, [("icmp", target) for target in targets])
        assert found == {("icmp", target): float(target != silent) for target in targets}, found


def without_a_socket_the_agent_says_the_two_ways_out() -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    with temporary_folder() as folder:
        folder.chmod(0o755)
        config = write_config(folder, "http://127.0.0.1:1/w",
                              interval="30s", more="probes: {name: here, module: icmp, target: 127.0.0.1}\n")
        config.chmod(0o644)
        for groups, is_up in (("1 0", 0), ("65534 65534", 1)):
            run("sysctl", "-q", "-w", f"net.ipv4.ping_group_range={groups}")
            said = run_once("--config", str(config), "--dry-run", prefix=nobody).stdout
            assert f'job="blackbox",server_name="web-01"}} {is_up}\n' in said.partition("\nup{")[2], said
            assert ("probe_success", "") in values(said) if is_up else not values(said), said
        run("sysctl", "-q", "-w", "net.ipv4.ping_group_range=1 0")
        said = run_once("--config", str(config), "check", prefix=nobody).stdout
        line = next(line for line in said.splitlines() if "socket for ICMP" in line)
        assert "net.ipv4.ping_group_range" in line and "raw-sockets.conf" in line, said
        capable = (*nobody, "--inh-caps=+net_raw", "--ambient-caps=+net_raw")
        assert values(run_once("--config", str(config), "--dry-run", prefix=capable).stdout)["probe_success", ""] == 1


def dns_says_what_the_exporter_says() -> None:
    with temporary_folder() as folder, name_server(folder) as port:
        names = [name for name in modules() if name != "icmp"]
        cases = [(name, f"127.0.0.1:{port}") for name in names] + [("a", "127.0.0.1:1"), ("a_tcp", "127.0.0.1:1")]
        found = compare(folder, cases)
        good = {module for (module, target), success in found.items() if success == 1}
        assert good == {"a", "a_tcp", "none_valid", "soa", "any", "good_a", "good_mx", "good_txt"}, found


enter_own_network()
run_checks(icmp_says_what_the_exporter_says, without_a_socket_the_agent_says_the_two_ways_out,
           dns_says_what_the_exporter_says)
