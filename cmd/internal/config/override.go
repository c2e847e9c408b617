package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/toposcope/toposcope/labeler"
)

// FilterSwitch holds the process filter in force: that of the configuration, or one that was set through the API, which is
// kept in the data folder and wins until it is reset. It implements api.Filters and may be used from any goroutine.
type FilterSwitch struct {
	file  string
	apply func(labeler.FilterConfig) error

	mu       sync.Mutex
	config   labeler.FilterConfig
	override *labeler.FilterConfig
}

// OpenFilters reads the filter kept in dir, if there is one, and applies what is then in force. apply is called with each
// filter that comes into force, never twice at a time; when it fails the one before stays.
func OpenFilters(dir string, configured labeler.FilterConfig, apply func(labeler.FilterConfig) error) (*FilterSwitch, error) {
	s := &FilterSwitch{file: filepath.Join(dir, "filters.yaml"), apply: apply, config: configured}
	data, err := os.ReadFile(s.file)
	switch {
	case err == nil:
		f, err := parseFilters(s.file, data)
		if err != nil {
			return nil, fmt.Errorf("reading the filter that was set through the API (delete the file to be rid of it): %w", err)
		}
		s.override = f
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading the filter that was set through the API: %w", err)
	}
	f, _ := s.inForce()
	if err := apply(f); err != nil {
		return nil, fmt.Errorf("applying filters: %w", err)
	}
	return s, nil
}

func (s *FilterSwitch) inForce() (labeler.FilterConfig, string) {
	if s.override != nil {
		return *s.override, "api"
	}
	return s.config, "config"
}

// Configure takes the filter of a configuration that was read again.
func (s *FilterSwitch) Configure(f labeler.FilterConfig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.override == nil {
		if err := s.apply(f); err != nil {
			return fmt.Errorf("applying filters: %w", err)
		}
	}
	s.config = f
	return nil
}

// InForce is the filter in force, in the form of the configuration, and its source: "config" or "api".
func (s *FilterSwitch) InForce() (filters any, source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, source := s.inForce()
	form := map[string]any{}
	data, err := yaml.Marshal(f)
	if err == nil {
		err = yaml.Unmarshal(data, &form)
	}
	if err != nil {
		panic(err) // texts and numbers
	}
	return form, source
}

// Set puts a filter, in JSON or YAML, into force and keeps it. An error of the document is an InvalidFilter.
func (s *FilterSwitch) Set(_ context.Context, document []byte) error {
	f, err := parseFilters("filters", document)
	if err != nil {
		return InvalidFilter{err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("keeping filters: %w", err)
	}
	if err := s.apply(*f); err != nil {
		return fmt.Errorf("applying filters: %w", err)
	}
	if err := replace(s.file, data); err != nil {
		before, _ := s.inForce()
		return errors.Join(fmt.Errorf("keeping filters: %w", err), s.apply(before))
	}
	s.override = f
	return nil
}

// Reset puts the filter of the configuration into force.
func (s *FilterSwitch) Reset(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.override == nil {
		return nil
	}
	if err := s.apply(s.config); err != nil {
		return fmt.Errorf("applying filters: %w", err)
	}
	if err := os.Remove(s.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("forgetting filters: %w", err), s.apply(*s.override))
	}
	s.override = nil
	return nil
}

// InvalidFilter is an error of a filter's document.
type InvalidFilter struct{ error }

// Unwrap returns what is wrong.
func (e InvalidFilter) Unwrap() error { return e.error }

// Invalid is true; package api answers 400 for such an error.
func (InvalidFilter) Invalid() bool { return true }

// parseFilters reads the section filters alone, as strictly as the configuration.
func parseFilters(name string, data []byte) (*labeler.FilterConfig, error) {
	doc, err := document(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f := Default(nil).Filters
	if err := decode(data, &f); err != nil {
		return nil, doc.explain(name, err)
	}
	if err := f.Validate(); err != nil { // led by the path in the configuration, of which this is a part
		return nil, doc.explain(name, stageError(errors.New(strings.TrimPrefix(err.Error(), "filters."))))
	}
	return &f, nil
}

// replace writes a file in one step, so that a crash leaves the old or the new.
func replace(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
