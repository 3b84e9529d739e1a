// One row per bad endpoint: the exact words an operator will read.
#include "tests/support/config_rows.h"

namespace msp {

using namespace test;

const std::string kNoProxyAccepted =
    "; accepted: a list of hosts, domains, addresses and networks, such as [internal.example.com, "
    "10.0.0.0/8], or ['*']";

TEST_CASE("config errors: addresses") {
  const auto url = [](const std::string& text) {
    return "customer_id: a\nremote_write:\n  url: " + text + "\n";
  };
  const auto found = [](const std::string& what) {
    return std::vector<std::string>{"f:3:8: remote_write.url: found " + what + kUrlAccepted};
  };
  check({
      {url("monitor.example.com/w"), found("'monitor.example.com/w' with no scheme")},
      {url("ftp://h/w"), found("'ftp://h/w' with a scheme that is not http or https")},
      {url("http://"), found("'http://' with no host")},
      {url("http:///w"), found("'http:///w' with no host")},
      {url("http://h h/w"), found("'http://h h/w' with a space")},
      {url("\"http://h/\\u00e9\""),
       found("'http://h/\xc3\xa9' with a character that must be percent-encoded")},
      {url("\"http://h/\\n\""), found("a line break or another control character")},
      {url("http://h,h/"), found("'http://h,h/' with a host name with a character that no host "
                                 "name has")},
      {url("http://h:0/"), found("'http://h:0/' with a port that is not 1 to 65535")},
      {url("http://h:65536/"), found("'http://h:65536/' with a port that is not 1 to 65535")},
      {url("http://[::1/w"), found("'http://[::1/w' with a '[' that is not closed")},
      {url("http://[h]/w"), found("'http://[h]/w' with something in '[]' that is not IPv6")},
      {url("http://h/w w?token=hunter2"), found("'http://h/w w' with a space")},
      {url("http://me:hunter2@h/w"),
       {"f:3:8: remote_write.url: found an address with a user before the '@'" + kUrlAccepted +
        "; a user and password belong under basic_auth"}},
      {url("''"), found("nothing")},
      {"customer_id: a\n",
       {"f:1:1: remote_write: found nothing; accepted: a mapping with the key url, or a list of "
        "them"}},
      {"customer_id: a\nremote_write: []\n",
       {"f:2:15: remote_write: found nothing; accepted: a mapping with the key url, or a list of "
        "them"}},
      {"customer_id: a\nremote_write: http://h/w\n",
       {"f:2:15: remote_write: found a single value; accepted: a mapping with the key url, or a "
        "list of them"}},
      {"customer_id: a\nremote_write: {timeout: 1s}\n",
       {"f:2:15: remote_write.url: found nothing" + kUrlAccepted}},
      {"customer_id: a\nremote_write:\n- url: http://a/w\n- timeout: soon\n- x\n-\n",
       {"f:3:1: remote_write[3]: found nothing; accepted: a mapping with the key url",
        "f:4:3: remote_write[1].url: found nothing" + kUrlAccepted,
        "f:4:12: remote_write[1].timeout: found 'soon'; accepted: a duration from 100ms to 5m, "
        "such as 10s",
        "f:5:3: remote_write[2]: found a single value; accepted: a mapping, that is lines 'key: "
        "value'"}},
      {"customer_id: a\nremote_write:\n- url: http://a/w\n- url: http://a/w?x=1\n",
       {"f:4:8: remote_write[1].url: found the address of remote_write[0]; accepted: addresses "
        "that differ before the '?'"}},
      {with_endpoint("  proxy_url: me:hunter2@proxy\n"),
       {"f:4:14: remote_write.proxy_url: found an address with no scheme; accepted: an address "
        "such as http://proxy.example.com:3128"}},
      {with_endpoint("  proxy_url: \"http://p:1/\\r\\nX: y\"\n"),
       {"f:4:14: remote_write.proxy_url: found a line break or another control character; "
        "accepted: an address such as http://proxy.example.com:3128"}},
      {with_endpoint("  no_proxy: internal.example.com\n"),
       {"f:4:13: remote_write.no_proxy: found a single value" + kNoProxyAccepted}},
      {with_endpoint("  no_proxy: [a.example, 'b.example,c.example', '', '*.d.example', [e]]\n"),
       {"f:4:25: remote_write.no_proxy[1]: found 'b.example,c.example'" + kNoProxyAccepted,
        "f:4:48: remote_write.no_proxy[2]: found ''" + kNoProxyAccepted,
        "f:4:52: remote_write.no_proxy[3]: found '*.d.example'" + kNoProxyAccepted,
        "f:4:67: remote_write.no_proxy[4]: found a list" + kNoProxyAccepted}},
  });
}

TEST_CASE("config errors: protocol, order and time") {
  check({
      {with_endpoint("  protocol: prometheus-3.0\n"),
       {"f:4:13: remote_write.protocol: found 'prometheus-3.0'; accepted: auto, prometheus-1.0, "
        "prometheus-2.0, victoriametrics"}},
      {with_endpoint("  order: newest\n"),
       {"f:4:10: remote_write.order: found 'newest'; accepted: auto, fresh_first, oldest_first"}},
      {with_endpoint("  catch_up_rate: 99\n"),
       {"f:4:18: remote_write.catch_up_rate: found '99'; accepted: samples per second from 100, or "
        "unlimited"}},
      {with_endpoint("  timeout: 6m\n"),
       {"f:4:12: remote_write.timeout: found '6m'; accepted: a duration from 100ms to 5m, such as "
        "10s"}},
  });
}

TEST_CASE("config errors: an endpoint's name, and how often it is sent to") {
  const std::string name = "; accepted: a name of up to 64 letters, digits, '.', '_' and '-'";
  const std::string every =
      "; accepted: a duration from the interval to 1h, such as 60s; interval is ";
  check({
      {with_endpoint("  name: a b\n"), {"f:4:9: remote_write.name: found 'a b'" + name}},
      {with_endpoint("  name: ''\n"), {"f:4:9: remote_write.name: found nothing" + name}},
      {with_endpoint("  send_every: 14s\n"),
       {"f:4:15: remote_write.send_every: found '14s'" + every + "15s"}},
      {with_endpoint("  send_every: 2h\n"),
       {"f:4:15: remote_write.send_every: found '2h'; accepted: a duration from the interval to "
        "1h, "
        "such as 60s"}},
      {"customer_id: a\ninterval: 60s\nremote_write: {url: http://h/w, send_every: 30s}\n",
       {"f:3:45: remote_write.send_every: found '30s'" + every + "1m"}},
      {"customer_id: a\nremote_write:\n- url: http://a/w\n  name: x\n- url: http://b/w\n  name: "
       "x\n",
       {"f:6:9: remote_write[1].name: found the name of remote_write[0]; accepted: each name "
        "once"}},
  });
}

TEST_CASE("config errors: how an endpoint is spoken to") {
  const std::string line = "; accepted: a single line of text";
  const std::string path = "; accepted: an absolute path, that is one that begins with '/'";
  check({
      {with_endpoint("  basic_auth: {username: u}\n"),
       {"f:4:15: remote_write.basic_auth.password: found neither password nor password_file; "
        "accepted: one of the two"}},
      {with_endpoint("  basic_auth: {password: hunter2}\n"),
       {"f:4:15: remote_write.basic_auth.username: found nothing beside a password; accepted: a "
        "user name without ':'"}},
      {with_endpoint("  basic_auth: {username: 'a:b', password: hunter2}\n"),
       {"f:4:26: remote_write.basic_auth.username: found a ':', behind which a password may stand "
        "(not shown); accepted: a user name without "
        "':'"}},
      {with_endpoint("  basic_auth: {username: \"u\\r\\nHost: h\", password: hunter2}\n"),
       {"f:4:26: remote_write.basic_auth.username: found a line break or another control character"
        "; accepted: a user name without ':'"}},
      {with_endpoint("  basic_auth: {username: u, password: hunter2, password_file: /f}\n"),
       {"f:4:63: remote_write.basic_auth.password_file: found password as well; accepted: one of "
        "the two"}},
      {with_endpoint("  basic_auth: {username: u, password: \"hun\\nter2\"}\n"),
       {"f:4:39: remote_write.basic_auth.password: found a line break or another control "
        "character" +
        line}},
      {with_endpoint("  bearer_token: hunter2\n  bearer_token_file: /f\n"),
       {"f:5:22: remote_write.bearer_token_file: found bearer_token as well; accepted: one of the "
        "two"}},
      {with_endpoint("  bearer_token: hunter2\n  basic_auth: {username: u, password: hunter2}\n"),
       {"f:4:17: remote_write.bearer_token: found basic_auth as well; accepted: one way to log "
        "in"}},
      {with_endpoint("  bearer_token: ''\n"),
       {"f:4:17: remote_write.bearer_token: found nothing" + line}},
      {with_endpoint("  bearer_token: [hunter2]\n"),
       {"f:4:17: remote_write.bearer_token: found a list" + line}},
      {with_endpoint("  bearer_token: hunter2${\n"),
       {"f:4:17: remote_write.bearer_token: found '${' without '}'; accepted: ${NAME}, "
        "${NAME:-default}, or $$ for a '$'"}},
      {with_endpoint("  bearer_token_file: hunter2\n"),
       {"f:4:22: remote_write.bearer_token_file: found something else (not shown)" + path}},
  });
}

TEST_CASE("config errors: headers and TLS") {
  const std::string line = "; accepted: a single line of text";
  const std::string path = "; accepted: an absolute path, that is one that begins with '/'";
  check({
      {with_endpoint("  headers: {X-Key: \"hunter2\\r\\nHost: h\"}\n"),
       {"f:4:20: remote_write.headers.X-Key: found a line break or another control character" +
        line}},
      {with_endpoint("  headers: {X-Key: ''}\n"),
       {"f:4:20: remote_write.headers.X-Key: found nothing" + line}},
      {with_endpoint("  headers: {'X Y': hunter2}\n"),
       {"f:4:13: remote_write.headers.(not shown): found a name that no header can have; accepted: "
        "letters, digits and '-', such as X-Scope-OrgID"}},
      {with_endpoint("  headers: {authorization: hunter2}\n"),
       {"f:4:13: remote_write.headers.authorization: found a header that the agent sets itself; "
        "accepted: basic_auth or bearer_token in its place"}},
      {with_endpoint("  headers: {Proxy-Authorization: hunter2}\n"),
       {"f:4:13: remote_write.headers.Proxy-Authorization: found a header that the agent sets "
        "itself; accepted: user:password@ in proxy_url"}},
      {with_endpoint("  headers: {X-a: b, x-A: c}\n"),
       {"f:4:21: remote_write.headers.x-A: found the same header in other letters; accepted: each "
        "header once"}},
      {with_endpoint("  tls: {cert_file: /c}\n"),
       {"f:4:20: remote_write.tls.cert_file: found no key_file beside it; accepted: both or "
        "none"}},
      {with_endpoint("  tls: {key_file: k}\n"),
       {"f:4:19: remote_write.tls.key_file: found something else (not shown)" + path,
        "f:4:19: remote_write.tls.key_file: found no cert_file beside it; accepted: both or "
        "none"}},
      {with_endpoint("  tls: {insecure_skip_verify: yes}\n"),
       {"f:4:31: remote_write.tls.insecure_skip_verify: found 'yes'; accepted: false, true"}},
      {with_endpoint("  tls: {server_name: 'h:443'}\n"),
       {"f:4:22: remote_write.tls.server_name: found 'h:443'; accepted: a host name"}},
      {with_endpoint("  tls: {server_name: \"h\\r\\nX: y\"}\n"),
       {"f:4:22: remote_write.tls.server_name: found a line break or another control character; "
        "accepted: a host name"}},
  });
  for (const std::string name :
       {"Host", "CONTENT-TYPE", "content-encoding", "Content-Length", "Transfer-Encoding",
        "User-Agent", "Accept-Encoding", "X-Prometheus-Remote-Write-Version",
        "X-VictoriaMetrics-Remote-Write-Version"}) {
    CHECK(errors_of(with_endpoint("  headers: {" + name + ": x}\n")) ==
          std::vector{"f:4:13: remote_write.headers." + name +
                      ": found a header that the agent sets itself; accepted: any other header"});
  }
}

}  // namespace msp
