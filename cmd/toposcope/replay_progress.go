package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/replay"
)

// progressEvery is how often the progress is shown anew.
const progressEvery = 200 * time.Millisecond

// showProgress shows on w, if that is a terminal, how much of the file has been read, until stop is called; the line is then
// removed. Where exchanges go to a terminal too it would only be in their way.
func showProgress(w *os.File, file *replay.File, f *replayFlags) (stop func()) {
	if !isTerminal(w) || f.output == "json" && isTerminal(os.Stdout) {
		return func() {}
	}
	done := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		start := time.Now()
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				fmt.Fprint(w, "\r\x1b[K")
				return
			case <-ticker.C:
				read, size := file.Progress()
				fmt.Fprint(w, "\r\x1b[K", progressLine(read, size, time.Since(start)))
			}
		}
	})
	return func() {
		close(done)
		shown.Wait()
	}
}

// progressLine is a bar, or without a size only what has been read, with the rate.
func progressLine(read, size int64, took time.Duration) string {
	const mega, width = 1e6, 30
	rate := float64(read) / mega / max(took.Seconds(), 1e-3)
	if size <= 0 || read > size {
		return fmt.Sprintf("%.1f MB  %.0f MB/s", float64(read)/mega, rate)
	}
	bar := make([]byte, width)
	for i := range bar {
		bar[i] = ' '
		if int64(i) < read*width/size {
			bar[i] = '='
		}
	}
	return fmt.Sprintf("[%s] %3d %%  %.1f of %.1f MB  %.0f MB/s", bar, read*100/size, float64(read)/mega, float64(size)/mega, rate)
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
