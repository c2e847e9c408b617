// Package e2e runs Toposcope against real servers and clients on this host and holds what it shows against what was sent.
//
// The tests need root and bin/toposcope (or the path in TOPOSCOPE_BIN). Without them they are skipped, but fail where the
// environment says CI=true. A service is named by OTEL_SERVICE_NAME in its environment, each test's by names of its own and all
// in the namespace of the run, so that tests can share one Toposcope and whatever else runs on the host does not matter.
package e2e
