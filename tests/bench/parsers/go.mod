module parsers

go 1.25

require (
	github.com/VictoriaMetrics/VictoriaMetrics v1.151.0
	github.com/prometheus/prometheus v0.314.0
)
