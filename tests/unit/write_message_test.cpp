#include "agent/relay/write_message.h"

#include <catch2/catch.hpp>
#include <map>

#include "agent/base/text.h"
#include "agent/metrics/sample.h"
#include "request_v2.pb.h"
#include "write_request.pb.h"

namespace msp {
namespace {

using LabelList = std::vector<std::pair<std::string, std::string>>;

/// What a receiver of the result gets.
struct Got {
  std::vector<std::pair<LabelList, std::vector<std::int64_t>>> series;  // labels in order, times
  relay::WriteOutcome outcome;
};

struct Bench {
  std::expected<relay::WriteOutcome, relay::ContentError> read(
      const std::string& message, relay::WriteVersion version,
      const std::vector<metrics::Label>& enforced = {}) {
    out.clear();
    return reader.read(message, version, enforced,
                       [&](std::string_view field, const relay::SampleCounts&) { out += field; });
  }

  Got good(const std::string& message, relay::WriteVersion version,
           const std::vector<metrics::Label>& enforced = {}) {
    const auto outcome = read(message, version, enforced);
    REQUIRE(outcome);
    prometheus::WriteRequest request;
    REQUIRE(request.ParseFromString(out));
    Got got{{}, *outcome};
    for (const auto& series : request.timeseries()) {
      LabelList labels;
      for (const auto& label : series.labels()) labels.emplace_back(label.name(), label.value());
      std::vector<std::int64_t> times;
      for (const auto& sample : series.samples()) times.push_back(sample.timestamp());
      got.series.emplace_back(std::move(labels), std::move(times));
    }
    return got;
  }

  relay::WriteMessageReader reader;
  std::string out;
};

std::string v1(const std::vector<LabelList>& all, std::int64_t time = 1'000) {
  prometheus::WriteRequest request;
  for (const auto& labels : all) {
    auto* const series = request.add_timeseries();
    for (const auto& [name, value] : labels) {
      auto* const label = series->add_labels();
      label->set_name(name);
      label->set_value(value);
    }
    auto* const sample = series->add_samples();
    sample->set_value(1.5);
    sample->set_timestamp(time);
  }
  return request.SerializeAsString();
}

std::string v2(const std::vector<LabelList>& all) {
  io::prometheus::write::v2::Request request;
  request.add_symbols("");
  for (const auto& labels : all) {
    auto* const series = request.add_timeseries();
    for (const auto& [name, value] : labels) {
      for (const auto& text : {name, value}) {
        series->add_labels_refs(static_cast<std::uint32_t>(request.symbols_size()));
        request.add_symbols(text);  // the same one twice where it is there twice
      }
    }
    auto* const sample = series->add_samples();
    sample->set_value(1.5);
    sample->set_timestamp(1'000);
  }
  return request.SerializeAsString();
}

/// A field that is bytes, of a number up to 15.
std::string field(int number, const std::string& bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  REQUIRE(bytes.size() < 128);
  out += static_cast<char>(bytes.size());
  return out + bytes;
}

const std::vector<metrics::Label> kAlpha = {{"customer_id", "alpha"}, {"role", ""}};

}  // namespace

TEST_CASE("relay: nobody writes as somebody else, whatever the labels say") {
  Bench bench;
  const LabelList expected = {{"__name__", "up"}, {"customer_id", "alpha"}, {"job", "node"}};
  const std::vector<LabelList> forged = {
      {{"__name__", "up"}, {"job", "node"}},
      {{"__name__", "up"}, {"customer_id", "beta"}, {"job", "node"}},
      {{"customer_id", "alpha"}, {"customer_id", "beta"}, {"job", "node"}, {"__name__", "up"}},
      {{"customer_id", "beta"}, {"__name__", "up"}, {"job", "node"}, {"customer_id", "gamma"}},
      {{"__name__", "up"}, {"customer_id", ""}, {"job", "node"}, {"role", "relay"}}};
  for (const auto version : {relay::WriteVersion::v1, relay::WriteVersion::v2}) {
    const auto got =
        bench.good(version == relay::WriteVersion::v1 ? v1(forged) : v2(forged), version, kAlpha);
    REQUIRE(got.series.size() == forged.size());
    for (const auto& [labels, times] : got.series) {
      CHECK(labels == expected);
      CHECK(times == std::vector<std::int64_t>{1'000});
    }
    CHECK(got.outcome.taken.samples == forged.size());
    CHECK(got.outcome.skipped_series == 0);
  }
}

TEST_CASE("relay: a name in other letters or bytes is another label or none") {
  Bench bench;
  const LabelList other = {{"Customer_ID", "beta"}, {"__name__", "up"}};
  for (const auto version : {relay::WriteVersion::v1, relay::WriteVersion::v2}) {
    const auto message = [&](const LabelList& labels) {
      return version == relay::WriteVersion::v1 ? v1({labels}) : v2({labels});
    };
    const auto got = bench.good(message(other), version, kAlpha);
    REQUIRE(got.series.size() == 1);
    CHECK(got.series[0].first ==
          LabelList{{"Customer_ID", "beta"}, {"__name__", "up"}, {"customer_id", "alpha"}});
    // Other labels than the enforced one, which is there beside them. In protobuf's own classes a
    // string must be UTF-8; what is none is made by hand below.
    for (const std::string name : {"customer_id ", " customer_id", "customer\xe2\x80\x8b_id",
                                   "customer-id", "customer_id\n", "сustomer_id", "customer.id"}) {
      INFO(name);
      const auto both = bench.good(message({{"__name__", "up"}, {name, "beta"}}), version, kAlpha);
      REQUIRE(both.series.size() == 1);
      LabelList wanted = {{"__name__", "up"}, {"customer_id", "alpha"}, {name, "beta"}};
      std::ranges::sort(wanted);
      CHECK(both.series[0].first == wanted);
    }
    const auto none = bench.good(message({{"__name__", "up"}, {"", "beta"}}), version, kAlpha);
    CHECK(none.series.empty());
    CHECK(none.outcome.skipped_samples == 1);
    CHECK(none.outcome.first_skipped.starts_with("a label without a name: "));
  }
  // Two names in one label: the last one counts, as for every parser.
  const auto label = field(1, "x") + field(1, "customer_id") + field(2, "alpha") + field(2, "beta");
  const auto sample = std::string("\x12\x02\x10\x05", 4);
  const auto series = field(1, field(1, "__name__") + field(2, "up")) + field(1, label) + sample;
  const auto got = bench.good(field(1, series), relay::WriteVersion::v1, kAlpha);
  REQUIRE(got.series.size() == 1);
  CHECK(got.series[0].first == LabelList{{"__name__", "up"}, {"customer_id", "alpha"}});
  CHECK(got.series[0].second == std::vector<std::int64_t>{5});
}

TEST_CASE(
    "relay: series that a receiver would refuse the request for are left out, others are not") {
  Bench bench;
  const LabelList good = {{"__name__", "up"}, {"a", "b"}};
  const std::pair<LabelList, std::string> bad[] = {
      {{{"a", "b"}}, "no name"},
      {{{"__name__", "up"}, {"a", "b"}, {"a", "b"}}, "a label twice"},
      {{{"__name__", "up"}, {"__name__", "down"}}, "a label twice"},
      {{{"__name__", "up"}, {"a", std::string(70'000, 'x')}}, "labels that are too long"}};
  for (const auto& [labels, why] : bad) {
    INFO(why);
    const auto got = bench.good(v1({good, labels, good}), relay::WriteVersion::v1);
    CHECK(got.series.size() == 2);
    CHECK(got.outcome.skipped_series == 1);
    CHECK(got.outcome.first_skipped.starts_with(why));
  }
  // Names as Prometheus 3 has them.
  const LabelList letters = {
      {"__name__", "http.server.duration"}, {"k8s.pod/имя", "x"}, {"1", "y"}};
  for (const auto version : {relay::WriteVersion::v1, relay::WriteVersion::v2}) {
    const auto got =
        bench.good(version == relay::WriteVersion::v1 ? v1({letters}) : v2({letters}), version);
    REQUIRE(got.series.size() == 1);
    auto wanted = letters;
    std::ranges::sort(wanted);
    CHECK(got.series[0].first == wanted);
  }
  const auto no_utf8_name =
      field(1, field(1, field(1, "__name__") + field(2, "up")) +
                   field(1, field(1, "a\xff") + field(2, "x")) + field(2, ""));
  CHECK(bench.good(no_utf8_name, relay::WriteVersion::v1)
            .outcome.first_skipped.starts_with("a label's name that is not UTF-8"));
  const auto no_utf8 = field(1, field(1, field(1, "__name__") + field(2, "up")) +
                                    field(1, field(1, "customer_id") + field(2, "\xff")) +
                                    field(1, field(1, "a") + field(2, "\xff")) + field(2, ""));
  CHECK(bench.good(no_utf8, relay::WriteVersion::v1, kAlpha)
            .outcome.first_skipped.starts_with("a value that is not UTF-8"));
  LabelList many = {{"__name__", "up"}};
  for (std::size_t i = 0; i < relay::WriteMessageReader::kLabelsMax; ++i)
    many.emplace_back(cat("l", i), "x");
  CHECK(bench.good(v1({many, good}), relay::WriteVersion::v1)
            .outcome.first_skipped.starts_with("too many"));
  CHECK(bench.good(v2({many, good}), relay::WriteVersion::v2).outcome.skipped_series == 1);
  // References to nowhere, and an odd number of them.
  io::prometheus::write::v2::Request request;
  request.ParseFromString(v2({good, good, good}));
  request.mutable_timeseries(0)->set_labels_refs(1, 1'000);
  request.mutable_timeseries(1)->add_labels_refs(1);
  const auto got = bench.good(request.SerializeAsString(), relay::WriteVersion::v2);
  CHECK(got.series.size() == 1);
  CHECK(got.outcome.skipped_series == 2);
}

TEST_CASE("relay: labels are sent on in the protocol's order, values and times as they came") {
  Bench bench;
  prometheus::WriteRequest request;
  request.ParseFromString(v1({{{"z", "1"}, {"__name__", "up"}, {"b", ""}, {"a", "2"}}}, -5));
  auto* const series = request.mutable_timeseries(0);
  auto* const sample = series->add_samples();
  sample->set_value(metrics::stale_marker());
  sample->set_timestamp(INT64_MAX);
  const auto outcome = bench.read(request.SerializeAsString(), relay::WriteVersion::v1);
  REQUIRE(outcome);
  CHECK(outcome->taken.first_timestamp_ms == -5);
  CHECK(outcome->taken.last_timestamp_ms == INT64_MAX);
  prometheus::WriteRequest sent;
  REQUIRE(sent.ParseFromString(bench.out));
  CHECK(sent.timeseries(0).labels(0).name() == "__name__");
  CHECK(sent.timeseries(0).labels(2).name() == "z");
  CHECK(sent.timeseries(0).labels_size() == 3);
  CHECK(sent.timeseries(0).samples(0).timestamp() == -5);
  CHECK(std::bit_cast<std::uint64_t>(sent.timeseries(0).samples(1).value()) ==
        metrics::kStaleNanBits);
}

TEST_CASE("relay: what is torn, or of the other version, is refused as a whole") {
  Bench bench;
  const LabelList labels = {{"__name__", "up"}, {"a", "b"}};
  for (const auto version : {relay::WriteVersion::v1, relay::WriteVersion::v2}) {
    const auto is_v1 = version == relay::WriteVersion::v1;
    const auto whole = is_v1 ? v1({labels, labels}) : v2({labels, labels});
    std::size_t torn = 0;
    for (std::size_t size = 1; size < whole.size(); ++size) {
      const auto outcome = bench.read(whole.substr(0, size), version);
      if (outcome) continue;  // cut between two fields
      ++torn;
      CHECK_FALSE(outcome.error().is_too_large);
      CHECK(bench.out.empty());
    }
    CHECK(torn > whole.size() / 2);
    const auto other = bench.read(is_v1 ? v2({labels}) : v1({labels}), version);
    REQUIRE_FALSE(other);
    CHECK(other.error().text.find("of the other version") != std::string::npos);
    CHECK(bench.good("", version).series.empty());
  }
  for (const auto* group : {"\x0b", "\x0c", "\x08\x01", "\x0d\x01\x01\x01\x01", "\x02"}) {
    CHECK_FALSE(bench.read(group, relay::WriteVersion::v1));
  }
}

TEST_CASE("relay: native histograms go on as they are, one that no receiver can read does not") {
  Bench bench;
  const auto name = field(1, field(1, "__name__") + field(2, "h"));
  // count_int 3, sum 2.5, schema 1, positive_spans, positive_deltas, timestamp 7
  const auto histogram = std::string("\x08\x03\x19\0\0\0\0\0\0\x04\x40\x20\x02", 13) +
                         field(11, std::string("\x08\x02\x10\x01", 4)) + field(12, "\x02") +
                         "\x78\x07";
  const auto good = bench.read(field(1, name + field(4, histogram)), relay::WriteVersion::v1);
  REQUIRE(good);
  CHECK(good->taken.histograms == 1);
  CHECK(good->taken.last_timestamp_ms == 7);
  CHECK(bench.out == field(1, name + field(4, histogram)));
  for (const auto& bad : {field(1, "x"), std::string("\x10\x01"), field(8, "\x08"),
                          field(12, "\xff"), field(13, "1234567"), std::string("\x79\x07")}) {
    CHECK_FALSE(bench.read(field(1, name + field(4, bad)), relay::WriteVersion::v1));
  }
}

TEST_CASE("relay: a few bytes that would become many are refused") {
  Bench bench;
  io::prometheus::write::v2::Request request;
  request.add_symbols("");
  request.add_symbols("__name__");
  request.add_symbols("up");
  request.add_symbols("a");
  request.add_symbols(std::string(60'000, 'x'));
  for (int i = 0; i < 1'000; ++i) {
    auto* const series = request.add_timeseries();
    for (const auto ref : {1, 2, 3, 4}) series->add_labels_refs(static_cast<std::uint32_t>(ref));
    series->add_samples()->set_timestamp(1);
  }
  const auto outcome = bench.read(request.SerializeAsString(), relay::WriteVersion::v2);
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().is_too_large);
  CHECK(bench.out.empty());
  std::string symbols;
  for (std::size_t i = 0; i <= relay::WriteMessageReader::kSymbolsMax; ++i)
    symbols += std::string("\x22\0", 2);
  REQUIRE_FALSE(bench.read(symbols, relay::WriteVersion::v2));
  CHECK(bench.read(symbols, relay::WriteVersion::v2).error().is_too_large);
}

}  // namespace msp
