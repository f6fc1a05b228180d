// Sends a rich set of spans with the official Go SDK, each to two OTLP endpoints: the agent under test and, for
// comparison, straight to the Collector. Prints one JSON line per span that the agent's endpoint has acknowledged.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// acknowledged passes batches on and prints the ids of those that the endpoint took. The batcher calls it from one
// goroutine at a time.
type acknowledged struct{ sdktrace.SpanExporter }

func (a acknowledged) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := a.SpanExporter.ExportSpans(ctx, spans); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for _, span := range spans {
		id := span.SpanContext()
		if err := out.Encode(map[string]string{
			"traceId": id.TraceID().String(), "spanId": id.SpanID().String(),
		}); err != nil {
			return err
		}
	}
	return nil
}

// everyType has one attribute for each kind of value and each awkward value that the SDK can hold.
func everyType() []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("string", "plain"),
		attribute.String("string.empty", ""),
		attribute.String("string.unicode", "Grüße, 世界 🚀 \u0000 \" \\ \n end"),
		attribute.String("string.long", strings.Repeat("long ", 200)),
		attribute.Bool("bool.true", true),
		attribute.Bool("bool.false", false),
		attribute.Int64("int.zero", 0),
		attribute.Int64("int.negative", -42),
		attribute.Int64("int.beyond_2_53", 1<<53+1),
		attribute.Int64("int.max", math.MaxInt64),
		attribute.Int64("int.min", math.MinInt64),
		attribute.Float64("double.fraction", 0.1),
		attribute.Float64("double.whole", 3),
		attribute.Float64("double.negative", -2.5e-300),
		attribute.Float64("double.large", math.MaxFloat64),
		attribute.Float64("double.tiny", math.SmallestNonzeroFloat64),
		attribute.Float64("double.nan", math.NaN()),
		attribute.Float64("double.inf", math.Inf(1)),
		attribute.Float64("double.neg_inf", math.Inf(-1)),
		attribute.Float64("double.neg_zero", math.Copysign(0, -1)),
		attribute.StringSlice("strings", []string{"a", "", "ü"}),
		attribute.StringSlice("strings.empty", []string{}),
		attribute.BoolSlice("bools", []bool{true, false, true}),
		attribute.Int64Slice("ints", []int64{1, -1, math.MaxInt64, math.MinInt64}),
		attribute.Float64Slice("doubles", []float64{0.5, -1, 1e100}),
		attribute.String("", "the empty key"),
		attribute.String("ключ", "a key that is not ASCII"),
	}
}

type sender struct {
	exporters []sdktrace.SpanExporter
	base      time.Time
}

func (s *sender) provider(ctx context.Context, res *resource.Resource) *sdktrace.TracerProvider {
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res),
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
			AttributeValueLengthLimit: -1, AttributeCountLimit: 40, EventCountLimit: 5, LinkCountLimit: 4,
			AttributePerEventCountLimit: 30, AttributePerLinkCountLimit: 30,
		}),
	}
	for _, exporter := range s.exporters {
		options = append(options, sdktrace.WithBatcher(exporter,
			sdktrace.WithMaxExportBatchSize(50), sdktrace.WithMaxQueueSize(100000),
			sdktrace.WithBatchTimeout(100*time.Millisecond), sdktrace.WithBlocking()))
	}
	return sdktrace.NewTracerProvider(options...)
}

// at gives the time that lies n microseconds and a bit after the base, so that nanoseconds matter.
func (s *sender) at(n int) time.Time {
	return s.base.Add(time.Duration(n)*time.Microsecond + time.Duration(n%1000))
}

// trace makes one trace of six spans, over two scopes, with each kind and each status.
func (s *sender) trace(ctx context.Context, n int, first, second trace.Tracer) {
	if n%3 == 0 { // every third trace was begun by somebody else, who is named with trace state
		state, err := trace.ParseTraceState("vendor=v" + fmt.Sprint(n) + ",other=1")
		if err != nil {
			log.Fatal(err)
		}
		remote := trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1, 2, 3, 15: byte(n), 14: byte(n >> 8)}, SpanID: trace.SpanID{9, 7: byte(n), 6: byte(n >> 8)},
			TraceFlags: trace.FlagsSampled, TraceState: state, Remote: true,
		})
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote)
	}
	ctx, root := first.Start(ctx, fmt.Sprintf("GET /orders/%d", n), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithTimestamp(s.at(n*100)), trace.WithAttributes(everyType()...))
	root.AddEvent("received", trace.WithTimestamp(s.at(n*100+1)), trace.WithAttributes(everyType()[:20]...))
	root.AddEvent("", trace.WithTimestamp(s.at(n*100+2)))

	_, internal := second.Start(ctx, "rechne 計算", trace.WithTimestamp(s.at(n*100+3)))
	for i := 0; i < 60; i++ { // beyond the limits, so that there are dropped counts
		internal.SetAttributes(attribute.Int(fmt.Sprintf("key.%02d", i), i))
	}
	for i := 0; i < 8; i++ {
		internal.AddEvent("tick", trace.WithTimestamp(s.at(n*100+4+i)), trace.WithAttributes(attribute.Int("n", i)))
	}
	internal.SetStatus(codes.Ok, "")
	internal.End(trace.WithTimestamp(s.at(n*100 + 20)))

	clientContext, client := second.Start(ctx, "SELECT orders", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithTimestamp(s.at(n*100+21)))
	client.RecordError(errors.New("connection reset: größer"), trace.WithTimestamp(s.at(n*100+22)), trace.WithStackTrace(false))
	client.SetStatus(codes.Error, "the database went away: Grüße\n")
	client.End(trace.WithTimestamp(s.at(n*100 + 23)))

	_, producer := first.Start(clientContext, "orders publish", trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithTimestamp(s.at(n*100+24)))
	producer.End(trace.WithTimestamp(s.at(n*100 + 24))) // no duration at all

	linkState, err := trace.ParseTraceState("link=yes")
	if err != nil {
		log.Fatal(err)
	}
	far := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xaa, 15: 1}, SpanID: trace.SpanID{0xbb, 7: 2}, TraceState: linkState, Remote: true,
	})
	links := []trace.Link{
		{SpanContext: producer.SpanContext(), Attributes: everyType()[:10]},
		{SpanContext: far, Attributes: []attribute.KeyValue{attribute.Bool("far", true)}},
		{SpanContext: client.SpanContext()},
	}
	for i := 0; i < n%4; i++ { // sometimes beyond the limit of four
		links = append(links, trace.Link{SpanContext: root.SpanContext()})
	}
	_, consumer := first.Start(ctx, "orders process", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...),
		trace.WithTimestamp(s.at(n*100+25)))
	consumer.End(trace.WithTimestamp(s.at(n*100 + 26)))
	root.End(trace.WithTimestamp(s.at(n*100 + 30)))

	_, alone := second.Start(context.Background(), "", trace.WithTimestamp(s.at(n*100+31)))
	alone.End(trace.WithTimestamp(s.at(n*100 + 32)))
}

func clientOptions(url, compression string, roots *tls.Config) []otlptracehttp.Option {
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(url), otlptracehttp.WithTimeout(60 * time.Second)}
	if compression == "gzip" {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	} else {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.NoCompression))
	}
	if roots != nil && strings.HasPrefix(url, "https:") {
		options = append(options, otlptracehttp.WithTLSClientConfig(roots))
	}
	return options
}

func run() error {
	agent := flag.String("agent", "", "URL of the agent, without /v1/traces")
	direct := flag.String("direct", "", "URL of the Collector, without /v1/traces")
	caFile := flag.String("ca", "", "PEM file that https endpoints are verified with")
	protocol := flag.String("protocol", "protobuf", "protobuf")
	compression := flag.String("compression", "none", "none | gzip")
	traces := flag.Int("traces", 50, "number of traces, six spans each, for each of two resources")
	flag.Parse()
	if *protocol != "protobuf" {
		return fmt.Errorf("the Go SDK has no protocol %q", *protocol)
	}

	var roots *tls.Config
	if *caFile != "" {
		pem, err := os.ReadFile(*caFile)
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: no certificate in it", *caFile)
		}
		roots = &tls.Config{RootCAs: pool}
	}

	var failures atomic.Int64
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		failures.Add(1)
		log.Print(err)
	}))
	ctx := context.Background()
	s := &sender{base: time.Now().Add(-time.Minute).Truncate(time.Microsecond)}
	toAgent, err := otlptrace.New(ctx, otlptracehttp.NewClient(clientOptions(*agent+"/v1/traces", *compression, roots)...))
	if err != nil {
		return err
	}
	s.exporters = append(s.exporters, acknowledged{toAgent})
	if *direct != "" {
		toCollector, err := otlptrace.New(ctx, otlptracehttp.NewClient(clientOptions(*direct+"/v1/traces", *compression, roots)...))
		if err != nil {
			return err
		}
		s.exporters = append(s.exporters, toCollector)
	}

	resources := []*resource.Resource{
		resource.NewWithAttributes("https://opentelemetry.io/schemas/1.26.0",
			append(everyType(), attribute.String("service.name", "checkout"))...),
		resource.NewSchemaless(attribute.String("service.name", "käufe")),
	}
	for _, res := range resources {
		provider := s.provider(ctx, res)
		first := provider.Tracer("shop/checkout", trace.WithInstrumentationVersion("1.2.3"),
			trace.WithSchemaURL("https://opentelemetry.io/schemas/1.21.0"),
			trace.WithInstrumentationAttributes(everyType()[:16]...))
		second := provider.Tracer("db")
		for n := 0; n < *traces; n++ {
			s.trace(ctx, n, first, second)
		}
		// Shutdown closes the exporters, which the next provider still needs: only flush.
		if err := provider.ForceFlush(ctx); err != nil {
			return err
		}
	}
	if n := failures.Load(); n > 0 {
		return fmt.Errorf("%d exports failed", n)
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
