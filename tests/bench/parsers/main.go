// Parses a text of an exporter again and again, with Prometheus' parser and vmagent's, and prints the CPU time of a
// round of each, in nanoseconds, as tests/bench/parsers.py wants it.
//
//	parsers FILE ROUNDS
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	vmagent "github.com/VictoriaMetrics/VictoriaMetrics/lib/protoparser/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func cpuNs() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// What Prometheus' scrape loop does for a series that it knows: a look-up of the line's text. For a new one, and for each
// series without the cache, its labels are parsed.
func prometheus(text []byte, symbols *labels.SymbolTable, known map[string]int, withLabels bool) (samples int) {
	parser := textparse.NewPromParser(text, symbols, false)
	var of labels.Labels
	for {
		entry, err := parser.Next()
		if err == io.EOF {
			return samples
		}
		if err != nil {
			panic(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		series, _, _ := parser.Series()
		if withLabels {
			parser.Labels(&of)
		} else if _, isKnown := known[string(series)]; !isKnown {
			known[string(series)] = samples
		}
		samples++
	}
}

func measure(name string, rounds int, once func() int) {
	samples := once()
	began := cpuNs()
	for i := 0; i < rounds; i++ {
		once()
	}
	fmt.Println(name, samples, (cpuNs()-began)/int64(rounds))
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	rounds, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	symbols := labels.NewSymbolTable()
	known := map[string]int{}
	measure("prometheus", rounds, func() int { return prometheus(text, symbols, known, false) })
	measure("prometheus-labels", rounds, func() int { return prometheus(text, symbols, known, true) })
	var rows vmagent.Rows
	asString := string(text)
	measure("vmagent", rounds, func() int {
		rows.UnmarshalWithErrLogger(asString, func(line string) { panic(line) })
		return len(rows.Rows)
	})
}
