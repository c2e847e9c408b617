package config_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/cmd/internal/config"
	"github.com/toposcope/toposcope/labeler"
)

// applied records what came into force.
type applied struct {
	actions []string
	err     error
}

func (a *applied) apply(f labeler.FilterConfig) error {
	if a.err != nil {
		return a.err
	}
	a.actions = append(a.actions, f.DefaultAction)
	return nil
}

func inForce(t *testing.T, s *config.FilterSwitch) string {
	t.Helper()
	f, source := s.InForce()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return source + " " + string(b)
}

func TestFilterSwitch(t *testing.T) {
	dir := t.TempDir()
	a := &applied{}
	include, exclude := labeler.FilterConfig{DefaultAction: "include"}, labeler.FilterConfig{DefaultAction: "exclude"}
	s, err := config.OpenFilters(dir, include, a.apply)
	if err != nil {
		t.Fatal(err)
	}
	document := `{"default_action": "exclude", "rules": [{"action": "include", "match": {"process": "java", "pid": [1]}}]}`
	if err := s.Set(t.Context(), []byte(document)); err != nil {
		t.Fatal(err)
	}
	want := `api {"default_action":"exclude","rules":[{"action":"include","match":{"pid":[1],"process":"java"}}]}`
	if got := inForce(t, s); got != want {
		t.Errorf("after Set:\ngot  %s\nwant %s", got, want)
	}

	// It wins over the configuration and survives a restart.
	if err := s.Configure(include); err != nil {
		t.Fatal(err)
	}
	if s, err = config.OpenFilters(dir, include, a.apply); err != nil {
		t.Fatal(err)
	}
	if got := inForce(t, s); got != want {
		t.Errorf("after a restart:\ngot  %s\nwant %s", got, want)
	}

	if err := s.Configure(exclude); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := s.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := inForce(t, s); got != `config {"default_action":"exclude"}` {
		t.Errorf("after Reset: %s", got)
	}
	if err := s.Configure(include); err != nil {
		t.Fatal(err)
	}
	if want := []string{"include", "exclude", "exclude", "exclude", "include"}; !slices.Equal(a.actions, want) {
		t.Errorf("applied %v, want %v", a.actions, want)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFilterSwitchErrors(t *testing.T) {
	dir := t.TempDir()
	a := &applied{}
	s, err := config.OpenFilters(dir, labeler.FilterConfig{DefaultAction: "include"}, a.apply)
	if err != nil {
		t.Fatal(err)
	}
	for document, want := range map[string]string{
		`{"default_action": "deny"}`:                     `filters:1: default_action: "deny" is neither include nor exclude`,
		`{"defaultAction": "include"}`:                   `filters:1: unknown key "defaultAction"`,
		`{"rules": [{"action": "include", "match": 1}]}`: `filters:1: rules[0].match: "1" is not a section`,
		`{"rules": [`: `filters: line 1: did not find expected node content`,
		`[]`:          `filters: line 1: the file must be a mapping of sections`,
	} {
		err := s.Set(t.Context(), []byte(document))
		var invalid interface{ Invalid() bool }
		if !errors.As(err, &invalid) || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", document, err, want)
		}
	}
	// What cannot be applied or kept is not in force.
	a.err = errors.New("the map is full")
	if err := s.Set(t.Context(), []byte(`{"default_action": "exclude"}`)); err == nil || !strings.Contains(err.Error(), "the map is full") {
		t.Error(err)
	}
	a.err = nil
	if err := os.Mkdir(filepath.Join(dir, "filters.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), []byte(`{"default_action": "exclude"}`)); err == nil || !strings.Contains(err.Error(), "keeping filters") {
		t.Error(err)
	}
	if got := inForce(t, s); !strings.HasPrefix(got, "config ") || a.actions[len(a.actions)-1] != "include" {
		t.Errorf("in force: %s, applied %v", got, a.actions)
	}
	if err := os.Remove(filepath.Join(dir, "filters.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "filters.yaml"), []byte("default_action: deny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = config.OpenFilters(dir, labeler.FilterConfig{DefaultAction: "include"}, a.apply)
	if err == nil || !strings.Contains(err.Error(), "filters.yaml:1: default_action") || !strings.Contains(err.Error(), "delete the file") {
		t.Error(err)
	}
}
