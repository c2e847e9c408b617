package tsdb_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v2"

	"github.com/toposcope/toposcope/api/store/tsdb"
)

// TestAlertsReachAlertmanager has a rule fire and waits for the alert at an Alertmanager's door.
func TestAlertsReachAlertmanager(t *testing.T) {
	got := make(chan string, 10)
	alertmanager := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + string(body)
	}))
	defer alertmanager.Close()

	b := newBench(t, tsdb.Options{})
	b.write(-1, gauge("g", 1))
	n := tsdb.NewNotifier(tsdb.NotifierOptions{ExternalURL: "http://toposcope.test"})
	var section config.AlertingConfig
	host := strings.TrimPrefix(alertmanager.URL, "http://")
	if err := yaml.UnmarshalStrict(fmt.Appendf(nil, "alertmanagers: [{static_configs: [{targets: [%q]}]}]", host), &section); err != nil {
		t.Fatal(err)
	}
	if err := n.Load(section, map[string]string{"cluster": "test"}); err != nil {
		t.Fatal(err)
	}
	r := tsdb.NewRules(tsdb.RulesOptions{Store: b.store, Engine: tsdb.NewEngine(tsdb.EngineOptions{}), Notify: n.Notify})
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("groups: [{name: g, interval: 100ms, rules: [{alert: Burning, expr: vector(1)}]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Load([]string{file}, time.Second, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- n.Run(ctx) }()
	go func() { ended <- r.Run(ctx) }()
	select {
	case alert := <-got:
		for _, want := range []string{"/api/v2/alerts ", `"alertname":"Burning"`, `"cluster":"test"`, "http://toposcope.test/"} {
			if !strings.Contains(alert, want) {
				t.Errorf("no %s in %s", want, alert)
			}
		}
	case <-time.After(30 * time.Second):
		t.Error("no alert came")
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
