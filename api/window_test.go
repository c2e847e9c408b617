package api

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestParseWindow(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	tests := []struct {
		query      string
		start, end string // RFC 3339; or the error in end
	}{
		{"", "2026-05-04T02:57:01Z", "2026-05-04T03:02:01Z"},
		{"window=1h", "2026-05-04T02:02:01Z", "2026-05-04T03:02:01Z"},
		{"window=1h30m", "2026-05-04T01:32:01Z", "2026-05-04T03:02:01Z"},
		{"window=90", "2026-05-04T03:00:31Z", "2026-05-04T03:02:01Z"},
		{"window=0.5", "2026-05-04T03:02:00.5Z", "2026-05-04T03:02:01Z"},
		{"time=2026-05-04T01:00:00Z", "2026-05-04T00:55:00Z", "2026-05-04T01:00:00Z"},
		{"time=2026-05-04T03:00:00%2B02:00&window=1m", "2026-05-04T00:59:00Z", "2026-05-04T01:00:00Z"},
		{"time=1777856400.25&window=1s", "2026-05-04T00:59:59.25Z", "2026-05-04T01:00:00.25Z"},
		{"start=1777852800&end=1777856400", "2026-05-04T00:00:00Z", "2026-05-04T01:00:00Z"},
		{"start=2026-05-04T00:00:00Z", "2026-05-04T00:00:00Z", "2026-05-04T03:02:01Z"},
		{"end=2026-05-04T01:00:00Z", "2026-05-04T00:55:00Z", "2026-05-04T01:00:00Z"},
		{"end=2026-05-04T03:02:31Z", "2026-05-04T02:57:31Z", "2026-05-04T03:02:31Z"}, // a clock that is ahead
		{"end=2026-05-04T03:04:01Z", "", "the window ends in the future, at 2026-05-04T03:04:01Z; it is 2026-05-04T03:02:01Z here"},
		{"start=2026-05-04T03:02:10Z", "", "the window does not start before its end"},
		{"start=2&end=1", "", "the window does not start before its end"},
		{"window=0s", "", "the window does not start before its end"},
		{"window=-5m", "", `window: "-5m" is neither a duration such as 5m nor seconds`},
		{"window=-5", "", `window: "-5" is neither`},
		{"window=NaN", "", `window: "NaN" is neither`},
		{"window=1e300", "", `window: "1e300" is neither`},
		{"window=2d", "", "the window is 2d long, the longest is 1d"},
		{"start=0", "", "long, the longest is 1d"},
		{"start=yesterday", "", `start: "yesterday" is neither RFC 3339 nor Unix seconds`},
		{"end=NaN", "", `end: "NaN" is neither`},
		{"time=1e18", "", `time: "1e18" is neither`},
		{"time=-1", "", `time: "-1" is out of range`},
		{"time=" + strings.Repeat("9", 1000), "", `999…" is neither`},
		{"start=1&window=5m", "", "give start and end, or time and window, not of both"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			v, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			w, err := parseWindow(v.Get, now, 24*time.Hour)
			if tt.start == "" {
				if err == nil || !strings.Contains(err.Error(), tt.end) {
					t.Errorf("got %v, want %s", err, tt.end)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s, e := w.Start.Format(time.RFC3339Nano), w.End.Format(time.RFC3339Nano); s != tt.start || e != tt.end {
				t.Errorf("got %s to %s, want %s to %s", s, e, tt.start, tt.end)
			}
		})
	}
}
