"""What the agent holds in memory while it sends over TLS, one request per second to an nginx, printed after 10, 100 and
1,000 requests (17 minutes), with one CA certificate and with the host's whole bundle as ca_file:

    PYTHONPATH=tests python3 tests/bench/tls_memory.py [REQUESTS...]
"""
import contextlib
import sys

from support.agent import running_agent, temporary_folder, write_config
from support.certificates import Authority
from support.memory import host_bundle, memory_of
from support.nginx import running_nginx
from support.process import poll_until

with contextlib.ExitStack() as stack:
    folder = stack.enter_context(temporary_folder())
    authority = Authority(folder)
    certificate = authority.issue("monitor", "IP:127.0.0.1")
    server = (f"server {{ listen PORT ssl; ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key}; "
              "location / { client_body_in_single_buffer on; proxy_pass http://PORT_2; } }\n"
              "server { listen PORT_2; return 204; }")
    bundle = folder / "bundle.pem"
    bundle.write_text(host_bundle() + authority.ca.read_text())
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
            print(f"{name}: {count} requests: {memory_of(agent.pid)}", flush=True)
