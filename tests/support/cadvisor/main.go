// cAdvisor's library with the page that its own program has, and with that program's defaults and its flags for
// housekeeping: the program cannot be had as a Go module. tests/support/go_peer.py builds it.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/google/cadvisor/cache/memory"
	"github.com/google/cadvisor/container"
	_ "github.com/google/cadvisor/container/containerd/install"
	_ "github.com/google/cadvisor/container/crio/install"
	_ "github.com/google/cadvisor/container/docker/install"
	_ "github.com/google/cadvisor/container/podman/install"
	_ "github.com/google/cadvisor/container/systemd/install"
	v2 "github.com/google/cadvisor/info/v2"
	"github.com/google/cadvisor/manager"
	"github.com/google/cadvisor/metrics"
	"github.com/google/cadvisor/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/utils/clock"
)

func main() {
	address := flag.String("address", "127.0.0.1:8080", "where /metrics is")
	withProcesses := flag.Bool("processes", false, "with the set of metrics process, which is off by default")
	flag.Parse()
	off := container.MetricSet{}
	for _, kind := range []container.MetricKind{
		container.MemoryNumaMetrics, container.NetworkTcpUsageMetrics, container.NetworkUdpUsageMetrics,
		container.NetworkAdvancedTcpUsageMetrics, container.ProcessSchedulerMetrics, container.HugetlbUsageMetrics,
		container.ReferencedMemoryMetrics, container.CPUTopologyMetrics, container.ResctrlMetrics,
		container.CPUSetMetrics, container.ProcessMetrics} {
		if kind != container.ProcessMetrics || !*withProcesses {
			off[kind] = struct{}{}
		}
	}
	included := container.AllMetrics.Difference(off)
	watched, err := manager.New(memory.New(2*time.Minute, nil), sysfs.NewRealSysFs(),
		manager.HousekeepingConfigFlags, included, http.DefaultClient, []string{""}, nil, "", 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := watched.Start(); err != nil {
		log.Fatal(err)
	}
	options := v2.RequestOptions{IdType: v2.TypeName, Count: 1, Recursive: true}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		metrics.NewPrometheusCollector(watched, metrics.DefaultContainerLabels, included, clock.RealClock{}, options),
		metrics.NewPrometheusMachineCollector(watched, included))
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	log.Fatal(http.ListenAndServe(*address, nil))
}
