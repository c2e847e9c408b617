package golden

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// readReplay makes exchanges of what "toposcope replay" shows of a capture.
func readReplay(t *testing.T, file string) []*exchange {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("capture: {payload_limit: 65536}\nredact: {url_query: false, query_values: false}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary(), "replay", "--config.file="+config, "--output=json", file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []*exchange
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Time                        time.Time
			Protocol, Client, Server    string
			Operation, Status           string
			Error, Outcome              string
			DurationSeconds             float64
			RequestBytes, ResponseBytes int
			Attributes                  map[string]string
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		x := &exchange{
			protocol: l.Protocol, client: l.Client, server: l.Server, fields: l.Attributes, begin: l.Time,
			end:     l.Time.Add(time.Duration(l.DurationSeconds * float64(time.Second))),
			request: l.RequestBytes, response: l.ResponseBytes,
		}
		if l.Error == "unanswered" {
			x.end = time.Time{}
		}
		if l.Protocol == "kafka" { // whose errors are no status
			x.fields["error"] = l.Error
		}
		if l.Protocol == "mongodb" { // whose documents are no text
			delete(x.fields, "db.query.text")
		}
		x.fields["operation"], x.fields["status"], x.fields["outcome"] = l.Operation, l.Status, l.Outcome
		all = append(all, x)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("replaying %s: %v", filepath.Base(file), err)
	}
	return all
}
