#include "agent/delivery/encode/encode.h"

#include <snappy.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "agent/queue/compression.h"
#include "request_v2.pb.h"
#include "tests/support/random_scrapes.h"
#include "tests/support/scrapes.h"
#include "write_request.pb.h"

namespace msp {
namespace {

constexpr delivery::Wire kWires[] = {delivery::Wire::prometheus_1_0,
                                     delivery::Wire::victoriametrics,
                                     delivery::Wire::prometheus_2_0};

struct Sample {
  std::int64_t timestamp_ms;
  std::uint64_t bits;
  friend auto operator<=>(const Sample&, const Sample&) = default;
};
/// The flat form of a series' labels, its samples.
using Content = std::map<std::string, std::vector<Sample>>;

std::string unsnappy(std::string_view body) {
  std::string message;
  REQUIRE(snappy::Uncompress(body.data(), body.size(), &message));
  return message;
}

/// Of one frame that says how much is in it.
std::string unzstd(std::string_view body) {
  std::string message(ZSTD_getFrameContentSize(body.data(), body.size()), '\0');
  REQUIRE(ZSTD_findFrameCompressedSize(body.data(), body.size()) == body.size());
  REQUIRE(ZSTD_decompress(message.data(), message.size(), body.data(), body.size()) ==
          message.size());
  return message;
}

template <typename Message>
Message parse(const std::string& message) {
  Message request;
  REQUIRE(request.ParseFromString(message));
  REQUIRE(request.SerializeAsString() == message);  // nothing that the schema does not know
  return request;
}

prometheus::WriteRequest decode(std::string_view body) {
  return parse<prometheus::WriteRequest>(unsnappy(body));
}

io::prometheus::write::v2::Request decode_v2(std::string_view body) {
  return parse<io::prometheus::write::v2::Request>(unsnappy(body));
}

template <typename Series>
std::vector<Sample> samples_of(const Series& series) {
  std::vector<Sample> samples;
  for (const auto& sample : series.samples()) {
    samples.push_back({sample.timestamp(), std::bit_cast<std::uint64_t>(sample.value())});
  }
  return samples;
}

void take(const std::string& message, delivery::Wire wire, Content& content) {
  const auto add = [&](std::vector<metrics::Label> labels, std::vector<Sample> samples) {
    const auto is_new =
        content.emplace(metrics::Labels(std::move(labels)).flat(), std::move(samples)).second;
    REQUIRE(is_new);
  };
  if (wire == delivery::Wire::prometheus_2_0) {
    const auto request = parse<io::prometheus::write::v2::Request>(message);
    const auto& symbols = request.symbols();
    REQUIRE(symbols[0].empty());
    REQUIRE(std::set<std::string>(symbols.begin(), symbols.end()).size() ==
            static_cast<std::size_t>(symbols.size()));
    for (const auto& series : request.timeseries()) {
      std::vector<metrics::Label> labels;
      for (int i = 0; i < series.labels_refs_size(); i += 2) {
        labels.push_back({symbols.at(static_cast<int>(series.labels_refs(i))),
                          symbols.at(static_cast<int>(series.labels_refs(i + 1)))});
      }
      add(std::move(labels), samples_of(series));
    }
    return;
  }
  const auto request = parse<prometheus::WriteRequest>(message);
  for (const auto& series : request.timeseries()) {
    std::vector<metrics::Label> labels;
    for (const auto& label : series.labels()) labels.push_back({label.name(), label.value()});
    add(std::move(labels), samples_of(series));
  }
}

std::string message_of(std::string_view body, delivery::Wire wire) {
  return wire == delivery::Wire::victoriametrics ? unzstd(body) : unsnappy(body);
}

Content content_of(queue::Batch& batch) {
  Content content;
  for (const auto& row : batch.rows()) {
    auto& samples = content[std::string(row.series->labels.flat())];
    for (const auto& point : batch.points(row)) {
      samples.push_back({point.timestamp_ms, std::bit_cast<std::uint64_t>(point.value)});
    }
  }
  return content;
}

delivery::Encoder::Part encode_all(delivery::Encoder& encoder, queue::Batch& batch,
                                   delivery::Wire wire) {
  return encoder.encode(batch, 0, batch.rows().size(), wire, delivery::Encoder::kRawBytesMax);
}

void add(queue::Batch& batch, metrics::Scrape scrape) {
  batch.add(0, std::make_shared<const metrics::Scrape>(std::move(scrape)));
}

}  // namespace

TEST_CASE("a batch reads back as the write request of the specification") {
  const auto set = test::series_set({"a", std::string(300, 'b')});
  queue::Batch batch;
  add(batch, test::scrape(1'700'000'000'000, set, {1.5, -0.0}));
  add(batch, test::scrape(1'700'000'015'000, set,
                          {metrics::stale_marker(), std::numeric_limits<double>::infinity()}));
  delivery::Encoder encoder;
  const auto part = encode_all(encoder, batch, delivery::Wire::prometheus_1_0);
  CHECK(part.rows_end == 2);
  CHECK(part.samples == 4);
  const auto request = decode(part.body);

  REQUIRE(request.timeseries_size() == 2);
  const auto& first = request.timeseries(0);
  REQUIRE(first.labels_size() == 2);
  CHECK(first.labels(0).name() == "__name__");
  CHECK(first.labels(0).value() == "a");
  CHECK(first.labels(1).name() == "customer_id");
  CHECK(first.labels(1).value() == "alpha");
  REQUIRE(first.samples_size() == 2);
  CHECK(first.samples(0).timestamp() == 1'700'000'000'000);
  CHECK(first.samples(0).value() == 1.5);
  CHECK(std::bit_cast<std::uint64_t>(first.samples(1).value()) == metrics::kStaleNanBits);
  const auto& second = request.timeseries(1);
  CHECK(second.labels(0).value() == std::string(300, 'b'));
  CHECK(std::signbit(second.samples(0).value()));
  CHECK(std::isinf(second.samples(1).value()));
}

TEST_CASE("an encoder's later requests hold nothing of its earlier ones") {
  delivery::Encoder encoder;
  queue::Batch large;
  add(large, test::scrape(1, test::series_set({"a", "b", "c"}), {1, 2, 3}));
  queue::Batch small;
  add(small, test::scrape(-1, test::series_set({"d"}), {4}));
  for (const auto wire : kWires) {
    encode_all(encoder, large, wire);
    Content content;
    take(message_of(encode_all(encoder, small, wire).body, wire), wire, content);
    CHECK(content == content_of(small));
  }
}

namespace {

constexpr metrics::MetricDesc kCpuSeconds{"node_cpu_seconds_total",
                                          "Seconds the CPUs spent in each mode.", "",
                                          metrics::MetricType::counter, "cpu"};
constexpr metrics::MetricDesc kBootTime{"node_boot_time_seconds", "Node boot time, in unixtime.",
                                        ""};
constexpr metrics::MetricDesc kReadBytes{"node_disk_read_bytes_total", "Bytes read.", "",
                                         metrics::MetricType::counter};
constexpr metrics::MetricDesc kLoad{"node_load1", "1m load average.", ""};

metrics::SeriesPtr series(const metrics::MetricDesc& family,
                          std::vector<metrics::Label> labels = {}, bool is_known = true) {
  labels.push_back({"__name__", std::string(family.name)});
  labels.push_back({"customer_id", "alpha"});
  return std::make_shared<const metrics::Series>(
      metrics::Series{metrics::Labels(std::move(labels)), is_known ? &family : nullptr});
}

}  // namespace

TEST_CASE("2.0: type, help and unit of each series, and since when a kernel's counter counts") {
  const auto set = std::make_shared<const metrics::SeriesSet>(
      metrics::SeriesSet{series(kCpuSeconds, {{"cpu", "0"}}), series(kBootTime), series(kReadBytes),
                         series(kLoad), series(kCpuSeconds, {{"cpu", "1"}}, false)});
  queue::Batch batch;
  add(batch, test::scrape(1'700'000'000'000, set, {1, 1'600'000'000, 2, 3, 4}));
  add(batch,
      test::scrape(1'700'000'015'000, set, {1, 1'600'000'001, 2, 3, metrics::stale_marker()}));
  delivery::Encoder encoder;
  const auto request = decode_v2(encode_all(encoder, batch, delivery::Wire::prometheus_2_0).body);

  REQUIRE(request.timeseries_size() == 5);
  using Metadata = io::prometheus::write::v2::Metadata;
  const auto check = [&](int index, int type, const std::string& help, const std::string& unit,
                         std::int64_t start_0, std::int64_t start_1) {
    const auto& series = request.timeseries(index);
    INFO(index);
    CHECK(series.metadata().type() == type);
    CHECK(request.symbols(static_cast<int>(series.metadata().help_ref())) == help);
    CHECK(request.symbols(static_cast<int>(series.metadata().unit_ref())) == unit);
    REQUIRE(series.samples_size() == 2);
    CHECK(series.samples(0).start_timestamp() == start_0);
    CHECK(series.samples(1).start_timestamp() == start_1);
  };
  check(0, Metadata::METRIC_TYPE_COUNTER, "Seconds the CPUs spent in each mode.", "seconds",
        1'600'000'000'000, 1'600'000'001'000);
  check(1, Metadata::METRIC_TYPE_GAUGE, "Node boot time, in unixtime.", "seconds", 0, 0);
  check(2, Metadata::METRIC_TYPE_COUNTER, "Bytes read.", "bytes", 0, 0);  // a disk may come later
  check(3, Metadata::METRIC_TYPE_GAUGE, "1m load average.", "", 0, 0);
  // Read back from the buffer; the end of a series has no beginning.
  check(4, Metadata::METRIC_TYPE_UNSPECIFIED, "", "", 1'600'000'000'000, 0);
}

TEST_CASE("2.0: no beginning where the scrape does not say it, or says nonsense") {
  const auto set = std::make_shared<const metrics::SeriesSet>(
      metrics::SeriesSet{series(kCpuSeconds), series(kBootTime)});
  const auto without = std::make_shared<const metrics::SeriesSet>(metrics::SeriesSet{set->front()});
  queue::Batch batch;
  add(batch, test::scrape(1'000, without, {1}));
  add(batch, test::scrape(2'000, set, {1, 2}));  // booted now: the clock was set back
  add(batch, test::scrape(3'000, set, {1, std::nan("")}));
  add(batch, test::scrape(4'000, set, {1, -1}));
  add(batch, test::scrape(5'000, set, {1, 4.5}));
  delivery::Encoder encoder;
  const auto request = decode_v2(encode_all(encoder, batch, delivery::Wire::prometheus_2_0).body);
  std::vector<std::int64_t> starts;
  for (const auto& sample : request.timeseries(0).samples()) {
    starts.push_back(sample.start_timestamp());
  }
  CHECK(starts == std::vector<std::int64_t>{0, 0, 0, 0, 4'500});
}

TEST_CASE("2.0: since when a counter counts is known from its own target only") {
  const auto of = [](const metrics::MetricDesc& desc, const char* instance) {
    return series(desc, {{"instance", instance}, {"job", "node"}});
  };
  const auto set = std::make_shared<const metrics::SeriesSet>(
      metrics::SeriesSet{of(kCpuSeconds, "here"), of(kBootTime, "there"), of(kCpuSeconds, "there"),
                         of(kBootTime, "here"), of(kCpuSeconds, "nowhere")});
  queue::Batch batch;
  add(batch, test::scrape(1'700'000'000'000, set, {1, 1'600'000'000, 2, 1'500'000'000, 3}));
  delivery::Encoder encoder;
  const auto request = decode_v2(encode_all(encoder, batch, delivery::Wire::prometheus_2_0).body);
  CHECK(request.timeseries(0).samples(0).start_timestamp() == 1'500'000'000'000);
  CHECK(request.timeseries(2).samples(0).start_timestamp() == 1'600'000'000'000);
  CHECK(request.timeseries(4).samples(0).start_timestamp() == 0);
}

TEST_CASE("2.0: series from outside have their metric's type, help and unit") {
  const auto make = [](const std::string& name, const std::string& metric,
                       metrics::MetricType type) {
    return std::make_shared<const metrics::Series>(
        metrics::Series{metrics::Labels({{"__name__", name}}),
                        metrics::make_desc(metric, "Help of " + metric, type)});
  };
  const auto set = std::make_shared<const metrics::SeriesSet>(
      metrics::SeriesSet{make("rpc_seconds_bucket", "rpc_seconds", metrics::MetricType::histogram),
                         make("rpc_seconds_sum", "rpc_seconds", metrics::MetricType::histogram),
                         make("size_bytes", "size_bytes", metrics::MetricType::summary),
                         make("odd", "odd", metrics::MetricType::untyped)});
  queue::Batch batch;
  add(batch, test::scrape(1'700'000'000'000, set, {1, 2, 3, 4}));
  delivery::Encoder encoder;
  const auto request = decode_v2(encode_all(encoder, batch, delivery::Wire::prometheus_2_0).body);
  using Metadata = io::prometheus::write::v2::Metadata;
  const auto check = [&](int index, int type, const std::string& help, const std::string& unit) {
    const auto& metadata = request.timeseries(index).metadata();
    INFO(index);
    CHECK(metadata.type() == type);
    CHECK(request.symbols(static_cast<int>(metadata.help_ref())) == help);
    CHECK(request.symbols(static_cast<int>(metadata.unit_ref())) == unit);
  };
  check(0, Metadata::METRIC_TYPE_HISTOGRAM, "Help of rpc_seconds", "seconds");
  check(1, Metadata::METRIC_TYPE_HISTOGRAM, "Help of rpc_seconds", "seconds");
  check(2, Metadata::METRIC_TYPE_SUMMARY, "Help of size_bytes", "bytes");
  check(3, Metadata::METRIC_TYPE_UNSPECIFIED, "Help of odd", "");
}

TEST_CASE("a unit is the word before _total, if it is one of OpenMetrics") {
  CHECK(delivery::unit_of("node_cpu_seconds_total") == "seconds");
  CHECK(delivery::unit_of("node_memory_MemFree_bytes") == "bytes");
  CHECK(delivery::unit_of("node_intr_total").empty());
  CHECK(delivery::unit_of("node_load1").empty());
  CHECK(delivery::unit_of("node_megabytes").empty());
  CHECK(delivery::unit_of("bytes").empty());
}

TEST_CASE("snappy and zstd carry the same message") {
  test::RandomScrapes scrapes(1);
  queue::Batch batch;
  add(batch, scrapes.next());
  delivery::Encoder encoder;
  const auto message = unsnappy(encode_all(encoder, batch, delivery::Wire::prometheus_1_0).body);
  const auto part = encode_all(encoder, batch, delivery::Wire::victoriametrics);
  CHECK(unzstd(part.body) == message);
  CHECK(part.raw_bytes == message.size());
}

TEST_CASE("whatever is in a batch, and wherever it is divided, it arrives once and in order") {
  for (const auto seed : test::seeds(60)) {
    INFO("seed " << seed << ", MSP_AGENT_SEED=" << seed << " runs it alone");
    std::mt19937_64 random(seed);
    test::RandomScrapes scrapes(seed);
    queue::Batch batch;
    for (auto count = random() % 30 + 1; count > 0; --count) {
      auto scrape = scrapes.next();
      std::int64_t last_ms = 0;
      if (batch.last_timestamp_of("", last_ms) && scrape.timestamp_ms <= last_ms) break;
      add(batch, std::move(scrape));
    }
    const auto wanted = content_of(batch);
    const auto rows = batch.rows().size();
    delivery::Encoder encoder;
    for (const auto wire : kWires) {
      const auto raw_max = random() % 20'000;
      INFO("wire " << static_cast<int>(wire) << ", raw_max " << raw_max);
      Content content;
      std::size_t samples = 0;
      for (std::size_t begin = 0; begin < rows;) {
        const auto part = encoder.encode(batch, begin, rows, wire, raw_max);
        REQUIRE(part.rows_end > begin);
        REQUIRE(part.rows_end <= rows);
        const auto message = message_of(part.body, wire);
        REQUIRE(message.size() == part.raw_bytes);
        REQUIRE((message.size() <= raw_max || part.rows_end == begin + 1));
        take(message, wire, content);
        begin = part.rows_end;
        samples += part.samples;
      }
      CHECK(content == wanted);
      CHECK(samples == batch.samples());
    }
  }
}

TEST_CASE("rows outside the asked range stay out") {
  queue::Batch batch;
  add(batch, test::scrape(1, test::series_set({"a", "b", "c", "d"}), {1, 2, 3, 4}));
  delivery::Encoder encoder;
  for (const auto wire : kWires) {
    const auto part = encoder.encode(batch, 1, 3, wire, delivery::Encoder::kRawBytesMax);
    CHECK(part.rows_end == 3);
    Content content;
    take(message_of(part.body, wire), wire, content);
    CHECK(content.size() == 2);
    encoder.release();
  }
}

TEST_CASE("what a relay received is behind the series in 1.0, and never in 2.0") {
  prometheus::WriteRequest relayed;
  for (const auto* const name : {"x", "y"}) {
    auto& series = *relayed.add_timeseries();
    auto& label = *series.add_labels();
    label.set_name("__name__");
    label.set_value(name);
    series.add_samples()->set_timestamp(7);
  }
  const auto request = [&](bool is_damaged) {
    queue::Request made{nullptr, 2, 7, 7, {}};
    REQUIRE(queue::compress_frame(relayed.SerializeAsString(), made.message));
    if (is_damaged) made.message.pop_back();
    return std::make_shared<const queue::Request>(std::move(made));
  };
  queue::Batch batch;
  batch.add({1, 1, nullptr, request(false)});
  add(batch, test::scrape(1, test::series_set({"a"}), {1}));
  delivery::Encoder encoder;
  for (const auto wire : {delivery::Wire::prometheus_1_0, delivery::Wire::victoriametrics}) {
    const auto part = encode_all(encoder, batch, wire);
    CHECK(part.rows_end == 2);
    CHECK(part.samples == 3);
    CHECK(part.unreadable_samples == 0);
    const auto read = parse<prometheus::WriteRequest>(message_of(part.body, wire));
    REQUIRE(read.timeseries_size() == 3);
    CHECK(read.timeseries(0).labels(0).value() == "a");
    CHECK(read.timeseries(1).labels(0).value() == "x");
    CHECK(read.timeseries(2).samples(0).timestamp() == 7);
  }
  const auto v2 = encode_all(encoder, batch, delivery::Wire::prometheus_2_0);
  CHECK(v2.rows_end == 1);
  CHECK(v2.samples == 1);

  queue::Batch damaged;
  damaged.add({1, 1, nullptr, request(true)});
  damaged.add({2, 2, nullptr, request(false)});
  const auto part = encode_all(encoder, damaged, delivery::Wire::prometheus_1_0);
  CHECK(part.rows_end == 2);
  CHECK(part.samples == 2);
  CHECK(part.unreadable_samples == 2);
}

TEST_CASE("a body that does not compress stays within 1 MiB") {
  std::mt19937_64 random(1);
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back("m" + std::to_string(i));
  const auto set = test::series_set(names);
  queue::Batch batch;
  for (int i = 0; i < 5'000; ++i) {
    std::vector<double> values;
    for (std::size_t j = 0; j < names.size(); ++j) {
      values.push_back(std::bit_cast<double>(random() >> 2));
    }
    add(batch, test::scrape(static_cast<std::int64_t>(random() % 1'000 + 1'000u * i), set, values));
  }
  delivery::Encoder encoder;
  for (const auto wire : kWires) {
    Content content;
    std::size_t parts = 0;
    for (std::size_t begin = 0; begin < names.size(); ++parts) {
      const auto part =
          encoder.encode(batch, begin, names.size(), wire, delivery::Encoder::kRawBytesMax);
      CHECK(part.body.size() <= delivery::Encoder::kBodyBytesMax);
      take(message_of(part.body, wire), wire, content);
      begin = part.rows_end;
    }
    CHECK(parts > 1);
    CHECK(parts < 5);
    CHECK(content == content_of(batch));
  }
}

}  // namespace msp
