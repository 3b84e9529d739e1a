"""What the agent holds in memory while it sends over TLS, one request per second to an nginx, printed after 10, 100 and
1,000 requests (17 minutes), with one CA certificate and with the host's whole bundle as ca_file:

    PYTHONPATH=tests python3 tests/bench/tls_memory.py [REQUESTS...]
"""
import contextlib
import pathlib
import re
import sys

from support.agent import running_agent, temporary_folder, write_config
from support.certificates import Authority
from support.nginx import running_nginx
from support.process import Process, poll_until

BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")


def kilobytes(file: str, key: str) -> str:
    match = re.search(rf"(?m)^{key}:\s+(\d+) kB", pathlib.Path(file).read_text())
    return match[1] if match else "?"


def memory_of(agent: Process) -> str:
    status, rollup = f"/proc/{agent.pid}/status", f"/proc/{agent.pid}/smaps_rollup"
    return (f"resident {kilobytes(status, 'VmRSS')} kB, most {kilobytes(status, 'VmHWM')} kB, "
            f"private dirty {kilobytes(rollup, 'Private_Dirty')} kB")


with contextlib.ExitStack() as stack:
    folder = stack.enter_context(temporary_folder())
    authority = Authority(folder)
    certificate = authority.issue("monitor", "IP:127.0.0.1")
    server = (f"server {{ listen PORT ssl; ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key}; "
              "location / { client_body_in_single_buffer on; proxy_pass http://PORT_2; } }\n"
              "server { listen PORT_2; return 204; }")
    bundle = folder / "bundle.pem"
    system = next((pathlib.Path(name).read_text() for name in BUNDLES if pathlib.Path(name).exists()), "")
    bundle.write_text(system + authority.ca.read_text())
    agents = []
    for name, ca in (("one CA certificate", authority.ca), ("the host's bundle", bundle)):
        inner = folder / name.replace(" ", "-")
        inner.mkdir()
        nginx = stack.enter_context(running_nginx(inner, server))
        config = write_config(inner, f"https://127.0.0.1:{nginx.port}/api/v1/write")
        config.write_text(config.read_text() + f"  tls: {{ca_file: {ca}}}\n")
        agents.append((name, nginx, stack.enter_context(running_agent(config))))
    for count in [int(argument) for argument in sys.argv[1:]] or [10, 100, 1000]:
        for name, nginx, agent in agents:
            poll_until(f"{count} requests", lambda: len(nginx.requests()) >= 2 * count, 2 * count + 30, agent)
            print(f"{name}: {count} requests: {memory_of(agent)}", flush=True)
