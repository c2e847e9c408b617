package control

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/demo/fault"
)

// TestHandler: one request after another to one switchboard.
func TestHandler(t *testing.T) {
	places := fault.Places{"payments": fault.Slow | fault.Fail | fault.Lost, "stock": fault.Fail}
	first, err := fault.Parse("stock=fail:0.5", places)
	if err != nil {
		t.Fatal(err)
	}
	var applied []string
	apply := func(_ context.Context, set fault.Set) error {
		applied = append(applied, set.String())
		if set["payments"].Lost > 0 {
			return errors.New("payments does not answer")
		}
		return nil
	}
	handler := New(Config{Places: places, First: first, Apply: apply, Help: "what there is", Logf: t.Logf}).Handler()
	const none = "-" // what apply is called with where it is not called
	for _, step := range []struct {
		method, body string
		status       int
		answer       string
		applied      string
	}{
		{"GET", "", 200, "stock=fail:0.5", none},
		{"POST", "payments=slow:1s", 200, "payments=slow:1s,stock=fail:0.5", "payments=slow:1s,stock=fail:0.5"},
		{"POST", "payments=slow:1s", 200, "payments=slow:1s,stock=fail:0.5", none},
		{"PUT", "payments=fail,stock=off\n", 200, "payments=fail", "payments=fail"},
		{"PUT", "bakery=fail", 400, "no service", none},
		{"PUT", strings.Repeat(" ", maxBody+1), 400, "too large", none},
		{"GET", "", 200, "payments=fail", none},
		{"POST", "payments=off", 200, "\n", ""},
		{"PUT", "payments=lost", 503, "does not answer", "payments=lost"},
		{"GET", "", 200, "payments=lost", none},
		{"DELETE", "", 200, "\n", ""},
		{"PATCH", "", 405, "", none},
	} {
		applied = nil
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(step.method, "/faults", strings.NewReader(step.body)))
		if answer.Code != step.status || !strings.Contains(answer.Body.String(), step.answer) {
			t.Errorf("%s %q: %d %q, want %d with %q", step.method, step.body, answer.Code, answer.Body, step.status, step.answer)
		}
		var want []string
		if step.applied != none {
			want = []string{step.applied}
		}
		if strings.Join(applied, ";") != strings.Join(want, ";") || len(applied) != len(want) {
			t.Errorf("%s %q: applied %q, want %q", step.method, step.body, applied, want)
		}
	}
}

// TestOrigin: a page that somebody has open in a browser cannot switch on faults.
func TestOrigin(t *testing.T) {
	handler := New(Config{Places: fault.Places{"stock": fault.Fail}, Apply: func(context.Context, fault.Set) error {
		t.Error("faults were applied")
		return nil
	}}).Handler()
	request := httptest.NewRequest("POST", "http://127.0.0.1:7000/faults", strings.NewReader("stock=fail"))
	request.Header.Set("Origin", "https://elsewhere.example")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	if answer.Code != http.StatusForbidden {
		t.Errorf("got %d, want %d", answer.Code, http.StatusForbidden)
	}
}

// TestTime: faults with a time end when it is over, others and those that were changed meanwhile do not.
func TestTime(t *testing.T) {
	places := fault.Places{"payments": fault.Fail, "stock": fault.Fail, "users": fault.Fail}
	first, err := fault.Parse("users=fail for 20ms", places)
	if err != nil {
		t.Fatal(err)
	}
	applied := make(chan string, 10)
	board := New(Config{Places: places, First: first, Logf: t.Logf, Apply: func(_ context.Context, set fault.Set) error {
		applied <- set.String()
		return nil
	}})
	defer board.Close()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-applied:
			if got != want {
				t.Fatalf("applied %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q is not applied", want)
		}
	}
	expect("")
	post := func(body string) {
		board.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/faults", strings.NewReader(body)))
	}
	post("stock=fail")
	expect("stock=fail")
	post("payments=fail for 1h")
	expect("payments=fail for 1h0m0s,stock=fail")
	post("payments=fail for 20ms")
	expect("payments=fail for 20ms,stock=fail")
	expect("stock=fail")
}

// TestHelp: the switchboard tells what can be switched on.
func TestHelp(t *testing.T) {
	answer := httptest.NewRecorder()
	New(Config{Help: "what there is"}).Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	if answer.Code != http.StatusOK || answer.Body.String() != "what there is\n" {
		t.Errorf("GET / answers %d %q", answer.Code, answer.Body)
	}
}
