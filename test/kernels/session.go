package kernels

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// session reads one guest's console.
type session struct {
	job            Job
	began          time.Time
	started, ended bool
	res            Result
}

// frame is the JSON object of a framed line: one of its fields is set.
type frame struct {
	Start  *string         `json:"start"`
	Exit   *int            `json:"exit"`
	Result json.RawMessage `json:"result"`
}

// read takes the console until the exit status or its end.
func (s *session) read(r io.Reader) error {
	br := bufio.NewReaderSize(r, 1<<20)
	for !s.ended {
		line, err := br.ReadSlice('\n')
		if e := s.line(line); e != nil {
			return e
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil // the end: whoever waits for the emulator knows why
		}
	}
	return nil
}

// line handles one line of the console. A frame may follow output that had no line end.
func (s *session) line(line []byte) error {
	s.res.Console = append(s.res.Console, line...)
	if over := len(s.res.Console) - consoleLimit; over > 0 {
		s.res.Console = append(s.res.Console[:0], s.res.Console[over+consoleLimit/8:]...)
	}
	if s.job.Trace != nil {
		if _, err := s.job.Trace.Write(line); err != nil {
			return fmt.Errorf("writing the console: %w", err)
		}
	}
	out, framed, ok := bytes.Cut(line, []byte(Marker))
	var f frame
	if ok {
		if err := json.Unmarshal(framed, &f); err != nil {
			return fmt.Errorf("reading the framed line %q: %w", bytes.TrimSpace(framed), err)
		}
	}
	if !ok || f.Result != nil {
		out = line // the command's, whole
	}
	if s.started && s.job.Output != nil && len(out) > 0 {
		if _, err := s.job.Output.Write(out); err != nil {
			return fmt.Errorf("writing the output: %w", err)
		}
	}
	s.frame(f)
	return nil
}

func (s *session) frame(f frame) {
	switch {
	case f.Start != nil:
		s.started, s.res.Release, s.res.Boot = true, *f.Start, time.Since(s.began)
	case f.Exit != nil:
		s.ended, s.res.Status = true, *f.Exit
	case f.Result != nil:
		s.res.Results = append(s.res.Results, f.Result)
	}
}
